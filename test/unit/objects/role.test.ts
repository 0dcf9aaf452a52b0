import { expect, test } from 'vitest';
import { diffRoleCopy } from '../../../src/objects/role.ts';
import { role, shown, W1 } from '../reconcile/situations.ts';

const VERIFIER = "SCRAM-SHA-256$4096:salt$stored:server'key";
const app = role('my app', { verifier: VERIFIER });
const PLAIN = 'NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB LOGIN NOREPLICATION NOBYPASSRLS CONNECTION LIMIT -1';
/** The verifier is no part of any text. */
const withVerifier = (verb: string) => [
  "SELECT pg_catalog.set_config('citus_databases.verifier', $1, true)",
  `DO 'BEGIN EXECUTE pg_catalog.format(''${verb} ROLE "my app" WITH ${PLAIN} PASSWORD %L'', pg_catalog.current_setting(''citus_databases.verifier'')); END'`,
];

test.each([
  ['the same', app, [app], []],
  [
    'missing',
    app,
    [role('other')],
    [
      {
        on: 'w1',
        summary: 'create role "my app" as on the coordinator',
        sql: withVerifier('CREATE'),
      },
    ],
  ],
  [
    'another password',
    app,
    [role('my app')],
    [
      {
        on: 'w1',
        summary: 'align role "my app" as on the coordinator',
        sql: withVerifier('ALTER'),
      },
    ],
  ],
  [
    'no password any more, other rights',
    role('app', {
      superuser: true,
      inherit: false,
      createRole: true,
      createDatabase: true,
      login: false,
      replication: true,
      bypassRls: true,
      connectionLimit: 3,
    }),
    [role('app', { verifier: VERIFIER })],
    [
      {
        on: 'w1',
        summary: 'align role "app" as on the coordinator',
        sql: [
          // SUPERUSER would reach whoever is a member of the role there.
          expect.stringMatching(/^DO .*ANY \(ARRAY\['app'\].*ALL \(ARRAY\[\].*SUPERUSER would reach members/s),
          'ALTER ROLE "app" WITH SUPERUSER NOINHERIT CREATEROLE CREATEDB NOLOGIN REPLICATION BYPASSRLS CONNECTION LIMIT 3 PASSWORD NULL',
        ],
      },
    ],
  ],
] as const)('%s', (_, onCoordinator, onWorker, expected) => {
  const changes = diffRoleCopy(onCoordinator, onWorker, W1, 'w1');
  expect(changes.map(shown)).toEqual(expected);
  for (const change of changes) {
    expect(change).toMatchObject({ scope: 'server', secret: true });
    const { statements, ...rest } = change;
    expect(JSON.stringify([rest, statements.map(({ text }) => text)])).not.toContain('SCRAM');
    expect(statements.flatMap(({ values = [] }) => values)).toEqual(
      onCoordinator.verifier === null ? [] : [onCoordinator.verifier],
    );
  }
});

test('whoever may be a member of the role is asked for in the transaction that aligns it', () => {
  const [aligned] = diffRoleCopy(app, [role('my app')], W1, 'w1', ['clerk', "o'hara"]);
  expect(aligned?.statements.map(({ text }) => text)).toEqual([
    expect.stringMatching(
      /^DO .*ANY \(ARRAY\['my app'\].*ALL \(ARRAY\['clerk', 'o''hara'\].*Nobody declared the members/s,
    ),
    ...withVerifier('ALTER'),
  ]);
  const [created] = diffRoleCopy(app, [], W1, 'w1', ['clerk']);
  expect(created?.statements.map(({ text }) => text)).toEqual(withVerifier('CREATE'));
});
