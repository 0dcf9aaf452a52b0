import { describe, expect, test } from 'vitest';
import { dollarQuote, textArray } from '../../../src/objects/observe.ts';
import { quoteConninfoValue, quoteIdentifier, quoteLiteral, quoteShellWord } from '../../../src/postgres/quote.ts';

describe('each quoting', () => {
  test.each([
    ['plain', '"plain"', "'plain'", 'plain', 'plain'],
    ['', '""', "''", "''", "''"],
    [`a"b`, '"a""b"', `'a"b'`, `'a"b'`, `'a"b'`],
    [`a'b`, `"a'b"`, `'a''b'`, String.raw`'a\'b'`, String.raw`'a'\''b'`],
    ['a\\b', '"a\\b"', String.raw` E'a\\b'`, String.raw`'a\\b'`, `'a\\b'`],
    ['a b', '"a b"', "'a b'", "'a b'", "'a b'"],
    ['$HOME`id`', '"$HOME`id`"', "'$HOME`id`'", "'$HOME`id`'", "'$HOME`id`'"],
  ])('%s', (value, identifier, literal, conninfo, shell) => {
    expect(quoteIdentifier(value)).toBe(identifier);
    expect(quoteLiteral(value)).toBe(literal);
    expect(quoteConninfoValue(value)).toBe(conninfo);
    expect(quoteShellWord(value)).toBe(shell);
  });
});

test('arrays', () => {
  expect(textArray([])).toBe('ARRAY[]::pg_catalog.text[]');
  expect(textArray(["a'b", 'c'])).toBe("ARRAY['a''b', 'c']::pg_catalog.text[]");
});

test('a dollar quote has a tag that the text does not contain', () => {
  expect(dollarQuote('x')).toBe('$observe$x$observe$');
  expect(dollarQuote('$observe$; DROP')).toBe('$observe_$$observe$; DROP$observe_$');
});
