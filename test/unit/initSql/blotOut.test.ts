import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blotOutPasswords, hideValues } from '../../../src/initSql/blotOut.ts';
import { hashOf } from '../../../src/initSql/units.ts';
import { quoteLiteral as quote, quoteConninfoValue } from '../../../src/postgres/quote.ts';

const VERIFIER = 'SCRAM-SHA-256$4096:c2FsdA==$a2V5:c2VydmVy';
const MD5 = 'md5d41d8cd98f00b204e9800998ecf8427e';

describe('blotOutPasswords', () => {
  test.each([
    [
      "CREATE ROLE a WITH LOGIN PASSWORD 'x' VALID UNTIL '2030-01-01'",
      "CREATE ROLE a WITH LOGIN PASSWORD '***' VALID UNTIL '2030-01-01'",
    ],
    ["ALTER USER a ENCRYPTED PASSWORD\n  E'x\\'y'", "ALTER USER a ENCRYPTED PASSWORD\n  '***'"],
    ["CREATE ROLE a PASSWORD 'one'\n 'two'", "CREATE ROLE a PASSWORD '***'"],
    ['CREATE ROLE a PASSWORD $p$x$p$', "CREATE ROLE a PASSWORD '***'"],
    ['ALTER ROLE a PASSWORD NULL', 'ALTER ROLE a PASSWORD NULL'],
    ['create role a password forgot the quotes;\nselect 1', "create role a password '***'\nselect 1"],
    ["create role a password 'open\nselect 1", "create role a password '***'"],
    [
      "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password 'x')",
      "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password '***')",
    ],
    ["DO $$ BEGIN CREATE ROLE a PASSWORD 'x'; END $$", "DO $$ BEGIN CREATE ROLE a PASSWORD '***'; END $$"],
    [
      "DO $$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''x'''; END$$",
      "DO $$BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''***'''; END$$",
    ],
    [
      "DO 'BEGIN EXECUTE ''ALTER ROLE a PASSWORD ''''x''''''; END'",
      "DO 'BEGIN EXECUTE ''ALTER ROLE a PASSWORD ''''***''''''; END'",
    ],
    [
      "EXECUTE format('ALTER ROLE %I PASSWORD %L', 'a', 'x')",
      "EXECUTE format('ALTER ROLE %I PASSWORD %L', '***', '***')",
    ],
    [
      "DO $$DECLARE p text := 'x'; BEGIN EXECUTE 'ALTER ROLE a PASSWORD ' || quote_literal(p); END$$",
      "DO $$DECLARE p text := '***'; BEGIN EXECUTE 'ALTER ROLE a PASSWORD ' || quote_literal(p); END$$",
    ],
    [
      "CREATE SUBSCRIPTION s CONNECTION 'host=h password=x dbname=d' PUBLICATION p",
      "CREATE SUBSCRIPTION s CONNECTION 'host=h password=*** dbname=d' PUBLICATION p",
    ],
    ["SELECT dblink_connect('password = ''x y'' host=h')", "SELECT dblink_connect('password = *** host=h')"],
    [
      "INSERT INTO pg_dist_authinfo VALUES (0, 'a', 'password=x sslcert=/c')",
      "INSERT INTO pg_dist_authinfo VALUES (0, 'a', 'password=*** sslcert=/c')",
    ],
    ["SELECT dblink('postgres://u:x@h/d?sslmode=require')", "SELECT dblink('postgres://u:***@h/d?sslmode=require')"],
    ["SET app.password = 'x'", "SET app.password = '***'"],
    ["SELECT set_config('app.password', 'x', false)", "SELECT set_config('app.password', '***', false)"],
    ["SELECT f(password => 'x')", "SELECT f(password => '***')"],
    ["ALTER USER a IDENTIFIED BY 'x'", "ALTER USER a IDENTIFIED BY '***'"],
    ['INSERT INTO t VALUES (\'{"password": "x", "a": 1}\')', 'INSERT INTO t VALUES (\'{"password": "***", "a": 1}\')'],
    [`SELECT '${VERIFIER}', '${MD5}'`, "SELECT '***', '***'"],
    [`ERROR: role has verifier ${VERIFIER}`, 'ERROR: role has verifier ***'],
    ["SELECT 1 -- PASSWORD 'x'", "SELECT 1 -- PASSWORD '***'"],
    ["syntax error in: ALTER ROLE a PASSWORD 'x", "syntax error in: ALTER ROLE a PASSWORD '***'"],
    ['connection failed: host=h password=x user=u', 'connection failed: host=h password=*** user=u'],
  ])('%s', (sql, expected) => {
    expect(blotOutPasswords(sql)).toBe(expected);
    expect(blotOutPasswords(expected)).toBe(expected);
  });

  test.each([
    'CREATE TABLE users (id int, password text NOT NULL, md5 text)',
    "SELECT 'a'; SELECT $$b$$ -- c",
    "CREATE VIEW v AS SELECT password FROM users WHERE name = 'a'",
    "GRANT CONNECT ON DATABASE d TO a; COMMENT ON ROLE a IS 'Enter your password'",
  ])('leaves %s alone', (sql) => {
    expect(blotOutPasswords(sql)).toBe(sql);
  });

  // Without the blank before E'…', which counts within a function's body.
  const quoteLiteral = (text: string) => quote(text).trimStart();
  const double = (text: string) => text.replaceAll("'", "''");
  const syntaxes: readonly (readonly [string, (secret: string) => string])[] = [
    ['role', (s) => `CREATE ROLE a PASSWORD ${quoteLiteral(s)} LOGIN`],
    ['user', (s) => `alter user "b" with encrypted password ${quoteLiteral(s)}`],
    ['block', (s) => `BEGIN; CREATE ROLE a PASSWORD ${quoteLiteral(s)}; COMMIT`],
    ['body', (s) => `DO $body$ BEGIN ALTER ROLE a PASSWORD ${quoteLiteral(s)}; END $body$`],
    ['execute', (s) => `DO $body$ BEGIN EXECUTE '${double(`ALTER ROLE a PASSWORD '${double(s)}'`)}'; END $body$`],
    ['quoted body', (s) => `DO '${double(`BEGIN EXECUTE '${double(`ALTER ROLE a PASSWORD '${double(s)}'`)}'; END`)}'`],
    ['format', (s) => `DO $body$ BEGIN EXECUTE format('ALTER ROLE %I PASSWORD %L', 'a', '${double(s)}'); END $body$`],
    [
      'concatenation',
      (s) => `DO $body$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''' || '${double(s)}' || ''''; END $body$`,
    ],
    [
      'variable',
      (s) =>
        `DO $body$ DECLARE p text := '${double(s)}'; BEGIN EXECUTE format('ALTER ROLE a PASSWORD %L', p); END $body$`,
    ],
    [
      'subscription',
      (s) => `CREATE SUBSCRIPTION s CONNECTION '${double(`host=h password=${quoteConninfoValue(s)}`)}' PUBLICATION p`,
    ],
    ['dblink', (s) => `SELECT * FROM dblink('${double(`password=${quoteConninfoValue(s)} host=h`)}', 'SELECT 1')`],
    [
      'authinfo',
      (s) => `INSERT INTO pg_dist_authinfo VALUES (0, 'a', '${double(`password=${quoteConninfoValue(s)}`)}')`,
    ],
    ['mapping', (s) => `CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password ${quoteLiteral(s)})`],
    ['identified by', (s) => `CREATE USER a IDENTIFIED BY ${quoteLiteral(s)}`],
    ['unfinished', (s) => `SELEC; CREATE ROLE a PASSWORD '${double(s)}`],
  ];

  // A password that begins like a placeholder of format() blots out more, and so gives another key.
  const secrets = fc.tuple(fc.string({ unit: 'grapheme', maxLength: 8 }), fc.string({ maxLength: 8 })).map(([a, b]) =>
    `${a}k4N4ry${b}`
      .replaceAll('\0', '')
      .replaceAll('$body$', '')
      .replaceAll(/%(?=[\dsIL-])/g, ''),
  );

  test.each(syntaxes)('no password survives: %s', (_name, syntax) => {
    fc.assert(
      fc.property(secrets, (secret) => {
        expect(blotOutPasswords(syntax(secret))).not.toContain('k4N4ry');
      }),
      { numRuns: 300 },
    );
  });

  test.each(syntaxes)('another password, the same key: %s', (_name, syntax) => {
    fc.assert(
      fc.property(secrets, (secret) => {
        expect(hashOf(blotOutPasswords(syntax(secret)))).toBe(hashOf(blotOutPasswords(syntax('other'))));
      }),
      { numRuns: 300 },
    );
  });

  test('never fails, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom(
            "'",
            '"',
            '$',
            '$a$',
            '\\',
            'E',
            'PASSWORD ',
            'CREATE ROLE ',
            '--',
            '/*',
            '*/',
            '\n',
            ';',
            '=',
            'x',
            'é😀',
          ),
        ),
        (parts) => {
          expect(typeof blotOutPasswords(parts.join(''))).toBe('string');
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('values in what PostgreSQL says of a statement', () => {
  const insert = (value: string) => `INSERT INTO keys VALUES ('${value}'::int)`;
  test.each([
    ['a value', insert('canary'), 'invalid input syntax for type integer: "canary"', 'type integer: "***"'],
    [
      'names stay',
      'INSERT INTO absent VALUES (1)',
      'relation "absent" does not exist',
      'relation "absent" does not exist',
    ],
    [
      'names behind a value stay',
      insert('x'),
      'new row for "k_1" violates check "keys"',
      '"***" violates check "keys"',
    ],
    [
      'a quotation mark in it',
      insert('a"canary'),
      'type integer: "a"canary" (SQLSTATE 22P02)',
      '"***" (SQLSTATE 22P02)',
    ],
    ['two of them', insert('a"canary"b'), 'type integer: "a"canary"b"', 'type integer: "***"'],
    ['one that is escaped', "SELECT E'a\\x22canary'::int", 'type integer: "a"canary"', 'type integer: "***"'],
    ['German', insert('canary'), 'integer: »canary«', 'integer: "***"'],
    ['French', insert('canary'), 'type integer : «\u00a0canary\u00a0»', 'type integer : "***"'],
  ])('%s', (_, sql, message, shown) => {
    expect(hideValues(message, sql)).toContain(shown);
    expect(hideValues(message, sql)).not.toContain('canary');
  });
});
