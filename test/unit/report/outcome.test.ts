import { describe, expect, test } from 'vitest';
import { forEachDatabase, SomeFailed } from '../../../src/commands/forEachDatabase.ts';
import type { Context } from '../../../src/context.ts';
import { exitCode, Failure, type FailureKind, Interrupted } from '../../../src/report/errors.ts';
import { createRedactor } from '../../../src/report/redact.ts';
import { createStepLog } from '../../../src/report/stepLog.ts';
import { parse } from '../spec/support.ts';

function contextFor(...names: readonly string[]) {
  const logged: string[] = [];
  const controller = new AbortController();
  const spec = parse(`
cluster: { coordinator: { host: c }, workers: [{ group: 1, host: w1 }] }
databases: [${names.map((name) => `{ name: ${name} }`).join(', ')}]
`);
  const context: Context = {
    command: 'apply',
    spec,
    access: {
      user: 'postgres',
      password: undefined,
      acceptServerWithoutProof: false,
      tls: { mode: 'disable', caFile: '', verifiesChain: false, context: undefined },
      redactor: createRedactor(),
    },
    log: createStepLog({ write: ({ context: { database }, text }) => logged.push(`${database}: ${text}`) }),
    signal: controller.signal,
    print: () => undefined,
  };
  return { context, logged, controller };
}

const failure = (kind: FailureKind) => new Failure({ kind, what: `It ${kind}` });

describe('exit code of several databases', () => {
  test.each([
    [['failed', undefined], 1],
    [['invalid', 'failed', 'refused'], 1],
    [['refused', 'invalid'], 3],
    [['invalid', undefined, 'invalid'], 2],
  ] as const)('%j', async (kinds, code) => {
    const { context } = contextFor(...kinds.map((_, index) => `db${index}`));
    const made: string[] = [];
    const outcome: unknown = await forEachDatabase(context, async ({ name }) => {
      made.push(name);
      const kind = kinds[made.length - 1];
      if (kind !== undefined) throw failure(kind);
    }).catch((error: unknown) => error);
    expect(made).toEqual(kinds.map((_, index) => `db${index}`));
    expect(outcome).toBeInstanceOf(SomeFailed);
    expect(exitCode(outcome)).toBe(code);
  });
});

test('each failure is told at once; the end names them', async () => {
  const { context, logged } = contextFor('one', 'two', 'three');
  const outcome = forEachDatabase(context, async ({ name }) => {
    if (name !== 'two') throw new Failure({ kind: 'refused', what: `Not ${name}` });
    expect(logged).toEqual(['one: ERROR: Not one']);
  });
  await expect(outcome).rejects.toThrow(
    "2 of 3 databases are not ready: 'one', 'three'\n  Next: Look above for the reason of each",
  );
  expect(logged).toEqual(['one: ERROR: Not one', 'three: ERROR: Not three']);
});

test('the failure of the only database is thrown as it is', async () => {
  const { context, logged } = contextFor('one');
  const only = failure('invalid');
  await expect(forEachDatabase(context, () => Promise.reject(only))).rejects.toBe(only);
  expect(logged).toEqual([]);
});

test.each([
  ['a signal', new Interrupted('SIGINT')],
  ['a defect', new TypeError('x is undefined')],
])('%s ends the run', async (_, error) => {
  const { context } = contextFor('one', 'two');
  const made: string[] = [];
  const outcome = forEachDatabase(context, async ({ name }) => {
    made.push(name);
    throw error;
  });
  await expect(outcome).rejects.toBe(error);
  expect(made).toEqual(['one']);
});

test('a signal between two databases ends the run', async () => {
  const { context, controller } = contextFor('one', 'two');
  const made: string[] = [];
  const outcome = forEachDatabase(context, async ({ name }) => {
    made.push(name);
    controller.abort(new Interrupted('SIGTERM'));
  });
  await expect(outcome).rejects.toThrow('Stopped by SIGTERM');
  expect(made).toEqual(['one']);
});

test('all is well', async () => {
  const { context, logged } = contextFor('one', 'two');
  await expect(forEachDatabase(context, () => Promise.resolve())).resolves.toBeUndefined();
  expect(logged).toEqual([]);
});

test('several at once: each in a section of its own, the end names those that failed in the order of the spec', async () => {
  const { context, logged } = contextFor('one', 'two', 'three', 'four');
  let most = 0;
  let atWork = 0;
  // 'one' is the last to end, whatever the machine is busy with.
  let endFour = () => {};
  const fourEnded = new Promise<void>((resolve) => {
    endFour = resolve;
  });
  const outcome = forEachDatabase(
    context,
    async ({ name }, own) => {
      atWork += 1;
      most = Math.max(most, atWork);
      const log = own.log.about({ database: name });
      log.line('begins');
      await (name === 'one' ? fourEnded : new Promise((resolve) => setTimeout(resolve, 10)));
      atWork -= 1;
      if (name === 'four') setTimeout(endFour, 0);
      if (name !== 'two') throw new Failure({ kind: 'failed', what: `Not ${name}` });
      log.line('ready');
    },
    3,
  );
  await expect(outcome).rejects.toThrow("3 of 4 databases are not ready: 'one', 'three', 'four'");
  expect(most).toBe(3);
  const told = ['one', 'two', 'three', 'four'].map((name) => logged.filter((line) => line.startsWith(`${name}: `)));
  expect(told).toEqual([
    ['one: begins', "one: Database 'one' goes on:", "one: Database 'one' goes on:", 'one: ERROR: Not one'],
    ['two: begins', 'two: ready'],
    ['three: begins', 'three: ERROR: Not three'],
    ['four: begins', 'four: ERROR: Not four'],
  ]);
  expect(logged.indexOf('two: ready')).toBe(logged.indexOf('two: begins') + 1);
});

test('after a defect nothing more is begun, and what is at work ends first', async () => {
  const { context } = contextFor('one', 'two', 'three');
  const defect = new TypeError('x is undefined');
  const ended: string[] = [];
  const outcome = forEachDatabase(
    context,
    async ({ name }) => {
      if (name === 'one') throw defect;
      await new Promise((resolve) => setTimeout(resolve, 10));
      ended.push(name);
    },
    2,
  );
  await expect(outcome).rejects.toBe(defect);
  expect(ended).toEqual(['two']);
});
