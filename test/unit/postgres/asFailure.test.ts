import { expect, test } from 'vitest';
import { asFailure } from '../../../src/postgres/asFailure.ts';
import { NoAnswer } from '../../../src/postgres/limit.ts';
import { ConnectionLost } from '../../../src/postgres/session.ts';
import { Failure, Interrupted } from '../../../src/report/errors.ts';

const withCode = (message: string, code: string) => Object.assign(new Error(message), { code });

test.each([
  [
    new ConnectionLost('The connection to a:1 was lost'),
    'the connection was cut',
    'The connection to a:1 was lost (ECONNRESET)',
  ],
  [new NoAnswer('No answer from a:1 within 10 s'), 'no answer in time', 'No answer from a:1 within 10 s (ETIMEDOUT)'],
  [
    withCode('terminating connection due to administrator command', '57P01'),
    'the server is shutting down, or an administrator ended the session',
    'terminating connection due to administrator command (SQLSTATE 57P01)',
  ],
])('%s is a failure that says what to do', (error, meaning, cause) => {
  const failure = asFailure(error, 'skymap');
  expect(failure).toBeInstanceOf(Failure);
  expect(String(failure)).toBe(
    `Failure: The run was broken off: ${meaning} (database skymap)
  Cause: ${cause}
  Next: Run again: what is done is kept, and the rest is done then`,
  );
});

test.each([
  new Failure({ kind: 'refused', what: 'No' }),
  new Interrupted('SIGTERM'),
  withCode('syntax error', '42601'),
  new TypeError('x is not a function'),
])('%s stays what it is', (error) => {
  expect(asFailure(error, 'skymap')).toBe(error);
});
