/**
 * Real Patroni with etcd and real Citus, where this machine has them: `etcd` and `patroni` on the path (or in the folder
 * that CITUS_DATABASES_TEST_PATRONI names), and a PostgreSQL with the extension citus. Group 0 has two members, group 1
 * one; the superuser logs in with a password, as Patroni's documentation has it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chown, mkdtemp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCleaner } from '../../src/localCluster/cleaner.ts';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { serverEnvironment } from '../../src/localCluster/server.ts';
import { canReach, type ServerUser, serverUser } from '../../src/localCluster/systemUser.ts';
import { type LabMember, type LabTls, type PatroniLab, REST_USER, rest } from './patroniLab.ts';
import { freePorts } from './ports.ts';

const PASSWORD = "super 'user'";
const REST_PASSWORD = 'rest: "password"';

interface Programs {
  readonly patroni: string;
  readonly etcd: string;
  readonly bin: string;
  readonly description: string;
}

/** undefined: this machine lacks something of it. */
export async function findPatroni(): Promise<Programs | undefined> {
  const own = process.env['CITUS_DATABASES_TEST_PATRONI'];
  const folders = [...(own === undefined || own === '' ? [] : [own]), ...(process.env['PATH'] ?? '').split(':')];
  const [patroni, etcd, postgres] = await Promise.all([
    find(folders, 'patroni'),
    find(folders, 'etcd'),
    findRealCitus(),
  ]);
  if (patroni === undefined || etcd === undefined || postgres === undefined) return undefined;
  if (!(await canReach(await serverUser(), path.dirname(patroni)))) return undefined;
  const description = `real Patroni (${patroni}) with etcd, PostgreSQL ${postgres.version} and Citus ${postgres.citusVersion}`;
  return { patroni, etcd, bin: postgres.bin, description };
}

async function find(folders: readonly string[], name: string): Promise<string | undefined> {
  for (const folder of folders) {
    const file = path.join(folder, name);
    if (
      folder !== '' &&
      (await access(file)
        .then(() => true)
        .catch(() => false))
    )
      return file;
  }
  return undefined;
}

export interface RealOptions {
  readonly tls?: LabTls | undefined;
}

export async function startRealPatroni(programs: Programs, { tls }: RealOptions = {}): Promise<PatroniLab> {
  const user = await serverUser();
  // short: a Unix socket's path has about a hundred characters
  const folder = await mkdtemp('/tmp/citus-databases-patroni-');
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  const cleaner = await startCleaner(folder);
  const processes: Keeper[] = [];
  const stop = async (): Promise<void> => {
    // Patroni takes its server along; etcd goes last
    for (const keeper of processes.splice(1).concat(processes)) await keeper.end();
    await cleaner.finish();
  };
  try {
    if (tls !== undefined) await writeCertificates(folder, tls, user);
    const [client = 0, peer = 0, ...ports] = await freePorts(8);
    processes.push(await startEtcd(programs, folder, client, peer, user));
    const groups = [0, 1].map((group) => ({
      group,
      members: Array.from({ length: group === 0 ? 2 : 1 }, (_, index): LabMember => {
        const [port = 0, restPort = 0] = ports.splice(0, 2);
        return { name: `citusdemo-${group}-${index}`, host: '127.0.0.1', port, restPort };
      }),
    }));
    const begin = async (group: number, member: LabMember): Promise<void> => {
      const file = path.join(folder, `${member.name}.json`);
      const text = JSON.stringify(configuration(member, group, { folder, etcd: client, bin: programs.bin, tls }));
      await writeFile(file, text, { mode: 0o644 });
      processes.push(await keep([programs.patroni, file], folder, user));
    };
    const lab: PatroniLab = {
      kind: 'real',
      description: programs.description,
      groups,
      password: PASSWORD,
      restPassword: REST_PASSWORD,
      tls,
      stop,
    };
    // the first of each group alone at first, so that it is the one that leads
    for (const count of [1, 2]) {
      for (const { group, members } of groups) {
        const member = members[count - 1];
        if (member !== undefined) await begin(group, member);
      }
      await untilReady(lab, count);
    }
    return lab;
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Surroundings {
  readonly folder: string;
  readonly etcd: number;
  readonly bin: string;
  readonly tls: LabTls | undefined;
}

async function writeCertificates(folder: string, tls: LabTls, user: ServerUser): Promise<void> {
  const files = { 'ca.crt': tls.ca, 'rest.crt': tls.certificate, 'rest.key': tls.key };
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    await writeFile(file, text, { mode: 0o600 });
    if (user !== undefined) await chown(file, user.uid, user.gid);
  }
}

/** The members talk to each other's API too, and patronictl does (Patroni documentation, "YAML Configuration Settings"). */
function tlsSections(folder: string, tls: LabTls | undefined) {
  if (tls === undefined) return { restapi: {}, rest: {} };
  const own = { certfile: path.join(folder, 'rest.crt'), keyfile: path.join(folder, 'rest.key') };
  const cacert = path.join(folder, 'ca.crt');
  return { restapi: { ...own, cafile: cacert, verify_client: 'required' }, rest: { ctl: { ...own, cacert } } };
}

function configuration(member: LabMember, group: number, { folder, etcd, bin, tls }: Surroundings): unknown {
  const address = `127.0.0.1:${member.port}`;
  const api = `127.0.0.1:${member.restPort}`;
  const { restapi, rest: ctl } = tlsSections(folder, tls);
  const parameters = { max_connections: 100, work_mem: '4MB', max_worker_processes: 16, shared_buffers: '16MB' };
  return {
    scope: 'citusdemo',
    name: member.name,
    etcd3: { host: `127.0.0.1:${etcd}` },
    citus: { group, database: 'citus' },
    restapi: {
      listen: api,
      connect_address: api,
      authentication: { username: REST_USER, password: REST_PASSWORD },
      ...restapi,
    },
    ...ctl,
    bootstrap: {
      dcs: { ttl: 20, loop_wait: 1, retry_timeout: 3, postgresql: { use_pg_rewind: true, parameters } },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums', 'no-sync'],
    },
    postgresql: {
      listen: address,
      connect_address: address,
      data_dir: path.join(folder, `data-${member.name}`),
      bin_dir: bin,
      pgpass: path.join(folder, `${member.name}.pgpass`),
      basebackup: [{ checkpoint: 'fast' }],
      authentication: {
        superuser: { username: 'postgres', password: PASSWORD },
        replication: { username: 'replicator', password: 'replication' },
      },
      parameters: { unix_socket_directories: folder, fsync: 'off', password_encryption: 'scram-sha-256' },
      pg_hba: ['host all all 127.0.0.1/32 scram-sha-256', 'host replication replicator 127.0.0.1/32 scram-sha-256'],
    },
  };
}

/** Until each group has a leader, and its first members that many have joined. */
async function untilReady(lab: PatroniLab, count: number): Promise<void> {
  const deadline = Date.now() + 120_000;
  for (const { members } of lab.groups) {
    for (;;) {
      const [first] = members;
      if (first === undefined) break;
      const text = JSON.stringify(await rest(lab, first, 'GET', '/cluster').catch(() => undefined));
      const standbys = text?.split('"quorum_standby"').length ?? 0;
      if (text?.includes('"leader"') === true && standbys === Math.min(count, members.length)) break;
      if (Date.now() > deadline) throw new Error(`Patroni did not come up: ${text}`);
      await sleep(500);
    }
  }
}

async function startEtcd(
  { etcd }: Programs,
  folder: string,
  client: number,
  peer: number,
  user: ServerUser,
): Promise<Keeper> {
  const clientUrl = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const args = ['--data-dir', path.join(folder, 'etcd'), '--listen-client-urls', clientUrl];
  args.push('--advertise-client-urls', clientUrl, '--listen-peer-urls', peerUrl);
  args.push('--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `default=${peerUrl}`);
  return await keep([etcd, ...args], folder, user);
}

interface Keeper {
  readonly end: () => Promise<void>;
}

/** Ends the program when its own standard input closes, which happens whatever becomes of this process. */
const keeper = '"$@" </dev/null & child=$!; cat >/dev/null; kill "$child" 2>/dev/null; wait "$child"';

async function keep(command: readonly string[], folder: string, user: ServerUser): Promise<Keeper> {
  const child: ChildProcess = spawn('/bin/sh', ['-c', keeper, 'citus-databases-keeper', ...command], {
    ...user,
    cwd: folder,
    env: serverEnvironment(folder),
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  await once(child, 'spawn');
  return {
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.stdin?.end();
      await ended;
    },
  };
}
