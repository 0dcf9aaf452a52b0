import { afterEach, expect, vi } from 'vitest';
import { databaseLock } from '../../src/postgres/advisoryLock.ts';
import { firstValue } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Outcome, runProgram, specOf } from '../support/program.ts';

/** The clock of the machine is set while a run waits: by a day at each look, forwards or backwards. */

const DAY = 86_400_000;

const test = clusterTest({ workers: 1 })
  /** Somebody holds the lock of the database meanwhile, until `free`. */
  .extend('occupy', { scope: 'file' }, ({ cluster }) => async (name: string): Promise<() => Promise<void>> => {
    const other = await connect(cluster, 0, 'postgres');
    await other.query('SELECT pg_advisory_lock($1::bigint)', [databaseLock(name).key]);
    return () => other.end();
  })
  .extend('apply', { scope: 'file' }, ({ cluster }) => async (name: string, maxAttempts: number): Promise<Outcome> => {
    return await runProgram(cluster, ['apply'], specOf(cluster, [{ name, maxAttempts, retryDelaySeconds: 1 }]));
  });

afterEach(() => {
  vi.restoreAllMocks();
});

function setClockBy(milliseconds: number): void {
  const now = Date.now.bind(Date);
  let moved = 0;
  vi.spyOn(Date, 'now').mockImplementation(() => {
    moved += milliseconds;
    return now() + moved;
  });
}

test.for([
  ['forwards', DAY],
  ['backwards', -DAY],
] as const)('%s: a wait is neither cut short nor endless', async ([direction, step], { occupy, apply }) => {
  const name = `clock_${direction}`;
  const free = await occupy(name);
  setClockBy(step);
  const patient = apply(name, 600);
  const impatient = await apply(name, 3);
  expect(impatient).toMatchObject({ code: 1, log: expect.stringContaining('Waiting for another run on database') });
  await free();
  const { code, log } = await patient;
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining(`Database '${name}' is ready!`) });
  expect(log).toContain('Waiting for another run on database');
});

test.for(['2200-01-01', '2036-01-01', '1900-01-01'])(
  'a clock that was at %s once',
  async (moment, { cluster, apply }) => {
    const name = 'once';
    expect(await apply(name, 60)).toMatchObject({ code: 0 });
    await query(cluster, 0, 'postgres', `UPDATE citus_databases.node_position SET recorded_at = '${moment}'`);
    const { code, log } = await runProgram(cluster, ['verify'], specOf(cluster, [{ name }]));
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining(`Database '${name}' is ready!`) });
    expect(await apply(name, 60)).toMatchObject({ code: 0 });
    const recorded = `SELECT bool_and(recorded_at BETWEEN now() - interval '1 hour' AND now()) FROM citus_databases.node_position`;
    expect(await firstValue(cluster, 0, 'postgres', recorded)).toBe(true);
  },
);
