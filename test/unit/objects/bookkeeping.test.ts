import { describe, expect, test } from 'vitest';
import { bindToOid, forget, originOf, recordDrop, recordIntent } from '../../../src/objects/bookkeeping.ts';
import { bookkeepingProblems } from '../../../src/objects/bookkeepingProblems.ts';
import { COORDINATOR, sqlOf } from '../reconcile/situations.ts';

describe('whose database it is', () => {
  test.each([
    ['never heard of', null, undefined, 'absent'],
    ['begun', { oid: null, state: 'creating' }, undefined, 'absent'],
    ['dropped by somebody since', { oid: 7, state: 'managed' }, undefined, 'absent'],
    ['there before us', null, 7, 'existing'],
    ['half-made by us', { oid: null, state: 'creating' }, 7, 'ours'],
    ['made by us', { oid: 7, state: 'managed' }, 7, 'ours'],
    ['made again by somebody since', { oid: 7, state: 'managed' }, 8, 'existing'],
  ] as const)('%s', (_, row, oid, expected) => {
    const database = oid === undefined ? undefined : { oid, owner: 'app' };
    expect(originOf(row, database, ['postgres', 'app'])).toBe(expected);
  });

  test('somebody else may take the name before the database has it', () => {
    const begun = { oid: null, state: 'creating' } as const;
    expect(originOf(begun, { oid: 7, owner: 'mallory' }, ['postgres', 'app'])).toBe('existing');
    expect(originOf({ ...begun, oid: 7 }, { oid: 7, owner: 'mallory' }, ['postgres', 'app'])).toBe('ours');
  });
});

describe('problems', () => {
  test.each([
    ['no table', undefined, []],
    ['no row', { distrust: null, row: null }, []],
    ['managed', { distrust: null, row: { oid: 7, state: 'managed' } }, []],
    [
      'half dropped',
      { distrust: null, row: { oid: 7, state: 'dropping' } },
      [
        {
          kind: 'refused',
          what: "Database 'it's' is half dropped: an earlier drop did not finish",
          next: `Finish it: citus-databases drop 'it'\\''s' --confirm 'it'\\''s'`,
        },
      ],
    ],
    [
      'a table that somebody else made',
      { distrust: 'table citus_databases.managed_database belongs to mallory, who is no superuser', row: null },
      [
        {
          kind: 'refused',
          what: 'What this program remembers cannot be trusted: table citus_databases.managed_database belongs to mallory, who is no superuser',
          node: 'c',
          next: expect.stringContaining('ALTER SCHEMA citus_databases RENAME TO'),
        },
      ],
    ],
  ] as const)('%s', (_, bookkeeping, expected) => {
    expect(bookkeepingProblems(bookkeeping, "it's", 'c')).toEqual(expected);
  });
});

describe('a drop that was begun', () => {
  const here = { oid: 7, connectionLimit: -1, allowConnections: true };
  const there = { ...here, oid: 8 };
  const whole = 'was to be dropped, and every node still has it';
  test.each([
    ['whole', 7, [here, there], whole],
    ['whole, and made by others', null, [here, there], whole],
    ['gone from a node', 7, [here, null], 'half dropped'],
    ['gone from the coordinator', 7, [null, there], 'half dropped'],
    ['a closed door', 7, [here, { ...there, allowConnections: false }], 'half dropped'],
    ['closed until initSQL is through', 7, [{ ...here, connectionLimit: 0 }, there], 'half dropped'],
    ['made again by somebody since', 6, [here, there], 'half dropped'],
    ['not observed', 7, [], 'half dropped'],
  ] as const)('%s', (_, oid, nodes, expected) => {
    const [problem] = bookkeepingProblems({ distrust: null, row: { oid, state: 'dropping' } }, "it's", 'c', nodes);
    expect(problem?.what).toContain(expected);
    if (expected !== whole) return;
    expect(problem?.next).toContain(`citus_databases.managed_database ${oid === null ? 'WHERE' : 'SET'}`);
    expect(problem?.next).toContain("WHERE name = 'it''s' AND state = 'dropping';");
  });
});

test.each([
  ['intent', recordIntent("a'b", COORDINATOR), ["VALUES ('a''b', NULL, 'creating')", "oid = NULL, state = 'creating'"]],
  ['bind', bindToOid("a'b", COORDINATOR), ["state = 'managed'", "datname::pg_catalog.text = 'a''b'", "name = 'a''b'"]],
  ['drop', recordDrop("a'b", COORDINATOR), ["VALUES ('a''b', NULL, 'dropping')", "SET state = 'dropping'"]],
  ['forget', forget("a'b", COORDINATOR), ["DELETE FROM citus_databases.managed_database WHERE name = 'a''b'"]],
] as const)('%s', (_, change, parts) => {
  expect(change).toMatchObject({ node: COORDINATOR, scope: 'server', secret: false });
  const last = sqlOf(change).at(-1);
  for (const part of parts) expect(last).toContain(part);
});

test('what is known of its scripts is forgotten with a database, where there is such a table', () => {
  const statements = sqlOf(forget("a'b", COORDINATOR));
  expect(statements.at(-3)).toMatch(
    /^DO .*IF \(CASE WHEN .* THEN\s+DELETE FROM citus_databases\.read_script WHERE name = /s,
  );
});

test('two first runs may make the schema at the same moment: the second tries again', () => {
  expect(recordIntent('skymap', COORDINATOR).retryOn).toEqual(['23505', '42P06', '42P07']);
});
