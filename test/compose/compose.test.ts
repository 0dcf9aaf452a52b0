/** compose.yaml for real, used as docs/DEVELOPMENT_COMPOSE.md tells. `.ci/compose` runs it, and takes everything down. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readDocument, root } from '../support/documents.ts';

const DATABASE = 'commcare_ucr_citus';
const SUPERUSER = { name: 'postgres', password: 'citus_superuser' };
const document = readDocument('docs/DEVELOPMENT_COMPOSE.md').text;

/** As the document's table lists them. */
const nodes = [...document.matchAll(/^\| `(citus_\w+)` \| (\d+) \|/gm)].map(([, name, port]) => ({
  name: name ?? '',
  port: Number(port),
}));

interface Ended {
  readonly code: number;
  readonly output: string;
}

async function run(command: readonly string[]): Promise<Ended> {
  const [program = '', ...args] = command;
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, { cwd: root, maxBuffer: 2 ** 24 });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && typeof error.code === 'number')) throw error;
    const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string };
    return { code: error.code, output: stdout + stderr };
  }
}

/** A command of the document, in which Compose may be called by its older name here. */
async function documented(command: string): Promise<Ended> {
  const lines = document.split('\n').map((line) => line.replace(/ +#.*$/, ''));
  const inProse = [...document.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
  expect([...lines, ...inProse], 'commands of the document').toContain(command);
  return await run(command.replace('docker compose', process.env['COMPOSE'] ?? 'docker compose').split(' '));
}

async function compose(...args: readonly string[]): Promise<Ended> {
  return await run([...(process.env['COMPOSE'] ?? 'docker compose').split(' '), ...args]);
}

/** Waits for the service `databases`, which ends by itself: its exit code, and what its last run printed. */
async function databasesEnded(): Promise<Ended> {
  const container = (await compose('ps', '--all', '--quiet', 'databases')).output.trim();
  const code = Number((await run(['docker', 'wait', container])).output.trim());
  const startedAt = (await run(['docker', 'inspect', '--format', '{{.State.StartedAt}}', container])).output.trim();
  return { code, output: (await run(['docker', 'logs', '--since', startedAt, container])).output };
}

async function connect(port: number, database: string, user = SUPERUSER): Promise<pg.Client> {
  const client = new pg.Client({ host: 'localhost', port, database, user: user.name, password: user.password });
  // A session that the server ends is an event of its own.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

type Row = Readonly<Record<string, unknown>>;

async function query(port: number, database: string, text: string, user = SUPERUSER): Promise<readonly Row[]> {
  const client = await connect(port, database, user);
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function onEveryNode(text: string, database = 'postgres'): Promise<readonly (readonly Row[])[]> {
  return await Promise.all(nodes.map(({ port }) => query(port, database, text)));
}

/** What a second run must not touch: databases, roles with their verifiers, settings, the nodes, authentication. */
async function catalog(): Promise<unknown> {
  const servers = await onEveryNode(
    `SELECT (SELECT json_agg(d ORDER BY oid) FROM (SELECT oid, datname, datdba, datacl::text FROM pg_database) d) AS databases,
            (SELECT json_agg(r ORDER BY oid) FROM pg_authid r) AS roles,
            (SELECT json_agg(s ORDER BY setdatabase, setrole) FROM pg_db_role_setting s) AS settings`,
  );
  const inside = await onEveryNode(
    `SELECT (SELECT json_agg(n ORDER BY nodeid) FROM pg_dist_node n) AS nodes,
            (SELECT json_agg(a ORDER BY nodeid, rolename) FROM pg_dist_authinfo a) AS authinfo,
            (SELECT json_agg(e ORDER BY oid) FROM pg_extension e) AS extensions,
            (SELECT json_agg(d ORDER BY oid) FROM pg_default_acl d) AS rights`,
    DATABASE,
  );
  return { servers, inside };
}

const OWNER = `SELECT r.rolname, r.rolsuper, r.rolcanlogin FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
  WHERE d.datname = '${DATABASE}'`;

let up: Ended;
let first: Ended;

beforeAll(async () => {
  const image = (await compose('config')).output.match(/image: (\S*citus\S*:\S+)/)?.[1];
  console.log(`The nodes run ${image}`);
  up = await documented('docker compose up -d');
  first = up.code === 0 ? await databasesEnded() : up;
}, 600_000);

afterAll(async () => {
  await documented('docker compose down -v');
});

test('up: three nodes, and the service that makes the databases ends well', async () => {
  expect(up).toMatchObject({ code: 0 });
  expect(nodes).toEqual([
    { name: 'citus_master', port: 5600 },
    { name: 'citus_worker1', port: 5601 },
    { name: 'citus_worker2', port: 5602 },
  ]);
  expect(first).toMatchObject({ code: 0, output: expect.stringContaining(`Database '${DATABASE}' is ready!`) });
  expect(first.output).toContain('  ✓ 3 nodes, 9 of 9 connections between them work\n');
  expect((await documented('docker compose logs databases')).output).toContain(`Database '${DATABASE}' is ready!`);
});

test('the database is on every node, and its owner is no superuser', async () => {
  const owner = { rolname: 'commcarehq', rolsuper: false, rolcanlogin: true };
  expect(await onEveryNode(OWNER)).toEqual([[owner], [owner], [owner]]);
});

test('the nodes know each other by the names of the services, while here they are ports of localhost', async () => {
  const known = nodes.map(({ name }, groupid) => ({ groupid, nodename: name, nodeport: 5432, isactive: true }));
  const text = 'SELECT groupid, nodename, nodeport, isactive FROM pg_dist_node ORDER BY groupid';
  expect(await onEveryNode(text, DATABASE)).toEqual([known, known, known]);
});

test('the owner distributes a table and reads it from every node, with the settings that the document gives Django', async () => {
  const django = (key: string): string => new RegExp(`'${key}': '([^']*)'`).exec(document)?.[1] ?? '';
  expect([django('HOST'), django('PORT'), django('NAME')]).toEqual(['localhost', '5600', DATABASE]);
  const user = { name: django('USER'), password: django('PASSWORD') };
  const client = await connect(Number(django('PORT')), django('NAME'), user);
  try {
    await client.query('CREATE TABLE forms (id int PRIMARY KEY, body text)');
    await client.query("SELECT create_distributed_table('forms', 'id')");
    await client.query("INSERT INTO forms SELECT i, 'form ' || i FROM generate_series(1, 100) i");
  } finally {
    await client.end();
  }
  for (const { port } of nodes) {
    expect(await query(port, DATABASE, 'SELECT count(*)::int AS n FROM forms', user)).toEqual([{ n: 100 }]);
  }
  for (const { port } of nodes) {
    await expect(connect(port, DATABASE, { ...user, password: 'wrong' })).rejects.toThrow(/password authentication/);
  }
});

test('the service once more changes nothing', async () => {
  const before = await catalog();
  expect(await documented('docker compose up databases')).toMatchObject({ code: 0 });
  const { code, output } = await databasesEnded();
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('\nNothing was changed\n') });
  expect(output).not.toMatch(/Creating role|created successfully|Adding worker: /);
  expect(await catalog()).toEqual(before);
});

test('verify, in the network of the nodes', async () => {
  const { code, output } = await documented('docker compose run --rm databases verify');
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining(DATABASE) });
});

test('the program on this machine finds the same: nothing to do', async () => {
  const { code, output } = await documented('node dist/citus-databases.js plan --spec development/spec.host.yaml');
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('Nothing to do') });
});

describe('starting over', () => {
  const drop = `docker compose run --rm databases drop ${DATABASE} --confirm ${DATABASE}`;

  test('drop ends the sessions that are open on every node, one in a transaction, one in the middle of a query', async () => {
    const user = { name: 'commcarehq', password: 'commcarehq' };
    const clients = await Promise.all(nodes.map(({ port }) => connect(port, DATABASE, user)));
    const ended = clients.map((client) => new Promise<void>((resolve) => client.once('end', () => resolve())));
    const [coordinator, worker] = clients;
    await coordinator?.query('BEGIN; SELECT count(*) FROM forms');
    const sleeping = worker?.query('SELECT pg_sleep(600)').then(
      () => 'slept',
      () => 'ended',
    );
    const { code, output } = await documented(drop);
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(await sleeping).toBe('ended');
    await Promise.all(ended);
    expect(await onEveryNode(OWNER)).toEqual([[], [], []]);
  });

  test('the service makes it again, empty, on every node', async () => {
    expect(await documented('docker compose up databases')).toMatchObject({ code: 0 });
    const { code, output } = await databasesEnded();
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining(`'${DATABASE}' is ready!`) });
    expect((await onEveryNode(OWNER)).flat()).toHaveLength(3);
    expect(await query(5600, DATABASE, "SELECT FROM pg_class WHERE relname = 'forms'")).toEqual([]);
  });

  test('dropped and made again by the program on this machine', async () => {
    const program = ['node', 'dist/citus-databases.js'];
    const spec = ['--spec', 'development/spec.host.yaml'];
    expect(await run([...program, 'drop', DATABASE, '--confirm', DATABASE, ...spec])).toMatchObject({ code: 0 });
    expect(await onEveryNode(OWNER)).toEqual([[], [], []]);
    const made = await run([...program, 'apply', ...spec]);
    expect(made).toEqual({ code: 0, output: expect.stringContaining('9 of 9 connections between them work') });
    expect(await query(5602, DATABASE, 'SELECT nodename FROM pg_dist_node ORDER BY groupid')).toEqual(
      nodes.map(({ name }) => ({ nodename: name })),
    );
  });
});
