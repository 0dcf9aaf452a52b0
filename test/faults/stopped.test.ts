import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { databaseLock, registrationLock } from '../../src/postgres/advisoryLock.ts';
import { connect, query } from '../support/cluster.ts';
import { type BuiltProgram, buildProgram, type Document } from '../support/program.ts';
import { type Laboratory, openLaboratory } from './support/laboratory.ts';

/** SIGTERM ends every kind of wait within five seconds, whoever is waited for, and never with exit code 0. */

let laboratory: Laboratory;
let program: BuiltProgram;

/** `made` is there from the start. */
const MADE: Document = { name: 'made', initSQL: 'CREATE TABLE held (a int)' };

beforeAll(async () => {
  [laboratory, program] = await Promise.all([openLaboratory({ workers: 1, citus: 'standIn' }), buildProgram()]);
  const { code, stdout, stderr } = await program.run(laboratory.cluster, ['apply'], laboratory.spec(MADE));
  if (code !== 0) throw new Error(stdout + stderr);
});

afterAll(async () => {
  await program?.remove();
  await laboratory?.stop();
});

interface Wait {
  readonly name: string;
  readonly args: readonly string[];
  readonly database: Document;
  /** Puts the obstacle in the way; what it returns takes it away. */
  readonly obstruct: () => Promise<() => Promise<void>>;
  /** Whether the program has come to it. */
  readonly waits: () => Promise<boolean>;
}

/** A session of the superuser's that holds something. */
function holding(database: string, sql: string): Wait['obstruct'] {
  return async () => {
    const client = await connect(laboratory.cluster, 0, database);
    await client.query(sql);
    return async () => await client.end();
  };
}

async function isTrue(condition: string): Promise<boolean> {
  const [row] = await query(laboratory.cluster, 0, 'postgres', `SELECT ${condition} AS yes`);
  return row?.['yes'] === true;
}

const OURS = "application_name LIKE 'citus-databases%'";
const waitsForLock = () => isTrue(`EXISTS (SELECT FROM pg_stat_activity WHERE ${OURS} AND wait_event_type = 'Lock')`);
/** It asks again and again, and waits in between. */
const pollsForLock = () =>
  isTrue(`EXISTS (SELECT FROM pg_stat_activity WHERE ${OURS} AND state = 'idle' AND query LIKE '%pg_locks%')`);

/** From the Nth statement on, a node takes everything and answers nothing. */
function silent(group: number, at: number): Pick<Wait, 'obstruct' | 'waits'> {
  return {
    obstruct: async () => {
      laboratory.proxy(group).reset({ at, moment: 'before', silent: true });
      return async () => laboratory.proxy(group).reset();
    },
    waits: async () => laboratory.proxy(group).struck(),
  };
}

const WAITS: readonly Wait[] = [
  {
    name: 'wait, for a node that does not answer',
    args: ['wait'],
    database: MADE,
    obstruct: async () => {
      laboratory.proxy(1).silence();
      return async () => laboratory.proxy(1).reset();
    },
    // The other node has let it in.
    waits: () => isTrue(`EXISTS (SELECT FROM pg_stat_activity WHERE ${OURS})`),
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

test.each(WAITS)('$name', async ({ args, database, obstruct, waits }) => {
  const clear = await obstruct();
  try {
    const child = await program.start(laboratory.cluster, args, laboratory.spec(database));
    let over = false;
    void child.ended.finally(() => (over = true)).catch(() => undefined);
    const deadline = performance.now() + ENOUGH_MS;
    while (!over && performance.now() < deadline && !(await waits())) await sleep(50);
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
