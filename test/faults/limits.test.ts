import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { describe, expect } from 'vitest';
import { connect, nodeOf, query, startLocalCluster } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf, stable } from '../support/program.ts';

/** Servers that are full, or set up in a way that gets in the way. */

const MAX_CONNECTIONS = 30;

const test = clusterTest({ workers: 2, serverSettings: { max_connections: String(MAX_CONNECTIONS) } })
  .extend('apply', { scope: 'file' }, ({ cluster }) => async (database: Document): Promise<Outcome> => {
    return await runProgram(
      cluster,
      ['apply'],
      specOf(cluster, [{ maxAttempts: 3, retryDelaySeconds: 1, ...database }]),
    );
  })
  .extend('occupy', { scope: 'file' }, ({ cluster }) => async (group: number): Promise<void> => {
    for (;;) {
      try {
        occupants.push(await connect(cluster, group, 'postgres'));
      } catch {
        return;
      }
    }
  });

let occupants: pg.Client[] = [];

function ready(name: string) {
  return { code: 0, log: expect.stringContaining(`Database '${name}' is ready!`), stderr: '' };
}

describe('all connections in use', () => {
  async function release(): Promise<void> {
    const all = occupants;
    occupants = [];
    await Promise.all(all.map((client) => client.end()));
  }

  test.for([0, 1])('for good, in group %i: the run gives up and says why', async (group, { apply, occupy }) => {
    await occupy(group);
    const { code, log } = await apply({ name: 'crowded' });
    await release();
    expect({ code, log }).toEqual({
      code: 1,
      log: expect.stringMatching(
        /did not become ready after 3 attempts[\s\S]*too many clients already \(SQLSTATE 53300\)/,
      ),
    });
  });

  test('for a while: the run waits', async ({ apply, occupy }) => {
    await occupy(2);
    const running = apply({ name: 'crowded', maxAttempts: 60 });
    await sleep(3_000);
    await release();
    expect(await running).toMatchObject(ready('crowded'));
  });

  test('in the middle of the run: it waits for a free one', async ({ cluster, apply, occupy }) => {
    const initSQL = 'CREATE TABLE before (a int);\nSELECT pg_sleep(2);\nCREATE TABLE after (a int);';
    const running = apply({ name: 'later', maxAttempts: 60, initSQL, parameters: { work_mem: '5MB' } });
    for (;;) {
      const [row] = await query(
        cluster,
        0,
        'postgres',
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(2)%' AND pid <> pg_backend_pid()",
      );
      if (row !== undefined) break;
      await sleep(50);
    }
    await occupy(1);
    await sleep(4_000);
    await release();
    const { code, log } = await running;
    // What is open stays open; the proof from every node needs new connections and may say so.
    expect([0, 1]).toContain(code);
    if (code === 1) expect(log).toMatch(/too many clients already|node\d cannot reach node1/);
    expect(await apply({ name: 'later', maxAttempts: 60, initSQL, parameters: { work_mem: '5MB' } })).toMatchObject(
      ready('later'),
    );
  });
});

describe('settings of the role and of the databases', () => {
  /** Everything that resolves names through it fails, or worse. */
  const poison = `CREATE SCHEMA evil;
       CREATE TABLE evil.pg_database (datname text); CREATE TABLE evil.pg_dist_node (nodeid int);
       CREATE TABLE evil.pg_extension (extname text); CREATE TABLE evil.pg_locks (pid int);
       CREATE FUNCTION evil.trap() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
       CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
       CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
       CREATE FUNCTION evil.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
       CREATE FUNCTION evil.pg_is_in_recovery() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
       CREATE FUNCTION evil.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
       CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equal);`;

  test('a hostile search_path in which everything is shadowed', async ({ cluster, apply }) => {
    // For the role everywhere it would also hold while Citus' own script runs, which does not pin it (RESET search_path).
    const inDatabase = 'ALTER ROLE postgres IN DATABASE postgres SET search_path = evil, pg_catalog';
    for (const { group } of cluster.nodes) {
      await query(cluster, group, 'postgres', poison);
      await query(cluster, group, 'template1', poison);
      await query(cluster, group, 'template1', inDatabase);
    }
    try {
      const database = { name: 'poisoned', extensions: ['hstore'], schemas: ['app'], parameters: { work_mem: '5MB' } };
      expect(await apply(database)).toMatchObject(ready('poisoned'));
      // On every node: where they differ, the workers get what the coordinator has.
      for (const { group } of cluster.nodes) {
        await query(cluster, group, 'template1', 'ALTER DATABASE poisoned SET search_path = evil, pg_catalog');
      }
      expect(await apply(database)).toMatchObject({ code: 0, log: expect.stringContaining('Nothing was changed') });
      const spec = specOf(cluster, [database]);
      expect((await runProgram(cluster, ['verify'], spec)).code).toBe(0);
      expect((await runProgram(cluster, ['drop', 'poisoned', '--confirm', 'poisoned'], spec)).code).toBe(0);
    } finally {
      for (const { group } of cluster.nodes) {
        await query(
          cluster,
          group,
          'template1',
          'ALTER ROLE postgres RESET ALL; ALTER ROLE postgres IN DATABASE postgres RESET ALL',
        );
        for (const database of ['postgres', 'template1']) {
          await query(cluster, group, database, 'DROP SCHEMA evil CASCADE');
        }
      }
    }
  });

  test("a hostile search_path in the session of initSQL, which has the user's own settings", async () => {
    const plain = await startLocalCluster({ workers: 0, citus: 'none' });
    try {
      await query(plain, 0, 'template1', poison);
      await query(plain, 0, 'template1', 'ALTER ROLE postgres SET search_path = evil, pg_catalog');
      // VACUUM runs outside a transaction, so that its row is changed afterwards.
      const initSQL = 'CREATE TABLE public.t (a int);\nINSERT INTO public.t VALUES (1);\nVACUUM public.t;';
      const spec = specOf(plain, [{ name: 'poisoned', maxAttempts: 2, retryDelaySeconds: 1, initSQL }]);
      expect(await runProgram(plain, ['apply'], spec)).toMatchObject(ready('poisoned'));
      const again = await runProgram(plain, ['apply'], spec);
      expect(again).toMatchObject({ code: 0, log: expect.stringContaining('Nothing was changed') });
      expect(await query(plain, 0, 'poisoned', 'SELECT a FROM public.t')).toEqual([{ a: 1 }]);
    } finally {
      await plain.stop();
    }
  });

  test('timeouts and read-only transactions, on the maintenance database and on the declared one', async ({
    cluster,
    apply,
  }) => {
    const readOnly = ['default_transaction_read_only = on', "default_transaction_isolation = 'serializable'"];
    const timeouts = ['statement', 'lock', 'idle_session', 'idle_in_transaction_session'].map(
      (kind) => `${kind}_timeout = 1`,
    );
    const set = async (database: string, settings: readonly string[]) => {
      const statements = settings.map((setting) => `ALTER DATABASE ${database} SET ${setting}`);
      await query(cluster, 0, 'template1', statements.join(';\n'));
    };
    await set('postgres', [...readOnly, ...timeouts]);
    try {
      expect(await apply({ name: 'hasty' })).toMatchObject(ready('hasty'));
      // The timeouts would end the sessions of Citus between the nodes, which have the database's settings, and nobody could
      // write there while it is read only.
      const more = { name: 'hasty', extensions: ['hstore'], schemas: ['app'] };
      await set('hasty', readOnly);
      const refused = await apply(more);
      expect({ code: refused.code, log: refused.log }).toEqual({
        code: 3,
        log: expect.stringMatching(
          /ERROR: Setting 'default_transaction_read_only' of database 'hasty' is 'on'.*\n.*Nothing was changed/,
        ),
      });
      // As the message says.
      await query(cluster, 0, 'template1', 'ALTER DATABASE hasty RESET default_transaction_read_only');
      expect(await apply(more)).toMatchObject(ready('hasty'));
    } finally {
      await query(cluster, 0, 'template1', 'ALTER DATABASE postgres RESET ALL');
      await query(cluster, 0, 'template1', 'ALTER DATABASE hasty RESET ALL');
    }
  });
});

test('an event trigger that refuses DDL: its words are told, and what it let pass stays', async ({
  cluster,
  apply,
}) => {
  expect(await apply({ name: 'guarded' })).toMatchObject(ready('guarded'));
  await query(
    cluster,
    0,
    'guarded',
    `CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no % here', tg_tag; END $$;
     CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION', 'CREATE SCHEMA') EXECUTE FUNCTION public.refuse()`,
  );
  const database = { name: 'guarded', extensions: ['hstore'], schemas: ['app'], initSQL: 'CREATE TABLE t (a int);' };
  const refused = await apply(database);
  expect({ code: refused.code, log: refused.log }).toEqual({
    code: 1,
    log: expect.stringMatching(
      /ERROR: Failed to create extension hstore[\s\S]*no CREATE EXTENSION here \(SQLSTATE P0001\)/,
    ),
  });
  await query(cluster, 0, 'guarded', 'DROP EVENT TRIGGER refuse');
  expect(await apply(database)).toMatchObject(ready('guarded'));
});

describe('a worker of another cluster', () => {
  test('is refused, and nothing is made', async ({ cluster, apply }) => {
    expect(await apply({ name: 'foreign', workerGroups: [1] })).toMatchObject(ready('foreign'));
    // Node 2 takes itself for the coordinator, and node 1 for a worker of its own.
    const [, first, second] = cluster.nodes.map(({ host, port }) => ({ host, port }));
    const spec = specOf(cluster, [{ name: 'foreign', maxAttempts: 2, retryDelaySeconds: 1 }], {
      cluster: { coordinator: { group: 0, ...second }, workers: [{ group: 1, ...first }] },
    });
    const { code, stdout } = await runProgram(cluster, ['apply'], spec);
    expect({ code, log: stable(cluster, stdout) }).toEqual({
      code: 3,
      log: expect.stringContaining(
        'The database on this worker belongs to another Citus cluster, whose coordinator is node0',
      ),
    });
    expect(await query(cluster, 2, 'postgres', "SELECT FROM pg_database WHERE datname = 'foreign'")).toEqual([]);
  });

  test('the coordinator of another cluster is no worker either', async ({ cluster }) => {
    const [zeroth, , second] = cluster.nodes.map(({ host, port }) => ({ host, port }));
    const spec = specOf(cluster, [{ name: 'foreign', maxAttempts: 2, retryDelaySeconds: 1 }], {
      cluster: { coordinator: { group: 0, ...second }, workers: [{ group: 1, ...zeroth }] },
    });
    const { code, log } = await runProgram(cluster, ['apply'], spec);
    expect({ code, log }).toEqual({
      code: 3,
      log: expect.stringContaining(
        'The database on this worker belongs to another Citus cluster, whose coordinator is',
      ),
    });
  });

  test('one that is registered under another name is refused with the cure', async ({ cluster, apply }) => {
    expect(await apply({ name: 'renamed' })).toMatchObject(ready('renamed'));
    const spec = specOf(cluster, [{ name: 'renamed', maxAttempts: 2, retryDelaySeconds: 1 }], {
      cluster: {
        workers: [1, 2].map((group) => {
          const { host, port } = nodeOf(cluster, group);
          return { group, host, port, nodeName: group === 1 ? 'localhost' : host, nodePort: port };
        }),
      },
    });
    const { code, log } = await runProgram(cluster, ['apply'], spec);
    expect({ code, log }).toEqual({
      code: 3,
      log: expect.stringMatching(/Group 1 is registered as node1, not as localhost:\d+[\s\S]*citus_update_node/),
    });
  });
});

describe('servers that were started wrongly', () => {
  test.each([
    ['Citus not preloaded', { shared_preload_libraries: '' }, "shared_preload_libraries does not begin with citus: ''"],
    ['no background worker left', { max_worker_processes: '1' }, 'max_worker_processes is 1 and all are in use'],
  ])('%s: found before anything is made', async (_, serverSettings, message) => {
    const wrong = await startLocalCluster({ workers: 1, serverSettings });
    try {
      const spec = specOf(wrong, [{ name: 'hopeless', maxAttempts: 2, retryDelaySeconds: 1 }]);
      const { code, log } = await runProgram(wrong, ['apply'], spec);
      expect({ code, log }).toEqual({ code: 1, log: expect.stringContaining(message) });
      for (const { group } of wrong.nodes) {
        expect(await query(wrong, group, 'postgres', "SELECT FROM pg_database WHERE datname = 'hopeless'")).toEqual([]);
      }
    } finally {
      await wrong.stop();
    }
  });
});
