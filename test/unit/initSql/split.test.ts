import { describe, expect, test } from 'vitest';
import { finishScript, readScript, splitScript } from '../../../src/initSql/splitScript.ts';
import type { Unit } from '../../../src/initSql/types.ts';
import { KeyRing } from '../../../src/initSql/units.ts';

async function units(sql: string): Promise<readonly Unit[]> {
  return (await splitScript(sql)).units;
}

/** `line:column kind sql`, with a block's statements in brackets. */
async function outline(sql: string): Promise<string[]> {
  return (await units(sql)).map((unit) => {
    const text =
      unit.kind === 'block'
        ? `${unit.begin.sql} [${unit.statements.map((part) => `${part.line}:${part.column} ${part.sql}`).join(' | ')}]`
        : unit.sql;
    const kind = unit.kind === 'statement' && unit.expectation === 'alone' ? 'alone' : unit.kind;
    return `${unit.line}:${unit.column} ${kind} ${text}`;
  });
}

async function failure(sql: string): Promise<string> {
  return splitScript(sql).then(
    () => 'no failure',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

/** The messages alone, without excerpts: `line, column: message`. */
async function problems(sql: string): Promise<string[]> {
  const lines = (await failure(sql)).split('\n');
  return lines.flatMap(
    (line) => /^ {2,4}(?:Cause: )?line (\d+), column (\d+): (.*)$/.exec(line)?.slice(1).join(' ') ?? [],
  );
}

describe('splitScript', () => {
  test.each<[string, string, string[]]>([
    ['nothing', '', []],
    ['blanks', ' \n\t\r\n', []],
    ['comments only', '-- a\n/* b /* c */ ; */', []],
    ['empty statements', ';; ; select 1 ;;', ['1:6 statement select 1']],
    ['no last semicolon', 'select 1;\nselect 2', ['1:1 statement select 1', '2:1 statement select 2']],
    ['CRLF', 'select 1;\r\nselect\r\n2;\r\n', ['1:1 statement select 1', '2:1 statement select\r\n2']],
    ['a byte order mark', '\ufeffselect 1', ['1:1 statement select 1']],
    ['tabs', '\tselect\t1;', ['1:2 statement select\t1']],
    [
      'characters beyond ASCII before and within',
      "/* é😀 */ select 'é😀'; select '😀';\n  select 3 -- é",
      ["1:10 statement select 'é😀'", "1:23 statement select '😀'", '2:3 statement select 3'],
    ],
    ['leading comments', '-- a; b\n\n/* c */ select /* d; */ 1 /* e */;', ['3:9 statement select /* d; */ 1']],
    [
      'semicolons in every kind of quote',
      `select 'a;''b', E'a\\';b', $$;$$, $é$;$$;$é$, U&"d\\0061;", 'x'\n';y';select ";"`,
      [
        `1:1 statement select 'a;''b', E'a\\';b', $$;$$, $é$;$$;$é$, U&"d\\0061;", 'x'\n';y'`,
        '2:6 statement select ";"',
      ],
    ],
    [
      'BEGIN ATOMIC',
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;\nSELECT 1',
      [
        '1:1 statement CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END',
        '2:1 statement SELECT 1',
      ],
    ],
    [
      'a rule with two actions',
      'CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);SELECT 3',
      ['1:1 statement CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)', '1:57 statement SELECT 3'],
    ],
    [
      'own blocks',
      'BEGIN ISOLATION LEVEL SERIALIZABLE;\n SELECT 1;\n SAVEPOINT s; ROLLBACK TO s;\nEND; SELECT 2; BEGIN; COMMIT;',
      [
        '1:1 block BEGIN ISOLATION LEVEL SERIALIZABLE [2:2 SELECT 1 | 3:2 SAVEPOINT s | 3:15 ROLLBACK TO s]',
        '4:6 statement SELECT 2',
      ],
    ],
    [
      'what only changes the session',
      `SET a.b = 1; RESET ALL; SET ROLE x; SELECT pg_catalog.set_config('search_path', '', false); PREPARE p AS SELECT 1;
LISTEN c; LOAD 'x'; DISCARD PLANS; SELECT set_config('a', 'b', false), 1; SET search_path = public`,
      [
        '1:1 session SET a.b = 1',
        '1:14 session RESET ALL',
        '1:25 session SET ROLE x',
        "1:37 session SELECT pg_catalog.set_config('search_path', '', false)",
        '1:93 session PREPARE p AS SELECT 1',
        '2:1 session LISTEN c',
        "2:11 session LOAD 'x'",
        '2:21 session DISCARD PLANS',
        "2:36 statement SELECT set_config('a', 'b', false), 1",
        '2:75 session SET search_path = public',
      ],
    ],
    [
      'what cannot run in a transaction',
      `CREATE INDEX CONCURRENTLY ON t (a); CREATE INDEX ON t (a); VACUUM; ANALYZE; REINDEX TABLE t;
REINDEX (CONCURRENTLY) TABLE t; REINDEX SCHEMA s; CLUSTER; CLUSTER t; ALTER SYSTEM SET a = 1; DROP DATABASE d;
ALTER TABLE p DETACH PARTITION c CONCURRENTLY; SELECT create_distributed_table_concurrently('t', 'a')`,
      [
        '1:1 alone CREATE INDEX CONCURRENTLY ON t (a)',
        '1:37 statement CREATE INDEX ON t (a)',
        '1:60 alone VACUUM',
        '1:68 statement ANALYZE',
        '1:77 statement REINDEX TABLE t',
        '2:1 alone REINDEX (CONCURRENTLY) TABLE t',
        '2:33 alone REINDEX SCHEMA s',
        '2:51 alone CLUSTER',
        '2:60 statement CLUSTER t',
        '2:71 alone ALTER SYSTEM SET a = 1',
        '2:95 alone DROP DATABASE d',
        '3:1 alone ALTER TABLE p DETACH PARTITION c CONCURRENTLY',
        "3:48 alone SELECT create_distributed_table_concurrently('t', 'a')",
      ],
    ],
  ])('reads %s', async (_name, sql, expected) => {
    expect(await outline(sql)).toEqual(expected);
  });

  test.each<[string, string[]]>([
    ['BEGIN; SELECT 1; ROLLBACK; SELECT 2', ['1 18 ROLLBACK undoes what stands before it: leave both out']],
    [
      'BEGIN; SELECT 1;\nBEGIN; COMMIT',
      ['2 1 BEGIN within the BEGIN of line 1: transactions do not nest, use SAVEPOINT'],
    ],
    ['SELECT 1; COMMIT', ['1 11 COMMIT without BEGIN']],
    ['SELECT 1;\n BEGIN; SELECT 2', ['2 2 BEGIN without COMMIT']],
    [
      "BEGIN; SELECT 1; PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x'",
      [
        '1 18 two-phase commit (PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED) is not supported',
        '1 43 two-phase commit (PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED) is not supported',
      ],
    ],
    ['BEGIN; COMMIT AND CHAIN; COMMIT', ['1 8 AND CHAIN is not supported: write COMMIT and BEGIN']],
    [
      'START TRANSACTION READ ONLY; COMMIT',
      ['1 1 a read-only transaction changes nothing', '1 30 COMMIT without BEGIN'],
    ],
    ['BEGIN; VACUUM; COMMIT', ['1 8 this statement cannot run within a transaction: move it out of BEGIN … COMMIT']],
    ['SAVEPOINT s', ['1 1 savepoints are possible only between BEGIN and COMMIT']],
    ['COPY t FROM STDIN', ['1 1 COPY … FROM STDIN and its data are not supported: write INSERT … VALUES']],
    ['COPY t TO STDOUT', ['1 1 COPY … TO STDOUT has nobody to read it']],
    ['SET LOCAL a.b = 1', ['1 1 SET LOCAL has no effect outside BEGIN … COMMIT: write SET, or put both into a block']],
    ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', ['1 1 SET TRANSACTION has no effect outside BEGIN … COMMIT']],
    [
      'SET standard_conforming_strings = off',
      ["1 1 standard_conforming_strings must stay on: write E'…' where backslashes escape"],
    ],
    ["SET NAMES 'latin1'", ['1 1 client_encoding must stay UTF8, the encoding of this script']],
    ['SET default_transaction_read_only = on', ['1 1 in a read-only session the ledger could not be written']],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', ['1 1 a cursor WITH HOLD would be missing when a later run resumes']],
    [
      'SELECT 1\0; SELECT \ud800',
      ['1 9 NUL characters are not possible in SQL', '1 19 half of a surrogate pair is no character'],
    ],
  ])('refuses %s', async (sql, expected) => {
    expect(await problems(sql)).toEqual(expected);
  });

  const authorization =
    'SET SESSION AUTHORIZATION would last beyond the statement, and the ledger could no longer be written: use SET ROLE, or SET LOCAL SESSION AUTHORIZATION between BEGIN and COMMIT';
  test.each([
    'SET SESSION AUTHORIZATION x',
    "SELECT set_config('session_authorization', 'x', false)",
    'BEGIN; SET SESSION AUTHORIZATION x; COMMIT',
  ])('refuses %s', async (sql) => {
    expect((await problems(sql)).map((problem) => problem.replace(/^1 \d+ /, ''))).toEqual([authorization]);
  });

  test('allows session authorization for a transaction', async () => {
    expect(await outline('BEGIN; SET LOCAL SESSION AUTHORIZATION x; SELECT 1; COMMIT')).toEqual([
      '1:1 block BEGIN [1:8 SET LOCAL SESSION AUTHORIZATION x | 1:43 SELECT 1]',
    ]);
  });

  const temporary =
    'a temporary object would be missing when a later run resumes: put it between BEGIN and COMMIT with the statements that use it, or make an ordinary table and drop it at the end';
  test.each([
    'CREATE TEMP TABLE x (a int)',
    'CREATE TEMPORARY TABLE x AS SELECT 1',
    'CREATE TEMP VIEW x AS SELECT 1',
    'CREATE TEMP SEQUENCE x',
    'SELECT 1 INTO TEMP x',
    'CREATE TABLE pg_temp.x (a int)',
    "CREATE FUNCTION pg_temp.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  ])('refuses %s outside a block only', async (sql) => {
    expect(await problems(sql)).toEqual([`1 1 ${temporary}`]);
    expect(await outline(`BEGIN; ${sql}; COMMIT`)).toEqual([`1:1 block BEGIN [1:8 ${sql}]`]);
  });

  test('names all problems at once, with their places', async () => {
    const sql = `SELECT 'é' AS ok;
CREATE TABLE (
  a int);
\\connect other
SELECT 'CREATE DATABASE x' \\gexec
COPY t (a) FROM stdin;
1\tit's; a "line"
\\.
SELECT :name, :'name';
CREATE TEMP TABLE t (a int);
	SELECT '😀' FRM t;
COMMIT`;
    expect(await failure(sql)).toBe(`initSQL has 8 problems
  Cause: line 2, column 14: syntax error at or near "("
      CREATE TABLE (
                   ^
    line 4, column 1: \\connect is a command of psql, not SQL: initSQL goes to PostgreSQL as it is
      \\connect ***
      ^
    line 5, column 28: \\gexec is a command of psql, not SQL: initSQL goes to PostgreSQL as it is
      SELECT 'CREATE DATABASE x' \\gexec
                                 ^
    line 6, column 1: COPY … FROM STDIN and its data are not supported: write INSERT … VALUES
      COPY t (a) FROM stdin;
      ^
    line 9, column 8: syntax error at or near ":" (initSQL goes to PostgreSQL as it is: variables of psql such as :name are not replaced)
      SELECT :name, :'name';
             ^
    line 10, column 1: ${temporary}
      CREATE TEMP TABLE t (a int);
      ^
    line 11, column 17: syntax error at or near "t"
       SELECT '😀' FRM t;
                      ^
    line 12, column 1: COMMIT without BEGIN
      COMMIT
      ^
  Next: Correct initSQL and run again. None of its statements has been executed in this run.`);
  });

  test.each([
    [
      "SELECT 1;\nCREATE ROLE a PASSWORD 'canary;\nSELECT 2;",
      'unterminated quoted string',
      "CREATE ROLE a PASSWORD '***'",
    ],
    ['CREATE ROLE a PASSWORD canary;', 'syntax error at or near a password', "CREATE ROLE a PASSWORD '***'"],
    ["CREATE ROLE a PASSWORD\n'canary' FOO 1;", 'unrecognized role option "foo"', "'***' FOO 1;"],
    ['\\password canary\nSELECT 1', '\\password is a command of psql', '\\password ***'],
  ])('shows no password in the errors of %s', async (sql, message, excerpt) => {
    const text = await failure(sql);
    expect(text).toContain(message);
    expect(text).toContain(excerpt);
    expect(text).not.toContain('canary');
  });

  test('a forgotten parenthesis does not hide the rest', async () => {
    expect(await problems('CREATE TABLE t (a int;\nSELECT 1;\nSELEC 2;')).toEqual([
      '1 22 syntax error at or near ";"',
      '3 1 syntax error at or near "SELEC"',
    ]);
  });

  test('an expression too deep for the parser is a problem, not a crash', async () => {
    expect(await problems(`SELECT 1;\nSELECT 1${'+1'.repeat(60_000)}`)).toEqual([
      '2 1 the statement is nested too deeply to be read',
    ]);
    expect(await outline('SELECT 1')).toEqual(['1:1 statement SELECT 1']);
  });

  test('a long script shows its first problems', async () => {
    const text = await failure('SELEC 1;\n'.repeat(50));
    expect(text).toContain('initSQL has 50 problems');
    expect(text).toContain('\n    … and 30 more\n');
  });
});

describe('keys', () => {
  async function keys(sql: string): Promise<string[]> {
    return (await units(sql)).flatMap((unit) => (unit.kind === 'session' ? [] : [`${unit.hash} ${unit.occurrence}`]));
  }

  test('count the occurrences of the same statement', async () => {
    const found = await keys('SELECT f(); SELECT 1; SELECT  f() /* again */; BEGIN; SELECT f(); COMMIT');
    expect(found.map((key) => key.replace(/^\w+ /, ''))).toEqual(['1', '1', '2', '1']);
    expect(new Set(found.map((key) => key.split(' ')[0])).size).toBe(3);
  });

  test.each([
    ['SELECT 1,2', 'SELECT 1 , /* x */ 2 -- y\n;'],
    ['SELECT a=-1', 'SELECT a = -1'],
    ["SELECT 'a\nb'", "SELECT 'a\r\nb'"],
    ["CREATE ROLE a PASSWORD 'old'", "CREATE ROLE a PASSWORD 'new'"],
    ["CREATE ROLE a PASSWORD 'old'", "CREATE ROLE a PASSWORD 'SCRAM-SHA-256$4096:x==$y=:z='"],
    [
      "CREATE SUBSCRIPTION s CONNECTION 'host=h password=old' PUBLICATION p",
      "CREATE SUBSCRIPTION s CONNECTION 'host=h password=''n e w''' PUBLICATION p",
    ],
    ['BEGIN; SELECT 1; COMMIT', 'BEGIN;\n\n  SELECT 1;\nCOMMIT;'],
  ])('are the same for %j and %j', async (one, other) => {
    expect(await keys(one)).toEqual(await keys(other));
  });

  test.each([
    ["SELECT 'a'", "SELECT 'a '"],
    ['SELECT $$a b$$', 'SELECT $$a  b$$'],
    ['SELECT ab', 'SELECT a b'],
    ["CREATE ROLE a PASSWORD 'x'", "CREATE ROLE b PASSWORD 'x'"],
    ['BEGIN; SELECT 1; COMMIT', 'BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT'],
    ['SELECT 5 @- 3', 'SELECT 5 @ - 3'],
  ])('differ for %j and %j', async (one, other) => {
    expect(await keys(one)).not.toEqual(await keys(other));
  });
});

test('the scripts of seed 000 are read', async () => {
  const script = `-- Create schemas
CREATE SCHEMA IF NOT EXISTS analytics;

-- Create roles
CREATE ROLE app_user WITH LOGIN PASSWORD 'changeme';
GRANT CONNECT ON DATABASE mydb TO app_user;

-- Create distributed table
CREATE TABLE events (
  event_id BIGSERIAL,
  user_id BIGINT NOT NULL,
  event_data JSONB,
  created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
  PRIMARY KEY (event_id, user_id)
);
SELECT create_distributed_table('events', 'user_id');
CREATE TABLE countries (country_code CHAR(2) PRIMARY KEY, country_name TEXT NOT NULL);
SELECT create_reference_table('countries');
SELECT create_distributed_table('posts', 'user_id', colocate_with => 'users');
`;
  expect((await units(script)).map((unit) => `${unit.line} ${unit.display}`)).toEqual([
    '2 CREATE SCHEMA IF NOT EXISTS analytics',
    "5 CREATE ROLE app_user WITH LOGIN PASSWORD '***'",
    '6 GRANT CONNECT ON DATABASE mydb TO app_user',
    '9 CREATE TABLE events ( event_id BIGSERIAL, user_id BIGINT NOT NULL, event_data JSONB, created_at TIM…',
    "16 SELECT create_distributed_table('events', 'user_id')",
    '17 CREATE TABLE countries (country_code CHAR(2) PRIMARY KEY, country_name TEXT NOT NULL)',
    "18 SELECT create_reference_table('countries')",
    "19 SELECT create_distributed_table('posts', 'user_id', colocate_with => 'users')",
  ]);
});

test("the seed's abridged example is refused at its dots", async () => {
  expect(await failure('CREATE TABLE posts (post_id BIGINT, user_id BIGINT, ...);')).toBe(`initSQL has 1 problem
  Cause: line 1, column 53: syntax error at or near ".."
      CREATE TABLE posts (post_id BIGINT, user_id BIGINT, ...);
                                                          ^
  Next: Correct initSQL and run again. None of its statements has been executed in this run.`);
});

test('keys go on from script to script, also behind one that the server has to judge', async () => {
  const [plain, newer] = ['SELECT 1; SELECT 1', 'SELECT 1; CREATE TABLE t (a int) OF TOMORROW; SELECT 1'];
  const keys = new KeyRing();
  const drafts = [
    await readScript(plain, undefined, undefined, keys),
    await readScript(newer, undefined, undefined, keys),
    await readScript(plain, undefined, undefined, 'unknown'),
  ];
  expect(drafts.map(({ kind }) => kind)).toEqual(['read', 'unfinished', 'unfinished']);
  const again = new KeyRing();
  const units = drafts.flatMap((draft) => finishScript(draft, [{ kind: 'taken' }], undefined, again).units);
  expect(units.map((unit) => unit.kind !== 'session' && unit.occurrence)).toEqual([1, 2, 3, 1, 4, 5, 6]);
});
