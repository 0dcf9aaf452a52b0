/**
 * `VALUES (1, 'a'), (2, 'b'), …` of an INSERT says nothing more about the statement with its thousandth row than with its
 * first, as long as rows hold constants alone. The parser's tree of them is a hundred times as large as their text, so it
 * is given the first row and the last one.
 */

/** Anything else ends the rows: a comment, E'…', a string that goes on after a line end, a cast. */
const CONSTANT = String.raw`(?:'[^']*(?:''[^']*)*'|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?|null|true|false|default)`;
/** Other white space than PostgreSQL's own belongs to words (scan.l, "space"). */
export const BLANK = String.raw`[ \t\n\r\f\v]`;
const ROW = new RegExp(
  String.raw`${BLANK}*\(${BLANK}*${CONSTANT}(?:${BLANK}*,${BLANK}*${CONSTANT})*${BLANK}*\)${BLANK}*`,
  'iy',
);

/** Where further rows of constants begin and end that stand behind the first and before the last. */
export interface Rows {
  readonly start: number;
  readonly end: number;
}

/** `from`: after VALUES. undefined: there is no row that may be left out. */
export function furtherRows(sql: string, from: number): Rows | undefined {
  let at = from;
  let start: number | undefined;
  let end: number | undefined;
  for (;;) {
    ROW.lastIndex = at;
    // A row that another one follows.
    if (!ROW.test(sql) || sql.charAt(ROW.lastIndex) !== ',') break;
    at = ROW.lastIndex + 1;
    if (start === undefined) start = at;
    else end = at;
  }
  return start === undefined || end === undefined ? undefined : { start, end };
}

/** `from`: after VALUES. Behind the last of the rows, and blanks behind it; undefined: not all of them hold constants alone. */
export function endOfRows(sql: string, from: number): number | undefined {
  for (let at = from; ; at = ROW.lastIndex + 1) {
    ROW.lastIndex = at;
    if (!ROW.test(sql)) return undefined;
    if (sql.charAt(ROW.lastIndex) !== ',') return ROW.lastIndex;
  }
}

/** A text without some of its rows. */
export interface Condensed {
  readonly sql: string;
  /** From an offset in `sql`, outside of rows, to that in the script. */
  offsetInScript(offset: number): number;
}

/** The part of the script from `start` to `end`; `rows` lie in it, from first to last. */
export function condense(script: string, { start, end }: Rows, rows: readonly Rows[]): Condensed {
  let sql = '';
  let at = start;
  const gaps: { readonly offset: number; readonly length: number }[] = [];
  for (const row of rows) {
    sql += script.slice(at, row.start);
    gaps.push({ offset: sql.length, length: row.end - row.start });
    at = row.end;
  }
  sql += script.slice(at, end);
  return {
    sql,
    offsetInScript: (offset) =>
      gaps.reduce((sum, gap) => (gap.offset < offset ? sum + gap.length : sum), start + offset),
  };
}
