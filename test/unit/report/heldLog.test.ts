import { expect, test } from 'vitest';
import { holdBack, tellNow } from '../../../src/report/heldLog.ts';
import type { LogEntry } from '../../../src/report/log.ts';
import { createStepLog } from '../../../src/report/stepLog.ts';

test('lines wait for their turn, in their order and with their context, and then go through at once', () => {
  const entries: LogEntry[] = [];
  const { log, release } = holdBack(createStepLog({ write: (entry) => entries.push(entry) }, { database: 'skymap' }));
  const shown = () => entries.splice(0).map(({ text, context }) => `${text}|${context.database}|${context.step}`);

  log.step(2, 'Creating');
  const inside = log.about({ step: 2 });
  inside.line('first', 1);
  inside.warn('second', 1);
  expect(shown()).toEqual([]);

  release();
  expect(shown().slice(1)).toEqual(['Step 2: Creating|skymap|2', 'first|skymap|2', 'WARNING: second|skymap|2']);
  inside.line('third');
  expect(shown()).toEqual(['third|skymap|2']);
});

test('what only says how things stand is lost while lines wait, also through a log that is itself held back', () => {
  const texts: string[] = [];
  const outer = holdBack(createStepLog({ write: ({ text }) => texts.push(text) }));
  const inner = holdBack(outer.log);
  tellNow(inner.log, '1 of 2 done');
  inner.log.line('first');
  inner.release();
  tellNow(inner.log, '1 of 2 done');
  outer.release();
  expect(texts).toEqual(['first']);
  tellNow(inner.log.about({ step: 1 }), '2 of 2 done');
  expect(texts).toEqual(['first', '2 of 2 done']);
});
