import { expect, test } from 'vitest';
import { wantsColor } from '../../../src/cli/wantsColor.ts';
import { paint, paintReport } from '../../../src/report/color.ts';

test('marks are painted, and nothing else', () => {
  expect(paint('  ✓ 3 nodes, ERROR: 0')).toBe('  \u001b[32m✓\u001b[0m 3 nodes, ERROR: 0');
  expect(paint('WARNING: careful')).toBe('\u001b[33mWARNING:\u001b[0m careful');
  expect(paint('ERROR: it failed')).toBe('\u001b[31mERROR:\u001b[0m it failed');
  expect(paint('  Cause: ERROR: of the server')).toBe('  Cause: ERROR: of the server');
});

test('marks of a plan are painted where they begin a line', () => {
  expect(paintReport('Step 1\n  + a: create b\n  ~ a: set + c\n! Not in this spec\n    + d\n+ e')).toBe(
    'Step 1\n  \u001b[32m+\u001b[0m a: create b\n  \u001b[33m~\u001b[0m a: set + c\n\u001b[31m!\u001b[0m Not in this spec\n    + d\n+ e',
  );
});

test('only on a terminal, and not where NO_COLOR is set', () => {
  expect(wantsColor(true, { TERM: 'xterm' })).toBe(true);
  expect(wantsColor(true, { NO_COLOR: '' })).toBe(true);
  expect(wantsColor(false, {})).toBe(false);
  expect(wantsColor(true, { NO_COLOR: '1' })).toBe(false);
  expect(wantsColor(true, { TERM: 'dumb' })).toBe(false);
});
