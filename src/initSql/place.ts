import { passwordBlots } from './blotOut.ts';
import type { Blot } from './secretPatterns.ts';
import type { ScriptSource } from './types.ts';

/** A place in a text for humans: both 1-based, the column in characters (code points). */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** `3`, or `3 (/path/seed.sql)`. */
export function lineOf({
  line,
  source,
}: {
  readonly line: number;
  readonly source?: ScriptSource | undefined;
}): string {
  return source === undefined ? String(line) : `${line} (${source.file})`;
}

/** Finds the place of any UTF-16 offset; the text's lines are counted once. */
export function placesOf(text: string): (offset: number) => Place {
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = lineStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    const start = lineStarts[low] ?? 0;
    return { line: low + 1, column: start === offset ? 1 : characters(text.slice(start, offset)) + 1 };
  };
}

export function placeAt(text: string, offset: number): Place {
  return placesOf(text)(offset);
}

/** The UTF-16 offset of the character number `count` (0-based), as PostgreSQL counts them. */
export function offsetOfCharacter(text: string, count: number): number {
  let offset = 0;
  for (let seen = 0; seen < count && offset < text.length; seen += 1) {
    offset += (text.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  }
  return Math.min(offset, text.length);
}

/**
 * The line around `offset` with a caret below it, passwords blotted out, long lines cut. `blots` of the whole text, since
 * a password may stand lines away from the word that gives it away.
 */
export function excerptAt(text: string, place: number, blots: readonly Blot[] = passwordBlots(text)): string {
  const offset = blots.find((blot) => blot.start < place && place < blot.end)?.start ?? place;
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  const nextLine = text.indexOf('\n', offset);
  const lineEnd = nextLine === -1 ? text.length : nextLine;
  const before = blotRange(text, lineStart, offset, blots).replaceAll('\t', ' ');
  const after = blotRange(text, offset, lineEnd, blots).replaceAll('\t', ' ').trimEnd();
  const head = [...before].length > 60 ? `…${[...before].slice(-59).join('')}` : before;
  const tail = [...after].length > 60 ? `${[...after].slice(0, 59).join('')}…` : after;
  return `${head}${tail}\n${' '.repeat(characters(head))}^`;
}

/** A part of the text with its blots; a blot that reaches into the part is shown where it begins, or at the part's start. */
function blotRange(text: string, start: number, end: number, blots: readonly Blot[]): string {
  let result = '';
  let at = start;
  for (const blot of blots) {
    if (blot.end <= at || blot.start >= end) continue;
    result += text.slice(at, Math.max(at, blot.start));
    if (blot.start >= start || at === start) result += blot.replacement;
    at = Math.min(blot.end, end);
  }
  return result + text.slice(at, end);
}

function characters(text: string): number {
  return [...text].length;
}
