import { rename } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect } from 'vitest';
import { benchSpec, buildProgram, type Program, type Timed } from '../../bench/program.ts';
import { type CountingProxy, startProxy } from '../../bench/proxy.ts';
import { countOf } from '../../bench/report.ts';
import { firstValue, list } from '../support/catalog.ts';
import { nodeOf, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, specOf } from '../support/program.ts';

/**
 * A script that a run of the same build has read, and whose statements the ledger has as executed, is not read again.
 * Whether it is shows in a program whose parser is gone.
 */

const TABLE = 'CREATE TABLE public.t (id int);';
const SCRIPT = [TABLE, 'INSERT INTO public.t VALUES (2);', 'INSERT INTO public.t VALUES (3);'];
const BROKEN = 'CREATE TABEL public.b (x int);';

const test = clusterTest({ workers: 1 })
  .extend(
    'run',
    { scope: 'file' },
    ({ cluster }) =>
      async (command: string, name: string, lines: readonly string[], more: Document = {}): Promise<Timed> => {
        return await program.run([command], specOf(cluster, [{ name, initSQL: lines.join('\n'), ...more }]));
      },
  )
  .extend(
    'runWithoutParser',
    { scope: 'file' },
    ({ run }) =>
      async (...args: Parameters<typeof run>): Promise<Timed> => {
        const parser = path.join(path.dirname(program.bundle), 'libpg-query.wasm');
        await rename(parser, `${parser}.away`);
        try {
          return await run(...args);
        } finally {
          await rename(`${parser}.away`, parser);
        }
      },
  )
  .extend('ids', { scope: 'file' }, ({ cluster }) => async (database: string): Promise<unknown> => {
    return await firstValue(cluster, 0, database, 'SELECT array_agg(id ORDER BY id) FROM public.t');
  })
  .extend('known', { scope: 'file' }, ({ cluster }) => async (): Promise<readonly string[]> => {
    return await list(cluster, 0, 'postgres', 'SELECT name FROM citus_databases.read_script ORDER BY name');
  });
let program: Program;
let proxy: CountingProxy;

test.beforeAll(async ({ cluster }) => {
  program = await buildProgram(fileURLToPath(new URL('../..', import.meta.url)));
  proxy = await startProxy(cluster.nodes);
});

afterAll(async () => {
  await proxy?.close();
  await program?.remove();
});

const UNCHANGED = { code: 0, output: expect.stringContaining('Nothing was changed') };
const NEEDS_PARSER = { code: 1, output: expect.stringContaining('libpg-query.wasm') };

describe('a script that was executed', () => {
  test.beforeAll(async ({ run }) => {
    expect(await run('apply', 'executed', SCRIPT)).toMatchObject({ code: 0 });
  });

  test('is read by no command', async ({ runWithoutParser, known }) => {
    expect(await known()).toContain('executed');
    expect(await runWithoutParser('apply', 'executed', SCRIPT)).toMatchObject(UNCHANGED);
    expect(await runWithoutParser('plan', 'executed', SCRIPT)).toMatchObject({ code: 0 });
    expect(await runWithoutParser('verify', 'executed', SCRIPT)).toMatchObject({ code: 0 });
    for (const initSQLPolicy of ['adopt', 'baseline']) {
      expect(await runWithoutParser('apply', 'executed', SCRIPT, { initSQLPolicy })).toMatchObject(UNCHANGED);
    }
  });

  test('costs the coordinator one more message, and no worker any', async ({ cluster }) => {
    const spec = benchSpec(cluster, 'executed', proxy.nodes) as Document;
    proxy.take();
    expect(
      await program.run(['apply'], { ...spec, databases: [{ name: 'executed', initSQL: SCRIPT.join('\n') }] }),
    ).toMatchObject(UNCHANGED);
    const counts = proxy.take();
    expect(countOf(counts, 0).messages).toBe(5);
    expect(countOf(counts, 1).messages).toBeLessThanOrEqual(4);
  });

  test('is read with initSQLPolicy always, and where anything in it is another', async ({ runWithoutParser }) => {
    expect(await runWithoutParser('apply', 'executed', SCRIPT, { initSQLPolicy: 'always' })).toMatchObject(
      NEEDS_PARSER,
    );
    expect(await runWithoutParser('apply', 'executed', [...SCRIPT, ''])).toMatchObject(NEEDS_PARSER);
    expect(await runWithoutParser('plan', 'executed', [...SCRIPT, 'SELECT 5;'])).toMatchObject(NEEDS_PARSER);
  });

  test('is read once more where no run came to note it', async ({ cluster, run, runWithoutParser, known }) => {
    await query(cluster, 0, 'postgres', "DELETE FROM citus_databases.read_script WHERE name = 'executed'");
    expect(await run('plan', 'executed', SCRIPT)).toMatchObject({ code: 0 });
    expect(await known()).not.toContain('executed');
    expect(await run('apply', 'executed', SCRIPT)).toMatchObject(UNCHANGED);
    expect(await runWithoutParser('apply', 'executed', SCRIPT)).toMatchObject(UNCHANGED);
  });
});

test('an appended statement runs, and nothing else does', async ({ run, runWithoutParser, ids }) => {
  expect(await run('apply', 'appended', SCRIPT)).toMatchObject({ code: 0 });
  const more = [...SCRIPT, 'INSERT INTO public.t VALUES (4);'];
  const { code, output } = await run('apply', 'appended', more);
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('Line 4: INSERT INTO') });
  expect(output).not.toContain('Line 3:');
  expect(await ids('appended')).toEqual([2, 3, 4]);
  expect(await runWithoutParser('apply', 'appended', more)).toMatchObject(UNCHANGED);
  // Executed statements may leave the script: then the ledger is no longer the one that it leads to.
  expect(await run('apply', 'appended', SCRIPT)).toMatchObject(UNCHANGED);
  expect(await run('apply', 'appended', SCRIPT)).toMatchObject(UNCHANGED);
});

describe('the ledger has the last word', () => {
  test('a statement that it no longer has runs again', async ({ cluster, run, ids }) => {
    expect(await run('apply', 'forgotten', SCRIPT)).toMatchObject({ code: 0 });
    await query(cluster, 0, 'forgotten', 'DELETE FROM citus_databases.init_sql WHERE line = 3');
    expect(await run('plan', 'forgotten', SCRIPT)).toMatchObject({
      code: 10,
      output: expect.stringContaining('line 3'),
    });
    expect(await run('apply', 'forgotten', SCRIPT)).toMatchObject({ code: 0 });
    expect(await ids('forgotten')).toEqual([2, 3, 3]);
    expect(await run('apply', 'forgotten', SCRIPT)).toMatchObject(UNCHANGED);
  });

  test('a statement whose outcome is unknown is not taken for executed', async ({ cluster, run }) => {
    expect(await run('apply', 'unknown', SCRIPT)).toMatchObject({ code: 0 });
    await query(cluster, 0, 'unknown', "UPDATE citus_databases.init_sql SET state = 'running' WHERE line = 3");
    expect(await run('apply', 'unknown', SCRIPT)).toMatchObject({
      code: 3,
      output: expect.stringContaining('It is unknown whether line 3 of initSQL took effect'),
    });
  });

  test('a database that was dropped and created again gets everything again', async ({ cluster, run, ids, known }) => {
    const note = "FROM citus_databases.read_script WHERE name = 'again'";
    expect(await run('apply', 'again', SCRIPT)).toMatchObject({ code: 0 });
    const [{ script, ledger } = {}] = await query(cluster, 0, 'postgres', `SELECT script, ledger ${note}`);
    const dropped = await program.run(['drop', 'again', '--confirm', 'again'], specOf(cluster, [{ name: 'again' }]));
    expect(dropped).toMatchObject({ code: 0 });
    expect(await known()).not.toContain('again');
    // As after a drop by hand.
    const left = "INSERT INTO citus_databases.read_script (name, script, ledger) VALUES ('again', $1, $2)";
    await query(cluster, 0, 'postgres', left, [script, ledger]);
    expect(await run('apply', 'again', SCRIPT)).toMatchObject({ code: 0 });
    expect(await ids('again')).toEqual([2, 3]);
  });

  test('a wrong note makes no statement executed', async ({ cluster, run, ids }) => {
    expect(await run('apply', 'misled', SCRIPT)).toMatchObject({ code: 0 });
    await query(cluster, 0, 'postgres', "UPDATE citus_databases.read_script SET ledger = 'x' WHERE name = 'misled'");
    expect(await run('apply', 'misled', SCRIPT)).toMatchObject(UNCHANGED);
    expect(await ids('misled')).toEqual([2, 3]);
  });
});

test('notes that somebody else could have written are not believed', async ({ cluster, run, runWithoutParser }) => {
  expect(await run('apply', 'doubted', SCRIPT)).toMatchObject({ code: 0 });
  expect(await runWithoutParser('apply', 'doubted', SCRIPT)).toMatchObject(UNCHANGED);
  await query(cluster, 0, 'postgres', 'CREATE ROLE mallory');
  for (const [theirs, ours] of [
    [
      'GRANT UPDATE (ledger) ON citus_databases.read_script TO mallory',
      'REVOKE ALL ON citus_databases.read_script FROM mallory',
    ],
    [
      'ALTER TABLE citus_databases.read_script OWNER TO mallory',
      'ALTER TABLE citus_databases.read_script OWNER TO CURRENT_USER',
    ],
    ['ALTER TABLE citus_databases.read_script ADD more text', 'ALTER TABLE citus_databases.read_script DROP more'],
  ] as const) {
    await query(cluster, 0, 'postgres', theirs);
    expect(await runWithoutParser('apply', 'doubted', SCRIPT)).toMatchObject(NEEDS_PARSER);
    await query(cluster, 0, 'postgres', ours);
    expect(await runWithoutParser('apply', 'doubted', SCRIPT)).toMatchObject(UNCHANGED);
  }
});

test('of a script with a password nothing is noted', async ({ run, known }) => {
  const script = [...SCRIPT, "CREATE ROLE with_password PASSWORD 'canary-of-note';"];
  expect(await run('apply', 'secretive', script)).toMatchObject({ code: 0 });
  expect(await run('apply', 'secretive', script)).toMatchObject(UNCHANGED);
  expect(await known()).not.toContain('secretive');
});

describe('a script that does not parse', () => {
  test('stops a run before anything is done in any database', async ({ cluster, run, ids }) => {
    expect(await run('apply', 'first', SCRIPT)).toMatchObject({ code: 0 });
    const databases = [
      { name: 'first', initSQL: [...SCRIPT, 'INSERT INTO public.t VALUES (4);'].join('\n') },
      { name: 'second', initSQL: `${TABLE}\n${BROKEN}` },
    ];
    for (const command of ['apply', 'plan', 'verify']) {
      const { code, output } = await program.run([command], specOf(cluster, databases));
      expect({ command, code, output }).toEqual({
        command,
        code: 2,
        output: expect.stringContaining('line 2, column 8'),
      });
    }
    expect(await ids('first')).toEqual([2, 3]);
    expect(await list(cluster, 0, 'postgres', "SELECT 1 FROM pg_database WHERE datname = 'second'")).toEqual([]);
  });

  test('where no server would take it, is not kept for the time when the nodes are ready', async ({ cluster, run }) => {
    const patience = { maxAttempts: 20, retryDelaySeconds: 4 };
    await nodeOf(cluster, 1).stop();
    try {
      const { code, output } = await run('apply', 'never', [TABLE, 'COMMIT;'], patience);
      expect({ code, output }).toEqual({ code: 2, output: expect.stringContaining('COMMIT without BEGIN') });
      expect(output).not.toContain('(attempt 2/');
    } finally {
      await nodeOf(cluster, 1).start();
    }
  });
});
