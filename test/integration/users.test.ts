import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** Distinct texts that would be found wherever they leaked, and that need every kind of quoting. */
const PASSWORDS: Readonly<Record<string, string>> = {
  skymap: `canary-owner ' " \\ 1`,
  skymap_app: 'canary-app-Ünï½',
  skymap_ro: 'canary-ro-3',
  'A"b\'c': 'canary-odd-4',
};

const INIT_SQL = `CREATE TABLE public.events (id bigserial, note text, PRIMARY KEY (id));
SELECT create_distributed_table('public.events', 'id');
INSERT INTO public.events (note) SELECT 'x' FROM generate_series(1, 30);
`;

const test = clusterTest({ workers: 2, logStatements: true })
  .extend(
    'file',
    { scope: 'file' },
    ({ folder }) =>
      (user: string) =>
        path.join(folder, `${encodeURIComponent(user)}.password`),
  )
  .extend('user', { scope: 'file' }, ({ file }) => (name: string, access: string, more: Document = {}): Document => {
    return { name, passwordFile: file(name), access, ...more };
  })
  .extend('users', { scope: 'file' }, ({ user }) => () => [
    user('skymap', 'owner'),
    user('skymap_app', 'readWrite', { parameters: { statement_timeout: '90s', search_path: 'analytics,public' } }),
    user('skymap_ro', 'readOnly', { memberOf: ['pg_monitor'] }),
    user(`A"b'c`, 'all', { connectionLimit: 50 }),
  ])
  .extend(
    'apply',
    { scope: 'file' },
    ({ cluster }) =>
      (databases: readonly Document[]) =>
        runProgram(cluster, ['apply'], specOf(cluster, databases)),
  )
  /** As the user, on one node. */
  .extend(
    'as',
    { scope: 'file' },
    ({ cluster }) =>
      async (name: string, group: number, text: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
        const client = await connect(cluster, group, 'skymap', { name, password: PASSWORDS[name] ?? '' });
        try {
          return (await client.query(text)).rows;
        } finally {
          await client.end();
        }
      },
  )
  .extend(
    'verifiers',
    { scope: 'file' },
    ({ cluster }) =>
      async (): Promise<Readonly<Record<string, readonly unknown[]>>> => {
        const found: Record<string, unknown[]> = {};
        for (const { group } of cluster.nodes) {
          const rows = await query(
            cluster,
            group,
            'postgres',
            'SELECT rolname, rolpassword FROM pg_authid WHERE oid > 16383',
          );
          for (const row of rows) {
            const name = String(row['rolname']);
            found[name] = [...(found[name] ?? []), row['rolpassword']];
          }
        }
        return found;
      },
  )
  .extend('serverLogs', { scope: 'file' }, ({ cluster }) => async (): Promise<string> => {
    return (await Promise.all(cluster.nodes.map(({ logFile }) => readFile(logFile, 'utf8')))).join('\n');
  })
  /** Everybody in group order, as `1 1 1`. */
  .extend(
    'everywhere',
    { scope: 'file' },
    ({ cluster }) =>
      async (text: string, place: 'postgres' | 'skymap' = 'skymap'): Promise<string> => {
        const values = [];
        for (const { group } of cluster.nodes)
          values.push(Object.values((await query(cluster, group, place, text))[0] ?? {})[0]);
        return values.join(' ');
      },
  );

let first: Outcome;
let second: Outcome;

function database(users: readonly Document[], more: Document = {}): Document {
  return { name: 'skymap', users, schemas: ['analytics'], initSQL: INIT_SQL, ...more };
}

test.beforeAll(async ({ file, users, apply }) => {
  for (const [name, password] of Object.entries(PASSWORDS))
    await writeFile(file(name), `${password}\n`, { mode: 0o600 });
  first = await apply([database(users())]);
  second = await apply([database(users())]);
});

describe('the first run', () => {
  test('makes the roles first, and says what it does', () => {
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
    for (const line of [
      '  Creating role "skymap" on node0\n',
      '  Creating role "skymap_ro" on node1, node2\n',
      '  Making role "skymap_ro" a member of "pg_monitor" on node1, node2\n',
      '  Granting on database "skymap": CONNECT, TEMPORARY to "skymap_app"; CONNECT to "skymap_ro"; CONNECT, CREATE, TEMPORARY to "A""b\'c"; CONNECT to "postgres"; nothing to PUBLIC\n',
      '  Granting rights on new schemas to "skymap" (owner), "skymap_app" (readWrite), "skymap_ro" (readOnly), "A""b\'c" (all) on node1, node2\n',
    ]) {
      expect(first.log).toContain(line);
    }
    expect(first.log.indexOf('Creating role "skymap" on node0')).toBeLessThan(
      first.log.indexOf('Creating database'.concat(" 'skymap' on node1")),
    );
  });

  test('a second run changes nothing', () => {
    expect(second.code).toBe(0);
    expect(second.log).toContain('\nNothing was changed\n');
    expect(second.log).toContain(`  Roles already exist: skymap, skymap_app, skymap_ro, A"b'c\n`);
  });

  test('no password and no verifier is in the output, the plan or the logs of the servers', async ({
    cluster,
    users,
    verifiers,
    serverLogs,
  }) => {
    const planned = await runProgram(cluster, ['plan'], specOf(cluster, [database(users(), { name: 'other' })]));
    expect(planned.code).toBe(10);
    expect(planned.stdout).toContain('grant on database "other": CONNECT, TEMPORARY to "skymap_app"');
    const logs = await serverLogs();
    const output = [first, second, planned].map(({ stdout, stderr }) => stdout + stderr).join('\n');
    // The servers do log: else nothing would be proved.
    expect(logs).toContain('pg_dist_authinfo');
    for (const password of Object.values(PASSWORDS)) {
      for (const written of [
        password,
        password.replaceAll("'", "''"),
        password.replaceAll("'", "\\'"),
        password.slice(0, 10),
      ]) {
        expect(logs.includes(written)).toBe(false);
        expect(output.includes(written)).toBe(false);
      }
    }
    for (const verifier of Object.values(await verifiers())
      .flat()
      .map(String)) {
      expect(output.includes(verifier)).toBe(false);
      // The stand-in copies roles by statements of its own, whatever it is told.
      if (cluster.kind === 'real') expect(logs.includes(verifier)).toBe(false);
    }
  });

  test('every node has the same verifiers', async ({ verifiers }) => {
    for (const [name, stored] of Object.entries(await verifiers())) {
      expect({ name, distinct: new Set(stored).size, nodes: stored.length }).toEqual({ name, distinct: 1, nodes: 3 });
      expect(String(stored[0])).toMatch(/^SCRAM-SHA-256\$4096:/);
    }
  });
});

describe('what users may do', () => {
  test.for(Object.keys(PASSWORDS))(
    '%s logs in on every node and reads a distributed table there',
    async (name, { as }) => {
      for (const group of [0, 1, 2]) {
        expect(await as(name, group, 'SELECT count(*)::int AS n FROM public.events')).toEqual([{ n: 30 }]);
      }
    },
  );

  test('readOnly reads and does not write', async ({ as }) => {
    await expect(as('skymap_ro', 0, "INSERT INTO public.events (note) VALUES ('y')")).rejects.toThrow(
      /permission denied/,
    );
    await expect(as('skymap_ro', 0, 'CREATE TEMPORARY TABLE t (i int)')).rejects.toThrow(/permission denied/);
  });

  test('readWrite changes rows, with the sequence, and makes no tables', async ({ as }) => {
    expect(await as('skymap_app', 0, "INSERT INTO public.events (note) VALUES ('y') RETURNING note")).toEqual([
      { note: 'y' },
    ]);
    await as('skymap_app', 0, "DELETE FROM public.events WHERE note = 'y'");
    await expect(as('skymap_app', 0, 'CREATE TABLE public.t (i int)')).rejects.toThrow(/permission denied/);
    await expect(as('skymap_app', 0, 'TRUNCATE public.events')).rejects.toThrow(/permission denied/);
  });

  test('what `all` and the owner make later is there for the others, on every node', async ({ users, apply, as }) => {
    for (const [name, table] of [
      ['skymap', 'analytics.by_owner'],
      [`A"b'c`, 'public.by_all'],
    ] as const) {
      await as(name, 0, `CREATE TABLE ${table} (id int PRIMARY KEY)`);
      await as(name, 0, `SELECT create_distributed_table('${table}', 'id')`);
      await as('skymap_app', 0, `INSERT INTO ${table} VALUES (1), (2)`);
      for (const group of [0, 1, 2]) {
        expect(await as('skymap_ro', group, `SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 2 }]);
      }
    }
    const again = await apply([database(users())]);
    expect(again.log).toContain('\nNothing was changed\n');
  });

  test('the settings of a role in the database', async ({ as }) => {
    expect(
      await as(
        'skymap_app',
        1,
        "SELECT current_setting('statement_timeout') AS t, current_setting('search_path') AS s",
      ),
    ).toEqual([{ t: '90s', s: 'analytics, public' }]);
    expect(await as('skymap_ro', 1, "SELECT current_setting('statement_timeout') AS t")).toEqual([{ t: '0' }]);
  });

  test("nobody else gets in, and the ledger is nobody else's", async ({ cluster }) => {
    await query(cluster, 0, 'postgres', "CREATE ROLE stranger LOGIN PASSWORD 'stranger'");
    await expect(connect(cluster, 0, 'skymap', { name: 'stranger', password: 'stranger' })).rejects.toThrow(
      /permission denied/,
    );
    const rows = await query(
      cluster,
      0,
      'skymap',
      `SELECT r.rolname, has_schema_privilege(r.oid, 'citus_databases', 'USAGE') OR has_table_privilege(r.oid, 'citus_databases.init_sql', 'SELECT, INSERT, UPDATE, DELETE') AS reaches
       FROM pg_roles r WHERE r.oid > 16383 AND has_schema_privilege(r.oid, 'citus_databases', 'USAGE')
          OR r.oid > 16383 AND has_table_privilege(r.oid, 'citus_databases.init_sql', 'SELECT, INSERT, UPDATE, DELETE')`,
    );
    expect(rows).toEqual([]);
  });
});

describe('later runs', () => {
  test('a changed password changes one verifier, the same on all nodes', async ({
    cluster,
    file,
    users,
    apply,
    as,
    verifiers,
    serverLogs,
  }) => {
    const before = await verifiers();
    await writeFile(file('skymap_app'), 'canary-rotated', { mode: 0o600 });
    const run = await apply([database(users())]);
    expect(run.code).toBe(0);
    expect(run.log).toContain('  Changing the password of role "skymap_app" on node1, node2\n');
    const after = await verifiers();
    const changed = Object.keys(after).filter((name) => JSON.stringify(after[name]) !== JSON.stringify(before[name]));
    expect(changed).toEqual(['skymap_app']);
    expect(new Set(after['skymap_app']).size).toBe(1);
    await expect(as('skymap_app', 1, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
    const client = await connect(cluster, 1, 'skymap', { name: 'skymap_app', password: 'canary-rotated' });
    try {
      expect((await client.query('SELECT count(*)::int AS n FROM public.events')).rows).toEqual([{ n: 30 }]);
    } finally {
      await client.end();
    }
    expect((await apply([database(users())])).log).toContain('\nNothing was changed\n');
    expect((await serverLogs()).includes('canary-rotated')).toBe(false);
  });

  test('a new user changes nobody else', async ({ cluster, file, user, users, apply, verifiers }) => {
    const before = await verifiers();
    await writeFile(file('reporter'), 'canary-reporter', { mode: 0o600 });
    const run = await apply([database([...users(), user('reporter', 'readOnly')])]);
    expect(run.code).toBe(0);
    const { reporter, ...after } = await verifiers();
    expect(after).toEqual(before);
    expect(reporter).toHaveLength(3);
    const client = await connect(cluster, 2, 'skymap', { name: 'reporter', password: 'canary-reporter' });
    try {
      expect((await client.query('SELECT count(*)::int AS n FROM analytics.by_owner')).rows).toEqual([{ n: 2 }]);
    } finally {
      await client.end();
    }
  });

  test("a worker that has another verifier gets the coordinator's; an md5 hash is replaced everywhere", async ({
    cluster,
    users,
    apply,
    as,
    verifiers,
  }) => {
    const before = await verifiers();
    await query(cluster, 1, 'postgres', "ALTER ROLE skymap_ro PASSWORD 'canary-ro-3'");
    const one = await apply([database(users())]);
    expect(one.log).toContain('  Changing the password of role "skymap_ro" on node1\n');
    expect(await verifiers()).toEqual(before);
    await query(cluster, 0, 'postgres', `ALTER ROLE skymap_ro PASSWORD 'md5${'0'.repeat(32)}'`);
    await apply([database(users())]);
    const stored = (await verifiers())['skymap_ro'] ?? [];
    expect(new Set(stored).size).toBe(1);
    expect(String(stored[0])).toMatch(/^SCRAM/);
    expect(await as('skymap_ro', 2, 'SELECT count(*)::int AS n FROM public.events')).toEqual([{ n: 30 }]);
  });

  test("rights that were taken away come back, others' grants stay, what PUBLIC got goes", async ({
    cluster,
    users,
    apply,
    everywhere,
  }) => {
    await query(
      cluster,
      0,
      'skymap',
      'REVOKE SELECT ON public.events FROM skymap_ro; GRANT INSERT ON public.events TO skymap_ro',
    );
    await query(
      cluster,
      0,
      'skymap',
      'ALTER DEFAULT PRIVILEGES FOR ROLE postgres REVOKE SELECT ON TABLES FROM skymap_ro',
    );
    await query(
      cluster,
      2,
      'postgres',
      'REVOKE CONNECT ON DATABASE skymap FROM skymap_ro; GRANT CONNECT ON DATABASE skymap TO PUBLIC',
    );
    await query(
      cluster,
      1,
      'skymap',
      'SET citus.enable_ddl_propagation = off; REVOKE USAGE ON SCHEMA analytics FROM skymap_ro',
    );
    const planned = await runProgram(cluster, ['plan'], specOf(cluster, [database(users())]));
    expect({ code: planned.code, log: planned.log }).toMatchObject({ code: 10 });
    expect(planned.log).toContain('grant on database "skymap": CONNECT to "skymap_ro"; nothing to PUBLIC');
    const run = await apply([database(users())]);
    expect(run.code).toBe(0);
    expect(run.log).toContain(
      '  Granting rights on table or sequence "public"."events" to "skymap_ro" (readOnly) on node0\n',
    );
    expect(await everywhere("SELECT has_table_privilege('skymap_ro', 'public.events', 'SELECT')")).toBe(
      'true true true',
    );
    expect(await everywhere("SELECT has_schema_privilege('skymap_ro', 'analytics', 'USAGE')")).toBe('true true true');
    expect(await everywhere("SELECT has_database_privilege('public', 'skymap', 'CONNECT')", 'postgres')).toBe(
      'false false false',
    );
    expect(
      await query(cluster, 0, 'skymap', "SELECT has_table_privilege('skymap_ro', 'public.events', 'INSERT') AS kept"),
    ).toEqual([{ kept: true }]);
    expect((await runProgram(cluster, ['plan'], specOf(cluster, [database(users())]))).code).toBe(0);
  });

  test('a view that only its maker may read is granted on the workers too', async ({ cluster, users, apply, as }) => {
    await query(
      cluster,
      0,
      'skymap',
      'ALTER DEFAULT PRIVILEGES FOR ROLE postgres REVOKE SELECT ON TABLES FROM skymap_ro',
    );
    await query(cluster, 0, 'skymap', 'CREATE VIEW public.notes AS SELECT note FROM public.events');
    expect((await apply([database(users())])).code).toBe(0);
    expect((await runProgram(cluster, ['plan'], specOf(cluster, [database(users())]))).code).toBe(0);
    expect(await as('skymap_ro', 0, 'SELECT count(*)::int AS n FROM public.notes')).toEqual([{ n: 30 }]);
    if (cluster.kind === 'real') {
      expect(await as('skymap_ro', 1, 'SELECT count(*)::int AS n FROM public.notes')).toEqual([{ n: 30 }]);
    }
  });
});

describe('what is refused', () => {
  test('a role that exists as a superuser: exit 3, nothing changed', async ({ cluster, file, user, apply }) => {
    await query(cluster, 2, 'postgres', 'CREATE ROLE boss SUPERUSER');
    await writeFile(file('boss'), 'canary-boss', { mode: 0o600 });
    const run = await apply([{ name: 'bossy', users: [user('boss', 'readOnly')] }]);
    expect(run.code).toBe(3);
    expect(run.log).toMatchInlineSnapshot(`
      "========================================
      Creating database: bossy
      ========================================
      PostgreSQL coordinator is ready!
      ERROR: Role 'boss' exists as a superuser (node node2, database bossy)
        Next: Declare another name, or take the right from it: ALTER ROLE "boss" NOSUPERUSER. Nothing was changed
      "
    `);
    expect(await query(cluster, 0, 'postgres', "SELECT FROM pg_database WHERE datname = 'bossy'")).toEqual([]);
    expect(await query(cluster, 0, 'postgres', "SELECT FROM pg_roles WHERE rolname = 'boss'")).toEqual([]);
  });

  test('a group that is not there: exit 2', async ({ user, apply }) => {
    const run = await apply([{ name: 'grouped', users: [user('skymap_ro', 'readOnly', { memberOf: ['nobody'] })] }]);
    expect(run.code).toBe(2);
    expect(run.log).toMatchInlineSnapshot(`
      "========================================
      Creating database: grouped
      ========================================
      PostgreSQL coordinator is ready!
      ERROR: Role 'nobody', which 'skymap_ro' is to be a member of, does not exist (node node0, database grouped)
        Next: Create the role (CREATE ROLE "nobody" NOLOGIN), declare it as a user, or take it out of memberOf. Nothing was changed
      "
    `);
  });

  test('files that are missing, empty or of several lines: all told, exit 2 before anything else', async ({
    folder,
    file,
    user,
    apply,
  }) => {
    await writeFile(file('empty'), '\n', { mode: 0o600 });
    await writeFile(file('lines'), 'one\ntwo\n', { mode: 0o600 });
    const run = await apply([{ name: 'files', users: ['missing', 'empty', 'lines'].map((name) => user(name, 'all')) }]);
    expect(run.code).toBe(2);
    expect(run.stdout.replaceAll(folder, 'FOLDER')).toMatchInlineSnapshot(`
      "ERROR: The passwords of 3 users cannot be read
        Cause: role 'missing': The password file FOLDER/missing.password cannot be read: ENOENT: no such file or directory, open 'FOLDER/missing.password'
          role 'empty': The password file FOLDER/empty.password is empty
          role 'lines': The password file FOLDER/lines.password holds more than one line
        Next: Put each password, and nothing else, into its file, readable for the user that runs this program. Nothing was changed
      "
    `);
  });
});
