import pg from 'pg';
import { describe, expect } from 'vitest';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { applyReport, planReport, verifyReport } from '../../src/report/reportSchemas.ts';
import { connect, nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { runProgram, specOf, stable } from '../support/program.ts';
import { backUp, DATABASE, declaration, makeTables } from './support/damagedDatabase.ts';
import { DAMAGES, type Damage, type Verdict } from './support/damages.ts';

/**
 * One verdict: whatever is broken by hand in a database with data, `plan`, `apply` and `verify` see it, and agree.
 * Needs real Citus: the stand-in has no shards.
 */

const EXIT_CODES: Readonly<
  Record<Verdict, { readonly plan: number; readonly verify: number; readonly apply: number }>
> = {
  healed: { plan: 10, verify: 1, apply: 0 },
  named: { plan: 3, verify: 3, apply: 3 },
  warned: { plan: 0, verify: 0, apply: 0 },
};

const real = await findRealCitus();
const declared = declaration();
const test = clusterTest({ workers: 2, citus: 'real' })
  /** What a person reads, and whether the report for other programs says that something blocks. */
  .extend('run', { scope: 'file' }, ({ cluster }) => async (command: 'plan' | 'apply' | 'verify') => {
    const spec = specOf(cluster, [declared]);
    const [json, plan] = await Promise.all([
      runProgram(cluster, [command, '--output', 'json'], spec),
      // The plan itself is the report, so the other form of it is another run.
      command === 'plan' ? runProgram(cluster, ['plan'], spec) : undefined,
    ]);
    const [report] = REPORTS[command].parse(JSON.parse(json.stdout)).databases;
    const blocked =
      report?.problem !== undefined || report?.findings.some(({ blocks, healable }) => blocks && !healable);
    const { code } = json;
    if (plan !== undefined) expect(plan.code).toBe(code);
    return {
      command,
      code,
      text: plan === undefined ? stable(cluster, json.stderr) : `${plan.log}${plan.stderr}`,
      blocked,
    };
  })
  .extend('expectReady', { scope: 'file' }, ({ run }) => async (): Promise<void> => {
    const { code, text } = await run('verify');
    expect({ code, text }).toEqual({ code: 0, text: expect.any(String) });
  })
  .extend('expectApplied', { scope: 'file' }, ({ run }) => async (): Promise<void> => {
    const { code, text } = await run('apply');
    expect({ code, text }).toEqual({ code: 0, text: expect.stringContaining(`Database '${DATABASE}' is ready!`) });
  })
  /**
   * With names that have no schema: where others may create objects, or did so, the search_path of the superuser is
   * pg_catalog after a run.
   */
  .extend(
    'queryByName',
    { scope: 'file' },
    ({ cluster }) =>
      async (group: number, text: string, database = DATABASE): ReturnType<typeof query> => {
        const client = await connect(cluster, group, database);
        try {
          await client.query('SET search_path = public');
          const result: unknown = await client.query(text);
          const last: unknown = Array.isArray(result) ? result.at(-1) : result;
          return last instanceof pg.Result ? last.rows : [];
        } finally {
          await client.end();
        }
      },
  )
  .extend('execute', { scope: 'file' }, ({ queryByName }) => async (statements: Damage['broken']): Promise<void> => {
    for (const [group, text, database] of statements) await queryByName(group, text, database);
  })
  /** As psql does: in one session, each statement in a message of its own. */
  .extend('follow', { scope: 'file' }, ({ cluster }) => async (statements: Damage['broken']): Promise<void> => {
    for (const [group, text, database = DATABASE] of statements) {
      const client = await connect(cluster, group, database);
      try {
        for (const statement of text.split(/(?<=;) (?=[A-Z])/)) await client.query(statement);
      } finally {
        await client.end();
      }
    }
  });

const REPORTS = { plan: planReport, apply: applyReport, verify: verifyReport } as const;

/** What the message says to do, word for word. */
function statementsOf(text: string): Damage['broken'] {
  const advised = [...text.matchAll(/\bon node(\d) in database '([^']+)': (.*)$/gm)];
  expect(advised).not.toEqual([]);
  return advised.map(
    ([, group, database, statements]) => [Number(group), String(statements), String(database)] as const,
  );
}

describe.skipIf(real === undefined)('on real Citus', () => {
  test.beforeAll(async ({ cluster, expectReady, expectApplied }) => {
    await expectApplied();
    await makeTables(cluster);
    // grants on what was made by hand
    await expectApplied();
    await expectReady();
  });

  test.for(DAMAGES)(
    '$name: $verdict',
    async ({ broken, verdict, says, after = [], mend = [] }, {
      cluster,
      run,
      expectReady,
      expectApplied,
      execute,
      queryByName,
      follow,
    }) => {
      const restore = mend === 'restore' ? await backUp(cluster, 2) : async () => undefined;
      await execute(broken);
      let last = '';
      // The two that change nothing may run side by side.
      const looking = await Promise.all([run('plan'), run('verify')]);
      for (const { command, code, text, blocked } of [...looking, await run('apply')]) {
        expect({ command, code, text }).toEqual({
          command,
          code: EXIT_CODES[verdict][command],
          text: expect.stringMatching(says),
        });
        last = text;
        expect({ command, blocked }).toEqual({ command, blocked: ![0, 10].includes(code ?? 1) });
        if (verdict === 'named') expect(text).not.toContain(`'${DATABASE}' is ready!`);
      }
      if (mend === 'restore') await restore();
      else if (mend !== 'follow') await execute(mend);
      else {
        await follow(statementsOf(last));
        expect((await run('plan')).text).not.toMatch(says);
      }
      if (verdict === 'named') await expectApplied();
      await expectReady();
      for (const [group, text, value, database] of after) {
        const [row] = await queryByName(group, text, database);
        expect({ group, text, value: Object.values(row ?? {})[0] }).toEqual({ group, text, value });
      }
    },
  );

  test('prepared transactions: one that is in the way is named in time, an old one at once', async ({
    cluster,
    run,
  }) => {
    const prepare = (gid: string, lock: string) =>
      query(cluster, 1, DATABASE, `BEGIN; ${lock}; PREPARE TRANSACTION '${gid}'`);
    await prepare('forgotten', 'LOCK TABLE pg_dist_node IN ACCESS EXCLUSIVE MODE');
    const outcomes = await Promise.all([run('plan'), run('verify'), run('apply')]);
    for (const { command, code, text } of outcomes) {
      expect({ command, code, text }).toEqual({
        command,
        code: 1,
        text: expect.stringMatching(
          /node1: Still at it after \d+ s: waits for AccessShareLock on relation \d+ .* that prepared transaction 'forgotten' \(postgres, database damaged, \d+ s old\) holds/,
        ),
      });
      // given up after the half minute that its declaration allows, and not much later
      expect(text).toMatch(
        /gave up after [34]\d s: it waits for .* or ROLLBACK PREPARED 'forgotten' in database damaged/,
      );
    }
    await query(cluster, 1, DATABASE, "ROLLBACK PREPARED 'forgotten'");

    // Its SELECT holds pg_dist_node as well, so that both cannot be there at the same time.
    await prepare('left', 'SELECT pg_advisory_xact_lock(42)');
    const waiting = await connect(cluster, 1, DATABASE);
    await waiting.query("SET application_name = 'patient'");
    const held = waiting.query('SELECT pg_advisory_lock(42)');
    // Awaited below; where the test fails before that, its own failure is the one to see.
    held.catch(() => undefined);
    try {
      await expect
        .poll(
          () => query(cluster, 1, DATABASE, "SELECT now() - prepared > interval '61 s' AS old FROM pg_prepared_xacts"),
          {
            timeout: 90_000,
            interval: 1000,
          },
        )
        .toEqual([{ old: true }]);
      let last = '';
      for (const command of ['plan', 'verify', 'apply'] as const) {
        const { code, text } = await run(command);
        expect({ command, code, text }).toEqual({
          command,
          code: 0,
          text: expect.stringMatching(
            /WARNING: node1: prepared transaction left of postgres is \d+ s old; .*, and process \S+ \(postgres, patient\) waits for it/,
          ),
        });
        last = text;
      }
      const [[, statements = ''] = []] = statementsOf(last);
      expect(statements).toMatch(/^COMMIT PREPARED 'left' or ROLLBACK PREPARED 'left'/);
      await query(cluster, 1, DATABASE, "ROLLBACK PREPARED 'left'");
      await held;
      expect((await run('plan')).text).not.toContain('prepared transaction');
    } finally {
      await waiting.end();
    }
  }, 300_000);

  test("no background worker is left for Citus' daemon", async ({ cluster, run, expectReady }) => {
    const node = nodeOf(cluster, 2);
    await query(cluster, 2, 'postgres', 'ALTER SYSTEM SET max_worker_processes = 1');
    await node.restart();
    for (const command of ['plan', 'verify', 'apply'] as const) {
      const { code, text } = await run(command);
      expect({ command, code, text }).toEqual({
        command,
        code: 1,
        text: expect.stringMatching(
          /max_worker_processes is 1 and all are in use.*[\s\S]*Next: Raise max_worker_processes/,
        ),
      });
    }
    await query(cluster, 2, 'postgres', 'ALTER SYSTEM RESET max_worker_processes');
    await node.restart();
    await expectReady();
    const daemon =
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type ~ 'Citus Maintenance' AND datname = 'damaged'";
    expect(await query(cluster, 2, 'postgres', daemon)).toEqual([{ n: 1 }]);
  });

  test('a worker set back to an earlier moment by a backup, with the same tables', async ({
    cluster,
    run,
    expectReady,
    expectApplied,
    follow,
  }) => {
    const restore = await backUp(cluster, 2);
    // By its schema: where others may create objects, the superuser's search_path is pg_catalog.
    await query(cluster, 0, DATABASE, "INSERT INTO public.events SELECT i, 'late' FROM generate_series(1001, 1100) i");
    await query(cluster, 2, 'postgres', 'SELECT pg_switch_wal()');
    await query(cluster, 2, 'postgres', 'CHECKPOINT');
    // as if the hour had passed in which a run does not record it again
    const older = "UPDATE citus_databases.node_position SET recorded_at = recorded_at - interval '2 hours'";
    await query(cluster, 0, 'postgres', older);
    await expectApplied();
    await restore();
    for (const command of ['plan', 'verify', 'apply'] as const) {
      const { code, text } = await run(command);
      expect({ command, code, text }).toEqual({
        command,
        code: 3,
        text: expect.stringMatching(/node2: the server was set back to an earlier moment: its write-ahead log ends at/),
      });
      if (command === 'apply') await follow(statementsOf(text));
    }
    await expectApplied();
    await expectReady();
  });
});
