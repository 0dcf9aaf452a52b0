import { expect, test } from 'vitest';
import { letsOthersIn, openingsOf } from '../../../src/initSql/opening.ts';
import { splitScript } from '../../../src/initSql/splitScript.ts';

async function openingsIn(script: string) {
  return openingsOf((await splitScript(script)).units);
}

test.each([
  'GRANT CREATE ON SCHEMA s TO her',
  'GRANT ALL ON SCHEMA s TO her',
  'GRANT CREATE ON DATABASE d TO her',
  'GRANT ALL PRIVILEGES ON t TO her',
  'GRANT SELECT, TRIGGER ON ALL TABLES IN SCHEMA s TO her',
  'GRANT REFERENCES (a) ON t TO her',
  'GRANT ALL (a) ON t TO her',
  'GRANT owner TO her',
  'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO her',
  'ALTER DEFAULT PRIVILEGES GRANT CREATE ON SCHEMAS TO her',
  'CREATE SCHEMA AUTHORIZATION her',
  'CREATE SCHEMA s CREATE TABLE t (a int) GRANT ALL ON t TO her',
  'ALTER TABLE t OWNER TO her',
  'ALTER FUNCTION f() OWNER TO her',
  'ALTER SCHEMA s OWNER TO her',
  'REASSIGN OWNED BY postgres TO her',
  'ALTER ROLE owner NOSUPERUSER',
  'CREATE EXTENSION hstore',
  'BEGIN; INSERT INTO t VALUES (1); ALTER VIEW v OWNER TO her; COMMIT',
])('it may give something away: %s', async (sql) => {
  expect(await openingsIn(sql)).toEqual(['objects']);
});

test.each([
  'ALTER DATABASE d OWNER TO her',
  'ALTER DATABASE d CONNECTION LIMIT 3',
  'DO $$ BEGIN END $$',
  'CALL p()',
  'BEGIN; GRANT ALL ON t TO her; DO $$ BEGIN END $$; COMMIT',
])('it may open the database: %s', async (sql) => {
  expect(await openingsIn(sql)).toEqual(['database']);
});

test.each([
  'GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON t TO her',
  'GRANT USAGE ON SCHEMA s TO her',
  'GRANT CONNECT, TEMPORARY ON DATABASE d TO her',
  'GRANT ALL ON SEQUENCE s TO her',
  'GRANT EXECUTE ON FUNCTION f() TO her',
  'REVOKE ALL ON SCHEMA s FROM her',
  'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO her',
  'CREATE SCHEMA s',
  'CREATE ROLE her LOGIN',
  'ALTER TABLE t ADD COLUMN b int',
  "INSERT INTO t VALUES ('GRANT ALL ON t TO her')",
  "SELECT create_distributed_table('t', 'a')",
])('nothing: %s', async (sql) => {
  expect(await openingsIn(sql)).toEqual([undefined]);
});

test('a script that takes another role is judged as a whole, before it begins', async () => {
  const rest = 'GRANT ALL ON t TO her; CREATE TABLE t (a int); RESET ROLE; DO $$ BEGIN END $$';
  const nothing = [undefined, undefined, undefined, undefined];
  expect(await openingsIn(rest)).toEqual(['objects', undefined, undefined, 'database']);
  expect(await openingsIn(`SET ROLE her; ${rest}`)).toEqual([undefined, ...nothing]);
  expect(await openingsIn(`SELECT set_config('role', 'her', false); ${rest}`)).toEqual([undefined, ...nothing]);
  expect(await openingsIn(`${rest}; BEGIN; SET LOCAL ROLE her; CREATE TABLE u (a int); COMMIT`)).toEqual([
    ...nothing,
    undefined,
  ]);
  const { units } = await splitScript(rest);
  expect(openingsOf(units, [{ sql: 'SET SESSION ROLE her', line: 1, column: 1 }])).toEqual(nothing);
});

test('only what is left to execute counts', async () => {
  const { units } = await splitScript('CREATE TABLE t (a int); GRANT ALL ON t TO her');
  expect(letsOthersIn({ kind: 'run', pending: units })).toBe(true);
  expect(letsOthersIn({ kind: 'runAlways', units })).toBe(true);
  expect(letsOthersIn({ kind: 'run', pending: units.slice(0, 1) })).toBe(false);
  expect(letsOthersIn({ kind: 'record', units })).toBe(false);
});
