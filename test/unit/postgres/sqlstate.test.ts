import { describe, expect, test } from 'vitest';
import { classify, codeOf, describe as describeError, meaningOf } from '../../../src/postgres/sqlstate.ts';
import { Failure } from '../../../src/report/errors.ts';

function withCode(code: string, message = 'what the server said', more: object = {}): Error {
  return Object.assign(new Error(message), { code }, more);
}

describe('classify', () => {
  test.each(
    '08000 08001 08003 08004 08006 57P01 57P02 57P03 25006 55006 40001 40P01 53300 ECONNREFUSED ECONNRESET ETIMEDOUT EPIPE ENOTFOUND EAI_AGAIN EHOSTUNREACH'.split(
      ' ',
    ),
  )('%s is transient', (code) => {
    expect(classify(withCode(code))).toBe('transient');
    expect(meaningOf(withCode(code))).not.toBe(undefined);
  });

  test.each(
    '28P01 28000 3D000 TLS_REFUSED CERT_HAS_EXPIRED DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN UNABLE_TO_VERIFY_LEAF_SIGNATURE UNABLE_TO_GET_ISSUER_CERT_LOCALLY ERR_TLS_CERT_ALTNAME_INVALID ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'.split(
      ' ',
    ),
  )('%s is hopeless', (code) => {
    expect(classify(withCode(code))).toBe('hopeless');
  });

  test.each('42P07 42601 23505 57014 57P04 42501 22023 XX000 0A000 25001 28P02 80001'.split(' '))(
    '%s is permanent',
    (code) => {
      expect(classify(withCode(code))).toBe('permanent');
      expect(meaningOf(withCode(code))).toBe(undefined);
    },
  );

  test('an internal error is transient only when two sessions met at a catalog row', () => {
    expect(classify(withCode('XX000', 'tuple concurrently updated'))).toBe('transient');
    expect(classify(withCode('XX000', 'tuple concurrently deleted'))).toBe('transient');
    expect(classify(withCode('42P01', 'tuple concurrently updated'))).toBe('permanent');
  });

  test('a Failure is what its cause is', () => {
    const cause = withCode('57P03');
    expect(classify(new Failure({ kind: 'failed', what: 'x' }, { cause }))).toBe('transient');
    expect(codeOf(new Failure({ kind: 'failed', what: 'x' }, { cause }))).toBe('57P03');
    expect(classify(new Failure({ kind: 'failed', what: 'x' }))).toBe('permanent');
  });

  test('a host with several addresses', () => {
    const error = new AggregateError([
      withCode('ECONNREFUSED', 'connect ECONNREFUSED ::1:5432'),
      withCode('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:5432'),
    ]);
    Object.assign(error, { code: 'ECONNREFUSED' });
    expect(classify(error)).toBe('transient');
    expect(describeError(error)).toBe('connect ECONNREFUSED ::1:5432; connect ECONNREFUSED 127.0.0.1:5432');
  });

  test.each([undefined, null, 'text', 7, {}, new Error('no code')])('%s is permanent', (value) => {
    expect(classify(value)).toBe('permanent');
  });
});

describe('describe', () => {
  const error = withCode('23505', 'duplicate key', { detail: 'Key (a)=(secret) exists.', hint: 'Take another.' });

  test('everything PostgreSQL said', () => {
    expect(describeError(error)).toBe(
      'duplicate key (SQLSTATE 23505)\nDETAIL: Key (a)=(secret) exists.\nHINT: Take another.',
    );
  });

  test('DETAIL left out', () => {
    expect(describeError(error, { detail: false })).toBe('duplicate key (SQLSTATE 23505)\nHINT: Take another.');
  });

  test('errors of the system', () => {
    expect(describeError(withCode('EPIPE', 'write EPIPE'))).toBe('write EPIPE');
    expect(describeError(withCode('ETIMEDOUT', 'No answer from a:1 within 10 s'))).toBe(
      'No answer from a:1 within 10 s (ETIMEDOUT)',
    );
    expect(describeError('just text')).toBe('just text');
  });

  test('a Failure keeps its own words', () => {
    expect(describeError(new Failure({ kind: 'failed', what: 'It broke', next: 'Mend it' }, { cause: error }))).toBe(
      'It broke\n  Next: Mend it',
    );
  });
});
