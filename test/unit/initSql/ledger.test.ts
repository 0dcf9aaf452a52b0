import { describe, expect, test } from 'vitest';
import { compareWithLedger, refusal, resolveOutcome, unknownOutcome } from '../../../src/initSql/ledger.ts';
import { locateError } from '../../../src/initSql/locateError.ts';
import { decideExecuted, decideInitSql, type InitSqlDecision } from '../../../src/initSql/policy.ts';
import { splitScript } from '../../../src/initSql/splitScript.ts';
import type { LedgerRow, Unit } from '../../../src/initSql/types.ts';

async function units(sql: string): Promise<readonly Unit[]> {
  return (await splitScript(sql)).units;
}

/** The ledger after this script was executed, the last statement in the given state. */
async function ledgerOf(sql: string, lastState: LedgerRow['state'] = 'done'): Promise<LedgerRow[]> {
  const recorded = (await units(sql)).filter((unit) => unit.kind !== 'session');
  return recorded.map((unit, index) => ({
    hash: unit.hash,
    occurrence: unit.occurrence,
    ordinal: index + 1,
    line: unit.line,
    statement: unit.text,
    state: index === recorded.length - 1 ? lastState : 'done',
  }));
}

/** The decision in words. */
function words(decision: InitSqlDecision): string {
  const sql = (parts: readonly { readonly sql: string }[]) => parts.map((part) => part.sql).join('; ');
  switch (decision.kind) {
    case 'run':
      return `replay [${sql(decision.replay)}] run [${sql(decision.pending)}] gone [${decision.gone.map((row) => row.statement).join('; ')}]`;
    case 'refused':
      return `refused: ${decision.unit.sql} before ${decision.executed.sql}, edited: ${decision.edited?.statement}`;
    case 'unknownOutcome':
      return `unknown: ${decision.unit.sql} replay [${sql(decision.replay)}] then [${sql(decision.pending)}]`;
    case 'record':
      return `record [${sql(decision.units)}]`;
    case 'runAlways':
      return `always [${sql(decision.units)}]`;
    case 'skip':
      return 'skip';
    case 'copied':
      return `copied: ${decision.copyOf}`;
  }
}

describe('compareWithLedger', () => {
  test.each([
    ['a first run', '', 'SELECT 1; SELECT 2', 'replay [] run [SELECT 1; SELECT 2] gone []'],
    ['an executed script', 'SET a.b = 1; SELECT 1', 'SET a.b = 1; SELECT 1; SET a.b = 2', 'replay [] run [] gone []'],
    ['an appended statement', 'SELECT 1', 'SELECT 1; SELECT 2', 'replay [] run [SELECT 2] gone []'],
    ['a removed statement', 'SELECT 1; SELECT 2', 'SELECT 2; SELECT 3', 'replay [] run [SELECT 3] gone [SELECT 1]'],
    ['everything removed', 'SELECT 1', '', 'replay [] run [] gone [SELECT 1]'],
    ['the last one edited', 'SELECT 1; SELECT 2', 'SELECT 1; SELECT 3', 'replay [] run [SELECT 3] gone [SELECT 2]'],
    ['a reformatted script', 'SELECT 1,2; SELECT 3', '-- new\nSELECT 1, 2;\n\nSELECT 3;', 'replay [] run [] gone []'],
    ['a statement once more', 'SELECT 1; SELECT 1', 'SELECT 1; SELECT 1; SELECT 1', 'replay [] run [SELECT 1] gone []'],
    [
      'a repeated one removed',
      'SELECT 1; SELECT 2; SELECT 1',
      'SELECT 2; SELECT 1',
      'replay [] run [] gone [SELECT 1]',
    ],
    ['another order of executed ones', 'SELECT 1; SELECT 2', 'SELECT 2; SELECT 1', 'replay [] run [] gone []'],
    [
      'session statements before the first pending one',
      'SET a.b = 1; SELECT 1',
      'SET a.b = 1; SELECT 1; SET a.b = 2; SELECT 2; SET a.b = 3; SELECT 3',
      'replay [SET a.b = 1; SET a.b = 2] run [SELECT 2; SET a.b = 3; SELECT 3] gone []',
    ],
    [
      'session statements within an executed block',
      'BEGIN; SET a.b = 1; SET LOCAL a.c = 1; SELECT 1; COMMIT',
      'BEGIN; SET a.b = 1; SET LOCAL a.c = 1; SELECT 1; COMMIT; SELECT 2',
      'replay [SET a.b = 1] run [SELECT 2] gone []',
    ],
    [
      'a new statement at the top',
      'SELECT 1',
      'SELECT 0; SELECT 1',
      'refused: SELECT 0 before SELECT 1, edited: undefined',
    ],
    [
      'an edited statement',
      'SELECT 1; SELECT 2; SELECT 3',
      'SELECT 1; SELECT 22; SELECT 3',
      'refused: SELECT 22 before SELECT 3, edited: SELECT 2',
    ],
    [
      'a new statement and a removed one elsewhere',
      'SELECT 0; SELECT 1; SELECT 2',
      'SELECT 1; SELECT 9; SELECT 2',
      'refused: SELECT 9 before SELECT 2, edited: undefined',
    ],
    [
      'a block with a new statement in it',
      'BEGIN; SELECT 1; COMMIT; SELECT 2',
      'BEGIN; SELECT 1; SELECT 9; COMMIT; SELECT 2',
      'refused: BEGIN; SELECT 1; SELECT 9; COMMIT before SELECT 2, edited: BEGIN; SELECT 1; COMMIT',
    ],
  ])('%s', async (_name, before, after, expected) => {
    expect(words(compareWithLedger(await units(after), await ledgerOf(before)))).toBe(expected);
  });

  test('the refusal names both lines and what to do', async () => {
    const script = "CREATE ROLE a PASSWORD 'canary';\nALTER ROLE a PASSWORD 'canary' LOGIN;\nSELECT 3";
    const ledger = await ledgerOf("CREATE ROLE a PASSWORD 'older';\nALTER ROLE a PASSWORD 'older';\nSELECT 3");
    const decision = compareWithLedger(await units(script), ledger);
    if (decision.kind !== 'refused') throw new Error(`expected a refusal, got ${decision.kind}`);
    const failure = refusal(decision, 'skymap');
    expect(failure.details.kind).toBe('refused');
    expect(failure.message).toBe(
      `Line 2 of initSQL is new or was edited, but line 3 has been executed already (database skymap)
  Cause: line 2, new or edited: ALTER ROLE a PASSWORD '***' LOGIN
    line 3, executed already: SELECT 3
    executed as line 2 of an earlier script, and no longer there: ALTER ROLE a PASSWORD '***'
  Next: Each statement is executed once, in the script's order. Move a new statement to the end of initSQL; undo an edit, and append a statement that makes the change (ALTER …). If the database is as the script says already, run once with initSQLPolicy: baseline.`,
    );
  });
});

describe('a statement whose outcome is unknown', () => {
  const index = 'CREATE INDEX CONCURRENTLY "My i" ON s."T" (a)';

  test('is looked up, then left or run again', async () => {
    const before = `SET a.b = 1; SELECT 1; ${index}`;
    const script = `${before}; SET a.b = 2; SELECT 2`;
    const decision = compareWithLedger(await units(script), await ledgerOf(before, 'running'));
    expect(words(decision)).toBe(`unknown: ${index} replay [SET a.b = 1] then [SET a.b = 2; SELECT 2]`);
    if (decision.kind !== 'unknownOutcome') throw new Error(decision.kind);
    const done = resolveOutcome(decision, 'done');
    const notDone = resolveOutcome(decision, 'notDone');
    if (done.kind !== 'run' || notDone.kind !== 'run') throw new Error('expected something to run');
    expect(words(done)).toBe('replay [SET a.b = 1] run [SET a.b = 2; SELECT 2] gone []');
    expect(words(notDone)).toBe(`replay [SET a.b = 1] run [${index}; SET a.b = 2; SELECT 2] gone []`);
    expect(unknownOutcome(decision, 'skymap').message).toBe(
      `It is unknown whether line 1 of initSQL took effect (database skymap)
  Cause: An earlier run ended while this statement was being executed, which cannot run in a transaction: ${index}
  Next: Index "My i" exists but is invalid: drop it (DROP INDEX CONCURRENTLY "My i"). Then run again.`,
    );
    expect(resolveOutcome(decision, 'unclear').kind).toBe('failure');
  });

  test('that cannot be looked up is said so', async () => {
    const decision = compareWithLedger(
      await units('SELECT 1;\nCALL p()'),
      await ledgerOf('SELECT 1; CALL p()', 'running'),
    );
    if (decision.kind !== 'unknownOutcome') throw new Error(decision.kind);
    expect(decision.lookup.kind).toBe('none');
    expect(unknownOutcome(decision).message).toBe(
      `It is unknown whether line 2 of initSQL took effect
  Cause: An earlier run ended while this statement was being executed, which cannot run in a transaction: CALL p()
  Next: Look at the database. If it took effect, remove it from initSQL and run again. If it did not, undo what is left of it, then on the coordinator, in this database: DELETE FROM citus_databases.init_sql WHERE state = 'running'; and run again.`,
    );
  });

  test('counts as executed when it has left the script', async () => {
    const decision = compareWithLedger(await units('SELECT 2'), await ledgerOf(index, 'running'));
    expect(words(decision)).toBe(`replay [] run [SELECT 2] gone [${index}]`);
  });

  test.each([
    [index, ['My i', '"s"."T"']],
    ['CREATE INDEX CONCURRENTLY ON t (a)', 'none'],
    ['DROP INDEX CONCURRENTLY IF EXISTS s."I"', ['"s"."I"']],
    ['CREATE DATABASE "My db"', ['My db']],
    ['DROP DATABASE d WITH (FORCE)', ['d']],
    ["CREATE TABLESPACE x LOCATION '/x'", ['x']],
    ['DROP TABLESPACE x', ['x']],
    ["CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p", ['s']],
    ['DROP SUBSCRIPTION s', ['s']],
    ['ALTER TABLE p DETACH PARTITION s.c CONCURRENTLY', ['"p"', '"s"."c"']],
    ["SELECT create_distributed_table_concurrently('s.t'::regclass, 'a')", ['s.t']],
    ['VACUUM t', 'runAgain'],
    ['ANALYZE', 'runAgain'],
    ['REINDEX SCHEMA s', 'runAgain'],
    ['CLUSTER', 'runAgain'],
    ['CHECKPOINT', 'runAgain'],
    ['ALTER SYSTEM SET a = 1', 'runAgain'],
    ['CALL p()', 'none'],
    ['DO $$ BEGIN COMMIT; END $$', 'none'],
  ])('%s', async (sql, expected) => {
    const [unit] = await units(sql);
    if (unit?.kind !== 'statement') throw new Error('expected a statement');
    expect(unit.lookup.kind === 'query' ? unit.lookup.values : unit.lookup.kind).toEqual(expected);
  });
});

describe('decideInitSql', () => {
  const script = 'SET a.b = 1; SELECT 1; SELECT 2';
  const all = 'SET a.b = 1; SELECT 1; SELECT 2';

  test.each([
    ['once', true, 'absent', 'replay [SET a.b = 1] run [SELECT 1; SELECT 2] gone []'],
    ['once', true, 'SELECT 1', 'replay [SET a.b = 1] run [SELECT 2] gone []'],
    ['once', false, 'absent', 'skip'],
    ['once', false, '', 'replay [SET a.b = 1] run [SELECT 1; SELECT 2] gone []'],
    ['once', false, 'SELECT 1', 'replay [SET a.b = 1] run [SELECT 2] gone []'],
    ['adopt', false, 'absent', 'replay [SET a.b = 1] run [SELECT 1; SELECT 2] gone []'],
    ['adopt', false, 'SELECT 1', 'replay [SET a.b = 1] run [SELECT 2] gone []'],
    ['adopt', false, 'SELECT 2', 'refused: SELECT 1 before SELECT 2, edited: undefined'],
    ['baseline', false, 'absent', 'record [SELECT 1; SELECT 2]'],
    ['baseline', true, 'SELECT 2', 'record [SELECT 1]'],
    ['baseline', true, 'SELECT 1; SELECT 2', 'record []'],
    ['always', false, 'absent', `always [${all}]`],
    ['always', true, 'SELECT 2', `always [${all}]`],
  ] as const)('%s, managed: %s, executed: %s', async (policy, managed, executed, expected) => {
    const ledger = executed === 'absent' ? executed : await ledgerOf(executed);
    expect(words(decideInitSql({ policy, managed, ledger, units: await units(script) }))).toBe(expected);
  });

  test.each([
    ['once', 'copied: database a (OID 1, table 2)'],
    ['adopt', 'replay [SET a.b = 1] run [SELECT 2] gone []'],
    ['baseline', 'record [SELECT 2]'],
    ['always', `always [${all}]`],
  ] as const)('%s with the ledger of another database', async (policy, expected) => {
    const ledger = await ledgerOf('SELECT 1');
    const copyOf = 'database a (OID 1, table 2)';
    const decision = decideInitSql({ policy, managed: true, ledger, copyOf, units: await units(script) });
    expect(words(decision)).toBe(expected);
  });

  test.each(['once', 'adopt', 'baseline'] as const)(
    '%s needs no statement of a script that the ledger has as executed',
    async (policy) => {
      for (const copyOf of [undefined, 'database a (OID 1, table 2)']) {
        for (const managed of [true, false]) {
          const ledger = await ledgerOf(script);
          const decision = decideInitSql({ policy, managed, ledger, copyOf, units: await units(script) });
          expect(decideExecuted({ policy, copyOf })).toEqual(decision);
        }
      }
    },
  );

  test('always needs them', () => {
    expect(decideExecuted({ policy: 'always' })).toBe(undefined);
  });

  test('an existing database without a script needs no warning', async () => {
    const decision = decideInitSql({ policy: 'once', managed: false, ledger: 'absent', units: [] });
    expect(words(decision)).toBe('replay [] run [] gone []');
  });

  test('baseline records an unknown outcome as done, and warns', async () => {
    const ledger = await ledgerOf('SELECT 1; CALL p()', 'running');
    const decision = decideInitSql({
      policy: 'baseline',
      managed: true,
      ledger,
      units: await units('SELECT 1;\nCALL p()'),
    });
    if (decision.kind !== 'record') throw new Error(decision.kind);
    expect(words(decision)).toBe('record [CALL p()]');
    expect(decision.warning).toBe(
      'initSQLPolicy is baseline: 1 statement of initSQL was recorded as executed without being executed, from line 2 on. Set it back to once, or statements added later will not be executed either.',
    );
  });

  test('the warning for an existing database says what can be done', async () => {
    const decision = decideInitSql({
      policy: 'once',
      managed: false,
      ledger: 'absent',
      units: await units('SELECT 1'),
    });
    expect(decision).toEqual({
      kind: 'skip',
      warning:
        'The database existed before and was not made by this program: initSQL is not executed. To execute it once anyway, set initSQLPolicy: adopt; to record it as executed, initSQLPolicy: baseline.',
    });
  });
});

describe('locateError', () => {
  test.each([
    ['on the first line', "-- x\n  SELECT '😀é', nope;", 16, 2, 18, "SELECT '😀é', nope\n               ^"],
    ['on a later line', 'SELECT 1;\nSELECT 1,\n\tnope\nFROM t', 12, 3, 2, ' nope\n ^'],
    ['at the end', 'SELECT 1 +', 11, 1, 11, 'SELECT 1 +\n          ^'],
    ['after a password', "CREATE ROLE a PASSWORD 'canary' FOO", 33, 1, 33, 'none'],
  ])('%s', async (_name, script, position, line, column, excerpt) => {
    // The last two do not parse: only the server sees them so.
    const part =
      excerpt.startsWith('SELECT 1 +') || excerpt === 'none'
        ? { sql: script, line: 1, column: 1 }
        : (await units(script)).at(-1);
    if (part === undefined) throw new Error('no unit');
    const place = locateError(part, position);
    expect([place.line, place.column]).toEqual([line, column]);
    expect(place.excerpt).toBe(
      excerpt === 'none' ? "CREATE ROLE a PASSWORD '***' FOO\n                             ^" : excerpt,
    );
  });

  test('within a password points at its beginning', () => {
    const part = { sql: "CREATE ROLE a\nPASSWORD 'canary'", line: 7, column: 3 };
    expect(locateError(part, 27)).toEqual({ line: 8, column: 13, excerpt: "PASSWORD '***'\n         ^" });
  });

  test('cuts long lines on both sides', () => {
    const sql = `SELECT ${'a, '.repeat(100)}nope${', b'.repeat(100)}`;
    const [text = '', caret = ''] = locateError({ sql, line: 1, column: 1 }, 308).excerpt.split('\n');
    expect(text).toMatch(/^….*nope.*…$/);
    expect(text.slice(caret.length - 1)).toMatch(/^nope/);
    expect(text.length).toBe(120);
  });
});
