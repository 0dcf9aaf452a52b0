import { expect, test } from 'vitest';
import { tokenize } from '../../../src/initSql/lexer.ts';
import type { Item } from '../../../src/objects/change.ts';
import { recordPositions } from '../../../src/objects/nodePosition.ts';
import { asOurselvesUnchanged } from '../../../src/objects/ownTable.ts';
import { jobStatus } from '../../../src/objects/rebalance.ts';
import { placeAgain } from '../../../src/objects/unplacedShard.ts';
import { quoteLiteral } from '../../../src/postgres/quote.ts';
import { CLUSTER_ORDER } from '../../../src/reconcile/order.ts';
import type { Situation } from '../../../src/reconcile/situation.ts';
import { COORDINATOR, citusNode, metadata, observedDatabase, readySituation, role, situation } from './situations.ts';

/**
 * Whoever runs one node, or sits between it and the program, decides what it answers. Whatever that is, and of whatever
 * type: in a statement for another node it is a literal or a quoted name.
 */

/** Each gets out of one kind of quotes, the first out of none. */
const HOSTILE = [
  '1); evil_canary',
  "1'); evil_canary",
  '1"; evil_canary',
  "1\\'); evil_canary",
  '1$observe$; evil_canary',
];

const SITUATIONS: Readonly<Record<string, Situation>> = {
  'nothing is there': situation({
    database: `{ name: skymap, owner: app, comment: x, extensions: [hstore], parameters: { work_mem: 8MB },
      users: [{ name: app, access: owner }, { name: reader, access: readOnly, memberOf: [staff] }],
      schemas: [{ name: a, owner: other }] }`,
    servers: {
      0: {
        roles: [role('app', { connectionLimit: 7, verifier: 'SCRAM-SHA-256$x' }), role('other'), role('staff')],
        memberships: { app: [{ group: 'staff', admin: true, inherit: true, set: true }] },
      },
      1: { roles: [role('other', { connectionLimit: 3 })] },
    },
  }),
  'a worker has lost its database': readySituation({
    servers: {
      0: { database: observedDatabase({ provider: 'icu', providerLocale: 'en', icuRules: 'x', connectionLimit: 9 }) },
      1: { database: null },
    },
  }),
  'all differs': readySituation({
    database: '{ name: skymap, owner: app, comment: x, connectionLimit: 5, parameters: { work_mem: 8MB } }',
    servers: {
      0: {
        roles: [role('postgres', { superuser: true }), role('app', { connectionLimit: 7 })],
        parameters: { work_mem: '4MB', maintenance_work_mem: '1GB' },
        userParameters: { app: { work_mem: '4MB' } },
      },
      1: { parameters: { work_mem: '2MB' }, database: observedDatabase({ owner: 'somebody', connectionLimit: 3 }) },
    },
    inside: {
      0: {
        extensions: [{ name: 'citus', version: '13.2-1', schema: 'pg_catalog' }],
        schemas: [{ name: 'a', owner: 'app' }],
        metadata: metadata(0, { nodes: [citusNode(0), citusNode(1, { nodename: 'elsewhere', isactive: false })] }),
        authinfo: [],
      },
    },
  }),
};

test.each(Object.keys(SITUATIONS))('%s, and one answer is hostile: no statement has it outside of quotes', (name) => {
  const honest = SITUATIONS[name];
  if (honest === undefined) throw new Error(name);
  const seen: string[] = [];
  const found: string[] = [];
  for (const [path, hostile] of hostileOnes(honest)) {
    for (const text of statementsOf(hostile)) {
      if (text.includes('evil_canary')) seen.push(path);
      if (isOutsideOfQuotes(text)) found.push(`${path}: ${text}`);
    }
  }
  expect(found).toEqual([]);
  // Else the test proves nothing.
  expect(seen.length).toBeGreaterThan(0);
});

test.each(HOSTILE)('what is written from an answer elsewhere than in the order of work: %s', (evil) => {
  const number = evil as unknown as number;
  const history = `7\t0/1\t${evil}\n${evil}\t${evil}\n`;
  const position = { system: evil, major: 15, timeline: 1, checkpoint: evil, end: evil, history };
  const texts = [
    ...textsOf([recordPositions(new Map([[1, position]]), COORDINATOR)]),
    asOurselvesUnchanged({
      schema: evil,
      schema_version: evil,
      table: evil,
      table_version: evil,
      columns_version: evil,
    }),
    jobStatus(evil),
  ];
  expect(texts.filter(isOutsideOfQuotes)).toEqual([]);
  for (const wrong of [{ major: number }, { timeline: number }]) {
    expect(() => recordPositions(new Map([[1, { ...position, ...wrong }]]), COORDINATOR)).toThrow('A node answered');
  }
  expect(() => placeAgain([{ shardid: number, group: 1 }])).toThrow('A node answered');
  expect(() => placeAgain([{ shardid: 1, group: number }])).toThrow('A node answered');
});

/** The situation with one leaf of what a node answered replaced, for each of them. */
function hostileOnes(honest: Situation): readonly (readonly [string, Situation])[] {
  return (['servers', 'inside'] as const).flatMap((part) =>
    [...honest[part]]
      // The second worker is like the first one.
      .filter(([group]) => group < 2)
      .flatMap(([group, observed]) =>
        leaves(observed).flatMap((path) =>
          HOSTILE.map((evil) => {
            const answers = new Map<number, unknown>(honest[part]).set(group, replaced(observed, path, evil));
            return [`${part} ${group} ${path.join('.')}`, { ...honest, [part]: answers }] as const;
          }),
        ),
      ),
  );
}

function leaves(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: string): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) {
    return value.map((inner, index) => (String(index) === key ? replaced(inner, rest, by) : inner));
  }
  return Object.fromEntries(
    Object.entries(value as object).map(([name, inner]) => [name, name === key ? replaced(inner, rest, by) : inner]),
  );
}

function statementsOf(given: Situation): readonly string[] {
  return CLUSTER_ORDER.flatMap(({ works }) =>
    works.flatMap(({ nodes, items }) =>
      refusedOr(() =>
        nodes(given)
          .flat()
          .flatMap((node) => textsOf(items(given, node))),
      ),
    ),
  );
}

/** An answer that makes no sense may be refused as well. */
function refusedOr(texts: () => readonly string[]): readonly string[] {
  try {
    return texts();
  } catch (error) {
    return [quoteLiteral(String(error))];
  }
}

function textsOf(items: readonly Item[]): readonly string[] {
  return items.flatMap((item) =>
    item.kind === 'change'
      ? [...item.statements.map(({ text }) => text), item.confirm ?? '', ...textsOf(item.oneByOne ?? [])]
      : [],
  );
}

const QUOTED = ['string', 'dollarString', 'quotedIdentifier'];

/** The body of DO is a statement again, within quotes. */
function isOutsideOfQuotes(sql: string): boolean {
  const tokens = tokenize(sql);
  return tokens.some((token, index) => {
    const previous = tokens[index - 1];
    const isBody = previous !== undefined && sql.slice(previous.start, previous.end).toUpperCase() === 'DO';
    if (!QUOTED.includes(token.kind)) return sql.slice(token.start, token.end).includes('evil');
    return isBody && isOutsideOfQuotes(bodyOf(sql.slice(token.innerStart, token.innerEnd), token.kind === 'string'));
  });
}

function bodyOf(inner: string, isString: boolean): string {
  return isString ? inner.replaceAll("''", "'").replaceAll('\\\\', '\\') : inner;
}
