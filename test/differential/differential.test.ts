import { afterAll, beforeAll, test } from 'vitest';
import { firstValue, list } from '../support/catalog.ts';
import { type LocalCluster, query, startLocalCluster } from '../support/cluster.ts';
import { runProgram, specOf } from '../support/program.ts';
import { type Chunk, chunksOf, cleanedUp, codeOfInitSql, corpus, dump, psql, textOf } from './support.ts';

/**
 * initSQL takes what psql takes, and makes of it what psql makes of it: each statement of the corpus goes to psql in one
 * database and to initSQL in another, and what was taken and what the databases hold is compared on the nodes.
 * Only Citus itself can tell.
 */

let cluster: LocalCluster;
let version: number;
const counted = { statements: 0, refusedByBoth: 0 };

beforeAll(async () => {
  cluster = await startLocalCluster({
    workers: 2,
    serverSettings: {
      wal_level: 'logical',
      max_connections: '300',
      output_plugin_libraries: 'pgoutput, test_decoding, citus',
    },
  });
  if (cluster.kind !== 'real') return;
  version = Math.floor(Number(await firstValue(cluster, 0, 'postgres', 'SHOW server_version_num')) / 10_000);
});

afterAll(async () => {
  console.log(
    `${cluster?.description}: ${counted.statements} statements, of which psql and initSQL refused ${counted.refusedByBoth}`,
  );
  await cluster?.stop();
});

interface Part {
  readonly file: string;
  readonly since?: number;
  /** Statements before the file's own. */
  readonly setup?: string;
  /** The schema of the table that the file is about. */
  readonly schema?: string;
}

const COLUMNS = '(k bigint NOT NULL, a int, b int, note text, doc jsonb, at timestamptz DEFAULT now())';

/** Each a pair of databases. */
const PAIRS: Readonly<Record<string, readonly Part[]>> = {
  tables: [
    { file: 'table', schema: 'of_local', setup: `CREATE SCHEMA of_local;\n\nCREATE TABLE of_local.tab ${COLUMNS};` },
    {
      file: 'table',
      schema: 'of_distributed',
      setup: `CREATE SCHEMA of_distributed;

CREATE TABLE of_distributed.tab ${COLUMNS};

SELECT create_distributed_table('of_distributed.tab', 'k', shard_count => 4);`,
    },
    {
      file: 'table',
      schema: 'of_reference',
      setup: `CREATE SCHEMA of_reference;

CREATE TABLE of_reference.tab ${COLUMNS};

SELECT create_reference_table('of_reference.tab');`,
    },
  ],
  moreTables: [
    {
      file: 'table',
      schema: 'of_partitioned',
      setup: `CREATE SCHEMA of_partitioned;

CREATE TABLE of_partitioned.tab ${COLUMNS} PARTITION BY RANGE (k);

CREATE TABLE of_partitioned.tab_low PARTITION OF of_partitioned.tab FOR VALUES FROM (MINVALUE) TO (50);

CREATE TABLE of_partitioned.tab_high PARTITION OF of_partitioned.tab FOR VALUES FROM (50) TO (MAXVALUE);

SELECT create_distributed_table('of_partitioned.tab', 'k', shard_count => 2);`,
    },
    {
      file: 'table',
      schema: 'of_columnar',
      setup: `CREATE SCHEMA of_columnar;\n\nCREATE TABLE of_columnar.tab ${COLUMNS} USING columnar;`,
    },
    {
      file: 'table',
      schema: 'of_tenant',
      setup: `CREATE SCHEMA of_tenant;

SELECT citus_schema_distribute('of_tenant');

CREATE TABLE of_tenant.tab ${COLUMNS};`,
    },
  ],
  objects: [
    { file: 'types' },
    { file: 'functions' },
    { file: 'kinds' },
    { file: 'version16', since: 16 },
    { file: 'version17', since: 17 },
    { file: 'version18', since: 18 },
  ],
  citus: [{ file: 'citus' }],
  schemas: [{ file: 'schemas' }],
};

function scriptOf(parts: readonly Part[], db: string): readonly Chunk[] {
  const texts = parts
    .filter(({ since }) => version >= (since ?? 0))
    .map(({ file, setup, schema = '' }) =>
      [...(setup === undefined ? [] : [setup]), corpus(file, { db, t: `${schema}.tab`, n: 'tab', s: `${schema}.` })]
        .join('\n\n')
        .trim(),
    );
  return chunksOf(texts.join('\n\n'));
}

async function apply(name: string, initSQL: string): Promise<{ readonly code: number; readonly log: string }> {
  return await runProgram(
    cluster,
    ['apply'],
    specOf(cluster, [{ name, extensions: ['citus_columnar'], ...(initSQL === '' ? {} : { initSQL }) }]),
  );
}

/** Runs the chunks; one that fails is left out from then on, and comes back with the reason. */
async function applyAll(name: string, chunks: readonly Chunk[]): Promise<ReadonlyMap<Chunk, string>> {
  const failed = new Map<Chunk, string>();
  for (;;) {
    const rest = chunksOf(textOf(chunks.filter((chunk) => !failed.has(chunk))));
    const { code, log } = await apply(name, textOf(rest));
    if (code === 0) return failed;
    const error = log.slice(log.indexOf('ERROR:'));
    const line = Number(/line (\d+)/.exec(error)?.[1]);
    const culprit = rest.find(({ firstLine, lastLine }) => firstLine <= line && line <= lastLine);
    const chunk = chunks.find((candidate) => !failed.has(candidate) && candidate.sql === culprit?.sql);
    if (chunk === undefined) throw new Error(`apply ended with ${code}, and no statement is to blame:\n${log}`);
    failed.set(chunk, error);
  }
}

test.concurrent.for(Object.entries(PAIRS))(
  'what psql takes of %s, initSQL takes',
  async ([name, parts], { expect }) => {
    if (cluster.kind !== 'real') return;
    const [by, of] = [`by_psql_${name.toLowerCase()}`, `by_init_${name.toLowerCase()}`];
    for (const { group } of cluster.nodes) {
      const roles = [by, of].flatMap((database) => [`CREATE ROLE ${database}_owner`, `CREATE ROLE ${database}_reader`]);
      await query(cluster, group, 'postgres', roles.join(';'));
    }
    expect(await apply(by, '')).toMatchObject({ code: 0 });
    const forPsql = scriptOf(parts, by);
    const forInit = scriptOf(parts, of);

    // psql takes the file, and whatever it refused once more at the end, by itself: there it is compared.
    const errors = await psql(cluster, by, textOf(forPsql));
    const refused = forPsql.flatMap((chunk, index) =>
      errors.some(({ line }) => chunk.firstLine <= line && line <= chunk.lastLine) ? [index] : [],
    );
    const failed = await applyAll(
      of,
      forInit.filter((_, index) => !refused.includes(index)),
    );
    const differences = [...failed].map(([{ sql }, error]) => `psql takes it: ${sql}\n${error}`);
    for (const index of refused) {
      const [theirs, ours] = [forPsql[index], forInit[index]];
      if (theirs === undefined || ours === undefined) continue;
      const [error] = await psql(cluster, by, textOf([theirs]));
      const code = await codeOfInitSql(cluster, of, ours.sql);
      if (code !== error?.code) differences.push(`${ours.sql}\npsql: ${error?.code}, initSQL: ${code}`);
      counted.refusedByBoth += error === undefined ? 0 : 1;
    }
    expect.soft(differences).toEqual([]);
    counted.statements += forInit.length;

    // What a run makes of the database for the sake of what it holds now, such as the superuser's settings in it where
    // others may create objects, is in both.
    expect(await apply(by, '')).toMatchObject({ code: 0 });
    await Promise.all([by, of].map((database) => cleanedUp(cluster, database)));
    expect.soft(await dump(cluster, of)).toEqual(await dump(cluster, by));
    for (const { group } of cluster.nodes) {
      expect.soft(await ofCitus(of, group), `group ${group}`).toEqual(await ofCitus(by, group));
    }
  },
);

/** What a dump does not say. */
async function ofCitus(database: string, group: number): Promise<unknown> {
  const tables = await list(
    cluster,
    group,
    database,
    `SELECT concat_ws(' ', logicalrelid, partmethod, repmodel, column_to_column_name(logicalrelid, partkey),
       (SELECT count(*) FROM pg_dist_shard s WHERE s.logicalrelid = p.logicalrelid)) FROM pg_dist_partition p`,
  );
  const settings = await list(
    cluster,
    group,
    'postgres',
    `SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = '${database}'`,
  );
  return { tables, settings: settings.map((setting) => setting.replaceAll(database, '{db}')) };
}
