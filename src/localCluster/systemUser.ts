import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '../report/errors.ts';

const run = promisify(execFile);

/** Who runs the servers: undefined is the user of this process. */
export type ServerUser = { readonly uid: number; readonly gid: number } | undefined;

const name = 'postgres';

/**
 * PostgreSQL refuses to run as root. For root it runs as `postgres`, which is created when missing
 * (containers that build or test this project often have root alone).
 */
export async function serverUser(): Promise<ServerUser> {
  if (process.getuid === undefined || process.getuid() !== 0) return undefined;
  const existing = await lookUp();
  if (existing !== undefined) return existing;
  try {
    await createUser();
  } catch (error) {
    throw new Failure(
      {
        kind: 'failed',
        what: `Cannot create the system user ${name}`,
        cause: String(error),
        next: 'Run as a user other than root: PostgreSQL servers do not run as root.',
      },
      { cause: error },
    );
  }
  const created = await lookUp();
  if (created === undefined) throw new Failure({ kind: 'failed', what: `The system user ${name} is missing` });
  return created;
}

async function lookUp(): Promise<ServerUser> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

async function createUser(): Promise<void> {
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', name]);
  } catch (error) {
    // Alpine has BusyBox's adduser instead.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    await run('adduser', ['-S', '-D', '-H', name]);
  }
}

/** Whether this user can go through every folder down to `target`: not so for a checkout below /root. */
export async function canReach(user: ServerUser, target: string): Promise<boolean> {
  if (user === undefined) return true;
  for (let folder = path.resolve(target); ; folder = path.dirname(folder)) {
    const { uid, gid, mode } = await stat(folder);
    const needed = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & needed) === 0) return false;
    if (folder === path.dirname(folder)) return true;
  }
}
