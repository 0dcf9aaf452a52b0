import { lstat, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../report/errors.ts';

interface Rights {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * Refuses a folder in which somebody else could put a spec, whose initSQL would run, or a link in the place of a file that is
 * written: it, what is in it, and the way to it. Whoever owns a folder on the way to it is trusted.
 */
export async function assertOwnFolder(folder: string, files: readonly string[]): Promise<void> {
  // No owners and modes on Windows.
  const user = process.getuid?.();
  if (user === undefined) return;
  const real = await realpath(folder);
  const folders = new Set(files.map((file) => path.dirname(path.join(real, file))));
  for (const each of [...wayTo(real), ...folders]) {
    if (othersMayReplaceIn(await stat(each)))
      throw notOwn(each, 'others than its owner may write to it', `chmod go-w ${each}`);
  }
  for (const each of [real, ...files.map((file) => path.join(real, file))]) {
    const found = await lstat(each).catch(() => undefined);
    if (found !== undefined && found.uid !== user) {
      throw notOwn(each, `it belongs to the user with number ${found.uid}`, `remove ${each}, or make it your own`);
    }
  }
}

function wayTo(folder: string): readonly string[] {
  const parent = path.dirname(folder);
  return parent === folder ? [folder] : [folder, ...wayTo(parent)];
}

const STICKY = 0o1000;

/** In one with the sticky bit, as /tmp, everybody renames and removes only what is their own. A group of the owner's name is the owner's own. */
export function othersMayReplaceIn({ uid, gid, mode }: Rights): boolean {
  const writable = mode & (gid === uid ? 0o002 : 0o022);
  return writable !== 0 && (mode & STICKY) === 0;
}

function notOwn(place: string, cause: string, remedy: string): Failure {
  return new Failure({
    kind: 'invalid',
    what: `The demo runs in a folder that nobody else may write to, and this is none (${place})`,
    cause: `Of ${place}: ${cause}. Who puts a spec there has its SQL run`,
    next: `Choose another one (--directory FOLDER), or ${remedy}`,
  });
}
