import { describe, expect } from 'vitest';
import { firstValue, list } from '../support/catalog.ts';
import { connect, nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

const test = clusterTest({ workers: 2 })
  .extend('apply', { scope: 'file' }, ({ cluster }) => async (database: Document): Promise<string> => {
    const { code, log } = await runProgram(cluster, ['apply'], specOf(cluster, [database]));
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining('is ready!') });
    return log;
  })
  /** With a spec that declares some other database. */
  .extend(
    'drop',
    { scope: 'file' },
    ({ cluster }) =>
      async (name: string, ...options: readonly string[]): Promise<Outcome> => {
        return await runProgram(cluster, ['drop', name, ...options], specOf(cluster, [{ name: 'other' }]));
      },
  )
  .extend('where', { scope: 'file' }, ({ cluster }) => async (name: string): Promise<readonly unknown[]> => {
    const sql = `SELECT EXISTS (SELECT FROM pg_database WHERE datname = '${name}')`;
    return await Promise.all(cluster.nodes.map(({ group }) => firstValue(cluster, group, 'postgres', sql)));
  });

const EVERYWHERE = [true, true, true];
const NOWHERE = [false, false, false];

test('without the confirmation, or with a wrong one, nothing happens', async ({ apply, drop, where }) => {
  await apply({ name: 'kept' });
  for (const options of [[], ['--confirm', 'keept']]) {
    const { code, log } = await drop('kept', ...options);
    expect(code).toBe(2);
    expect(log).toMatchSnapshot();
  }
  expect(await where('kept')).toEqual(EVERYWHERE);
});

test.for(['postgres', 'template0', 'template1', 'citus'])('%s is never dropped', async (name, { drop }) => {
  const { code, log } = await drop(name, '--confirm', name);
  expect(code).toBe(3);
  expect(log).toMatchSnapshot();
});

test('another server in the place of a worker: neither dropped from, nor drained, nor marked', async ({
  cluster,
  apply,
  drop,
  where,
}) => {
  await apply({ name: 'relied' });
  const change = (sql: string) =>
    query(
      cluster,
      0,
      'postgres',
      `UPDATE citus_databases.node_identity SET system_identifier = ${sql} WHERE node_port = ${nodeOf(cluster, 2).port}`,
    );
  await change("'1' || system_identifier");
  try {
    const spec = specOf(cluster, [{ name: 'relied' }]);
    const outcomes = [
      await drop('relied', '--confirm', 'relied'),
      await runProgram(cluster, ['drain', '2'], spec),
      await runProgram(cluster, ['rebalance', 'relied'], spec),
      await runProgram(cluster, ['restore-point', 'before'], spec),
    ];
    for (const { code, log } of outcomes) {
      expect({ code, log }).toEqual({ code: 3, log: expect.stringContaining('This is another server than before') });
    }
    expect(await where('relied')).toEqual(EVERYWHERE);
  } finally {
    await change('substr(system_identifier, 2)');
  }
  expect(await drop('relied', '--confirm', 'relied')).toMatchObject({ code: 0 });
});

test("somebody else's database on a worker that the entry leaves out goes only when told", async ({
  cluster,
  apply,
  drop,
  where,
}) => {
  await query(cluster, 2, 'postgres', 'CREATE DATABASE solo');
  await apply({ name: 'solo', workerGroups: [1] });
  const refused = await drop('solo', '--confirm', 'solo');
  expect({ code: refused.code, log: refused.log }).toEqual({
    code: 3,
    log: expect.stringContaining("Database 'solo' was not made by this program (node node2)"),
  });
  expect(await where('solo')).toEqual(EVERYWHERE);
  expect(await drop('solo', '--confirm', 'solo', '--unmanaged')).toMatchObject({ code: 0 });
  expect(await where('solo')).toEqual(NOWHERE);
});

test('what is left of a group that was taken out of the entry goes as well', async ({ apply, drop, where }) => {
  await apply({ name: 'shrunk' });
  await apply({ name: 'shrunk', workerGroups: [1] });
  expect(await drop('shrunk', '--confirm', 'shrunk')).toMatchObject({ code: 0 });
  expect(await where('shrunk')).toEqual(NOWHERE);
});

test('a database that this program did not make goes only when told', async ({ cluster, drop, where }) => {
  for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', 'CREATE DATABASE strange');
  const refused = await drop('strange', '--confirm', 'strange');
  expect(refused.code).toBe(3);
  expect(refused.log).toMatchInlineSnapshot(`
    "========================================
    Dropping database: strange
    ========================================
    ERROR: Database 'strange' was not made by this program (node node0, node1, node2)
      Next: Nothing was changed. To drop it anyway, add --unmanaged
    "
  `);
  expect(await where('strange')).toEqual(EVERYWHERE);
  expect((await drop('strange', '--confirm', 'strange', '--unmanaged')).code).toBe(0);
  expect(await where('strange')).toEqual(NOWHERE);
});

test('a database that does not exist', async ({ drop }) => {
  const { code, log } = await drop('nothing', '--confirm', 'nothing');
  expect(code).toBe(0);
  expect(log).toContain("Database 'nothing' does not exist on any node");
});

describe('what is in the way', () => {
  test('sessions on every node', async ({ cluster, apply, drop, where }) => {
    await apply({ name: 'busy', initSQL: "CREATE TABLE t (a int); SELECT create_distributed_table('t', 'a');" });
    const sessions = await Promise.all(cluster.nodes.map(({ group }) => connect(cluster, group, 'busy')));
    const errors = sessions.map((session) => {
      const codes: unknown[] = [];
      session.on('error', (error) => codes.push(Reflect.get(error, 'code')));
      return codes;
    });
    await sessions[0]?.query('BEGIN; INSERT INTO t SELECT generate_series(1, 10)');
    const { code, log } = await drop('busy', '--confirm', 'busy');
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining("Database 'busy' is gone from every node") });
    // One on each: the sessions that Citus opened for the INSERT, and its daemons, are nobody's.
    expect(log.match(/Ending .*/g)).toEqual([0, 1, 2].map((node) => `Ending 1 session on node${node}...`));
    expect(errors.map(([first]) => first)).toEqual(['57P01', '57P01', '57P01']);
    expect(await where('busy')).toEqual(NOWHERE);
    expect(await list(cluster, 0, 'postgres', 'SELECT name FROM citus_databases.managed_database')).not.toContain(
      'busy',
    );
  });

  test('a prepared transaction and a logical replication slot', async ({ cluster, apply, drop, where }) => {
    await apply({ name: 'held', initSQL: 'CREATE TABLE t (a int);' });
    await query(cluster, 0, 'held', "SELECT pg_create_logical_replication_slot('held_slot', 'pgoutput')");
    await query(cluster, 2, 'held', "SELECT pg_create_logical_replication_slot('held_slot_2', 'pgoutput')");
    // Afterwards: a slot waits for the end of all transactions.
    await query(cluster, 0, 'held', "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'it''s held'");
    const { code, log } = await drop('held', '--confirm', 'held');
    expect({ code, log }).toMatchSnapshot();
    expect(await where('held')).toEqual(NOWHERE);
    for (const { group } of cluster.nodes) {
      expect(await list(cluster, group, 'postgres', 'SELECT slot_name FROM pg_replication_slots')).toEqual([]);
      expect(await list(cluster, group, 'postgres', 'SELECT gid FROM pg_prepared_xacts')).toEqual([]);
    }
  });

  test('a part of the nodes has lost it already', async ({ cluster, apply, drop, where }) => {
    await apply({ name: 'partly' });
    await query(cluster, 1, 'postgres', 'DROP DATABASE partly WITH (FORCE)');
    expect((await drop('partly', '--confirm', 'partly')).code).toBe(0);
    expect(await where('partly')).toEqual(NOWHERE);
  });
});

test('a database that the spec still declares: a warning, and the next apply makes it again, initSQL included', async ({
  cluster,
  apply,
}) => {
  const database = { name: 'phoenix', initSQL: 'CREATE TABLE t (a int); INSERT INTO t VALUES (1);' };
  await apply(database);
  await query(cluster, 0, 'phoenix', 'INSERT INTO t VALUES (2)');
  const dropped = await runProgram(cluster, ['drop', 'phoenix', '--confirm', 'phoenix'], specOf(cluster, [database]));
  expect(dropped.code).toBe(0);
  expect(dropped.log).toMatchInlineSnapshot(`
    "========================================
    Dropping database: phoenix
    ========================================
    WARNING: The spec still declares database 'phoenix': the next apply makes it again. Take it out of additionalDatabases
      Dropping database 'phoenix' on node0...
      Database dropped on node0!
      Dropping database 'phoenix' on node1...
      Database dropped on node1!
      Dropping database 'phoenix' on node2...
      Database dropped on node2!
    ========================================
    Database 'phoenix' is gone from every node
    ========================================
    "
  `);
  const log = await apply(database);
  expect(log).toContain('Custom SQL executed successfully!');
  expect(await firstValue(cluster, 0, 'phoenix', 'SELECT array_agg(a) FROM t')).toEqual([1]);
});

test('a drop that did not finish is refused by apply, and finished by the next drop', async ({
  cluster,
  apply,
  drop,
}) => {
  await apply({ name: 'half' });
  await query(
    cluster,
    0,
    'postgres',
    "UPDATE citus_databases.managed_database SET state = 'dropping' WHERE name = 'half'; ALTER DATABASE half ALLOW_CONNECTIONS false",
  );
  const refused = await runProgram(cluster, ['apply'], specOf(cluster, [{ name: 'half' }]));
  expect(refused.code).toBe(3);
  expect(refused.log.slice(refused.log.indexOf('ERROR'))).toMatchInlineSnapshot(`
    "ERROR: Database 'half' cannot be made ready: 2 problems
      Cause:
        node0: Database 'half' does not allow connections (datallowconn is false)
          Next: Finish the drop that was begun (citus-databases drop), or run: ALTER DATABASE "half" WITH ALLOW_CONNECTIONS true
        Database 'half' is half dropped: an earlier drop did not finish
          Next: Finish it: citus-databases drop half --confirm half
      Next: Correct them and run again. Nothing was changed
    "
  `);
  expect((await drop('half', '--confirm', 'half')).code).toBe(0);
  await apply({ name: 'half' });
});

test.for(['made by this program', 'made by hand'])(
  'a drop that ended before it took anything away: %s',
  async (made, { cluster, apply, drop, where }) => {
    const byHand = made === 'made by hand';
    const name = byHand ? 'spared_too' : 'spared';
    const spec = specOf(cluster, [{ name }]);
    if (byHand) {
      for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', `CREATE DATABASE ${name}`);
    }
    await apply({ name });
    await query(cluster, 0, name, 'CREATE TABLE kept AS SELECT 1 AS a');
    const recorded = `INSERT INTO citus_databases.managed_database (name, state) VALUES ('${name}', 'dropping')
      ON CONFLICT (name) DO UPDATE SET state = 'dropping'`;
    await query(cluster, 0, 'postgres', recorded);
    const finish = `drop ${name} --confirm ${name}${byHand ? ' --unmanaged' : ''}`;
    for (const command of ['plan', 'verify', 'apply']) {
      const { code, log, stderr } = await runProgram(cluster, [command], spec);
      const text = log + stderr;
      expect({ code, text }).toEqual({
        code: 3,
        text: expect.stringContaining(`'${name}' was to be dropped, and every node still has it`),
      });
      expect(text).toContain(`go on with the drop: citus-databases ${finish}`);
      const statement = /in database 'postgres': (.*?;)/.exec(text)?.[1] ?? '';
      expect(statement).toMatch(byHand ? /^DELETE FROM/ : /^UPDATE/);
      if (command === 'apply') await query(cluster, 0, 'postgres', statement);
    }
    await apply({ name });
    expect(await runProgram(cluster, ['plan'], spec)).toMatchObject({ code: 0 });
    expect(await firstValue(cluster, 0, name, 'SELECT a FROM kept')).toBe(1);
    expect(await drop(name, ...finish.split(' ').slice(2))).toMatchObject({ code: 0 });
    expect(await where(name)).toEqual(NOWHERE);
  },
);

test('DROP DATABASE that was cut off (datconnlimit -2): apply says so, and drop finishes it', async ({
  cluster,
  apply,
  drop,
  where,
}) => {
  await apply({ name: 'cut' });
  // As dropdb() leaves it when its server dies: PostgreSQL sets no other trace (src/backend/commands/dbcommands.c).
  for (const group of [0, 1]) {
    await query(cluster, group, 'postgres', "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'cut'");
  }
  const spec = specOf(cluster, [{ name: 'cut' }]);
  for (const command of ['plan', 'apply']) {
    const refused = await runProgram(cluster, [command], spec);
    expect(refused.code).toBe(3);
    expect(refused.log).toContain(
      "node1: Database 'cut' is half dropped: an earlier DROP DATABASE did not finish there",
    );
    expect(refused.log).toContain('Next: Finish it: citus-databases drop cut --confirm cut');
  }
  // It is in nobody else's way.
  for (const command of ['plan', 'verify']) {
    const { code, log } = await runProgram(cluster, [command], specOf(cluster, [{ name: 'kept' }]));
    expect({ command, code, log }).toEqual({ command, code: 0, log: expect.any(String) });
  }
  expect((await drop('cut', '--confirm', 'cut')).code).toBe(0);
  expect(await where('cut')).toEqual(NOWHERE);
  await apply({ name: 'cut' });
});
