import { chmod, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { catalogsOf, firstValue, list } from '../support/catalog.ts';
import { nodeOf } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, type Outcome, runProgram, specOf } from '../support/program.ts';

/** SQL out of files: one script with initSQL, one ledger, lines with the file's name. */

const test = clusterTest({ workers: 1 })
  .extend(
    'file',
    { scope: 'file' },
    ({ folder }) =>
      async (name: string, sql: string, mode = 0o600): Promise<string> => {
        const target = path.join(folder, name);
        await writeFile(target, sql);
        await chmod(target, mode);
        return target;
      },
  )
  .extend(
    'apply',
    { scope: 'file' },
    ({ cluster }) =>
      async (fields: Document, options: readonly string[] = []): Promise<Outcome> => {
        return await runProgram(cluster, ['apply', ...options], specOf(cluster, [{ name: 'files', ...fields }]));
      },
  );

describe.sequential('initSQLFrom', () => {
  test('its files run in order after initSQL, once, and say where a statement stands', async ({
    cluster,
    file,
    apply,
  }) => {
    const tables = await file(
      'tables.sql',
      'CREATE TABLE notes (id int, at text);\n\nINSERT INTO notes VALUES (1, a())',
    );
    const more = await file('more.sql', '-- The same statement again\nINSERT INTO notes VALUES (1, a());\n');
    const fields = {
      initSQL: "CREATE FUNCTION a() RETURNS text LANGUAGE sql AS 'SELECT current_database()::text';",
      initSQLFrom: [{ file: tables }, { file: more }],
    };
    const first = await apply(fields);
    expect(first.code, first.log).toBe(0);
    const executed = [...first.log.matchAll(/^ +Line (\d+.*?): /gm)].map(([, place]) => place);
    expect(executed).toEqual(['1', `1 (${tables})`, `3 (${tables})`, `2 (${more})`]);
    expect(await list(cluster, 0, 'files', 'SELECT at FROM notes')).toHaveLength(2);

    const before = await catalogsOf(cluster, 'files');
    const second = await apply(fields);
    expect({ code: second.code, log: second.log }).toEqual({
      code: 0,
      log: expect.stringContaining('Nothing was changed'),
    });
    expect(await catalogsOf(cluster, 'files')).toEqual(before);
  });

  test('statements move from initSQL to a file, and from file to file, without running again', async ({
    cluster,
    file,
    apply,
  }) => {
    const all = await file(
      'all.sql',
      "CREATE FUNCTION a() RETURNS text LANGUAGE sql AS 'SELECT current_database()::text';\nCREATE TABLE notes (id int, at text);\nINSERT INTO notes VALUES (1, a());",
    );
    const more = await file('more.sql', 'INSERT INTO notes VALUES (1, a());\nINSERT INTO notes VALUES (2, a());');
    const outcome = await apply({ initSQLFrom: [{ file: all }, { file: more }] });
    expect(outcome.code, outcome.log).toBe(0);
    expect([...outcome.log.matchAll(/^ +Line (\d+) \(/gm)].map(([, line]) => line)).toEqual(['2']);
    expect(await firstValue(cluster, 0, 'files', 'SELECT count(*)::int FROM notes')).toBe(3);
  });

  test('an edited statement of a file is refused, both places named', async ({ folder, file, apply }) => {
    const edited = await file('edited.sql', 'CREATE TABLE edited (id int);');
    const all = path.join(folder, 'all.sql');
    const { code, log } = await apply({ initSQLFrom: [{ file: edited }, { file: all }] });
    expect(code).toBe(3);
    expect(log).toContain(
      `ERROR: Line 1 (${edited}) of initSQL is new or was edited, but line 1 (${all}) has been executed already`,
    );
  });

  test('what fails names file and line; what cannot be read or parsed is found before anything is done', async ({
    folder,
    file,
    apply,
  }) => {
    const all = path.join(folder, 'all.sql');
    const more = path.join(folder, 'more.sql');
    const fails = await file('fails.sql', 'SELECT 1;\n\nSELECT nowhere;\n');
    const failed = await apply({ initSQLFrom: [{ file: all }, { file: more }, { file: fails }] });
    expect(failed.code).toBe(2);
    expect(failed.log).toContain(`initSQL failed at line 3 (${fails}): SELECT nowhere`);

    const open = await file('open.sql', "SELECT 'open;\n");
    const unread = await apply({ initSQLFrom: [{ file: all }, { file: open }] });
    expect({ code: unread.code, log: unread.log }).toEqual({
      code: 2,
      log: expect.stringContaining(`The file ${open} of initSQLFrom has 1 problem`),
    });
    const absent = await apply({ initSQLFrom: [{ file: path.join(folder, 'absent.sql') }] });
    expect({ code: absent.code, log: absent.log }).toEqual({
      code: 2,
      log: expect.stringMatching(/The file .*absent\.sql of initSQLFrom cannot be read.*\n.*ENOENT/),
    });
  });

  test('string constants of a secret file appear in no log, error, ledger or server log', async ({
    cluster,
    file,
    apply,
  }) => {
    const canary = 'canary-4711';
    const sql = `CREATE TABLE keys (name text, key text CHECK (key <> 'twice-${canary}'));
INSERT INTO keys VALUES ('one', '${canary}');
DO $$BEGIN PERFORM '${canary}'; END$$;
INSERT INTO keys VALUES ('two', 'twice-${canary}');`;
    const secret = await file('secret.sql', sql);
    const fields = { name: 'secrets', initSQLFrom: [{ file: secret, secret: true }] };
    const failed = await apply(fields, ['--log-level', 'debug']);
    expect(failed.code).toBe(2);
    expect(failed.log).toContain(`initSQL failed at line 4 (${secret}): INSERT INTO keys VALUES ('***', '***')`);
    expect(failed.log).toContain('SQLSTATE 23514');
    await file('secret.sql', `${sql.slice(0, sql.lastIndexOf('\n'))}\nSELECT '${canary}'::int;`);
    const cast = await apply(fields, ['--log-level', 'debug']);
    expect(cast.log).toContain('SQLSTATE 22P02');
    await file('secret.sql', sql.slice(0, sql.lastIndexOf('\n')));
    const done = await apply(fields);
    expect(done.code, done.log).toBe(0);
    expect(await firstValue(cluster, 0, 'secrets', 'SELECT key FROM keys')).toBe(canary);
    const ledger = await list(cluster, 0, 'secrets', 'SELECT statement FROM citus_databases.init_sql');
    expect(ledger).toHaveLength(3);
    const serverLog = await readFile(nodeOf(cluster, 0).logFile, 'utf8');
    for (const text of [failed.log, failed.stderr, cast.log, done.log, JSON.stringify(ledger), serverLog])
      expect(text).not.toContain(canary);
  });

  test('what a secret file raises is not shown, whatever its SQLSTATE, and not before another attempt either', async ({
    file,
    apply,
  }) => {
    const canary = 'canary-0815';
    const raise = (code: string) => `RAISE EXCEPTION 'not ${canary}' USING ERRCODE = '${code}'`;
    const raises = await file(
      'raises.sql',
      `CREATE SEQUENCE attempts;
DO $$BEGIN IF nextval('attempts') < 3 THEN ${raise('40001')}; END IF; END$$;
DO $$BEGIN ${raise('22023')}; END$$;`,
    );
    const { code, log, stderr } = await apply({ name: 'raises', initSQLFrom: [{ file: raises, secret: true }] });
    expect({ code, log }).toEqual({ code: 2, log: expect.stringContaining(`initSQL failed at line 3 (${raises})`) });
    expect(log.match(/SQLSTATE 40001; its words are not shown.*; rolled back, trying again/g)).toHaveLength(2);
    expect(log).toContain('SQLSTATE 22023; its words are not shown');
    expect(log + stderr).not.toContain(canary);
  });

  test('a DO block of a secret file that drops a declared extension is rolled back', async ({
    cluster,
    file,
    apply,
  }) => {
    const drops = await file(
      'drops.sql',
      'CREATE TABLE kept (id int);\nINSERT INTO kept VALUES (1);\nDO $$BEGIN DROP EXTENSION hstore; END$$;\nSELECT 1;',
    );
    const { code, log } = await apply({
      name: 'kept',
      extensions: ['hstore'],
      initSQLFrom: [{ file: drops, secret: true }],
    });
    expect({ code, log }).toEqual({ code: 3, log: expect.stringContaining('initSQL dropped the extension hstore') });
    expect(log).toContain(`initSQL failed at line 3 (${drops})`);
    expect(await list(cluster, 0, 'kept', "SELECT extname FROM pg_extension WHERE extname = 'hstore'")).toHaveLength(1);
  });

  test('plan lists what would run', async ({ cluster, folder, file }) => {
    const more = await file('plan.sql', 'SELECT 5;');
    const fields = {
      initSQLFrom: ['all.sql', 'more.sql', 'plan.sql'].map((name) => ({ file: path.join(folder, name) })),
    };
    const { code, stdout } = await runProgram(cluster, ['plan'], specOf(cluster, [{ name: 'files', ...fields }]));
    expect(code).toBe(10);
    expect(stdout).toContain(`execute line 1 (${more}): SELECT 5`);
  });
});
