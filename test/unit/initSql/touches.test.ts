import { expect, test } from 'vitest';
import { loadGrammar } from '../../../src/initSql/grammar.ts';
import { touchesOf } from '../../../src/initSql/touches.ts';

const grammar = await loadGrammar();

test.each([
  'CREATE TABLE t (id int PRIMARY KEY, at timestamptz DEFAULT now())',
  'GRANT SELECT ON t TO somebody',
  'ALTER TABLE t OWNER TO somebody',
  'DROP TABLE t',
])('catalogs only: %s', (sql) => {
  expect(touchesOf(sql, grammar)).toEqual({ kind: 'catalogs' });
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
  'ALTER TABLE theirs REPLICA IDENTITY USING INDEX i',
])('the relation theirs: %s', (sql) => {
  const touches = touchesOf(sql, grammar);
  if (!('relations' in touches)) throw new Error(`nothing is read from it: ${JSON.stringify(touches)}`);
  expect(touches.relations.map(({ name }) => name)).toContain('theirs');
});

test('the procedure of CALL is one of the functions', () => {
  expect(touchesOf('CALL theirs.p(1)', grammar)).toMatchObject({ functions: ['p'] });
});
