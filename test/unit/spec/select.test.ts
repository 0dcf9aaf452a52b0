import { expect, test } from 'vitest';
import { selectDatabases, withPatience } from '../../../src/spec/select.ts';
import { parse } from './support.ts';

const spec = parse(`
cluster: { coordinator: { host: c }, workers: [{ group: 1, host: w1 }] }
databases: [{ name: skymap }, { name: crm, maxAttempts: 3, retryDelaySeconds: 10 }]
`);

test('these of the databases, in the order of the spec', () => {
  expect(selectDatabases(spec, [])).toBe(spec);
  expect(selectDatabases(spec, ['crm', 'skymap']).databases.map(({ name }) => name)).toEqual(['skymap', 'crm']);
  expect(() => selectDatabases(spec, ['skymapp'])).toThrow(
    "The spec declares no database 'skymapp'\n  Next: Is 'skymap' meant?",
  );
  expect(() => selectDatabases(spec, ['other'])).toThrow('It declares: skymap, crm');
});

test('a timeout goes before what databases declare', () => {
  expect(withPatience(spec, {})).toBe(spec);
  const patience = (seconds: number) =>
    withPatience(spec, { seconds }).databases.map(({ maxAttempts, retryDelaySeconds }) => [
      maxAttempts,
      retryDelaySeconds,
    ]);
  expect(patience(30)).toEqual([
    [6, 5],
    [3, 10],
  ]);
  expect(patience(2)).toEqual([
    [1, 2],
    [1, 2],
  ]);
});

test('a command that is in a hurry waits no longer than the databases declare', () => {
  const { databases } = withPatience(spec, { mostSeconds: 15 });
  expect(databases.map(({ maxAttempts, retryDelaySeconds }) => [maxAttempts, retryDelaySeconds])).toEqual([
    [3, 5],
    [2, 10],
  ]);
  expect(withPatience(spec, { mostSeconds: 3600 }).databases).toEqual(spec.databases);
});
