import { describe, expect, test } from 'vitest';
import { fingerprintOf, type ScriptText } from '../../../src/initSql/readBefore.ts';

const SCRIPT: readonly ScriptText[] = [{ sql: 'SELECT 1;' }];

function file(sql: string, secret = false): ScriptText {
  return { sql, source: { file: '/scripts/seed.sql', secret } };
}

describe('fingerprintOf', () => {
  test('is the same for the same texts and the same build', () => {
    expect(fingerprintOf(SCRIPT, 'a')).toMatch(/^[0-9a-f]{64}$/);
    expect(fingerprintOf([{ sql: 'SELECT 1;' }], 'a')).toBe(fingerprintOf(SCRIPT, 'a'));
  });

  test('differs between texts, their order, where one ends, and builds', () => {
    const fingerprints = [
      fingerprintOf(SCRIPT, 'a'),
      fingerprintOf(SCRIPT, 'b'),
      fingerprintOf([{ sql: 'SELECT 1; ' }], 'a'),
      fingerprintOf([file('SELECT 1;'), file('SELECT 2;')], 'a'),
      fingerprintOf([file('SELECT 2;'), file('SELECT 1;')], 'a'),
      fingerprintOf([file('SELECT 1;SELECT 2;')], 'a'),
      fingerprintOf([file('SELECT 1;SELECT 2;'), file('')], 'a'),
      fingerprintOf([file('SELECT 1;S'), file('ELECT 2;')], 'a'),
      fingerprintOf([{ sql: "SELECT '\ufffd'" }], 'a'),
      fingerprintOf([{ sql: "SELECT '\ud800'" }], 'a'),
    ];
    expect(fingerprints).not.toContain(undefined);
    expect(new Set(fingerprints).size).toBe(fingerprints.length);
  });

  test.each<readonly [string, readonly ScriptText[]]>([
    ['a password', [{ sql: "SELECT 1; CREATE ROLE a PASSWORD 'canary-1'" }]],
    ['a password in a comment', [{ sql: "-- CREATE ROLE a PASSWORD 'canary-1'\nSELECT 1" }]],
    ['a connection string', [{ sql: "SELECT dblink('postgres://a:canary-1@b/c', 'SELECT 1')" }]],
    ['a file of a Secret', [file('SELECT 1;'), file('SELECT 2;', true)]],
  ])('there is none with %s: its hash would let passwords be tried', (_name, scripts) => {
    expect(fingerprintOf(scripts, 'a')).toBe(undefined);
  });

  test('a word is no password', () => {
    expect(fingerprintOf([{ sql: 'CREATE TABLE passengers (password_hash text, md5 text)' }], 'a')).not.toBe(undefined);
  });

  test('there is none where nobody knows of which sources the program was built', () => {
    expect(fingerprintOf(SCRIPT)).toBe(undefined);
  });
});
