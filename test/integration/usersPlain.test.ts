import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';
import { isVerifierOf } from '../../src/postgres/scram.ts';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** The services of a home server: one database each, with a user of the same name. */
const SERVICES = ['authelia', 'freshrss', 'gitea', 'grafana', 'speedtest', 'uptimekuma', 'vaultwarden'] as const;

const test = clusterTest({ workers: 0, citus: 'none' }).extend(
  'spec',
  { scope: 'file' },
  ({ cluster, folder }) =>
    (): Document => {
      return specOf(
        cluster,
        SERVICES.map((name) => ({
          name,
          users: [{ name, passwordFile: path.join(folder, name), access: 'owner' }],
          ...(name === 'gitea' ? GITEA : {}),
        })),
      );
    },
);

let first: Outcome;

const GITEA: Document = {
  extensions: ['pg_trgm'],
  schemas: ['archive'],
  parameters: { timezone: 'Europe/Zurich' },
  initSQL: 'CREATE TABLE archive.entries (id int PRIMARY KEY);\nCREATE INDEX CONCURRENTLY ON archive.entries (id);\n',
};

test.beforeAll(async ({ folder, cluster, spec }) => {
  for (const name of SERVICES) await writeFile(path.join(folder, name), `secret of ${name}`, { mode: 0o600 });
  // One of them was made by hand, with a table of its own and another password.
  await query(cluster, 0, 'postgres', "CREATE ROLE grafana LOGIN PASSWORD 'by hand'");
  await query(cluster, 0, 'postgres', 'CREATE DATABASE grafana');
  await query(cluster, 0, 'grafana', 'CREATE TABLE dashboards AS SELECT 42 AS id');
  first = await runProgram(cluster, ['apply'], spec());
});

test('seven databases and users in one run', async ({ cluster }) => {
  expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
  for (const name of SERVICES) {
    const client = await connect(cluster, 0, name, { name, password: `secret of ${name}` });
    try {
      await client.query('CREATE TABLE public.own (id int)');
      expect((await client.query('SELECT tableowner FROM pg_tables WHERE tablename = $1', ['own'])).rows).toEqual([
        { tableowner: name },
      ]);
    } finally {
      await client.end();
    }
  }
});

test('a user reaches its own database only', async ({ cluster }) => {
  for (const database of SERVICES.filter((name) => name !== 'gitea')) {
    const login = connect(cluster, 0, database, { name: 'gitea', password: 'secret of gitea' });
    await expect(login).rejects.toThrow(/permission denied for database/);
  }
});

test('what was made by hand is taken over: the data stays, the owner may read it', async ({ cluster }) => {
  const client = await connect(cluster, 0, 'grafana', { name: 'grafana', password: 'secret of grafana' });
  try {
    expect((await client.query('SELECT id FROM dashboards')).rows).toEqual([{ id: 42 }]);
  } finally {
    await client.end();
  }
});

test('the log speaks of no coordinator and no worker', () => {
  expect(first.log).not.toMatch(/coordinator|worker|Citus|pg_dist/i);
  const gitea = first.log.slice(
    first.log.indexOf('Creating database: gitea'),
    first.log.indexOf("Database 'gitea' is ready!"),
  );
  expect(gitea).toMatchInlineSnapshot(`
    "Creating database: gitea
    ========================================
    PostgreSQL is ready!

    Step 1: Creating roles...
      Creating role "gitea"

    Step 2: Creating database 'gitea'...
      Database 'gitea' created successfully!
      Granting on database "gitea": nothing to PUBLIC

    Step 3: Enabling extensions...
      - Enabling extension: pg_trgm
      Extensions enabled!

    Step 4: Creating schemas and setting default privileges...
      Granting rights on new schemas, tables and sequences to "gitea" (owner)
      Granting rights on schema public to "gitea" (owner)
      Creating schema: archive

    Step 5: Running custom initialization SQL...
      Line 1: CREATE TABLE archive.entries (id int PRIMARY KEY)
      Line 2: CREATE INDEX CONCURRENTLY ON archive.entries (id)
      Custom SQL executed successfully!
      Opening database "gitea" to its owner "gitea" and its users
      Rights of users are as declared

    Step 6: Setting database parameters...
      Set parameter timezone of database "gitea" to 'Europe/Zurich'
      Database parameters set on 127.0.0.1!

    Verifying database 'gitea'...
      ✓ the database answers and holds what was declared

    ========================================
    "
  `);
});

test('a second run changes nothing, and says so for each', async ({ cluster, spec }) => {
  const second = await runProgram(cluster, ['apply'], spec());
  expect(second.code).toBe(0);
  expect(second.log.split('\nNothing was changed\n')).toHaveLength(SERVICES.length + 1);
  const planned = await runProgram(cluster, ['plan'], spec());
  expect({ code: planned.code, nothing: planned.log.match(/ {2}Nothing to do/g)?.length }).toEqual({
    code: 0,
    nothing: 7,
  });
  expect((await runProgram(cluster, ['verify'], spec())).code).toBe(0);
});

test('nothing of Citus was touched', async ({ cluster }) => {
  for (const name of ['postgres', ...SERVICES]) {
    const found = await query(
      cluster,
      0,
      name,
      `SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relname LIKE 'pg\\_dist%' OR n.nspname LIKE 'citus%' AND n.nspname <> 'citus_databases'
       UNION ALL SELECT extname FROM pg_extension WHERE extname LIKE 'citus%'
       UNION ALL SELECT setting FROM (SELECT unnest(setconfig) AS setting FROM pg_db_role_setting) s WHERE setting LIKE 'citus%'`,
    );
    expect({ name, found }).toEqual({ name, found: [] });
  }
});

test("verifiers of PostgreSQL's own making are recognised, whatever characters the password has", async ({
  cluster,
}) => {
  const ranges = [
    [0x01, 0x7e],
    [0xa0, 0x24f],
    [0x5d0, 0x6ff],
    [0x2000, 0x20cf],
    [0x2150, 0x218f],
    [0x3040, 0x30ff],
    [0xf900, 0xfdff],
    [0xfe00, 0xffef],
    [0x1f300, 0x1f6ff],
    [0x200b, 0x200d],
  ] as const;
  const character = fc
    .oneof(...ranges.map(([min, max]) => fc.integer({ min, max })))
    .map((point) => String.fromCodePoint(point));
  const samples = [
    ...[
      '\u00ad',
      'a\u00a0b',
      '\u06271\u0628',
      '\u0627a',
      'x\u2168',
      '\ufb01n',
      '\u{1f600}½',
      '½',
      '\u0221½',
      'é\u0007',
    ],
    ...fc
      .sample(fc.array(character, { minLength: 1, maxLength: 8 }), { numRuns: 300, seed: 5 })
      .map((list) => list.join('')),
  ];
  const client = await connect(cluster, 0, 'postgres');
  try {
    await client.query('BEGIN; CREATE ROLE sample');
    for (const password of samples) {
      await client.query(`ALTER ROLE sample PASSWORD ${client.escapeLiteral(password)}`);
      const { rows } = await client.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'sample'");
      expect({ password, known: isVerifierOf(rows[0]?.rolpassword, password) }).toEqual({ password, known: true });
      expect(isVerifierOf(rows[0]?.rolpassword, `${password}x`)).toBe(false);
    }
  } finally {
    await client.end();
  }
});
