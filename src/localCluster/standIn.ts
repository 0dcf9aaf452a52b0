import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../report/errors.ts';
import type { PostgresInstall } from './postgresInstall.ts';

/** Server settings with which PostgreSQL finds the stand-in under the name `citus`. */
export type StandInSettings = Readonly<Record<string, string>>;

const source = path.join('src', 'localCluster', 'citus-stand-in');

/** Any module without an initialisation function: it is loaded under the name `citus` and does nothing. */
const harmlessLibrary = 'autoinc';

/**
 * Puts the stand-in extension where the servers' user can read it, together with a library named `citus`, because the
 * cluster's `shared_preload_libraries = 'citus'` has to work. PostgreSQL 18 finds extensions through
 * extension_control_path (PostgreSQL documentation, "Client Connection Defaults").
 */
export async function prepareStandIn(install: PostgresInstall, scratch: string): Promise<StandInSettings> {
  const extensions = path.join(scratch, 'citus-stand-in', 'extension');
  const libraries = path.join(scratch, 'citus-stand-in', 'lib');
  await mkdir(libraries, { recursive: true });
  await mkdir(extensions);
  await installExtension(await sourceFolder(), extensions);
  const modules = path.join(install.bin, '..', 'lib', 'postgresql');
  const library = (await readdir(modules)).find((file) => path.parse(file).name === harmlessLibrary);
  if (library === undefined) {
    throw new Failure({ kind: 'failed', what: `There is no ${harmlessLibrary} library in ${modules}` });
  }
  await copyFile(path.join(modules, library), path.join(libraries, `citus${path.extname(library)}`));
  return {
    extension_control_path: `${path.dirname(extensions)}:$system`,
    dynamic_library_path: `$libdir:${libraries}`,
    // Citus sets it by itself to twice max_connections.
    max_prepared_transactions: '200',
    'citus.version': '13.2.0',
    'citus.node_conninfo': 'sslmode=prefer',
    'citus.enable_ddl_propagation': 'on',
  };
}

/**
 * The extension's script is the numbered files one after the other, as its previous version; an update leads to the
 * default version, so that tests can update citus too.
 */
async function installExtension(folder: string, target: string): Promise<void> {
  const parts = (await readdir(folder)).filter((file) => /^\d-.*\.sql$/.test(file)).toSorted();
  const script = await Promise.all(parts.map((part) => readFile(path.join(folder, part), 'utf8')));
  await writeFile(path.join(target, 'citus--13.1-1.sql'), script.join('\n'));
  await copyFile(path.join(folder, 'update.sql'), path.join(target, 'citus--13.1-1--13.2-1.sql'));
  await copyFile(path.join(folder, 'citus.control'), path.join(target, 'citus.control'));
}

/** The stand-in lies in the checkout's sources, which are above this file in the sources as in the bundle. */
async function sourceFolder(): Promise<string> {
  const start = path.dirname(fileURLToPath(import.meta.url));
  for (let folder = start; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const candidate = path.join(folder, source);
    const files: readonly string[] = await readdir(candidate).catch(() => []);
    if (files.includes('citus.control')) return candidate;
  }
  throw new Failure({
    kind: 'failed',
    what: `The stand-in for Citus is missing: there is no ${source} above ${start}`,
    next: 'Run from a complete checkout.',
  });
}
