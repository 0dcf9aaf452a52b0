import { LEFT_TO_RIGHT, NOTHING, PROHIBITED, RIGHT_TO_LEFT, SPACES, UNASSIGNED } from './saslprepTables.ts';

/**
 * A password as SCRAM uses it: prepared by SASLprep (RFC 4013), or as it stands where SASLprep forbids it. PostgreSQL
 * does the same on the server and in libpq (src/common/saslprep.c, pg_saslprep()).
 */
export function saslprep(password: string): string {
  // Plain ASCII, control characters included, is taken as it is.
  if (/^[\0-\x7f]*$/.test(password)) return password;
  const sets = decodeTables();
  const mapped = [...password]
    .map((character) => (isIn(sets.spaces, character) ? ' ' : character))
    .filter((character) => !isIn(sets.nothing, character));
  if (mapped.length === 0) return password;
  // Checked before it is normalized, unlike in the RFC: so does PostgreSQL, whose result is the one that counts.
  if (mapped.some((character) => isIn(sets.prohibited, character) || isIn(sets.unassigned, character))) return password;
  return isBidirectional(mapped, sets) ? mapped.join('').normalize('NFKC') : password;
}

/** RFC 3454, chapter 6: with one right-to-left character, the first and the last have to be, and none left-to-right. */
function isBidirectional(characters: readonly string[], { rightToLeft, leftToRight }: Tables): boolean {
  if (!characters.some((character) => isIn(rightToLeft, character))) return true;
  if (characters.some((character) => isIn(leftToRight, character))) return false;
  return [characters.at(0), characters.at(-1)].every((end) => end !== undefined && isIn(rightToLeft, end));
}

interface Range {
  readonly first: number;
  readonly last: number;
}

type Tables = ReturnType<typeof decodeTables>;

/** Not once for all: it takes 5 ms of each start, and few passwords need it. */
function decodeTables() {
  return {
    unassigned: decode(UNASSIGNED),
    prohibited: decode(PROHIBITED),
    spaces: decode(SPACES),
    nothing: decode(NOTHING),
    rightToLeft: decode(RIGHT_TO_LEFT),
    leftToRight: decode(LEFT_TO_RIGHT),
  };
}

function decode(table: string): readonly Range[] {
  let end = 0;
  return table
    .trim()
    .split(/\s+/)
    .map((entry) => {
      const [distance = '', length = '0'] = entry.split('-');
      const first = end + Number.parseInt(distance, 36);
      end = first + Number.parseInt(length, 36);
      return { first, last: end };
    });
}

function isIn(ranges: readonly Range[], character: string): boolean {
  const point = character.codePointAt(0) ?? 0;
  return ranges.some(({ first, last }) => first <= point && point <= last);
}
