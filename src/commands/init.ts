import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { joinCluster } from '../cluster/join.ts';
import type { Context } from '../context.ts';
import { Failure } from '../report/errors.ts';
import { schemaLine } from '../spec/schemaFile.ts';
import type { NodeSpec } from '../spec/types.ts';
import { firstSpec } from './firstSpec.ts';

/** The workers that the coordinator knows. The context's spec names the coordinator alone. */
export async function askForWorkers(context: Context): Promise<readonly NodeSpec[]> {
  const joined = await joinCluster(context);
  await joined.sessions.close();
  return joined.workers;
}

export interface InitOptions {
  readonly file: string;
  readonly coordinator: NodeSpec;
  readonly workers: readonly NodeSpec[] | undefined;
  readonly user: string;
  /** Absolute; the spec names it relative to its own folder. */
  readonly passwordFile: string | undefined;
}

/** Writes a first spec; never overwrites a file. */
export async function init({ file, coordinator, workers, user, passwordFile }: InitOptions): Promise<void> {
  const folder = path.dirname(path.resolve(file));
  const text = firstSpec({
    schemaLine: schemaLine(folder),
    coordinator,
    workers,
    user,
    passwordFile: passwordFile === undefined ? 'passwords/postgres' : path.relative(folder, passwordFile),
  });
  try {
    await writeFile(file, text, { flag: 'wx' });
  } catch (error) {
    const exists = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    throw new Failure(
      {
        kind: exists ? 'refused' : 'failed',
        what: `The spec cannot be written (${path.resolve(file)})`,
        cause: error instanceof Error ? error.message : String(error),
        next: exists
          ? 'Nothing is overwritten: name another file with --spec'
          : 'Name a file in a folder that you may write to with --spec',
      },
      { cause: error },
    );
  }
}
