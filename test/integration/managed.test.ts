import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { quoteIdentifier, quoteLiteral } from '../../src/postgres/quote.ts';
import { catalogsOf, firstValue, list } from '../support/catalog.ts';
import { connect, type LocalCluster, nodeOf, query, startLocalCluster } from '../support/cluster.ts';
import {
  type BuiltProgram,
  buildProgram,
  type Document,
  type Outcome,
  runProgram,
  specOf,
} from '../support/program.ts';

/**
 * A cluster as managed services give it: the databases are there with Citus and its workers, the login role owns them and
 * is no superuser, and nodes let each other in by themselves. Only real Citus carries roles and schemas to workers.
 */

const ADMIN = 'citus_admin';
const PASSWORD = 'of the administrator';
const real = await findRealCitus();

describe.runIf(real !== undefined)('without a superuser', () => {
  let cluster: LocalCluster;
  let program: BuiltProgram;
  let folder: string;
  /** Where nodes reach each other; clients come from elsewhere, and need a password. */
  let inside: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-managed-'));
    inside = await mkdtemp(path.join(tmpdir(), 'nodes-'));
    await chmod(inside, 0o777);
    [cluster, program] = await Promise.all([
      startLocalCluster({
        workers: 3,
        citus: 'real',
        hba: ['local all all trust', 'host all all all scram-sha-256'],
        serverSettings: { unix_socket_directories: inside },
        logStatements: true,
      }),
      buildProgram(),
    ]);
    await secretFile('admin', PASSWORD);
    for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', role(ADMIN, 'LOGIN CREATEROLE'));
  });

  afterAll(async () => {
    await program?.remove();
    await cluster?.stop();
    for (const made of [folder, inside]) if (made !== undefined) await rm(made, { recursive: true });
  });

  function role(name: string, attributes: string): string {
    return `CREATE ROLE ${quoteIdentifier(name)} ${attributes} PASSWORD ${quoteLiteral(PASSWORD)}`;
  }

  async function secretFile(name: string, content: string): Promise<string> {
    const file = path.join(folder, name);
    await writeFile(file, content, { mode: 0o600 });
    return file;
  }

  /** As the service makes it: workers 1 and 2 are registered. */
  async function provide(name: string, owner = ADMIN): Promise<void> {
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', `CREATE DATABASE ${name} OWNER ${owner}`);
      await query(cluster, group, name, 'CREATE EXTENSION citus');
    }
    const port = (group: number) => nodeOf(cluster, group).port;
    await query(cluster, 0, name, 'SELECT citus_set_coordinator_host($1, $2)', [inside, port(0)]);
    for (const group of [1, 2]) {
      await query(cluster, 0, name, 'SELECT citus_add_node($1, $2, groupid => $3)', [inside, port(group), group]);
    }
  }

  function specFor(database: Document, more: Document = {}, groups: readonly number[] = [1, 2]): Document {
    const nodes = cluster.nodes.map(({ group, host, port }) => ({ group, host, port, nodeName: inside }));
    const cluster_ = {
      user: ADMIN,
      passwordFile: path.join(folder, 'admin'),
      withoutSuperuser: true,
      coordinator: nodes[0],
      workers: nodes.filter(({ group }) => groups.includes(group)),
      ...more,
    };
    return specOf(cluster, [{ maxAttempts: 3, retryDelaySeconds: 1, ...database }], { cluster: cluster_ });
  }

  async function run(command: string, database: Document, more?: Document): Promise<Outcome> {
    return await runProgram(cluster, [command], specFor(database, more));
  }

  async function applied(database: Document, more?: Document): Promise<string> {
    const { code, log } = await run('apply', database, more);
    const ready = `Database '${database['name']}' is ready, as far as '${more?.['user'] ?? ADMIN}' can prove!`;
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining(ready) });
    return log;
  }

  /** Exit code 3, and nothing changed on any node. */
  async function refused(database: Document, more?: Document, groups?: readonly number[]): Promise<string> {
    const name = String(database['name']);
    const before = await everything(name);
    const { code, stdout } = await runProgram(cluster, ['apply'], specFor(database, more, groups));
    expect({ code, stdout }).toEqual({ code: 3, stdout: expect.any(String) });
    expect((await runProgram(cluster, ['plan'], specFor(database, more, groups))).code).toBe(3);
    expect(await everything(name)).toEqual(before);
    return stdout;
  }

  async function everything(name: string): Promise<unknown> {
    const roles = await Promise.all(
      cluster.nodes.map(({ group }) => list(cluster, group, 'postgres', 'SELECT rolname FROM pg_roles ORDER BY 1')),
    );
    return { roles, catalogs: await catalogsOf(cluster, name) };
  }

  async function onEach(name: string, text: string): Promise<readonly unknown[]> {
    return await Promise.all([0, 1, 2].map((group) => firstValue(cluster, group, name, text)));
  }

  async function asUser<Row>(name: string, user: string, password: string, text: string): Promise<readonly Row[]> {
    const client = await connect(cluster, 0, name, { name: user, password });
    try {
      return (await client.query(text)).rows as Row[];
    } finally {
      await client.end();
    }
  }

  const INIT = `CREATE TABLE app.events (id bigint PRIMARY KEY, note text);
SELECT create_distributed_table('app.events', 'id');
INSERT INTO app.events SELECT g, 'x' FROM generate_series(1, 100) g;`;

  test('what needs none is made on every node, and a second run changes nothing', async () => {
    await provide('shop');
    const writer = await secretFile('writer', 'writes with this');
    const reader = await secretFile('reader', 'reads with this');
    const database = {
      name: 'shop',
      comment: 'made without a superuser',
      extensions: ['hstore'],
      schemas: ['app', { name: 'tenant_1', distributed: true }],
      parameters: { work_mem: '7MB', search_path: 'app,public' },
      users: [
        { name: 'shop_rw', passwordFile: writer, access: 'readWrite', parameters: { statement_timeout: '1min' } },
        { name: 'shop_ro', passwordFile: reader, access: 'readOnly' },
      ],
      initSQL: INIT,
    };
    const planned = await run('plan', database);
    expect({ code: planned.code, stdout: planned.stdout }).toEqual({ code: 10, stdout: expect.any(String) });
    for (const what of ['create role "shop_rw"', 'create extension hstore', 'create schema "app"', 'execute line 1']) {
      expect(planned.stdout).toContain(what);
    }
    const log = await applied(database);
    expect(log).toContain("✓ the coordinator reaches 2 of 2 workers as 'citus_admin'");
    expect(log).toContain('Not proved without a superuser: ');

    expect(await onEach('shop', "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'shop_rw'")).toEqual([
      true,
      true,
      true,
    ]);
    expect(await onEach('shop', "SELECT count(*)::int FROM pg_namespace WHERE nspname IN ('app', 'tenant_1')")).toEqual(
      [2, 2, 2],
    );
    expect(await onEach('shop', "SELECT count(*)::int FROM pg_extension WHERE extname = 'hstore'")).toEqual([1, 1, 1]);
    expect(await onEach('shop', 'SHOW work_mem')).toEqual(['7MB', '7MB', '7MB']);
    expect(
      await onEach('shop', "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop'"),
    ).toEqual(Array(3).fill('made without a superuser'));
    expect(await firstValue(cluster, 0, 'shop', 'SELECT count(*)::int FROM pg_dist_schema')).toBe(1);
    await asUser('shop', 'shop_rw', 'writes with this', "INSERT INTO app.events VALUES (1001, 'from the application')");
    expect(await asUser('shop', 'shop_ro', 'reads with this', 'SELECT count(*)::int AS rows FROM app.events')).toEqual([
      { rows: 101 },
    ]);
    await expect(asUser('shop', 'shop_ro', 'reads with this', 'DELETE FROM app.events')).rejects.toThrow(
      'permission denied',
    );

    // On a worker as well.
    const worker = await connect(cluster, 2, 'shop', { name: 'shop_rw', password: 'writes with this' });
    await worker.query("INSERT INTO app.events VALUES (1002, 'through a worker')").finally(() => worker.end());

    expect(await applied(database)).toContain('Nothing was changed');
    const again = await run('plan', database);
    expect({ code: again.code, stdout: again.stdout }).toMatchObject({ code: 0 });
    const verified = await run('verify', database);
    expect({ code: verified.code, stdout: verified.stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining("Database 'shop' is ready, as far as 'citus_admin' can prove"),
    });

    // Another password, and a setting that a worker has lost, come back.
    await secretFile('writer', 'writes with another');
    await query(cluster, 2, 'shop', 'SET citus.enable_ddl_propagation = off; ALTER DATABASE shop RESET work_mem');
    expect((await run('verify', database)).code).toBe(1);
    await applied(database);
    await asUser('shop', 'shop_rw', 'writes with another', 'SELECT count(*) FROM app.events');
    expect(await onEach('shop', 'SHOW work_mem')).toEqual(['7MB', '7MB', '7MB']);
    expect((await run('plan', database)).code).toBe(0);
    // initSQL goes on where it was.
    await applied({ ...database, initSQL: `${INIT}\nALTER TABLE app.events ADD COLUMN added int;` });
    await asUser('shop', 'shop_rw', 'writes with another', 'SELECT added FROM app.events');
    for (const { logFile } of cluster.nodes) expect(await readFile(logFile, 'utf8')).not.toContain('writes with');
  });

  test('what needs one is named, all of it, before anything is made', async () => {
    await provide('wanted');
    const said = await refused(
      {
        name: 'wanted',
        owner: 'postgres',
        extensions: ['dblink', 'citext'],
        schemas: [{ name: 'elsewhere', owner: 'postgres' }],
        parameters: { log_statement: 'ddl', work_mem: '7MB' },
        shouldHaveShards: { 1: false },
        comment: 'never',
        initSQL: 'CREATE TABLE never (a int);',
      },
      {},
      [1, 2, 3],
    );
    for (const what of [
      /Worker .*group 3\) is not registered in database 'wanted', and 'citus_admin' may not register it/,
      /citus_add_node\(/,
      /set shouldhaveshards of .* \(group 1\) to false: 'citus_admin' may not change nodes/,
      /Database 'wanted' belongs to 'citus_admin', not to 'postgres'/,
      /Extension dblink is not trusted/,
      /create schema "elsewhere" owned by "postgres": 'citus_admin' has not the rights of 'postgres'/,
      /only superusers set log_statement/,
      /GRANT SET ON PARAMETER log_statement TO "citus_admin"/,
      /Nothing was changed/,
    ]) {
      expect(said).toMatch(what);
    }
    expect(said).not.toContain('citext');
    // The right was given: nothing is in the way any more.
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', `GRANT SET ON PARAMETER log_statement TO ${ADMIN}`);
    }
    await applied({ name: 'wanted', extensions: ['citext'], parameters: { log_statement: 'ddl' }, comment: 'now' });
    expect(await onEach('wanted', 'SHOW log_statement')).toEqual(['ddl', 'ddl', 'ddl']);
  });

  test('what a worker has otherwise than the coordinator comes back, or is named', async () => {
    await provide('drift');
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', 'CREATE ROLE drift_group NOLOGIN');
      await query(cluster, group, 'postgres', `GRANT drift_group TO ${ADMIN} WITH ADMIN OPTION`);
    }
    const passwordFile = await secretFile('drift', 'of drift');
    const database = {
      name: 'drift',
      schemas: ['app'],
      users: [{ name: 'drift_rw', access: 'readWrite', passwordFile, memberOf: ['drift_group'] }],
      initSQL:
        "CREATE TABLE app.t (id int);\nSELECT create_distributed_table('app.t', 'id');\nCREATE VIEW app.v AS SELECT 1;",
    };
    await applied(database);
    expect((await run('plan', database)).code).toBe(0);
    const alone = async (group: number, text: string) =>
      await query(cluster, group, 'drift', `SET citus.enable_ddl_propagation = off; ${text}`);
    const member = "SELECT pg_has_role('drift_rw', 'drift_group', 'USAGE')";
    expect(await onEach('drift', member)).toEqual([true, true, true]);

    await alone(2, 'ALTER ROLE drift_rw NOLOGIN CONNECTION LIMIT 3');
    // Since PostgreSQL 16 a grant is its grantor's.
    await alone(2, `SET ROLE ${ADMIN}; REVOKE drift_group FROM drift_rw`);
    await alone(1, 'REVOKE USAGE ON SCHEMA app FROM drift_rw');
    const verified = await run('verify', database);
    expect({ code: verified.code, stdout: verified.stdout }).toMatchObject({ code: 1 });
    for (const what of [
      'alter role "drift_rw" (LOGIN, CONNECTION LIMIT -1) on workers of groups 2',
      'make role "drift_rw" a member of "drift_group" on workers of groups 2',
      'grant rights on schema app to "drift_rw" (readWrite) on workers of groups 1',
    ]) {
      expect(verified.stdout).toContain(what);
    }
    await applied(database);
    expect(await onEach('drift', "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'drift_rw'")).toEqual(
      Array(3).fill(true),
    );
    expect(await onEach('drift', member)).toEqual([true, true, true]);
    expect(await onEach('drift', "SELECT has_schema_privilege('drift_rw', 'app', 'USAGE')")).toEqual(
      Array(3).fill(true),
    );
    expect((await run('plan', database)).code).toBe(0);

    // A schema that nobody has on that worker any more.
    await query(cluster, 0, 'drift', `SET ROLE ${ADMIN}; CREATE SCHEMA lost`);
    await alone(1, 'DROP SCHEMA lost');
    const more = { ...database, schemas: ['app', 'lost'] };
    const missing = await run('verify', more);
    expect({ code: missing.code, stdout: missing.stdout }).toEqual({
      code: 1,
      stdout: expect.stringContaining(
        'create schema "lost" owned by "citus_admin", as on the coordinator on workers of groups 1',
      ),
    });
    await applied(more);
    expect(await onEach('drift', "SELECT has_schema_privilege('drift_rw', 'lost', 'USAGE')")).toEqual(
      Array(3).fill(true),
    );

    // What is somebody else's there.
    await alone(2, 'CREATE SCHEMA of_others; ALTER ROLE drift_group LOGIN');
    const named = await refused(more);
    expect(named).toContain(
      `grant rights on schema of_others to "drift_rw" (readWrite): 'citus_admin' has not the rights of the owner`,
    );
    expect(named).toContain('GRANT USAGE ON SCHEMA "of_others" TO "drift_rw"');
    await alone(2, 'GRANT USAGE ON SCHEMA of_others TO drift_rw');
    expect(await applied(more)).toMatch(/Role 'drift_group' differs on .*ALTER ROLE "drift_group" WITH NOLOGIN/);
    await alone(2, 'ALTER ROLE drift_rw REPLICATION');
    expect(await refused(more)).toContain("Role 'drift_rw' has other attributes here than it should have");
    await alone(2, 'ALTER ROLE drift_rw NOREPLICATION SUPERUSER');
    expect(await refused(more)).toContain("Role 'drift_rw' exists as a superuser");
    await alone(2, 'ALTER ROLE drift_rw NOSUPERUSER; DROP ROLE drift_group');
    expect(await refused(more)).toContain("Role 'drift_group' exists on the coordinator and not here");
  });

  test('names that stand in the words of other changes ask for no right', async () => {
    await provide('named');
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', 'CREATE ROLE named NOLOGIN');
      await query(cluster, group, 'postgres', `GRANT named TO ${ADMIN}`);
    }
    await query(cluster, 0, 'named', 'CREATE SCHEMA named');
    // The schema of the superuser is as declared; the other one is owned by a role of its name.
    await applied({
      name: 'named',
      schemas: [
        { name: 'named', owner: 'postgres' },
        { name: 'fresh', owner: 'named' },
      ],
      parameters: { work_mem: '7MB' },
    });
    expect(await onEach('named', "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'fresh'")).toEqual(
      Array(3).fill('named'),
    );
  });

  test('extensions are updated by their owners, and by nobody else', async () => {
    await provide('versions');
    for (const group of [0, 1, 2]) {
      await query(
        cluster,
        group,
        'versions',
        "SET citus.enable_ddl_propagation = off; CREATE EXTENSION hstore VERSION '1.6'",
      );
    }
    const said = await refused({ name: 'versions', extensions: [{ name: 'hstore', version: '1.7' }] });
    expect(said.match(/Extension hstore belongs to somebody else here, and only its owner updates it/g)).toHaveLength(
      3,
    );
    expect(said).toContain(`ALTER EXTENSION "hstore" UPDATE TO '1.7'`);
    const unknown = await run('apply', { name: 'versions', extensions: [{ name: 'pg_trgm', version: '99' }] });
    expect({ code: unknown.code, stdout: unknown.stdout }).toEqual({
      code: 1,
      stdout: expect.stringContaining('Not installed on the server: extension pg_trgm 99'),
    });
    await applied({ name: 'versions', extensions: ['hstore', { name: 'pg_trgm', version: '1.5' }] });
    await applied({ name: 'versions', extensions: ['hstore', { name: 'pg_trgm', version: '1.6' }] });
    expect(await onEach('versions', "SELECT extversion FROM pg_extension WHERE extname = 'pg_trgm'")).toEqual(
      Array(3).fill('1.6'),
    );
  });

  test('a role whose rights it has, and that it may not make an owner (PostgreSQL 16 and later)', async () => {
    await provide('holding');
    const version = Number(await firstValue(cluster, 0, 'postgres', 'SHOW server_version_num'));
    const options = version < 160_000 ? '' : 'WITH INHERIT TRUE, SET FALSE';
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', 'CREATE ROLE holder NOLOGIN');
      await query(cluster, group, 'postgres', `GRANT holder TO ${ADMIN} ${options}`);
    }
    const database = { name: 'holding', schemas: [{ name: 'held', owner: 'holder' }] };
    if (version >= 160_000) {
      expect(await refused(database)).toContain('GRANT "holder" TO "citus_admin" WITH INHERIT TRUE, SET TRUE');
      for (const { group } of cluster.nodes) {
        await query(cluster, group, 'postgres', `GRANT holder TO ${ADMIN} WITH SET TRUE`);
      }
    }
    await applied(database);
    expect(await onEach('holding', "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'held'")).toEqual(
      Array(3).fill('holder'),
    );
  });

  test('initSQL that makes schema and distributed table in one transaction, in a database without any', async () => {
    await provide('atonce');
    const initSQL = `BEGIN;
CREATE SCHEMA s;
CREATE TABLE s.t (id bigint PRIMARY KEY);
SELECT create_distributed_table('s.t', 'id');
INSERT INTO s.t SELECT generate_series(1, 10);
COMMIT;
CREATE ROLE atonce_made;
GRANT SELECT ON s.t TO atonce_made;`;
    await applied({ name: 'atonce', initSQL });
    expect(await onEach('atonce', 'SELECT count(*)::int FROM s.t')).toEqual([10, 10, 10]);
    expect(await onEach('atonce', "SELECT count(*)::int FROM pg_roles WHERE rolname = 'atonce_made'")).toEqual([
      1, 1, 1,
    ]);
    expect(await applied({ name: 'atonce', initSQL })).toContain('Nothing was changed');
  });

  test('certificates of the nodes', async () => {
    await provide('authinfo');
    const spec = specFor({ name: 'authinfo' });
    const before = await everything('authinfo');
    const ssl = { enabled: true, mode: 'prefer', directory: folder, nodeDirectory: '/etc/certificates' };
    const { code, stdout } = await runProgram(cluster, ['apply'], { ...spec, ssl });
    expect({ code, stdout }).toEqual({
      code: 3,
      stdout: expect.stringContaining('only a superuser writes pg_dist_authinfo'),
    });
    expect(await everything('authinfo')).toEqual(before);
  });

  test('a database, or its Citus, that is not there', async () => {
    const missing = await run('apply', { name: 'missing' });
    expect({ code: missing.code, stdout: missing.stdout }).toEqual({
      code: 3,
      stdout: expect.stringContaining("Database 'missing' does not exist, and without a superuser it is not created"),
    });
    expect(missing.stdout).toContain('CREATE DATABASE "missing" OWNER "citus_admin"');
    await query(cluster, 0, 'postgres', `CREATE DATABASE bare OWNER ${ADMIN}`);
    const bare = await run('apply', { name: 'bare', initSQL: 'CREATE TABLE never (a int)' });
    expect({ code: bare.code, stdout: bare.stdout }).toEqual({
      code: 3,
      stdout: expect.stringContaining("Database 'bare' has no extension citus, and only a superuser creates it"),
    });
    expect(await list(cluster, 0, 'bare', "SELECT nspname FROM pg_namespace WHERE nspname ~ 'citus'")).toEqual([]);
    // Without Citus it is enough.
    const plain = specOf(cluster, [{ name: 'bare', initSQL: 'CREATE TABLE t (a int)', comment: 'plain' }], {
      cluster: {
        user: ADMIN,
        passwordFile: path.join(folder, 'admin'),
        withoutSuperuser: true,
        citus: false,
        workers: undefined,
      },
    });
    const { code, stdout } = await runProgram(cluster, ['apply'], plain);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(await list(cluster, 0, 'bare', 'SELECT a FROM t')).toEqual([]);
  });

  test('a role that may not create roles, or does not own the database', async () => {
    for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', role('weak', 'LOGIN'));
    await provide('weakly', 'weak');
    const as = { user: 'weak' };
    const said = await refused(
      { name: 'weakly', users: [{ name: 'never', access: 'readWrite', passwordFile: path.join(folder, 'admin') }] },
      as,
    );
    expect(said.match(/'weak' may not create and alter roles/g)).toHaveLength(3);
    expect(said).toContain('ALTER ROLE "weak" CREATEROLE');
    await applied({ name: 'weakly', schemas: ['mine'], initSQL: 'CREATE TABLE mine.t (a int);' }, as);
    // A second role with nothing but a login.
    for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', role('nobody', 'LOGIN'));
    const none = await refused(
      {
        name: 'weakly',
        owner: 'weak',
        comment: 'never',
        schemas: ['never'],
        initSQL: 'SELECT 1;',
        initSQLPolicy: 'adopt',
      },
      { user: 'nobody' },
    );
    expect(none.match(/set the comment of database "weakly": 'nobody' has not the rights of the owner/g)).toHaveLength(
      3,
    );
    expect(none).toContain('belongs to weak');
    expect(
      none.match(/'nobody' may not create anything in database 'weakly', which is needed for schema never/g),
    ).toHaveLength(3);
  });

  test('initSQL does not run in a database that holds something, unless that is said', async () => {
    await provide('used');
    await query(cluster, 0, 'used', `SET ROLE ${ADMIN}; CREATE TABLE old (a int)`);
    const database = { name: 'used', initSQL: 'CREATE TABLE fresh (a int);' };
    expect(await applied(database)).toContain('initSQL is not executed');
    expect(await firstValue(cluster, 0, 'used', "SELECT to_regclass('fresh')")).toBeNull();
    await applied({ ...database, initSQLPolicy: 'adopt' });
    expect(await applied(database)).toContain('Custom SQL was already executed');
  });

  test('a right that is taken away on the way', async () => {
    await provide('midway');
    const database = {
      name: 'midway',
      initSQL: 'CREATE TABLE t (a int);\nSELECT pg_sleep(5);\nINSERT INTO t VALUES (1);',
      parameters: { work_mem: '9MB' },
    };
    const child = await program.start(cluster, ['apply'], specFor(database));
    await child.printed('Line 2: SELECT pg_sleep(5)');
    await query(cluster, 2, 'postgres', 'ALTER DATABASE midway OWNER TO postgres');
    const { code, stdout } = await child.ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining('must be owner of database midway') });
    expect(stdout).not.toContain('is ready, as far');
    const said = await refused(database);
    expect(said).toContain("Database 'midway' belongs to 'postgres', not to 'citus_admin'");
    await query(cluster, 2, 'postgres', `ALTER DATABASE midway OWNER TO ${ADMIN}`);
    await applied(database);
    expect(await firstValue(cluster, 0, 'midway', 'SELECT count(*)::int FROM t')).toBe(1);
    expect(await onEach('midway', 'SHOW work_mem')).toEqual(['9MB', '9MB', '9MB']);
  });

  test('killed while the server goes on with a statement of initSQL: it takes effect once', async () => {
    await provide('killed');
    const initSQL =
      'CREATE TABLE once (a int);\nINSERT INTO once SELECT 1 FROM pg_sleep(4);\nSELECT count(*) FROM once;';
    const child = await program.start(cluster, ['apply'], specFor({ name: 'killed', initSQL }));
    await child.printed('Line 2:');
    child.kill('SIGKILL');
    await child.ended.catch(() => undefined);
    await applied({ name: 'killed', initSQL, maxAttempts: 30 });
    expect(await firstValue(cluster, 0, 'killed', 'SELECT count(*)::int FROM once')).toBe(1);
  });

  test('a ledger that somebody else has made is not read', async () => {
    await provide('planted');
    for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', role('planter', 'LOGIN'));
    await query(cluster, 0, 'planted', 'GRANT CREATE ON DATABASE planted TO planter');
    await asUser(
      'planted',
      'planter',
      PASSWORD,
      'SET citus.enable_ddl_propagation = off; CREATE SCHEMA citus_databases',
    );
    const said = await refused({ name: 'planted', initSQL: 'CREATE TABLE never (a int);' });
    expect(said).toContain('schema citus_databases belongs to planter, who is no superuser');
    await query(cluster, 0, 'planted', 'ALTER SCHEMA citus_databases OWNER TO postgres');
    const other = await refused({ name: 'planted', initSQL: 'CREATE TABLE never (a int);' });
    expect(other).toContain('schema citus_databases belongs to postgres, and this program works as citus_admin');
  });

  test('commands that work on every node as superuser say so, and so does a superuser', async () => {
    await provide('others');
    for (const command of [
      ['drop', 'others', '--confirm', 'others'],
      ['rebalance', 'others'],
      ['drain', '1'],
      ['restore-point', 'moment'],
    ]) {
      const { code, stdout, stderr } = await runProgram(cluster, command, specFor({ name: 'others' }));
      expect({ command, code, said: stdout + stderr }).toEqual({
        command,
        code: 2,
        said: expect.stringContaining('works on every node as superuser'),
      });
    }
    const more = { user: cluster.superuser, passwordFile: cluster.passwordFile };
    const { code, stdout } = await run('apply', { name: 'others', owner: ADMIN }, more);
    expect({ code, stdout }).toEqual({ code: 2, stdout: expect.stringContaining("Role 'postgres' is a superuser") });
    expect(await run('wait', { name: 'others' })).toMatchObject({ code: 0 });
    // Without the key, the role is refused as it always was, and the key is named.
    const { code: without, stdout: named } = await run('plan', { name: 'others' }, { withoutSuperuser: false });
    expect({ without, named }).toEqual({
      without: 2,
      named: expect.stringContaining('cluster.withoutSuperuser: true'),
    });
  });
});
