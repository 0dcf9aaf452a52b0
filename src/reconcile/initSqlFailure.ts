import { hideValues } from '../initSql/blotOut.ts';
import { EXTENSION_DROPPED } from '../initSql/keptExtensions.ts';
import { locateError } from '../initSql/locateError.ts';
import { lineOf } from '../initSql/place.ts';
import type { SqlPart } from '../initSql/types.ts';
import { adviceOn } from '../postgres/advice.ts';
import { ConnectionLost } from '../postgres/session.ts';
import { codeOf, describe, meetsItAgain } from '../postgres/sqlstate.ts';
import { Failure, type FailureKind, Interrupted } from '../report/errors.ts';
import type { Run } from './run.ts';

/** The answer to COMMIT may be what was lost. */
const AFTER_LOSS =
  'Run again: the ledger knows whether the statement took effect, and only if not is it executed again';

const NOTHING_LEFT = 'statements before it are done and are not repeated, and this one left nothing behind';

export interface FailureDetails {
  /** PostgreSQL's position counts within the part's own text. */
  readonly located: boolean;
  /** What to do instead of what the cause suggests. */
  readonly next?: string | undefined;
}

/** The Failure of a statement of initSQL, with its line in the script. */
export function statementFailure(run: Run, part: SqlPart, error: unknown, { located, next }: FailureDetails): unknown {
  if (error instanceof Failure || error instanceof Interrupted) return error;
  const position = located ? positionOf(error) : undefined;
  const place = position === undefined ? undefined : locateError(part, position);
  const display = 'display' in part && typeof part.display === 'string' ? part.display : undefined;
  const where = place === undefined ? '' : `\nAt line ${place.line}, column ${place.column}:\n${place.excerpt}`;
  return new Failure(
    {
      kind: kindOf(error),
      what: `initSQL failed at line ${lineOf({ ...part, line: place?.line ?? part.line })}${display === undefined ? '' : `: ${display}`}`,
      node: run.coordinator,
      database: run.database,
      cause: `${wordsOf(part, error, located)}${where}`,
      next: next ?? nextStep(error),
    },
    { cause: error },
  );
}

/** A wrong statement is as final as a wrong spec: 'failed' would make Kubernetes and Nomad send it again. */
function kindOf(error: unknown): FailureKind {
  if (codeOf(error) === EXTENSION_DROPPED) return 'refused';
  return meetsItAgain(error) ? 'invalid' : 'failed';
}

/** For the log, before the unit is executed again. */
export function triedAgain(unit: SqlPart, error: unknown): string {
  const [words = ''] = wordsOf(unit, error, true).split('\n');
  return `${words}; rolled back, trying again`;
}

/** PostgreSQL's words, without what must not be shown. `ownWords`: the statement itself may have raised the error. */
function wordsOf(part: SqlPart, error: unknown, ownWords: boolean): string {
  return part.source?.secret === true ? describeHidden(error, part, ownWords) : describe(error);
}

/**
 * PostgreSQL's words about a statement of a Secret. They quote names, which help, and values, which must not be shown.
 * RAISE says whatever its author wants, under any SQLSTATE (PostgreSQL: src/pl/plpgsql/src/pl_exec.c, exec_stmt_raise).
 */
function describeHidden(error: unknown, part: SqlPart, ownWords: boolean): string {
  if (codeOf(error)?.startsWith('P0') === true || (ownWords && routineOf(error) === 'exec_stmt_raise'))
    return `SQLSTATE ${codeOf(error)}; its words are not shown: the file is a Secret's`;
  const said = describe(error, { detail: false })
    .split('\n')
    .filter((line) => !line.startsWith('HINT: '))
    .join('\n');
  return hideValues(said, part.sql);
}

function nextStep(error: unknown): string {
  if (error instanceof ConnectionLost) return AFTER_LOSS;
  if (codeOf(error) === EXTENSION_DROPPED) {
    return `Drop the objects by their names, or move the extension's schema out of the way of it: ${NOTHING_LEFT}`;
  }
  const advice = adviceOn(error);
  return advice === undefined ? `Correct the statement and run again: ${NOTHING_LEFT}` : `${advice}: ${NOTHING_LEFT}`;
}

/** The function of the server's source that reported the error. */
function routineOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, 'routine') : undefined;
}

/** PostgreSQL's own position: characters from 1 (PostgreSQL documentation, "Error and Notice Message Fields"). */
function positionOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const position = Number(Reflect.get(error, 'position'));
  return Number.isInteger(position) && position > 0 ? position : undefined;
}
