/**
 * A cluster whose nodes the program reaches through proxies, while they reach each other directly. Each experiment has
 * a database and roles of its own name, and its traces are removed after it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { quoteIdentifier } from '../../../src/postgres/quote.ts';
import { type LocalCluster, type LocalClusterOptions, query, startLocalCluster } from '../../support/cluster.ts';
import { type FaultProxy, startFaultProxy } from '../../support/faultProxy.ts';
import { type Document, specOf } from '../../support/program.ts';

export interface Laboratory {
  readonly cluster: LocalCluster;
  readonly proxies: readonly FaultProxy[];
  proxy(group: number): FaultProxy;
  /** A spec that goes through the proxies. */
  spec(database: Document): Document;
  /** Removes the database, the program's bookkeeping and the experiment's roles from every node. */
  clean(database: string): Promise<void>;
  stop(): Promise<void>;
}

export async function openLaboratory(options: Partial<LocalClusterOptions> = {}): Promise<Laboratory> {
  const cluster = await startLocalCluster({ workers: 2, ...options });
  const proxies = await Promise.all(cluster.nodes.map(startFaultProxy));
  const proxy = (group: number): FaultProxy => {
    const found = proxies.find((candidate) => candidate.group === group);
    if (found === undefined) throw new Error(`no proxy for group ${group}`);
    return found;
  };
  const nodes = cluster.nodes.map(({ group, host, port }) => ({
    group,
    host: '127.0.0.1',
    port: proxy(group).port,
    nodeName: host,
    nodePort: port,
  }));
  const [coordinator, ...workers] = nodes;
  return {
    cluster,
    proxies,
    proxy,
    spec: (database) => ({
      ...specOf(cluster, [database], { cluster: { coordinator, workers } }),
      ssl: { mode: 'disable' },
    }),
    async clean(database) {
      await Promise.all(cluster.nodes.map(({ group }) => cleanNode(cluster, group, database)));
    },
    async stop() {
      await Promise.all(proxies.map((each) => each.stop()));
      await cluster.stop();
    },
  };
}

async function cleanNode(cluster: LocalCluster, group: number, database: string): Promise<void> {
  await query(cluster, group, 'postgres', `DROP DATABASE IF EXISTS ${quoteIdentifier(database)} WITH (FORCE)`);
  await query(cluster, group, 'postgres', 'DROP SCHEMA IF EXISTS citus_databases CASCADE');
  const roles = await query(cluster, group, 'postgres', 'SELECT rolname FROM pg_roles WHERE oid >= 16384');
  for (const { rolname } of roles)
    await query(cluster, group, 'postgres', `DROP ROLE ${quoteIdentifier(String(rolname))}`);
}

/** A database that uses every feature, with SQL of every kind. `statements` that may not repeat count themselves. */
export function everyFeature(name: string, passwordFile: string): Document {
  return {
    name,
    owner: 'fault_owner',
    maxAttempts: 8,
    retryDelaySeconds: 1,
    extensions: ['hstore', { name: 'pg_trgm', schema: 'tools' }],
    users: [
      { name: 'fault_owner', passwordFile, access: 'owner' },
      { name: 'fault_app', passwordFile, access: 'readWrite', parameters: { work_mem: '6MB' } },
    ],
    schemas: [{ name: 'app', owner: 'fault_owner' }],
    parameters: { work_mem: '5MB', search_path: 'app,public' },
    connectionLimit: 50,
    initSQL: [
      'SET search_path TO app, public;',
      'CREATE TABLE effects (line text);',
      'CREATE TABLE events (id bigint, kind text);',
      "SELECT create_distributed_table('events', 'id');",
      "INSERT INTO events SELECT g, 'first' FROM generate_series(1, 3) g;",
      "INSERT INTO effects SELECT 'slow' FROM pg_sleep(0.3);",
      'BEGIN;',
      "INSERT INTO effects VALUES ('block one');",
      "INSERT INTO effects VALUES ('block two');",
      'COMMIT;',
      'CREATE INDEX CONCURRENTLY effects_line ON effects (line);',
      "DO $body$ BEGIN INSERT INTO app.effects VALUES ('do'); END $body$;",
      'VACUUM effects;',
      'CREATE PROCEDURE app.twice() LANGUAGE plpgsql AS $body$',
      "BEGIN INSERT INTO app.effects VALUES ('call one'); COMMIT;",
      "INSERT INTO app.effects VALUES ('call two'); END $body$;",
      'CALL app.twice();',
      "INSERT INTO effects VALUES ('last');",
      '',
    ].join('\n'),
  };
}

export async function withPasswordFile<Result>(body: (file: string) => Promise<Result>): Promise<Result> {
  const folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-faults-'));
  try {
    const file = path.join(folder, 'password');
    await writeFile(file, 'fault-password\n', { mode: 0o600 });
    return await body(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}
