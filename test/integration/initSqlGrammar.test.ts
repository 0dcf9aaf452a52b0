import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import { catalogsOf, firstValue } from '../support/catalog.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Outcome, runProgram, specOf } from '../support/program.ts';

/** What the server's grammar takes is run, whichever version the program's own parser is of. */

const test = clusterTest({ workers: 1 }).extend(
  'run',
  { scope: 'file' },
  ({ cluster }) =>
    async (command: string, name: string, initSQL: string): Promise<Outcome> => {
      return await runProgram(cluster, [command], specOf(cluster, [{ name, initSQL }]));
    },
);
let version: number;

test.beforeAll(async ({ cluster }) => {
  version = Number(await firstValue(cluster, 0, 'postgres', 'SHOW server_version_num'));
});

/** SYSTEM_USER is reserved from PostgreSQL 16 on, JSON_VALUE a keyword from 17 on. */
const OLDER = `CREATE TABLE accounts (id bigint PRIMARY KEY, system_user boolean);
CREATE FUNCTION json_value(doc jsonb, key text) RETURNS text LANGUAGE sql RETURN doc ->> key;
CREATE FUNCTION both_of(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC
  SELECT 1;
  SELECT CASE WHEN system_user THEN a ELSE 2 END FROM accounts;
END;
INSERT INTO accounts VALUES (1, true);`;

test('what only an older grammar takes', async ({ cluster, run }) => {
  const { code, log } = await run('apply', 'older', OLDER);
  if (version >= 160000) {
    expect({ code, log }).toEqual({ code: 2, log: expect.stringContaining('initSQL has ') });
    return;
  }
  expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining("Database 'older' is ready!") });
  expect(await firstValue(cluster, 0, 'older', `SELECT json_value('{"a": "b"}', 'a') || both_of(5)`)).toBe('b5');
  expect((await run('plan', 'older', OLDER)).code).toBe(0);
  const { log: again } = await run('apply', 'older', `${OLDER}\nUPDATE accounts SET system_user = false;`);
  expect(again).toContain('Line 8: UPDATE accounts SET system_user = false');
  expect(again).not.toContain('Line 1:');
});

describe('what no grammar takes', () => {
  const broken = `CREATE TABLE accounts (id bigint, system_user boolean);
CREATE TABEL b (x int);
SELECT 'é', 1 +;
CREATE TABLE fine (x int);`;

  test.for(['apply', 'plan'])(
    '%s names all of it before anything is done, and nothing else',
    async (command, { cluster, run }) => {
      const { code, log } = await run(command, 'never', broken);
      expect({ code, log }).toEqual({
        code: 2,
        log: expect.stringContaining('line 2, column 8: syntax error at or near "TABEL"'),
      });
      expect(log).toContain('line 3, column 16: syntax error at end of input');
      if (version < 160000) expect(log).not.toContain('system_user');
      expect(await catalogsOf(cluster, 'never')).toEqual([undefined, undefined]);
    },
  );

  test('a password in it does not reach the log of the server', async ({ cluster, run }) => {
    const { code, log } = await run('apply', 'never', "CREATE ROLE a LOGGIN PASSWORD 'canary-of-syntax';");
    expect({ code, log }).toEqual({ code: 2, log: expect.not.stringContaining('canary') });
    for (const node of cluster.nodes) expect(await readFile(node.logFile, 'utf8')).not.toContain('canary-of-syntax');
  });
});
