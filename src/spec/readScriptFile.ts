import { isUtf8 } from 'node:buffer';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { Failure } from '../report/errors.ts';

/** As for the spec itself: the parser takes several times as much memory. */
const MOST_BYTES = 10_000_000;

/** Reads files of initSQLFrom one after the other, all into the same memory. */
export class ScriptFiles {
  #bytes = Buffer.alloc(0);

  /** Throws a Failure 'invalid' where it cannot be taken. */
  async read(file: string, database: string): Promise<string> {
    const length = await this.#fill(file).catch(async (error: unknown) => {
      throw invalid(file, database, error instanceof Error ? error.message : String(error), await nextStep(file));
    });
    if (length > MOST_BYTES) {
      throw invalid(file, database, 'It is larger than 10 MB', 'Divide it into several files, in the same order');
    }
    const bytes = this.#bytes.subarray(0, length);
    if (!isUtf8(bytes)) throw invalid(file, database, 'It is not UTF-8', 'Save it as UTF-8');
    return bytes.toString('utf8');
  }

  /** Returns how many bytes there are, or that there are too many. */
  async #fill(file: string): Promise<number> {
    const handle = await open(file);
    try {
      // What is no ordinary file has the size 0.
      const { size } = await handle.stat();
      this.#reserve(Math.min(size, MOST_BYTES) + 1, 0);
      return await this.#fillFrom(handle);
    } finally {
      await handle.close();
    }
  }

  async #fillFrom(handle: FileHandle): Promise<number> {
    let length = 0;
    while (length <= MOST_BYTES) {
      this.#reserve(length + 1, length);
      const { bytesRead } = await handle.read(this.#bytes, length, this.#bytes.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return length;
  }

  #reserve(size: number, kept: number): void {
    if (this.#bytes.length >= size) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, kept);
    this.#bytes = larger;
  }
}

async function nextStep(file: string): Promise<string> {
  const found = await stat(file).catch(() => undefined);
  return found === undefined
    ? 'Check the path, and in Kubernetes that the ConfigMap or Secret has that key'
    : 'Make it readable for the user who runs this program';
}

function invalid(file: string, database: string, cause: string, next: string): Failure {
  return new Failure({
    kind: 'invalid',
    what: `The file ${file} of initSQLFrom cannot be read`,
    database,
    cause,
    next: `${next}. Nothing was changed`,
  });
}
