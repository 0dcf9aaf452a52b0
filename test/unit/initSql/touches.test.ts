import { expect, test } from 'vitest';
import { loadGrammar } from '../../../src/initSql/grammar.ts';
import { evaluates, touchesOf } from '../../../src/initSql/touches.ts';

const grammar = await loadGrammar();

test.each([
  'CREATE TABLE t (id int PRIMARY KEY, at timestamptz DEFAULT now())',
  'GRANT SELECT ON t TO somebody',
  'ALTER TABLE t OWNER TO somebody',
  'DROP TABLE t',
  'ALTER FUNCTION f() SET SCHEMA s',
  'ALTER TYPE e SET SCHEMA s',
  'SET LOCAL search_path = public',
  'SAVEPOINT s',
  "CREATE VIEW v AS SELECT * FROM t WHERE name = 'x'",
  "CREATE TABLE t (tags text[] DEFAULT '{}')",
  'CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, at date) PARTITION BY RANGE (at)',
  "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN '{1}'; END $$",
])('catalogs only: %s', (sql) => {
  expect(touchesOf(sql, grammar)).toEqual({ kind: 'catalogs' });
});

// The input function of such a literal evaluates the constraint of a domain that is the type of a part.
test.each([
  "CREATE VIEW v AS SELECT * FROM theirs WHERE tags = '{a}'",
  "CREATE VIEW v AS SELECT * FROM theirs WHERE tags = E'\\x7ba}'",
  "CREATE VIEW v AS SELECT * FROM theirs WHERE pair = ' (a,b)'",
  "CREATE VIEW v AS SELECT * FROM theirs WHERE span = '[a,b)'",
  "CREATE TABLE t (tags theirs.word[] DEFAULT '{a}')",
  "ALTER TABLE theirs ALTER tags SET DEFAULT '{a}'",
  "CREATE DOMAIN d AS theirs.word[] CHECK (VALUE <> '{a}')",
  "CREATE AGGREGATE g (int) (SFUNC = f, STYPE = theirs.word, INITCOND = 'a')",
  "CREATE FUNCTION f(a theirs.word[] DEFAULT '{a}') RETURNS int LANGUAGE plpgsql AS $$ BEGIN END $$",
  "CREATE FUNCTION f() RETURNS boolean RETURN (SELECT tags = '{a}' FROM theirs)",
])('a literal with parts: %s', (sql) => {
  expect(touchesOf(sql, grammar).kind).toBe('objects');
});

test('a literal with parts in the body of an SQL function: anything', () => {
  const sql = "CREATE FUNCTION f() RETURNS bigint LANGUAGE SQL AS $$ SELECT count(*) FROM theirs WHERE tags = '{a}' $$";
  expect(touchesOf(sql, grammar)).toMatchObject({ kind: 'anything' });
});

test.each([
  'SELECT rebalance_table_shards()',
  "SELECT citus_add_node('w3', 5432)",
  'SELECT run_command_on_workers($$SELECT count(*) FROM theirs$$)',
  "SELECT query_to_xml('SELECT * FROM theirs', true, false, '')",
  "SELECT citus_schema_undistribute('theirs')",
  'SELECT partman.run_maintenance()',
])('works on what it does not name: %s', (sql) => {
  expect(touchesOf(sql, grammar)).toMatchObject({ kind: 'anything' });
});

// A query, a number or a default decides which tables Citus converts.
test.each([
  'SELECT undistribute_table(logicalrelid) FROM pg_dist_partition',
  "SELECT undistribute_table('16999')",
  'SELECT undistribute_table(16999)',
  "SELECT undistribute_table('t', true)",
  "SELECT undistribute_table('t', cascade_via_foreign_keys => true)",
  "SELECT undistribute_table('t', 'yes')",
  "SELECT alter_distributed_table('t', shard_count := 8, cascade_to_colocated := 1 = 1)",
  "CALL drop_old_time_partitions((SELECT 't'::regclass), now())",
])('a call of Citus beyond the table that it names: %s', (sql) => {
  expect(touchesOf(sql, grammar)).toMatchObject({ kind: 'anything' });
});

test.each([
  "SELECT create_distributed_table('t', 'id', shard_count := 4, colocate_with := 'none')",
  "SELECT alter_distributed_table('s.t', shard_count := 8, cascade_to_colocated := false)",
  "SELECT undistribute_table('t'::regclass)",
  "CALL drop_old_time_partitions('t', now() - interval '12 months')",
])('a call of Citus that keeps to the table: %s', (sql) => {
  expect(touchesOf(sql, grammar)).toMatchObject({
    kind: 'objects',
    relations: expect.arrayContaining([expect.objectContaining({ name: 't' })]),
  });
});

test.each([
  'VACUUM FULL theirs',
  'ANALYZE theirs (a)',
  'REINDEX TABLE theirs',
  'REINDEX INDEX theirs',
  'CLUSTER theirs USING theirs_a',
  'ALTER TABLE theirs SET SCHEMA s',
  'ALTER VIEW theirs SET SCHEMA s',
  'CREATE TABLE IF NOT EXISTS theirs (a int)',
])('judged by the relation, and works on no other: %s', (sql) => {
  expect(touchesOf(sql, grammar)).toMatchObject({
    kind: 'objects',
    relations: expect.arrayContaining([expect.objectContaining({ name: 'theirs' })]),
    allTables: false,
  });
});

test.each(['VACUUM', 'ANALYZE', 'VACUUM (ANALYZE)', 'REINDEX SCHEMA s', 'REINDEX DATABASE', 'CLUSTER'])(
  'it works on all tables: %s',
  (sql) => {
    // REINDEX DATABASE without a name is new in PostgreSQL 16.
    expect(touchesOf(sql, grammar)).toMatchObject({ kind: 'objects', allTables: true });
  },
);

test('an operator, and the domain that is altered', () => {
  expect(touchesOf("SELECT 'a' OPERATOR(s.#) 1", grammar)).toMatchObject({ operators: ['#'] });
  expect(touchesOf('ALTER DOMAIN s.d VALIDATE CONSTRAINT c', grammar)).toMatchObject({ types: ['d'] });
});

test('the function of a trigger is one of the functions', () => {
  expect(touchesOf('CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f()', grammar)).toMatchObject({
    functions: ['f'],
  });
  const trigger = 'CREATE TRIGGER t BEFORE INSERT ON ours FOR EACH ROW EXECUTE FUNCTION f()';
  expect(touchesOf(trigger, grammar)).toMatchObject({ functions: ['f'] });
});

test.each(['EXECUTE p', 'EXPLAIN ANALYZE EXECUTE p', 'CREATE TABLE x AS EXECUTE p', 'DO $$ BEGIN END $$'])(
  'anything: %s',
  (sql) => {
    expect(touchesOf(sql, grammar)).toMatchObject({ kind: 'anything' });
  },
);

// PostgreSQL evaluates what is constant in an index expression or a partition key of these tables.
test.each([
  'CREATE TABLE x (a int REFERENCES theirs)',
  'CREATE TABLE x (a int, FOREIGN KEY (a) REFERENCES theirs (id))',
  'CREATE TRIGGER tr BEFORE INSERT ON theirs FOR EACH ROW EXECUTE FUNCTION f()',
  'CREATE POLICY p ON theirs USING (true)',
  'ALTER TABLE theirs DROP COLUMN a',
  'ALTER TABLE theirs ALTER a DROP NOT NULL',
  'ALTER TABLE theirs REPLICA IDENTITY USING INDEX i',
])('the relation theirs: %s', (sql) => {
  const touches = touchesOf(sql, grammar);
  if (!('relations' in touches)) throw new Error(`nothing is read from it: ${JSON.stringify(touches)}`);
  expect(touches.relations.map(({ name }) => name)).toContain('theirs');
});

test.each([
  ['INSERT INTO t VALUES (1)', true],
  ['WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone', true],
  ['EXPLAIN ANALYZE UPDATE t SET a = 1', true],
  ['TRUNCATE t', true],
  ["COPY t FROM '/tmp/t'", true],
  ['MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE', true],
  ['SELECT * FROM t FOR UPDATE', false],
  ['CREATE TABLE u AS SELECT * FROM t', false],
  ['ALTER TABLE t ADD COLUMN b int', false],
  ["SELECT create_distributed_table('t', 'a')", false],
])('it changes rows, so that triggers run: %s: %s', (sql, writes) => {
  expect(touchesOf(sql, grammar)).toMatchObject({ kind: 'objects', writes });
});

test('the procedure of CALL is one of the functions', () => {
  expect(touchesOf('CALL theirs.p(1)', grammar)).toMatchObject({ functions: ['p'] });
});

// PostgreSQL plans these expressions, and evaluates what is constant in them, when the table is made.
test.each([
  'CREATE TABLE x (a int, b int GENERATED ALWAYS AS (theirs.f(a)) STORED)',
  'CREATE TABLE x (a int) PARTITION BY LIST ((theirs.f(a)))',
  'CREATE TABLE x (a int, EXCLUDE USING btree ((theirs.f(a)) WITH =))',
  'CREATE TABLE x (a int, EXCLUDE USING btree (a WITH =) WHERE (theirs.f(a) > 0))',
])('the function f: %s', (sql) => {
  expect(touchesOf(sql, grammar)).toMatchObject({ kind: 'objects', functions: ['f'] });
});

test.each([
  ["SELECT set_config('app.a', 'x', false)", false],
  ["SELECT pg_catalog.set_config('search_path', ''::text, false)", false],
  ['SET search_path = public', false],
  ['DISCARD ALL', false],
  ["SELECT set_config('app.a', theirs.f(), false)", true],
  ["SELECT set_config('app.a', (SELECT a FROM theirs), false)", true],
  ["SELECT set_config('app.a', 'x'::theirs, false)", true],
  ["SELECT set_config('app.a', 'x' || 'y', false)", true],
  ["PREPARE p AS SELECT '{x}'::theirs[]", true],
])('a statement of the session evaluates more than constants: %s %s', (sql, expected) => {
  expect(evaluates(sql, grammar)).toBe(expected);
});
