import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { Failure } from '../report/errors.ts';
import { parseSpec } from './parse.ts';
import { invalidSpec, type Problem } from './problems.ts';
import type { Spec } from './types.ts';
import { maxSpecBytes } from './yaml.ts';

/** Reads and validates a spec. Throws a Failure 'invalid' for whatever keeps it from being one. */
export async function readSpec(file: string): Promise<Spec> {
  const bytes = await readBytes(file);
  if (bytes.length > maxSpecBytes) throw invalidSpec(file, [{ path: [], message: 'is larger than 10 MB' }]);
  if (!isUtf8(bytes)) throw invalidSpec(file, [{ path: [], ...notUtf8(bytes) }]);
  return parseSpec(bytes.toString('utf8'), file);
}

/** One byte more than is allowed at most: pipes and devices have no size that could be asked for. */
async function readBytes(file: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(file, { end: maxSpecBytes })) chunks.push(chunk);
  } catch (error) {
    throw new Failure(
      {
        kind: 'invalid',
        what: `The spec cannot be read (${file})`,
        cause: error instanceof Error ? error.message : String(error),
        next: 'Name the file with --spec, and make it readable for the user that runs this program.',
      },
      { cause: error },
    );
  }
  return Buffer.concat(chunks);
}

function notUtf8(bytes: Buffer): Omit<Problem, 'path'> {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    return { message: 'is UTF-16; the spec has to be UTF-8' };
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
  return { position: `line ${line}`, message: 'bytes that are no UTF-8; the spec has to be UTF-8' };
}
