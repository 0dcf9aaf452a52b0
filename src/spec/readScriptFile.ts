import { isUtf8 } from 'node:buffer';
import { stat } from 'node:fs/promises';
import { Memory, readBounded, TooLarge } from '../files/read.ts';
import { Failure } from '../report/errors.ts';

/** As for the spec itself: the parser takes several times as much memory. */
const MOST_BYTES = 10_000_000;

/** Reads files of initSQLFrom one after the other, all into the same memory. */
export class ScriptFiles {
  readonly #memory = new Memory();

  /** Throws a Failure 'invalid' where it cannot be taken. */
  async read(file: string, database: string): Promise<string> {
    const bytes = await readBounded(file, { mostBytes: MOST_BYTES, memory: this.#memory }).catch(
      async (error: unknown) => {
        const next =
          error instanceof TooLarge ? 'Divide it into several files, in the same order' : await nextStep(file);
        throw invalid(file, database, error instanceof Error ? error.message : String(error), next);
      },
    );
    if (!isUtf8(bytes)) throw invalid(file, database, 'It is not UTF-8', 'Save it as UTF-8');
    return bytes.toString('utf8');
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
