import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { databaseLock, registrationLock } from '../../src/postgres/advisoryLock.ts';
import { connect, query } from '../support/cluster.ts';
import type { Document } from '../support/program.ts';
import { laboratoryTest } from './support/fixtures.ts';
import type { Laboratory } from './support/laboratory.ts';

/** SIGTERM ends every kind of wait within five seconds, whoever is waited for, and never with exit code 0. */

const test = laboratoryTest({ workers: 1, citus: 'standIn' });

/** `made` is there from the start. */
const MADE: Document = { name: 'made', initSQL: 'CREATE TABLE held (a int)' };

test.beforeAll(async ({ laboratory, program }) => {
  const { code, stdout, stderr } = await program.run(laboratory.cluster, ['apply'], laboratory.spec(MADE));
  if (code !== 0) throw new Error(stdout + stderr);
});

interface Wait {
  readonly name: string;
  readonly args: readonly string[];
  readonly database: Document;
  /** Puts the obstacle in the way; what it returns takes it away. */
  readonly obstruct: (laboratory: Laboratory) => Promise<() => Promise<void>>;
  /** Whether the program has come to it. */
  readonly waits: (laboratory: Laboratory) => Promise<boolean>;
}

/** A session of the superuser's that holds something. */
function holding(database: string, sql: string): Wait['obstruct'] {
  return async (laboratory) => {
    const client = await connect(laboratory.cluster, 0, database);
    await client.query(sql);
    return async () => await client.end();
  };
}

async function isTrue(laboratory: Laboratory, condition: string): Promise<boolean> {
  const [row] = await query(laboratory.cluster, 0, 'postgres', `SELECT ${condition} AS yes`);
  return row?.['yes'] === true;
}

const OURS = "application_name LIKE 'citus-databases%'";
const waitsForLock: Wait['waits'] = (laboratory) =>
  isTrue(laboratory, `EXISTS (SELECT FROM pg_stat_activity WHERE ${OURS} AND wait_event_type = 'Lock')`);
/** It asks again and again, and waits in between. */
const pollsForLock: Wait['waits'] = (laboratory) =>
  isTrue(
    laboratory,
    `EXISTS (SELECT FROM pg_stat_activity WHERE ${OURS} AND state = 'idle' AND query LIKE '%pg_locks%')`,
  );

/** From the Nth statement on, a node takes everything and answers nothing. */
function silent(group: number, at: number): Pick<Wait, 'obstruct' | 'waits'> {
  return {
    obstruct: async (laboratory) => {
      laboratory.proxy(group).reset({ at, moment: 'before', silent: true });
      return async () => laboratory.proxy(group).reset();
    },
    waits: async (laboratory) => laboratory.proxy(group).struck(),
  };
}

const WAITS: readonly Wait[] = [
  {
    name: 'wait, for a node that does not answer',
    args: ['wait'],
    database: MADE,
    obstruct: async (laboratory) => {
      laboratory.proxy(1).silence();
      return async () => laboratory.proxy(1).reset();
    },
    // The other node has let it in.
    waits: (laboratory) => isTrue(laboratory, `EXISTS (SELECT FROM pg_stat_activity WHERE ${OURS})`),
  },
  {
    name: 'apply, for another run',
    args: ['apply'],
    database: MADE,
    obstruct: holding('postgres', `SELECT pg_advisory_lock(${databaseLock('made').key})`),
    waits: pollsForLock,
  },
  {
    name: 'drop, for another run',
    args: ['drop', 'made', '--confirm', 'made'],
    database: MADE,
    obstruct: holding('postgres', `SELECT pg_advisory_lock(${databaseLock('made').key})`),
    waits: pollsForLock,
  },
  {
    name: 'apply, for another registration',
    args: ['apply'],
    database: { name: 'unregistered' },
    obstruct: holding('postgres', `SELECT pg_advisory_lock(${registrationLock().key})`),
    waits: pollsForLock,
  },
  {
    name: 'apply, for the bookkeeping',
    args: ['apply'],
    database: { name: 'unrecorded' },
    obstruct: holding('postgres', 'BEGIN; LOCK TABLE citus_databases.managed_database'),
    waits: waitsForLock,
  },
  {
    name: 'apply, for a table in initSQL',
    args: ['apply'],
    database: { ...MADE, initSQL: 'CREATE TABLE held (a int); TRUNCATE held' },
    obstruct: holding('made', 'BEGIN; LOCK TABLE held'),
    waits: waitsForLock,
  },
  ...(['plan', 'apply', 'verify'] as const).map((command) => ({
    name: `${command}, for a catalog`,
    args: [command],
    database: MADE,
    obstruct: holding('made', 'BEGIN; LOCK TABLE pg_catalog.pg_extension'),
    waits: waitsForLock,
  })),
  ...[1, 2, 3, 5, 8].flatMap((at) => [
    {
      name: `apply, for the coordinator from message ${at} on`,
      args: ['apply'],
      database: { name: 'mute' },
      ...silent(0, at),
    },
  ]),
  ...[2, 4].map((at) => ({
    name: `apply, for a worker from message ${at} on`,
    args: ['apply'],
    database: { name: 'mute_worker' },
    ...silent(1, at),
  })),
  ...[1, 2, 4].map((at) => ({
    name: `verify, for the coordinator from message ${at} on`,
    args: ['verify'],
    database: MADE,
    ...silent(0, at),
  })),
  { name: 'plan, for the coordinator', args: ['plan'], database: MADE, ...silent(0, 2) },
  { name: 'drop, for the coordinator', args: ['drop', 'made', '--confirm', 'made'], database: MADE, ...silent(0, 3) },
  { name: 'guard, for the coordinator', args: ['guard', '--image', '/tmp'], database: MADE, ...silent(0, 1) },
];

const ENOUGH_MS = 60_000;

test.for(WAITS)('$name', async ({ args, database, obstruct, waits }, { laboratory, program }) => {
  const clear = await obstruct(laboratory);
  try {
    const child = await program.start(laboratory.cluster, args, laboratory.spec(database));
    let over = false;
    void child.ended.finally(() => (over = true)).catch(() => undefined);
    const deadline = performance.now() + ENOUGH_MS;
    while (!over && performance.now() < deadline && !(await waits(laboratory))) await sleep(50);
    await sleep(300);
    const at = performance.now();
    child.kill('SIGTERM');
    const { code, stdout, stderr } = await child.ended;
    const milliseconds = performance.now() - at;
    expect({ code, text: stdout + stderr }).toEqual({ code: 143, text: expect.stringContaining('Stopped by SIGTERM') });
    expect(stdout).not.toContain('is ready!\n====');
    expect(milliseconds).toBeLessThan(5_000);
  } finally {
    await clear();
  }
});
