import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** A password, a token, a name. */
export const SHORT = 64 * 1024;
/** Certificates, and an authority's long list of them. */
export const PEM = 1_000_000;

/** The file has more than its reader takes. */
export class TooLarge extends Error {}

/** Where several files are read into, one after the other. */
export class Memory {
  bytes = Buffer.alloc(0);

  reserve(size: number, kept: number): void {
    if (this.bytes.length >= size) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.bytes.length));
    this.bytes.copy(larger, 0, 0, kept);
    this.bytes = larger;
  }
}

export interface ReadOptions {
  readonly mostBytes: number;
  /** What was read before into the same memory is gone. Default: memory of its own. */
  readonly memory?: Memory | undefined;
  /** How long to wait for whoever writes into a pipe. Default five minutes. */
  readonly pipeDeadlineMs?: number | undefined;
}

const PIPE_DEADLINE_MS = 300_000;
const PIPE_POLL_MS = 50;

/**
 * The one way to read a file of somebody else's: it may be a device without an end, a pipe that nobody writes into, or anything
 * that somebody has put in its place. Throws the system's error, or TooLarge.
 */
export async function readBounded(file: string, options: ReadOptions): Promise<Buffer> {
  // A thread that waits for a writer would be one less for everything else, and could not be called back. Windows has no such flag.
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    return await readAll(handle, options);
  } finally {
    await handle.close();
  }
}

export async function readText(file: string, mostBytes: number): Promise<string> {
  return (await readBounded(file, { mostBytes })).toString('utf8');
}

async function readAll(
  handle: FileHandle,
  { mostBytes, memory = new Memory(), pipeDeadlineMs = PIPE_DEADLINE_MS }: ReadOptions,
): Promise<Buffer> {
  // What is no ordinary file has the size 0.
  const stat = await handle.stat();
  memory.reserve(Math.min(stat.size, mostBytes) + 1, 0);
  const deadline = performance.now() + pipeDeadlineMs;
  for (let length = 0; ; ) {
    memory.reserve(length + 1, length);
    const read = await readSome(handle, memory.bytes, length);
    if (read === 'later' || (read === 0 && length === 0 && stat.isFIFO())) {
      if (performance.now() > deadline)
        throw new Error(`It is a pipe, and its writer did not end within ${pipeDeadlineMs / 1000} s`);
      await delay(PIPE_POLL_MS);
      continue;
    }
    length += read;
    if (length > mostBytes) throw new TooLarge(`It is larger than ${inUnits(mostBytes)}`);
    if (read === 0) return memory.bytes.subarray(0, length);
  }
}

/** later: a pipe has a writer, and nothing in it. */
async function readSome(handle: FileHandle, bytes: Buffer, length: number): Promise<number | 'later'> {
  try {
    return (await handle.read(bytes, length, bytes.length - length, null)).bytesRead;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return 'later';
    throw error;
  }
}

function inUnits(bytes: number): string {
  return bytes >= PEM ? `${bytes / PEM} MB` : `${bytes / 1024} KB`;
}
