import { createHash, createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { saslprep } from '../../../src/postgres/saslprep.ts';
import { isVerifierOf, scramVerifier } from '../../../src/postgres/scram.ts';

/** RFC 7677, chapter 3: user `user`, password `pencil`. */
const RFC = {
  salt: 'W22ZaJ0SNY7soEsUEjb6gQ==',
  authMessage:
    'n=user,r=rOprNGfwEbeRWgbNEkqO,' +
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,' +
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  clientProof: 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverSignature: '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

describe('scramVerifier', () => {
  test("accepts the client's proof and gives the server's signature of RFC 7677", () => {
    const verifier = scramVerifier('pencil', Buffer.from(RFC.salt, 'base64'));
    const [, storedKey = '', serverKey = ''] = /\$([^$:]+):([^:]+)$/.exec(verifier) ?? [];
    const sign = (key: string) => createHmac('sha256', Buffer.from(key, 'base64')).update(RFC.authMessage).digest();
    expect(sign(serverKey).toString('base64')).toBe(RFC.serverSignature);
    const proof = Buffer.from(RFC.clientProof, 'base64');
    const clientKey = sign(storedKey).map((byte, index) => byte ^ (proof[index] ?? 0));
    expect(createHash('sha256').update(clientKey).digest('base64')).toBe(storedKey);
    expect(verifier.startsWith(`SCRAM-SHA-256$4096:${RFC.salt}$`)).toBe(true);
  });

  test('differs with the salt, the iterations and the password', () => {
    const salt = Buffer.alloc(16, 1);
    const all = [
      scramVerifier('a', salt),
      scramVerifier('a', Buffer.alloc(16, 2)),
      scramVerifier('a', salt, 8192),
      scramVerifier('b', salt),
    ];
    expect(new Set(all).size).toBe(4);
  });
});

describe('isVerifierOf', () => {
  const stored = scramVerifier('correct horse', Buffer.from('0123456789abcdef'), 5000);

  test('knows its password, with the salt and the iterations that the verifier names', () => {
    expect(isVerifierOf(stored, 'correct horse')).toBe(true);
    expect(isVerifierOf(stored, 'correct horse ')).toBe(false);
  });

  test.each([
    ['nothing', null],
    ['an md5 hash', `md5${createHash('md5').update('correct horseuser').digest('hex')}`],
    ['no iterations', stored.replace('$5000:', '$0:')],
    ['iterations that would stall every run', scramVerifier('correct horse', Buffer.alloc(16), 100_001)],
    ['too many iterations', stored.replace('$5000:', '$9999999999:')],
    ['other iterations', stored.replace('$5000:', '$4096:')],
    ['a key cut short', stored.slice(0, -8)],
    ['another method', stored.replace('SHA-256', 'SHA-512')],
  ])('takes %s for a mismatch', (_, text) => {
    expect(isVerifierOf(text, 'correct horse')).toBe(false);
  });
});

/** The examples of RFC 4013, chapter 3, and what PostgreSQL does where the RFC ends with an error: the text as it is. */
test.each([
  ['I\u00adX', 'IX'],
  ['user', 'user'],
  ['USER', 'USER'],
  ['\u00aa', 'a'],
  ['\u2168', 'IX'],
  ['\u0007', '\u0007'],
  ['\u0007é', '\u0007é'],
  ['\u0627\u0031', '\u0627\u0031'],
  ['a\u00a0b', 'a b'],
  ['\u00ad', '\u00ad'],
  ['½ \u{1f600}', '½ \u{1f600}'],
  ['½', '1⁄2'],
  ['e\u0301', 'é'],
  ['\u0627½', '\u0627½'],
  ['\u06271\u0628\ufb50', '\u06271\u0628\u0671'],
])('saslprep(%j)', (given, expected) => {
  expect(saslprep(given)).toBe(expected);
});
