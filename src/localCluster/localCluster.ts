import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, copyFile, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '../report/errors.ts';
import { type Cleaner, startCleaner } from './cleaner.ts';
import { type ClusterFlavour, chooseFlavour, type WantedCitus } from './flavour.ts';
import { type LocalNode, startNode } from './localNode.ts';
import { serverEnvironment } from './server.ts';
import { type Settings, serverSettings, settingsFile } from './serverSettings.ts';
import { canReach, type ServerUser, serverUser } from './systemUser.ts';

const run = promisify(execFile);

export interface LocalClusterOptions {
  /** How many workers, beside the coordinator. */
  readonly workers: number;
  /** Default `auto`: real Citus where this machine has it, else the stand-in. */
  readonly citus?: WantedCitus | undefined;
  /** The coordinator's port, then the workers'. Default: free ones. */
  readonly ports?: readonly number[] | undefined;
  /** The name under which nodes are connected to: 127.0.0.1 (default) or localhost. */
  readonly host?: string | undefined;
  /** The superuser's password. Default: a random one that needs every kind of quoting. */
  readonly password?: string | undefined;
  /** Files in PEM format; they are copied to `sslDirectory` as server.crt, server.key and ca.crt. */
  readonly ssl?: { readonly certificate: string; readonly key: string; readonly ca?: string | undefined } | undefined;
  /** Lines of pg_hba.conf. Default: a password (scram-sha-256) for everybody from everywhere. */
  readonly hba?: readonly string[] | undefined;
  /** Lines of pg_ident.conf. */
  readonly ident?: readonly string[] | undefined;
  /** For all nodes, over the defaults in serverSettings.ts. */
  readonly serverSettings?: Settings | undefined;
  /** Every statement into the nodes' log files. */
  readonly logStatements?: boolean | undefined;
  /** Ends the start, and removes what it has made. */
  readonly signal?: AbortSignal | undefined;
}

export interface LocalCluster extends ClusterFlavour {
  /** The coordinator (group 0) first, then the workers in the order of their groups. */
  readonly nodes: readonly LocalNode[];
  readonly superuser: string;
  readonly password: string;
  readonly passwordFile: string;
  /** With `ssl`: server.crt, server.key and ca.crt as the servers read them. This process can read them too. */
  readonly sslDirectory: string;
  /** Stops all servers and removes everything. Happens by itself when this process ends, in whatever way. */
  readonly stop: () => Promise<void>;
}

/** Starts one PostgreSQL server per node, all empty: no database beyond initdb's, no extension, nothing registered. */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const user = await serverUser();
  const folders = await scratchFolders(user);
  const cleaner = await startCleaner(folders.own, { folder: folders.servers, user });
  try {
    return await start(options, user, folders, cleaner);
  } catch (error) {
    await cleaner.finish();
    throw error;
  }
}

async function start(
  options: LocalClusterOptions,
  user: ServerUser,
  { own: folder, servers }: Folders,
  cleaner: Cleaner,
): Promise<LocalCluster> {
  const superuser = 'postgres';
  const password = options.password ?? `It's a \\ "test" ${randomBytes(9).toString('base64url')}`;
  const passwordFile = path.join(folder, 'superuser-password');
  await writeOwned(passwordFile, password, user);
  const flavour = await chooseFlavour(options.citus ?? 'auto', user, folder);
  options.signal?.throwIfAborted();
  const sslDirectory = path.join(folder, 'ssl');
  if (options.ssl !== undefined) await copyCertificates(options.ssl, sslDirectory, user);

  const settings = serverSettings({
    flavour: flavour.settings,
    sslDirectory: options.ssl === undefined ? undefined : sslDirectory,
    certificateAuthority: options.ssl?.ca !== undefined,
    logStatements: options.logStatements ?? false,
    own: options.serverSettings ?? {},
  });
  const template = path.join(servers, 'template');
  await initialise({ bin: flavour.bin, superuser, passwordFile, template, user });
  options.signal?.throwIfAborted();
  const configuration = path.join(folder, 'configuration');
  await mkdir(configuration);
  await chmod(configuration, OTHERS_GO_THROUGH);
  const files = {
    'citus-databases.conf': settingsFile(settings),
    'postgresql.conf': "include 'citus-databases.conf'\n",
    'pg_hba.conf': lines(options.hba ?? ['host all all all scram-sha-256']),
    'pg_ident.conf': lines(options.ident ?? []),
  };
  for (const [name, content] of Object.entries(files)) await writeOwned(path.join(configuration, name), content, user);
  const written = Object.keys(files).map((name) => path.join(configuration, name));
  await run('cp', ['-p', ...written, template], { ...user, cwd: servers });

  const groups = Array.from({ length: options.workers + 1 }, (_, group) => group);
  const nodes = await Promise.all(
    groups.map(async (group) => {
      const dataDirectory = path.join(servers, `node${group}`);
      await run('cp', ['-Rp', template, dataDirectory], { ...user, cwd: servers });
      return startNode({
        group,
        host: options.host ?? '127.0.0.1',
        port: options.ports?.[group],
        files: { bin: flavour.bin, dataDirectory, logFile: path.join(folder, `node${group}.log`), user },
        settings,
      });
    }),
  );
  await run('rm', ['-r', template], { ...user, cwd: servers });
  options.signal?.throwIfAborted();

  const stop = async (): Promise<void> => {
    // Nobody needs this data again: crash them, which takes no checkpoint.
    await Promise.all(nodes.map((node) => node.stop('immediate')));
    await cleaner.finish();
  };
  const { kind, description, bin } = flavour;
  return { kind, description, bin, nodes, superuser, password, passwordFile, sslDirectory, stop };
}

interface Folders {
  /** What this process writes. Nobody else may put a link there. */
  readonly own: string;
  /** In it; belongs to the servers' user, and only processes of that user work in it. */
  readonly servers: string;
}

const OTHERS_GO_THROUGH = 0o711;

/** In the folder for temporary files, or in /tmp when the servers' user cannot reach that one. */
async function scratchFolders(user: ServerUser): Promise<Folders> {
  const parent = (await canReach(user, tmpdir())) ? tmpdir() : '/tmp';
  const own = await mkdtemp(path.join(parent, 'citus-databases-'));
  const servers = path.join(own, 'servers');
  await mkdir(servers, { mode: 0o700 });
  if (user !== undefined) {
    await chown(servers, user.uid, user.gid);
    await chmod(own, OTHERS_GO_THROUGH);
  }
  return { own, servers };
}

interface Initialisation {
  readonly bin: string;
  readonly superuser: string;
  readonly passwordFile: string;
  readonly template: string;
  readonly user: ServerUser;
}

/** initdb is the slow part: it runs once, and the nodes are copies. */
async function initialise({ bin, superuser, passwordFile, template, user }: Initialisation): Promise<void> {
  const folder = path.dirname(template);
  const args = [`--pgdata=${template}`, `--username=${superuser}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
  try {
    await run(path.join(bin, 'initdb'), [...args, '--encoding=UTF8', '--locale=C', '--no-sync'], {
      ...user,
      cwd: folder,
      env: serverEnvironment(folder),
    });
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new Failure({ kind: 'failed', what: 'initdb failed', cause: output }, { cause: error });
  }
}

async function copyCertificates(
  ssl: NonNullable<LocalClusterOptions['ssl']>,
  directory: string,
  user: ServerUser,
): Promise<void> {
  await mkdir(directory);
  await chmod(directory, OTHERS_GO_THROUGH);
  const copies = [
    { from: ssl.certificate, to: 'server.crt' },
    { from: ssl.key, to: 'server.key' },
    ...(ssl.ca === undefined ? [] : [{ from: ssl.ca, to: 'ca.crt' }]),
  ];
  for (const { from, to } of copies) {
    const target = path.join(directory, to);
    await copyFile(from, target);
    // PostgreSQL and libpq refuse keys that others can read (PostgreSQL documentation, "Secure TCP/IP Connections").
    await chmod(target, 0o600);
    if (user !== undefined) await chown(target, user.uid, user.gid);
  }
}

async function writeOwned(file: string, content: string, user: ServerUser): Promise<void> {
  await writeFile(file, content, { mode: 0o600 });
  if (user !== undefined) await chown(file, user.uid, user.gid);
}

function lines(entries: readonly string[]): string {
  return entries.map((entry) => `${entry}\n`).join('');
}
