import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { authinfoOf, authinfoProblems, diffAuthinfo } from '../../../src/objects/authinfo.ts';
import { situation, W1 } from '../reconcile/situations.ts';

const NO_SSL = situation().spec.ssl;
const SSL = situation({ spec: 'ssl: { enabled: true, nodeDirectory: "/etc/my certs" }' }).spec.ssl;

describe('conninfo of a role', () => {
  test.each([
    ['nothing', undefined, NO_SSL, undefined],
    ['a password', 'simple', NO_SSL, 'password=simple'],
    ['a password with a space', 'a b', NO_SSL, "password='a b'"],
    ['a password with quotes', `a'b"c`, NO_SSL, String.raw`password='a\'b"c'`],
    ['a password with a backslash', 'a\\b', NO_SSL, String.raw`password='a\\b'`],
    ['an equals sign', 'a=b', NO_SSL, "password='a=b'"],
    ['a certificate', undefined, SSL, "sslcert='/etc/my certs/server.crt' sslkey='/etc/my certs/server.key'"],
    ['both', 'simple', SSL, "password=simple sslcert='/etc/my certs/server.crt' sslkey='/etc/my certs/server.key'"],
  ] as const)('%s', (_, password, ssl, expected) => {
    expect(authinfoOf(password, ssl)).toBe(expected);
  });
});

test.each([
  ['no row', undefined, 0],
  ['the longest that fits in a row', 'x'.repeat(1900), 0],
  ['longer', 'x'.repeat(1901), 1],
  ['longer in bytes', 'ü'.repeat(951), 1],
])('what may be told to others than superusers: %s', (_, authinfo, problems) => {
  expect(authinfoProblems('postgres', authinfo)).toHaveLength(problems);
});

describe('difference', () => {
  const digest = (text: string) => createHash('sha256').update(text, 'utf8').digest('hex');
  const wanted = 'password=ü';

  test.each([
    ['there', [{ nodeid: 0, rolename: 'postgres', digest: digest(wanted) }], []],
    [
      'another password',
      [{ nodeid: 0, rolename: 'postgres', digest: digest('password=old') }],
      ['replace the pg_dist_authinfo row of role "postgres"'],
    ],
    ['missing', [], ['write the pg_dist_authinfo row of role "postgres"']],
    [
      'there for another role and another node only',
      [
        { nodeid: 0, rolename: 'app', digest: digest(wanted) },
        { nodeid: -1, rolename: 'postgres', digest: digest(wanted) },
      ],
      ['write the pg_dist_authinfo row of role "postgres"'],
    ],
  ] as const)('%s', (_, observed, expected) => {
    expect(diffAuthinfo('postgres', wanted, observed, W1).map((change) => change.summary)).toEqual(expected);
  });

  test('nothing to write leaves what is there', () => {
    const observed = [{ nodeid: 0, rolename: 'postgres', digest: digest('password=old') }];
    expect(diffAuthinfo('postgres', undefined, observed, W1)).toEqual([]);
  });

  test('the secret is a bound value of a secret change, and nowhere else', () => {
    const [change] = diffAuthinfo('postgres', wanted, [], W1);
    expect(change).toMatchObject({ secret: true, scope: 'database', node: W1 });
    expect(change?.statements.map(({ values }) => values)).toEqual([['postgres', wanted]]);
    const { statements, ...rest } = change ?? {};
    expect(JSON.stringify([rest, statements?.map(({ text }) => text)])).not.toContain('ü');
  });
});
