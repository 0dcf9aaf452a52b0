import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { type LocalCluster, query, startLocalCluster } from '../support/cluster.ts';
import { runProgram, specOf } from '../support/program.ts';
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
const spec = declaration();
let cluster: LocalCluster;

async function run(command: 'plan' | 'apply' | 'verify') {
  const { code, log, stderr } = await runProgram(cluster, [command], specOf(cluster, [spec]));
  return { command, code, text: `${log}${stderr}` };
}

async function expectReady(): Promise<void> {
  const { code, text } = await run('verify');
  expect({ code, text }).toEqual({ code: 0, text: expect.any(String) });
}

async function expectApplied(): Promise<void> {
  const { code, text } = await run('apply');
  expect({ code, text }).toEqual({ code: 0, text: expect.stringContaining(`Database '${DATABASE}' is ready!`) });
}

async function execute(statements: Damage['broken']): Promise<void> {
  for (const [group, text, database = DATABASE] of statements) await query(cluster, group, database, text);
}

/** What the message says to do, word for word. */
function statementsOf(text: string): Damage['broken'] {
  const advised = [...text.matchAll(/\bon node(\d) in database '[^']+': (.*)$/gm)];
  expect(advised).not.toEqual([]);
  return advised.map(([, group, statements]) => [Number(group), String(statements)] as const);
}

describe.skipIf(real === undefined)('on real Citus', () => {
  beforeAll(async () => {
    cluster = await startLocalCluster({ workers: 2, citus: 'real' });
    await expectApplied();
    await makeTables(cluster);
    // grants on what was made by hand
    await expectApplied();
    await expectReady();
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  test.each(DAMAGES)('$name: $verdict', async ({ broken, verdict, says, after = [], mend = [] }) => {
    const restore = mend === 'restore' ? await backUp(cluster, 2) : async () => undefined;
    await execute(broken);
    let last = '';
    // The two that change nothing may run side by side.
    const looking = await Promise.all([run('plan'), run('verify')]);
    for (const { command, code, text } of [...looking, await run('apply')]) {
      expect({ command, code, text }).toEqual({
        command,
        code: EXIT_CODES[verdict][command],
        text: expect.stringMatching(says),
      });
      last = text;
      if (verdict === 'named') expect(text).not.toContain(`'${DATABASE}' is ready!`);
    }
    if (mend === 'restore') await restore();
    else await execute(mend === 'follow' ? statementsOf(last) : mend);
    if (verdict === 'named') await expectApplied();
    await expectReady();
    for (const [group, text, value, database = DATABASE] of after) {
      const [row] = await query(cluster, group, database, text);
      expect({ group, text, value: Object.values(row ?? {})[0] }).toEqual({ group, text, value });
    }
  });
});
