import { codeOf, isSqlState } from '../postgres/sqlstate.ts';
import { exitCode, Failure, Interrupted } from '../report/errors.ts';
import type { ErrorReport } from '../report/log.ts';

/** What ended a run, as fields (schema/error.schema.json). */
export function errorReport(error: unknown, redact: (text: string) => string): ErrorReport {
  const report = fieldsOf(error);
  const written = Object.entries(report).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    written.map(([name, value]) => [name, typeof value === 'string' ? redact(value) : value]),
  ) as unknown as ErrorReport;
}

function fieldsOf(error: unknown): ErrorReport {
  const code = exitCode(error);
  if (error instanceof Interrupted) return { kind: 'stopped', exitCode: code, what: error.message };
  if (!(error instanceof Failure)) return { kind: 'defect', exitCode: code, what: String(error) };
  const { kind, what, node, database, cause, next } = error.details;
  const sqlstate = codeOf(error);
  return {
    kind,
    exitCode: code,
    what,
    node,
    database,
    sqlstate: isSqlState(sqlstate) ? sqlstate : undefined,
    cause,
    next,
  };
}
