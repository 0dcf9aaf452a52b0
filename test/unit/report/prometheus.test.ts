import { expect, test } from 'vitest';
import { exposition } from '../../../src/report/prometheus.ts';
import { visible } from '../../../src/report/visible.ts';
import { readExposition } from '../../support/exposition.ts';

test('what would move the cursor of a terminal is still a sample where it was printed', () => {
  const labels = { database: 'a\u001b[2Jb\r"\\\n' };
  const text = exposition([{ name: 'x_ready', help: 'Ready\u001b.', samples: [{ labels, value: 1 }] }]);
  // As the runner prints it.
  expect(visible(text)).toBe(text);
  expect(readExposition(text)).toEqual([{ name: 'x_ready', labels: { database: 'a\\x1b[2Jb\\r"\\\n' }, value: 1 }]);
});

test('labels hold any name of a database', () => {
  const labels = { database: 'a"b\\c\nd,e="f"}', node: 'Üñí' };
  const text = exposition([{ name: 'x_ready', help: 'One\\two\nthree.', samples: [{ labels, value: 1 }] }]);
  expect(text.split('\n')).toHaveLength(4);
  expect(readExposition(text)).toEqual([{ name: 'x_ready', labels, value: 1 }]);
});

test('a gauge without a sample is left out', () => {
  expect(exposition([{ name: 'x', help: 'Nothing.', samples: [] }])).toBe('');
});

test.each([
  ['x 1', 'stand under its type'],
  ['# HELP x X.\n# TYPE x gauge\nx{a="1"} 1\nx{a="1"} 2\n', 'Two samples'],
  ['# HELP x X.\n# TYPE x gauge\nx{a=1} 1\n', 'Not a label'],
  ['# HELP x X.\n# TYPE x gauge\nx one\n', 'Not a sample'],
  ['# HELP x_total X.\n# TYPE x_total gauge\nx_total 1\n', 'counter'],
  ['# HELP x_days X.\n# TYPE x_days gauge\nx_days 1\n', 'base unit'],
  ['# HELP x X.\n# TYPE x gauge\nx 1', 'does not end'],
])('the reader refuses %j', (text, reason) => {
  expect(() => readExposition(text.endsWith('1') && reason !== 'does not end' ? `${text}\n` : text)).toThrow(reason);
});
