import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import { nodeOf, query } from '../support/cluster.ts';
import { type ReadSample, readExposition } from '../support/exposition.ts';
import { clusterTest } from '../support/fixtures.ts';
import { runProgram, specOf } from '../support/program.ts';

/** `verify --output prometheus`, as a textfile collector or a Pushgateway gets it: of a well cluster, and of what fails. */

const test = clusterTest({ workers: 2, serverSettings: { max_prepared_transactions: '10' } })
  .extend(
    'spec',
    { scope: 'file' },
    ({ cluster }) =>
      (initSQL = INIT_SQL) =>
        specOf(cluster, [{ name: DATABASE, initSQL }]),
  )
  .extend(
    'metrics',
    { scope: 'file' },
    ({ spec, cluster }) =>
      async (args: readonly string[] = [], document = spec()) => {
        const { code, stdout, stderr } = await runProgram(
          cluster,
          ['verify', '--output', 'prometheus', ...args],
          document,
        );
        const promtool = spawnSync('promtool', ['check', 'metrics'], { input: stdout, encoding: 'utf8' });
        // Without the Debian package prometheus the reader alone judges the format.
        if (promtool.error === undefined) {
          expect({ status: promtool.status, said: `${promtool.stdout}${promtool.stderr}` }).toEqual({
            status: 0,
            said: '',
          });
        }
        return { code, stderr, text: stdout, samples: readExposition(stdout) };
      },
  );
const DATABASE = 'app';
const INIT_SQL = `CREATE TABLE events (tenant int PRIMARY KEY);
SELECT create_distributed_table('events', 'tenant', shard_count => 4);
`;

test.beforeAll(async ({ cluster, spec }) => {
  const { code, log } = await runProgram(cluster, ['apply'], spec());
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
});

/** Values of one metric by node, or the only one. */
function values(samples: readonly ReadSample[], name: string): unknown {
  const found = samples.filter((sample) => sample.name === `citus_databases_${name}`);
  if (found.some(({ labels }) => labels['node'] !== undefined)) return found.map(({ value }) => value);
  return found[0]?.value;
}

test('of a database that is ready', async ({ cluster, metrics }) => {
  const started = Math.floor(Date.now() / 1000);
  const { code, samples, stderr, text } = await metrics();
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining("Database 'app' is ready!") });
  expect(text).not.toContain(cluster.password);
  const nodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`);
  expect(samples.filter(({ name }) => name === 'citus_databases_links_proved').map(({ labels }) => labels)).toEqual(
    nodes.map((node) => ({ cluster: 'citusdemo', database: DATABASE, node })),
  );
  const seen = Object.fromEntries(
    [...new Set(samples.map(({ name }) => name.replace('citus_databases_', '')))].map((name) => [
      name,
      values(samples, name),
    ]),
  );
  const time = expect.toSatisfy((value: number) => value >= started && value <= Date.now() / 1000);
  expect(seen).toEqual({
    verify_timestamp_seconds: time,
    node_accepts_writes: [1, 1, 1],
    ready: 1,
    last_proof_timestamp_seconds: time,
    changes_due: 0,
    workers_not_joined: 0,
    init_sql_pending_statements: 0,
    links_proved: [3, 3, 3],
    links_expected: [3, 3, 3],
    shards_missing: [0, 0, 0],
    metadata_drift: [0, 0, 0],
    prepared_transactions: [0, 0, 0],
    maintenance_daemon_running: [1, 1, 1],
  });
});

test('statements of initSQL that are due', async ({ spec, metrics }) => {
  const { code, samples } = await metrics([], spec(`${INIT_SQL}CREATE TABLE more (id int);\nSET work_mem = '8MB';\n`));
  expect(code).toBe(1);
  expect({
    ready: values(samples, 'ready'),
    pending: values(samples, 'init_sql_pending_statements'),
    due: values(samples, 'changes_due'),
    proof: values(samples, 'last_proof_timestamp_seconds'),
  }).toEqual({ ready: 0, pending: 1, due: 1, proof: undefined });
});

test('shards that are gone', async ({ cluster, metrics }) => {
  if (cluster.kind !== 'real') return console.log('Missing shards: not tested here, because the stand-in has none');
  const lost = (
    await query(
      cluster,
      1,
      DATABASE,
      `SELECT shard_name(s.logicalrelid, s.shardid) AS name FROM pg_dist_shard s JOIN pg_dist_placement p USING (shardid)
     WHERE p.groupid = 1 AND s.logicalrelid = 'public.events'::regclass`,
    )
  ).map(({ name }) => String(name));
  expect(lost).toHaveLength(2);
  const rename = (from: string, to: string) =>
    query(cluster, 1, DATABASE, `SET citus.enable_manual_changes_to_shards = on; ALTER TABLE ${from} RENAME TO ${to}`);
  for (const name of lost) await rename(name, `kept_${name}`);
  try {
    const { code, samples } = await metrics();
    expect({ code, missing: values(samples, 'shards_missing'), ready: values(samples, 'ready') }).toEqual({
      code: 3,
      missing: [0, 2, 0],
      ready: 0,
    });
  } finally {
    for (const name of lost) await rename(`kept_${name}`, name);
  }
});

test('a worker that is not joined', async ({ cluster, metrics }) => {
  const active = (value: boolean) =>
    query(cluster, 0, DATABASE, 'UPDATE pg_dist_node SET isactive = $1 WHERE groupid = 2', [value]);
  await active(false);
  try {
    const { code, samples } = await metrics();
    expect({
      code,
      joined: values(samples, 'workers_not_joined'),
      drift: values(samples, 'metadata_drift'),
      ready: values(samples, 'ready'),
    }).toEqual({ code: 1, joined: 1, drift: [0, 1, 1], ready: 0 });
  } finally {
    await active(true);
  }
});

test('a Pushgateway that sends the metrics elsewhere: they do not go there', async ({ metrics }) => {
  const requests: string[] = [];
  const gateway = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    response.writeHead(307, { location: '/elsewhere' }).end();
  });
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  try {
    const address = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
    const { stderr } = await metrics(['--push-to', address]);
    expect(stderr).toContain('The metrics were not pushed to http://127.0.0.1');
    expect(stderr).toContain('HTTP status 307');
    expect(requests).toEqual([expect.stringMatching(/^POST \/metrics\/job\//)]);
  } finally {
    gateway.close();
  }
});

test('a worker that is stopped, pushed to a Pushgateway', async ({ cluster, metrics }) => {
  const received: { url: string | undefined; method: string | undefined; body: string }[] = [];
  const gateway = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (part: string) => {
      body += part;
    });
    request.on('end', () => {
      received.push({ url: request.url, method: request.method, body });
      response.end();
    });
  });
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/`;
  await nodeOf(cluster, 2).stop();
  try {
    const { code, samples, text } = await metrics(['--timeout', '2s', '--push-to', address]);
    expect({ code, nodes: values(samples, 'node_accepts_writes'), ready: values(samples, 'ready') }).toEqual({
      code: 1,
      nodes: [1, 1, 0],
      ready: 0,
    });
    expect(received).toEqual([{ url: '/metrics/job/citus-databases/cluster/citusdemo', method: 'POST', body: text }]);
  } finally {
    gateway.close();
    await nodeOf(cluster, 2).start();
  }
  const { code, stderr } = await metrics(['--push-to', address]);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/The metrics were not pushed to .*ECONNREFUSED/),
  });
});
