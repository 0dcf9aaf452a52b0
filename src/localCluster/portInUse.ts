import { Failure } from '../report/errors.ts';

/** `cause`: who could not listen on it, and why. */
export function portInUse(port: number, cause: string, error: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: `Port ${port} is in use`,
      cause,
      next: `Stop what listens on port ${port}, or choose other ports (demo --port 5700 takes 5700, 5701 and 5702)`,
    },
    { cause: error },
  );
}
