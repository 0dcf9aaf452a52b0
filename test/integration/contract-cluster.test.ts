/** What tests and the demo rely on in a local cluster: isolation from the machine, real crashes, nothing left behind. */
import { spawn } from 'node:child_process';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createAuthority } from '../support/certificates.ts';
import { authinfoInsert, connect, nodeOf, query, startLocalCluster } from '../support/cluster.ts';
import { addNode, contractKinds, outcome, prepare, setCoordinator } from '../support/contract.ts';

const root = path.join(import.meta.dirname, '..', '..');

describe('a local cluster without Citus', () => {
  test('asks for the password, and keeps what was committed before a crash', async () => {
    const cluster = await startLocalCluster({ workers: 0, citus: 'none', logStatements: true });
    onTestFinished(cluster.stop);
    expect(cluster.kind).toBe('plain');
    await expect(connect(cluster, 0, 'postgres', { name: 'postgres', password: 'wrong' })).rejects.toMatchObject({
      code: '28P01',
    });
    await query(cluster, 0, 'postgres', 'CREATE TABLE t AS SELECT 1 AS one');
    const node = nodeOf(cluster, 0);
    await node.stop('immediate');
    expect(node.pid()).toBeUndefined();
    await expect(query(cluster, 0, 'postgres', 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await node.start();
    expect(await query(cluster, 0, 'postgres', 'TABLE t')).toEqual([{ one: 1 }]);
  });

  test('says which port is in use', async () => {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void listener.close());
    const address = listener.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const failure = await startLocalCluster({ workers: 0, citus: 'none', ports: [port] }).then(
      () => 'it started',
      (error: unknown) => String(error).replaceAll(String(port), 'PORT'),
    );
    expect(failure).toMatchInlineSnapshot(`
      "Failure: Port PORT is in use
        Cause: PostgreSQL could not listen on it: Address already in use
        Next: Stop what listens on port PORT, or choose other ports (demo --port 5700 takes 5700, 5701 and 5702)"
    `);
  });

  test('is gone, servers and files, when its process is killed', async () => {
    const folder = await mkdtemp(path.join(root, 'node_modules', '.local-cluster-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const program = path.join(folder, 'killed.mjs');
    await build({
      stdin: {
        contents: `import { startLocalCluster } from './src/localCluster/localCluster.ts';
          const cluster = await startLocalCluster({ workers: 1, citus: 'none' });
          console.log(JSON.stringify(cluster.nodes.map((node) => ({ pid: node.pid(), folder: node.dataDirectory }))));
          process.kill(process.pid, 'SIGKILL');`,
        resolveDir: root,
        loader: 'ts',
      },
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      logLevel: 'silent',
    });
    const nodes: readonly { readonly pid: number; readonly folder: string }[] = JSON.parse(await output(program));
    expect(nodes).toHaveLength(2);
    for (const node of nodes) {
      await expect.poll(() => isRunning(node.pid), { timeout: 20_000 }).toBe(false);
      await expect.poll(() => exists(node.folder), { timeout: 20_000 }).toBe(false);
    }
  });
});

describe.each(await contractKinds())('a local cluster with Citus (%s)', (kind) => {
  test('verifies certificates between the nodes, and rejects connections without TLS', async () => {
    const authority = createAuthority('Test CA');
    const server = authority.issue({ commonName: 'postgres', ip: ['127.0.0.1'] });
    const folder = await mkdtemp(path.join(tmpdir(), 'certificates-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const files = { ca: authority.certificate, certificate: server.certificate, key: server.key };
    const ssl = { ca: path.join(folder, 'a'), certificate: path.join(folder, 'c'), key: path.join(folder, 'k') };
    for (const name of ['ca', 'certificate', 'key'] as const) await writeFile(ssl[name], files[name]);
    const cluster = await startLocalCluster({
      workers: 1,
      citus: kind,
      ssl,
      hba: ['hostssl all all all scram-sha-256'],
    });
    onTestFinished(cluster.stop);
    await expect(connect(cluster, 0, 'postgres')).rejects.toMatchObject({
      message: expect.stringContaining('no encryption'),
    });
    const over = { ...certificateOptions(files.ca), user: cluster.superuser, password: cluster.password };
    for (const { host, port } of cluster.nodes) {
      const client = new pg.Client({ host, port, database: 'postgres', ...over });
      await client.connect();
      await client.query(
        `ALTER SYSTEM SET citus.node_conninfo = 'sslmode=verify-full sslrootcert=${cluster.sslDirectory}/ca.crt'`,
      );
      await client.query('SELECT pg_reload_conf()');
      await client.query('CREATE EXTENSION citus');
      await client.query(authinfoInsert(cluster));
      await client.end();
    }
    const { host, port } = nodeOf(cluster, 0);
    const client = new pg.Client({ host, port, database: 'postgres', ...over });
    await client.connect();
    await client.query(setCoordinator(cluster));
    await client.query(`SELECT ${addNode(cluster, 1)}`);
    const health = await client.query('SELECT count(*)::int FROM citus_check_cluster_node_health() WHERE result');
    expect(health.rows).toEqual([{ count: 4 }]);
    await client.end();
  });

  test('does not let the nodes log in with what the shell has set', async () => {
    const password = 'from the shell';
    const before = process.env['PGPASSWORD'];
    process.env['PGPASSWORD'] = password;
    onTestFinished(() => {
      if (before === undefined) delete process.env['PGPASSWORD'];
      else process.env['PGPASSWORD'] = before;
    });
    const cluster = await startLocalCluster({ workers: 1, citus: kind, password });
    onTestFinished(cluster.stop);
    await prepare(cluster, 'shell', { authinfo: [] });
    expect(await outcome(cluster, 0, 'shell', `SELECT ${addNode(cluster, 1)}`)).toMatchObject({
      message: expect.stringContaining('fe_sendauth: no password supplied'),
    });
  });
});

function certificateOptions(ca: string) {
  return { ssl: { ca, rejectUnauthorized: true } };
}

function output(program: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const chunks: string[] = [];
    child.stdout.on('data', (chunk) => chunks.push(String(chunk)));
    child.once('error', reject);
    child.once('close', (_code, signal) => {
      if (signal === 'SIGKILL') resolve(chunks.join(''));
      else reject(new Error(`The program was not killed: ${chunks.join('')}`));
    });
  });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
