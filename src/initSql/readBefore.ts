import { createHash } from 'node:crypto';
import { passwordBlots } from './blotOut.ts';
import type { ScriptSource } from './types.ts';

declare const SOURCE_DIGEST: string | undefined;

/**
 * Of the sources of this build and its packages (scripts/build.mjs): of everything that decides which units a script
 * becomes. undefined: it was not built.
 */
const BUILD = typeof SOURCE_DIGEST === 'string' ? SOURCE_DIGEST : undefined;

/** A script of initSQL that nobody has read yet. */
export interface ScriptText {
  readonly sql: string;
  /** undefined: initSQL itself. */
  readonly source?: ScriptSource | undefined;
}

/**
 * By what the scripts of a database are recognised that a run of the same build has read before. undefined: they are
 * read each time. Whoever knows the hash of a text can try passwords until one fits, so a script that may hold one has
 * none; of the others, the ledger shows each statement anyway.
 */
export function fingerprintOf(scripts: readonly ScriptText[], build = BUILD): string | undefined {
  if (build === undefined || scripts.some(mayHoldSecret)) return undefined;
  const digest = createHash('sha256').update(build);
  for (const { sql } of scripts) {
    digest.update(`\n${sql.length}\n`);
    // As UTF-16, which tells half of a surrogate pair from U+FFFD.
    for (let at = 0; at < sql.length; at += AT_ONCE) digest.update(sql.slice(at, at + AT_ONCE), 'utf16le');
  }
  return digest.digest('hex');
}

/** A script has megabytes, and each update makes a copy. */
const AT_ONCE = 65_536;

function mayHoldSecret({ sql, source }: ScriptText): boolean {
  return source?.secret === true || passwordBlots(sql).length > 0;
}
