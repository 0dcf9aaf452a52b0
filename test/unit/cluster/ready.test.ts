import { describe, expect, test, vi } from 'vitest';
import {
  type Clock,
  type WaitOptions,
  type WaitProgress,
  waitForNode,
  waitForNodes,
} from '../../../src/cluster/ready.ts';
import type { ServerAddress } from '../../../src/postgres/serverAddress.ts';
import type { Session } from '../../../src/postgres/session.ts';
import { Failure, Interrupted } from '../../../src/report/errors.ts';
import { createRedactor } from '../../../src/report/redact.ts';
import type { Access } from '../../../src/secrets/credentials.ts';
import type { NodeSpec } from '../../../src/spec/types.ts';

const access: Access = {
  user: 'postgres',
  password: 'secret',
  acceptServerWithoutProof: false,
  redactor: createRedactor(),
  tls: { mode: 'disable', caFile: '', verifiesChain: false, context: undefined },
};

function nodeOf(group: number): NodeSpec {
  return { group, host: `citusdemo-${group}`, port: 5432, nodeName: `citusdemo-${group}`, nodePort: 5432 };
}

function failing(code: string, message = `it says ${code}`): Error {
  return Object.assign(new Error(message), { code });
}

function sessionOf(node: ServerAddress, standby: boolean) {
  const close = vi.fn(async () => undefined);
  const session = { node, query: async () => ({ rows: [{ standby }], rowCount: 1, command: 'SELECT' }), close };
  return { session: session as unknown as Session, close };
}

type Step = Error | 'standby' | 'ready';

/** Attempts take no time; the clock moves by what is slept. The last step repeats. */
function script(steps: readonly Step[]) {
  let at = 0;
  let now = 0;
  const attempts: number[] = [];
  const closes: (() => Promise<undefined>)[] = [];
  const clock: Clock = {
    now: () => now,
    async sleep(milliseconds, signal) {
      signal?.throwIfAborted();
      now += milliseconds;
    },
  };
  const open: WaitOptions['open'] = async ({ node, database }) => {
    expect(database).toBe('postgres');
    attempts.push(now / 1000);
    const step = steps[Math.min(at, steps.length - 1)];
    at += 1;
    if (step instanceof Error) throw step;
    const { session, close } = sessionOf(node, step === 'standby');
    closes.push(close);
    return session;
  };
  return { clock, open, attempts, closes };
}

async function wait(node: NodeSpec, steps: readonly Step[], more: Partial<WaitOptions> = {}) {
  const told: WaitProgress[] = [];
  const { clock, open, attempts, closes } = script(steps);
  const outcome = await waitForNode(node, access, {
    maxAttempts: 60,
    retryDelaySeconds: 5,
    clock,
    open,
    onProgress: (progress) => told.push(progress),
    ...more,
  }).then(
    (session) => ({ session, message: undefined, error: undefined }),
    (error: unknown) => ({ session: undefined, message: error instanceof Error ? error.message : '', error }),
  );
  return { ...outcome, told, attempts, closes };
}

describe('waitForNode', () => {
  test('returns the open session of a node that is ready', async () => {
    const { session, told, attempts, closes } = await wait(nodeOf(1), ['ready']);
    expect(session?.node.group).toBe(1);
    expect([told, attempts]).toEqual([[], [0]]);
    expect(closes[0]).not.toHaveBeenCalled();
  });

  test('a standby is not ready, and its session is closed', async () => {
    const steps = [failing('ECONNREFUSED'), 'standby', 'ready'] as const;
    const { session, told, attempts, closes } = await wait(nodeOf(1), steps, { retryDelaySeconds: 0.5 });
    expect(session).not.toBe(undefined);
    expect(attempts).toEqual([0, 0.5, 1]);
    expect(closes[0]).toHaveBeenCalledTimes(1);
    expect(closes[1]).not.toHaveBeenCalled();
    expect(told.map(({ attempt, maxAttempts, reason }) => [attempt, maxAttempts, reason])).toEqual([
      [1, 60, 'it says ECONNREFUSED'],
      [2, 60, 'The server is in recovery: it does not accept writes yet'],
    ]);
  });

  test('is asked every second between two attempts, and reports the attempts alone', async () => {
    const refused = Array.from({ length: 6 }, () => failing('ECONNREFUSED'));
    const { session, told, attempts, closes } = await wait(nodeOf(1), [...refused, 'standby', 'ready']);
    expect(session).not.toBe(undefined);
    expect(attempts).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(closes[0]).toHaveBeenCalledTimes(1);
    expect(told.map(({ attempt, reason }) => [attempt, reason])).toEqual([
      [1, 'it says ECONNREFUSED'],
      [2, 'it says ECONNREFUSED'],
    ]);
  });

  test('an error that waiting rarely mends is not met more often than once an attempt', async () => {
    const steps = [failing('ECONNREFUSED'), failing('28P01'), failing('28P01'), 'ready'] as const;
    const { told, attempts } = await wait(nodeOf(1), steps);
    expect(attempts).toEqual([0, 1, 5, 10]);
    expect(told.map(({ reason }) => reason)).toEqual(['it says ECONNREFUSED', 'it says 28P01 (SQLSTATE 28P01)']);
  });

  test('a worker that never comes', async () => {
    const { message, attempts } = await wait(nodeOf(1), [failing('57P03', 'the database system is starting up')]);
    expect(attempts.filter((at) => at % 5 === 0).length).toBe(60);
    expect(attempts.at(-1)).toBe(295);
    expect(message).toMatchInlineSnapshot(`
      "Worker citusdemo-1 did not become ready after 60 attempts
        Cause: the database system is starting up (SQLSTATE 57P03)
        Next: Look at the node (kubectl get pods -l citus-group=1, then kubectl logs of its pod); when the node is well, run again: what is done already is kept"
    `);
  });

  test('a coordinator that never comes', async () => {
    const { message } = await wait(nodeOf(0), ['standby'], { maxAttempts: 1 });
    expect(message).toMatchInlineSnapshot(`
      "PostgreSQL coordinator did not become ready after 1 attempt
        Cause: The server is in recovery: it does not accept writes yet
        Next: Look at the node (kubectl get pods -l citus-group=0, then kubectl logs of its pod); when the node is well, run again: what is done already is kept"
    `);
  });

  test.each([
    ['28P01', 'password authentication failed for user "postgres"'],
    ['28000', 'no pg_hba.conf entry for host "10.0.0.1"'],
    ['3D000', 'database "postgres" does not exist'],
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND citusdemo-2'],
    ['42704', 'unrecognized configuration parameter "row_security"'],
  ])('%s ends the wait after half a minute', async (code, text) => {
    const { message, attempts } = await wait(nodeOf(2), [failing(code, text)]);
    expect(attempts).toEqual([0, 5, 10, 15, 20, 25, 30]);
    expect(message).toMatchSnapshot();
  });

  test('a certificate that does not verify keeps its own message', async () => {
    const error = new Failure(
      { kind: 'failed', what: 'The certificate of the server does not verify' },
      { cause: failing('CERT_HAS_EXPIRED') },
    );
    const outcome = await wait(nodeOf(2), [error]);
    expect(outcome.error).toBe(error);
    expect(outcome.attempts.at(-1)).toBe(30);
  });

  test('the half minute counts from when the error came, not from the start', async () => {
    const booting = Array.from({ length: 20 }, () => failing('ECONNREFUSED'));
    const wrong = failing('28P01');
    const early = Array.from({ length: 6 }, () => wrong);
    expect((await wait(nodeOf(1), [...booting, ...early, 'ready'])).session).not.toBe(undefined);
    // interrupted by something else, it starts again
    const steps = [...early, failing('57P03'), ...early, 'ready'] as const;
    expect((await wait(nodeOf(1), steps)).session).not.toBe(undefined);
    // Refused for 19 s, once a second; a wrong password from the attempt at 20 s on.
    expect((await wait(nodeOf(1), [...booting, ...early, wrong, 'ready'])).attempts.at(-1)).toBe(50);
  });

  test('what can be done meanwhile is done as soon as there is a wait, and can end it', async () => {
    const nothing = vi.fn(async () => undefined);
    await wait(nodeOf(1), ['ready'], { whileWaiting: nothing });
    expect(nothing).not.toHaveBeenCalled();
    const { session } = await wait(nodeOf(1), ['standby', 'ready'], { whileWaiting: nothing });
    expect(session).not.toBe(undefined);
    expect(nothing).toHaveBeenCalledTimes(1);
    for (const maxAttempts of [1, 60]) {
      const { message, attempts } = await wait(nodeOf(1), [failing('28P01')], {
        maxAttempts,
        whileWaiting: () => Promise.reject(new Error('the script is wrong')),
      });
      expect([message, attempts]).toEqual(['the script is wrong', [0]]);
    }
  });

  test('the signal ends the wait with its own reason', async () => {
    const controller = new AbortController();
    const reason = new Interrupted('SIGINT');
    const outcome = await wait(nodeOf(1), [failing('ECONNREFUSED')], {
      signal: controller.signal,
      onProgress: ({ attempt }) => (attempt === 3 ? controller.abort(reason) : undefined),
    });
    expect(outcome.error).toBe(reason);
    expect(outcome.attempts.at(-1)).toBe(10);
  });
});

describe('waitForNodes', () => {
  test('sessions come in the order of the nodes', async () => {
    const { clock, open } = script(['ready']);
    const nodes = [nodeOf(0), nodeOf(2), nodeOf(1)];
    const sessions = await waitForNodes(nodes, access, { maxAttempts: 1, retryDelaySeconds: 1, clock, open });
    expect(sessions.map(({ node }) => node.group)).toEqual([0, 2, 1]);
  });

  test('when one fails, the sessions of the others are closed and its error is thrown', async () => {
    const well = script(['ready']);
    const ill = script([failing('ECONNREFUSED')]);
    const open: NonNullable<WaitOptions['open']> = (target, ...rest) =>
      (target.node.group === 1 ? ill.open : well.open)?.(target, ...rest) ?? Promise.reject(new Error('no opener'));
    const options = { maxAttempts: 2, retryDelaySeconds: 1, clock: ill.clock, open };
    await expect(waitForNodes([nodeOf(0), nodeOf(1)], access, options)).rejects.toThrow(
      'Worker citusdemo-1 did not become ready after 2 attempts',
    );
    expect(well.closes[0]).toHaveBeenCalledTimes(1);
  });
});
