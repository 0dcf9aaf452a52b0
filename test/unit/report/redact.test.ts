import { describe, expect, test } from 'vitest';
import { quoteConninfoValue, quoteIdentifier, quoteLiteral } from '../../../src/postgres/quote.ts';
import { createRedactor, REDACTED } from '../../../src/report/redact.ts';

const SECRET = `It's a \\ "test" é/+`;

describe('redact', () => {
  test.each([
    ['as it is', SECRET],
    ['in a URL', encodeURIComponent(SECRET)],
    ['in a URL, with small letters', encodeURIComponent(SECRET).replaceAll(/%../g, (each) => each.toLowerCase())],
    ['in a form', encodeURIComponent(SECRET).replaceAll('%20', '+')],
    ['as a literal', quoteLiteral(SECRET)],
    ['as a standard literal', `'${SECRET.replaceAll("'", "''")}'`],
    ['as a conninfo value', quoteConninfoValue(SECRET)],
    ['as a conninfo value in a literal', quoteLiteral(`password=${quoteConninfoValue(SECRET)}`)],
    ['as an identifier', quoteIdentifier(SECRET)],
    ['in JSON', JSON.stringify({ password: SECRET })],
    ['in SQL in JSON', JSON.stringify(quoteLiteral(SECRET))],
  ])('%s', (_, text) => {
    const redactor = createRedactor();
    redactor.add(SECRET);
    const output = redactor.redact(`before ${text} after ${text}`);
    expect(output).toMatch(/^before .*\[redacted\].* after .*\[redacted\]/);
    expect(output).not.toMatch(/test|It/);
  });

  test('a secret that holds another one goes as a whole', () => {
    const redactor = createRedactor();
    redactor.add('passport');
    redactor.add('passport-and-visa');
    expect(redactor.redact('passport-and-visa passport')).toBe(`${REDACTED} ${REDACTED}`);
  });

  test('overlapping secrets leave nothing of each other', () => {
    const redactor = createRedactor();
    redactor.add('0123456789abcdef');
    redactor.add('cdef0123456789ab');
    expect(redactor.redact('-0123456789abcdef0123456789ab-')).toBe(`-${REDACTED}-`);
  });

  test('the replacement is not searched again', () => {
    const redactor = createRedactor();
    redactor.add('redacted');
    redactor.add('a secret');
    expect(redactor.redact('a secret')).toBe(REDACTED);
  });

  test.each([
    ['postgresql.conf', 'postgresql.conf'],
    ['the role postgres_exporter', `the role ${REDACTED}_exporter`],
    ['password=postgres', `password=${REDACTED}`],
    ["'postgres'", `'${REDACTED}'`],
    [JSON.stringify('\npostgres\n'), `"\\n${REDACTED}\\n"`],
    ['a%20postgres%20b', `a%20${REDACTED}%20b`],
    ['\\x1bpostgres\\x1b', `\\x1b${REDACTED}\\x1b`],
    ['postgres', REDACTED],
  ])('a short secret is no part of a longer word: %j', (text, expected) => {
    const redactor = createRedactor();
    redactor.add('postgres');
    expect(redactor.redact(text)).toBe(expected);
  });

  test('a long secret is hidden wherever it stands', () => {
    const redactor = createRedactor();
    redactor.add('0123456789abcdef');
    expect(redactor.redact('x0123456789abcdefx')).toBe(`x${REDACTED}x`);
  });

  test('an empty secret is ignored, and without a secret nothing changes', () => {
    const redactor = createRedactor();
    redactor.add('');
    expect(redactor.redact('any text')).toBe('any text');
  });
});
