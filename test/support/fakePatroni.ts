/**
 * A stand-in for Patroni's REST API over real PostgreSQL servers that know nothing of each other: what it answers, with
 * which status and after which delay, was recorded from Patroni 4.1.5 (test/integration/configure.test.ts runs the same
 * tests on both). It writes the group's parameters into a file of each server, reloads or restarts it, keeps a
 * standby's larger values until the primary has smaller ones, and moves the leader's role on a switchover. Replication
 * there is none: a standby that runs counts as streaming.
 */
import { once } from 'node:events';
import { appendFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type LocalCluster, type LocalNode, startLocalCluster } from './cluster.ts';
import { type LabTls, type PatroniLab, REST_USER } from './patroniLab.ts';

type Parameters = Record<string, unknown>;
type Reasons = Record<string, { readonly old_value: string; readonly new_value: string }>;

interface FakeMember {
  readonly name: string;
  readonly node: LocalNode;
  readonly group: FakeGroup;
  port: number;
  pending: Reasons;
}

interface FakeGroup {
  readonly group: number;
  config: { postgresql: { parameters: Parameters }; [key: string]: unknown };
  leader: string;
  readonly members: FakeMember[];
  /** What its list has besides. */
  readonly others: Set<Parameters>;
}

/** From the request until the server has been reloaded (0.5 to 1.5 s in reality). */
const RELOAD_MS = 400;
const KIN = ['max_connections', 'max_worker_processes', 'max_wal_senders', 'max_locks_per_transaction'];
const SEED = { max_connections: 100, work_mem: '4MB', max_worker_processes: 16 };

export interface FakeOptions {
  readonly tls?: LabTls | undefined;
}

export interface FakeLab extends PatroniLab {
  /** The servers of group 0, then that of group 1: to stop and start them behind Patroni's back. */
  readonly nodes: readonly LocalNode[];
  /** Makes group 0 list one more member, as whoever may annotate a pod can; what it returns takes it out again. */
  readonly list: (entry: Parameters) => () => void;
}

export async function startFakePatroni(options: FakeOptions = {}): Promise<FakeLab> {
  const cluster = await startLocalCluster({ workers: 2, citus: 'none' });
  const restPassword = 'a "rest" password';
  const groups = [groupOf(0, cluster.nodes.slice(0, 2)), groupOf(1, cluster.nodes.slice(2))];
  const servers: Server[] = [];
  for (const member of groups.flatMap((group) => group.members)) {
    const listener = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
      void answer(cluster, member, restPassword, incoming, outgoing);
    };
    const server =
      options.tls === undefined ? createServer(listener) : createTlsServer(serverTls(options.tls), listener);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    member.port = typeof address === 'object' && address !== null ? address.port : 0;
    servers.push(server);
    await appendFile(path.join(member.node.dataDirectory, 'postgresql.conf'), "include_if_exists 'patroni.conf'\n");
    await write(member, {});
    await member.node.restart();
  }
  return {
    kind: 'stand-in',
    description: `a stand-in for Patroni over ${cluster.description}`,
    groups: groups.map(({ group, members }) => ({
      group,
      members: members.map(({ name, node, port }) => ({ name, host: node.host, port: node.port, restPort: port })),
    })),
    nodes: cluster.nodes,
    password: cluster.password,
    restPassword,
    tls: options.tls,
    list: (entry) => {
      groups[0]?.others.add(entry);
      return () => groups[0]?.others.delete(entry);
    },
    async stop() {
      for (const server of servers) server.close();
      await cluster.stop();
    },
  };
}

function groupOf(group: number, nodes: readonly LocalNode[]): FakeGroup {
  const made: FakeGroup = {
    group,
    config: { ttl: 20, loop_wait: 1, postgresql: { parameters: { ...SEED } }, synchronous_mode: 'quorum' },
    leader: `citusdemo-${group}-0`,
    members: [],
    others: new Set(),
  };
  for (const [index, node] of nodes.entries()) {
    made.members.push({ name: `citusdemo-${group}-${index}`, node, group: made, port: 0, pending: {} });
  }
  return made;
}

function serverTls({ ca, certificate, key }: LabTls) {
  return { ca, cert: certificate, key, requestCert: true, rejectUnauthorized: true };
}

async function answer(
  cluster: LocalCluster,
  member: FakeMember,
  password: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const { method, url, headers } = incoming;
  function reply(status: number, body: unknown): void {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    outgoing.writeHead(status, { 'content-type': typeof body === 'string' ? 'text/html' : 'application/json' });
    outgoing.end(text);
  }
  if (method !== 'GET') {
    const expected = `Basic ${Buffer.from(`${REST_USER}:${password}`).toString('base64')}`;
    if (headers.authorization === undefined) return reply(401, 'no auth header received');
    if (headers.authorization !== expected) return reply(401, 'not authenticated');
  }
  const body: unknown = chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString());
  switch (`${method} ${url}`) {
    case 'GET /patroni':
      return reply(200, statusOf(member));
    case 'GET /cluster':
      return reply(200, {
        members: [...member.group.members.map(rosterEntry), ...member.group.others],
        scope: 'citusdemo',
      });
    case 'GET /config':
      return reply(200, member.group.config);
    case 'PATCH /config':
      merge(member.group.config, body as Parameters);
      void reloadAll(cluster, member.group);
      return reply(200, member.group.config);
    case 'POST /restart':
      if (Object.keys(member.pending).length === 0) return reply(503, 'restart conditions are not satisfied');
      await restart(cluster, member);
      return reply(200, 'restarted successfully');
    case 'POST /switchover':
      return reply(...(await switchOver(cluster, member.group, body as { leader?: string; candidate?: string })));
    default:
      return reply(404, 'Not Found');
  }
}

function isLeader(member: FakeMember): boolean {
  return member.group.leader === member.name;
}

function statusOf(member: FakeMember): Parameters {
  const running = member.node.pid() !== undefined;
  return {
    state: running ? 'running' : 'stopped',
    role: isLeader(member) ? 'primary' : 'replica',
    ...(isLeader(member) || !running ? {} : { replication_state: 'streaming', quorum_standby: true }),
    ...(!running || Object.keys(member.pending).length === 0
      ? {}
      : { pending_restart: true, pending_restart_reason: member.pending }),
    patroni: { version: '4.1.5', scope: 'citusdemo', name: member.name },
  };
}

function rosterEntry(member: FakeMember): Parameters {
  const { name, node, port } = member;
  return {
    name,
    role: isLeader(member) ? 'leader' : 'quorum_standby',
    state: isLeader(member) ? 'running' : 'streaming',
    api_url: `http://127.0.0.1:${port}/patroni`,
    host: node.host,
    port: node.port,
    ...(isLeader(member) ? {} : { lag: 0 }),
  };
}

/** patch_config() of Patroni (patroni/utils.py). */
function merge(config: Parameters, patch: Parameters): void {
  for (const [key, value] of Object.entries(patch)) {
    const present = config[key];
    if (value === null) delete config[key];
    else if (isMapping(value) && isMapping(present)) merge(present, value);
    else config[key] = value;
  }
}

function isMapping(value: unknown): value is Parameters {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function reloadAll(cluster: LocalCluster, group: FakeGroup): Promise<void> {
  await sleep(RELOAD_MS);
  for (const member of group.members) {
    if (member.node.pid() !== undefined) await reload(cluster, member);
    // Patroni writes the file before it starts a server
    else await write(member, {});
  }
}

async function reload(cluster: LocalCluster, member: FakeMember): Promise<void> {
  await write(member, {});
  const client = await connect(cluster, member.node.group, 'postgres');
  try {
    await client.query('SELECT pg_reload_conf()');
    await sleep(300);
    const { rows } = await client.query(
      `SELECT name, current_setting(name) AS old_value FROM pg_settings WHERE pending_restart`,
    );
    const { parameters } = member.group.config.postgresql;
    member.pending = Object.fromEntries(
      rows.map((row) => [row.name, { old_value: row.old_value, new_value: String(parameters[row.name] ?? '?') }]),
    );
  } finally {
    await client.end();
  }
}

/** A standby keeps at least what the primary runs with (effective_configuration in patroni/postgresql/config.py). */
async function restart(cluster: LocalCluster, member: FakeMember): Promise<void> {
  const floor: Record<string, number> = {};
  if (!isLeader(member)) {
    const leader = member.group.members.find(isLeader);
    const client = await connect(cluster, leader?.node.group ?? 0, 'postgres');
    const { rows } = await client.query('SELECT name, setting FROM pg_settings WHERE name = ANY ($1)', [KIN]);
    await client.end();
    for (const row of rows) floor[row.name] = Number(row.setting);
  }
  const { parameters } = member.group.config.postgresql;
  await write(member, floor);
  await member.node.restart();
  member.pending = Object.fromEntries(
    Object.entries(floor).flatMap(([name, least]) =>
      parameters[name] !== undefined && Number(parameters[name]) < least
        ? [[name, { old_value: String(least), new_value: String(parameters[name]) }]]
        : [],
    ),
  );
}

async function switchOver(
  cluster: LocalCluster,
  group: FakeGroup,
  { leader, candidate }: { readonly leader?: string; readonly candidate?: string },
): Promise<[number, string]> {
  const old = group.members.find(isLeader);
  if (old?.name !== leader) return [412, 'leader name does not match'];
  if (!group.members.some((member) => member.name === candidate)) return [412, 'candidate does not exists'];
  group.leader = candidate ?? '';
  if (old !== undefined) await restart(cluster, old);
  return [200, `Successfully switched over to "${candidate}"`];
}

async function write(member: FakeMember, floor: Record<string, number>): Promise<void> {
  const lines = Object.entries(member.group.config.postgresql.parameters).map(([name, value]) => {
    const least = floor[name];
    const text = least === undefined ? String(value) : String(Math.max(least, Number(value)));
    return `${name} = '${text.replaceAll("'", "''")}'\n`;
  });
  await writeFile(path.join(member.node.dataDirectory, 'patroni.conf'), lines.join(''), { mode: 0o644 });
}
