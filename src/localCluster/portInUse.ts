import { Failure } from '../report/errors.ts';

/** `cause`: who could not listen on it, and why. */
export function portInUse(port: number, cause: string, error: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: `Port ${port} is in use`,
      cause,
      next: `Stop what listens on port ${port}, or choose another one.`,
    },
    { cause: error },
  );
}
