/** What goes wrong on ordinary days: SQL that fails, values that no run can fulfil, statements changed afterwards. */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

const createTable = 'CREATE TABLE items (id bigint PRIMARY KEY, name text);';
const distribute = "SELECT create_distributed_table('items', 'id');";
const insert = "INSERT INTO items VALUES (1, 'once');";

describe('failures and the way on from there', () => {
  let release: Release;

  beforeAll(async () => {
    release = await createRelease('failures');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 180_000);

  step('SQL that fails: helm fails', 300, async () => {
    const outcome = await release.helm('install', [], {
      ...smallCluster(),
      additionalDatabases: {
        shop: { backoffLimit: 0, initSQL: [createTable, distribute, insert, 'SELECT 1 / 0;'].join('\n') },
      },
    });
    expect(outcome.code).not.toBe(0);
  });

  step("the Job's log says line, statement and reason, and does not call the database ready", 30, async () => {
    const log = await release.kubectl('logs', 'job/citusdemo-create-db-shop');
    expect(log).toContain('SELECT 1 / 0');
    expect(log).toMatch(/line 4\b/i);
    expect(log).toContain('division by zero (SQLSTATE 22012)');
    expect(log).not.toContain('is ready!\n====');
  });

  step("so does the pod's status, for those who look there", 30, async () => {
    const message = 'jsonpath={.items[0].status.containerStatuses[0].state.terminated}';
    const terminated = JSON.parse(
      await release.kubectl('get', 'pods', '-l', 'job-type=database-creation', '-o', message),
    );
    expect(terminated.exitCode).toBe(2);
    expect(terminated.message).toContain('division by zero');
  });

  step('the corrected value goes on after the statements that were executed', 120, async () => {
    const outcome = await release.helm('upgrade', ['--reuse-values'], {
      additionalDatabases: { shop: { initSQL: [createTable, distribute, insert, 'SELECT 1 / 1;'].join('\n') } },
    });
    expect(outcome.stderr).not.toMatch(/warning/i);
    expect(outcome.code).toBe(0);
    expect(await release.sql(0, 'shop', 'SELECT * FROM items')).toBe('1|once');
  });

  step('an executed statement that was edited: refused with exit 3, in one try', 120, async () => {
    const edited = "INSERT INTO items VALUES (1, 'twice');";
    const outcome = await release.helm('upgrade', ['--reuse-values'], {
      additionalDatabases: {
        shop: { backoffLimit: 3, initSQL: [createTable, distribute, edited, 'SELECT 1 / 1;'].join('\n') },
      },
    });
    expect(outcome.code).not.toBe(0);
    expect(await exitCodes(release, 'shop')).toEqual([3]);
    expect(await release.sql(0, 'shop', 'SELECT * FROM items')).toBe('1|once');
  });

  step('an owner that does not exist: exit 2, in one try, and nothing is made', 120, async () => {
    const outcome = await release.helm(
      'upgrade',
      ['--reset-then-reuse-values', '--set', 'additionalDatabases.shop=null'],
      {
        additionalDatabases: { lost: { owner: 'nobody_here', backoffLimit: 3 } },
      },
    );
    expect(outcome.code).not.toBe(0);
    expect(await exitCodes(release, 'lost')).toEqual([2]);
    for (const group of [0, 1]) {
      expect(await release.sql(group, 'postgres', "SELECT count(*) FROM pg_database WHERE datname = 'lost'")).toBe('0');
    }
  });

  step('an entry taken away leaves its database alone', 30, async () => {
    expect(await release.sql(0, 'shop', 'SELECT * FROM items')).toBe('1|once');
  });

  step('--set adds an entry to the map', 120, async () => {
    const set = ['--set', 'additionalDatabases.stock.owner=postgres'];
    const outcome = await release.helm('upgrade', ['--reuse-values', ...set]);
    expect(outcome.stderr).not.toMatch(/warning/i);
    expect(outcome.code).toBe(0);
    expect(await release.jobLog('stock')).toContain("Database 'stock' is ready!");
  });

  step('drop needs the confirmation, and then removes the database from every node', 180, async () => {
    const drop = (...args: string[]) => release.script('run-in-cluster', ['citusdemo', 'drop', 'stock', ...args]);
    const unconfirmed = await drop();
    expect(unconfirmed.code, unconfirmed.stderr).toBe(2);
    expect(unconfirmed.stdout.match(/^ERROR: /gm), unconfirmed.stdout).toHaveLength(1);
    expect(await release.sql(0, 'stock', 'SELECT 1')).toBe('1');
    const dropped = await drop('--confirm', 'stock');
    expect(dropped.code, dropped.stdout + dropped.stderr).toBe(0);
    for (const group of [0, 1]) {
      expect(await release.sql(group, 'postgres', "SELECT count(*) FROM pg_database WHERE datname = 'stock'")).toBe(
        '0',
      );
    }
  });

  step('the next run makes it again', 120, async () => {
    const plan = await release.script('run-in-cluster', ['citusdemo', 'plan']);
    expect(plan.code, plan.stdout + plan.stderr).toBe(10);
    const apply = await release.script('run-in-cluster', ['citusdemo', 'apply']);
    expect(apply.code, apply.stdout + apply.stderr).toBe(0);
    expect(await release.sql(1, 'stock', 'SELECT count(*) FROM pg_dist_node')).toBe('2');
  });

  step('null takes an entry out with --reset-then-reuse-values, and not with --reuse-values', 180, async () => {
    const declared = async () => {
      const entries = JSON.parse(await release.helmCommand('get', 'values', release.name, '--all', '-o', 'json'));
      return Object.entries(entries.additionalDatabases).flatMap(([name, entry]) => (entry === null ? [] : [name]));
    };
    const without = ['--set', 'additionalDatabases.stock=null'];
    expect((await release.helm('upgrade', ['--reuse-values', ...without])).code).toBe(0);
    expect(await declared()).toContain('stock');
    expect((await release.helm('upgrade', ['--reset-then-reuse-values', ...without])).code).toBe(0);
    expect(await declared()).not.toContain('stock');
    expect(await release.sql(0, 'stock', 'SELECT 1')).toBe('1');
  });
});

/** Exit codes of the pods of the newest Job of a database: one for each try. */
async function exitCodes(release: Release, database: string): Promise<readonly number[]> {
  const codes = 'jsonpath={.items[*].status.containerStatuses[0].state.terminated.exitCode}';
  const pods = await release.kubectl('get', 'pods', '-l', `job-name=citusdemo-create-db-${database}`, '-o', codes);
  return pods.trim().split(' ').map(Number);
}
