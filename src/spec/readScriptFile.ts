import { isUtf8 } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
import { Failure } from '../report/errors.ts';

/** As for the spec itself: the parser takes several times as much memory. */
const MOST_BYTES = 10_000_000;

/** A file of initSQLFrom. Throws a Failure 'invalid' where it cannot be taken. */
export async function readScriptFile(file: string, database: string): Promise<string> {
  const bytes = await readFile(file).catch(async (error: unknown) => {
    throw invalid(file, database, error instanceof Error ? error.message : String(error), await nextStep(file));
  });
  if (bytes.length > MOST_BYTES) {
    throw invalid(file, database, 'It is larger than 10 MB', 'Divide it into several files, in the same order');
  }
  if (!isUtf8(bytes)) throw invalid(file, database, 'It is not UTF-8', 'Save it as UTF-8');
  return bytes.toString('utf8');
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
