import { isUtf8 } from 'node:buffer';
import path from 'node:path';
import { readBounded, TooLarge } from '../files/read.ts';
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
  if (!isUtf8(bytes)) throw invalidSpec(source, [{ path: [], ...notUtf8(bytes) }]);
  const spec = parseSpec(bytes.toString('utf8'), source);
  return withAbsolutePaths(spec, file === STANDARD_INPUT ? process.cwd() : path.dirname(source));
}

async function readBytes(file: string, source: string): Promise<Buffer> {
  try {
    return file === STANDARD_INPUT ? await readStandardInput() : await readBounded(file, { mostBytes: maxSpecBytes });
  } catch (error) {
    if (error instanceof TooLarge) throw invalidSpec(source, [{ path: [], message: 'is larger than 10 MB' }]);
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
}

/** By Node's own stream, which waits for whoever writes slowly: a terminal has no deadline. */
async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxSpecBytes) throw new TooLarge();
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
