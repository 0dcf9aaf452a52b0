/**
 * What a script of initSQL becomes: units, in the script's order. Each statement or own BEGIN … COMMIT is executed once
 * and has one row in the ledger; session statements have none.
 */

/** A file of initSQLFrom. */
export interface ScriptSource {
  readonly file: string;
  /** It comes from a Secret: its string constants are shown and stored nowhere. */
  readonly secret: boolean;
}

/** A piece of the script as it is sent to the server: without its semicolon and without leading or trailing comments. */
export interface SqlPart {
  readonly sql: string;
  /** Of its first character in the script; both 1-based, columns in characters (code points). */
  readonly line: number;
  readonly column: number;
  /** undefined: initSQL itself. */
  readonly source?: ScriptSource | undefined;
}

/** What a unit is known by in the ledger: the same statement, a second time in the script, is occurrence 2. */
export interface UnitKey {
  /** sha256 of the statement with passwords blotted out; comments and white space between tokens do not count. */
  readonly hash: string;
  readonly occurrence: number;
}

/** How to find out whether a statement whose outcome is unknown took effect. */
export type Lookup =
  /** Returns one row with one column `outcome`: 'done', 'notDone' or 'unclear'. Unqualified names follow search_path. */
  | { readonly kind: 'query'; readonly text: string; readonly values: readonly string[]; readonly whenUnclear: string }
  /** Running it again does no harm, whatever happened. */
  | { readonly kind: 'runAgain' }
  | { readonly kind: 'none' };

export type LookupOutcome = 'done' | 'notDone' | 'unclear';

/**
 * What a unit may open to others (opening.ts).
 *
 * - objects: it gives away an object, or a right to make objects, triggers or foreign keys.
 * - database: also who may connect, or what its text does not tell.
 */
export type Opening = 'objects' | 'database';

export interface StatementUnit extends SqlPart, UnitKey {
  readonly kind: 'statement';
  /** It may let others in. Absent: it does not. */
  readonly opens?: Opening;
  /** `sql` with passwords blotted out, in full: the ledger's text. */
  readonly text: string;
  /** The same on one line, shortened: for log and errors. */
  readonly display: string;
  /** 'alone': PostgreSQL or Citus refuse it within a transaction. 'transaction': try that first (SQLSTATE 25001 and 2D000 tell otherwise). */
  readonly expectation: 'transaction' | 'alone';
  readonly lookup: Lookup;
}

/** The script's own BEGIN … COMMIT; `sql` is the whole text, which is not sent as such. */
export interface BlockUnit extends SqlPart, UnitKey {
  readonly kind: 'block';
  /** With its COMMIT: nobody else sees before then what its statements have given away. */
  readonly opens?: Opening;
  /** With its options: `BEGIN ISOLATION LEVEL SERIALIZABLE`. */
  readonly begin: SqlPart;
  readonly statements: readonly SqlPart[];
  /** The session statements among them: their effect outlives COMMIT, so a resumed run needs them again. */
  readonly replay: readonly SqlPart[];
  readonly text: string;
  readonly display: string;
}

/** Changes only the session (SET, RESET, PREPARE, LISTEN, LOAD, DISCARD …): run again on resume, never recorded. */
export interface SessionUnit extends SqlPart {
  readonly kind: 'session';
  readonly display: string;
}

/** A unit that has a row in the ledger. */
export type RecordedUnit = StatementUnit | BlockUnit;

export type Unit = RecordedUnit | SessionUnit;

export interface Script {
  readonly units: readonly Unit[];
}

/** A row of the ledger, as read. */
export interface LedgerRow extends UnitKey {
  /** The order of execution. */
  readonly ordinal: number;
  /** Where it stood in the script of that time. */
  readonly line: number;
  /** Passwords blotted out. */
  readonly statement: string;
  /** 'running': an intent, written before a statement that runs outside a transaction. */
  readonly state: 'done' | 'running';
}
