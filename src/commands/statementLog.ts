import type { Statement } from '../postgres/statement.ts';
import type { StepLog } from '../report/stepLog.ts';

/** A script may hold megabytes; the server's own log has the whole statement. */
const LONGEST_CHARACTERS = 10_000;

/**
 * Writes each statement at level debug: node, database, milliseconds, and the SQLSTATE of one that failed. Passwords of
 * the user's own SQL, which no file holds, are blotted out here; all others where every line leaves the program.
 * `hideStrings`: all string constants, because a script comes from a Secret.
 */
export async function statementLog(
  log: StepLog,
  { hideStrings }: { readonly hideStrings: boolean },
): Promise<(statement: Statement) => void> {
  // Loaded only here: most runs write no such log.
  const { blotOutPasswords, blotOutStrings } = await import('../initSql/blotOut.ts');
  return ({ node, database, text, milliseconds, failedWith }) => {
    const place = `${node.host}:${node.port}`;
    const end = failedWith === undefined ? '' : `, failed with ${failedWith}`;
    const sql = shortened((hideStrings ? blotOutStrings : blotOutPasswords)(text.trim()));
    log
      .about({ database, node: place })
      .debug(`DEBUG: ${place} ${database}, ${milliseconds.toFixed(1)} ms${end}: ${sql}`);
  };
}

function shortened(sql: string): string {
  return sql.length <= LONGEST_CHARACTERS
    ? sql
    : `${sql.slice(0, LONGEST_CHARACTERS)} ... (${sql.length} characters in all)`;
}
