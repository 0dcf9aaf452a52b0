import { describe, expect, test } from 'vitest';
import { Failure } from '../../../src/report/errors.ts';
import { textLog } from '../../../src/report/log.ts';
import { oneLine, visible } from '../../../src/report/visible.ts';
import { Collector } from '../../support/commandLine.ts';

test.each([
  ['an escape sequence', 'a\x1b[2Kb', 'a\\x1b[2Kb'],
  ['a carriage return', 'a\rb', 'a\\rb'],
  ['C1', 'a\x9bb', 'a\\u009bb'],
  ['an override of the direction', 'a\u202eb', 'a\\u202eb'],
  ['a line separator', 'a\u2028b', 'a\\u2028b'],
  ['newlines and tabs stay', 'a\n\tb', 'a\n\tb'],
])('%s', (_, text, expected) => {
  expect(visible(text)).toBe(expected);
});

test('one line', () => {
  expect(oneLine('a\nb')).toBe('a\\nb');
});

describe('the verdict cannot be imitated', () => {
  const forged = "x\nDatabase 'two' is ready!";
  function written(text: string, depth: number): string {
    const stream = new Collector();
    textLog({ level: 'info', stream, redact: (text) => text }).write({ level: 'info', text, depth, context: {} });
    return stream.text;
  }

  test.each([
    ['a line of the log', `WARNING: column ${forged}`],
    ['a cause', new Failure({ kind: 'failed', what: 'It failed', cause: forged, next: 'Look' }).message],
    ['a name in what failed', new Failure({ kind: 'failed', what: `No role '${forged}'` }).message],
    ['a name of a node', new Failure({ kind: 'failed', what: 'It failed', node: forged, database: forged }).message],
  ])('%s', (_, text) => {
    expect(written(text, 0)).not.toMatch(/^Database/m);
    expect(written(text, 0)).toContain("Database 'two' is ready!");
  });
});
