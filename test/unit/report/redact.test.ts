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
    redactor.add('pass');
    redactor.add('password1');
    expect(redactor.redact('password1 pass')).toBe(`${REDACTED} ${REDACTED}`);
  });

  test('overlapping secrets leave nothing of each other', () => {
    const redactor = createRedactor();
    redactor.add('abcd');
    redactor.add('cdef');
    expect(redactor.redact('-abcdef-')).toBe(`-${REDACTED}-`);
  });

  test('the replacement is not searched again', () => {
    const redactor = createRedactor();
    redactor.add('e');
    redactor.add('x');
    expect(redactor.redact('xy')).toBe(`${REDACTED}y`);
  });

  test('an empty secret is ignored, and without a secret nothing changes', () => {
    const redactor = createRedactor();
    redactor.add('');
    expect(redactor.redact('any text')).toBe('any text');
  });
});
