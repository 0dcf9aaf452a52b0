import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { Failure } from '../report/errors.ts';
import { withAbsolutePaths } from './filePaths.ts';
import { parseSpec } from './parse.ts';
import { invalidSpec, type SpecProblem } from './problems.ts';
import type { Spec } from './types.ts';
import { maxSpecBytes } from './yaml.ts';

/** The name of standard input, as for most programs. */
const STANDARD_INPUT = '-';

/**
 * Reads and validates a spec, `-` being standard input. Throws a Failure 'invalid' for whatever keeps it from being one.
 * The files that it names are relative to its own folder, or to the current one where it comes from standard input.
 */
export async function readSpec(file: string): Promise<Spec> {
  const source = file === STANDARD_INPUT ? 'standard input' : path.resolve(file);
  const bytes = await readBytes(file, source);
  if (bytes.length > maxSpecBytes) throw invalidSpec(source, [{ path: [], message: 'is larger than 10 MB' }]);
  if (!isUtf8(bytes)) throw invalidSpec(source, [{ path: [], ...notUtf8(bytes) }]);
  const spec = parseSpec(bytes.toString('utf8'), source);
  return withAbsolutePaths(spec, file === STANDARD_INPUT ? process.cwd() : path.dirname(source));
}

/** One byte more than is allowed at most: pipes and devices have no size that could be asked for. */
async function readBytes(file: string, source: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    // Standard input by Node's own stream, which waits for whoever writes slowly: the pipe does not block.
    const stream = file === STANDARD_INPUT ? process.stdin : createReadStream(file, { end: maxSpecBytes });
    for await (const chunk of stream) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxSpecBytes) break;
    }
  } catch (error) {
    throw new Failure(
      {
        kind: 'invalid',
        what: `The spec cannot be read (${source})`,
        cause: error instanceof Error ? error.message : String(error),
        next: 'Name the file with --spec or in CITUS_DATABASES_SPEC, and make it readable for the user that runs this program',
      },
      { cause: error },
    );
  }
  return Buffer.concat(chunks);
}

function notUtf8(bytes: Buffer): Omit<SpecProblem, 'path'> {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    return { message: 'is UTF-16; the spec must be UTF-8' };
  }
  let line = 1;
  let start = 0;
  for (
    let end = bytes.indexOf(0x0a);
    end !== -1 && isUtf8(bytes.subarray(start, end));
    end = bytes.indexOf(0x0a, start)
  ) {
    line += 1;
    start = end + 1;
  }
  return { position: `line ${line}`, message: 'bytes that are no UTF-8; the spec must be UTF-8' };
}
