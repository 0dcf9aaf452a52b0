import { stringBlots } from './blotOut.ts';
import { excerptAt, offsetOfCharacter, placeAt } from './place.ts';
import type { SqlPart } from './types.ts';

export interface ErrorPlace {
  /** Of the script, 1-based; the column in characters. */
  readonly line: number;
  readonly column: number;
  /** The line, passwords blotted out, and a caret on the next. */
  readonly excerpt: string;
}

/** Where in the script PostgreSQL found an error: `position` counts characters of the part's sql from 1, as the server reports. */
export function locateError(part: SqlPart, position: number): ErrorPlace {
  const offset = offsetOfCharacter(part.sql, position - 1);
  const place = placeAt(part.sql, offset);
  const onFirstLine = place.line === 1;
  return {
    line: part.line + place.line - 1,
    column: onFirstLine ? part.column + place.column - 1 : place.column,
    excerpt: excerptAt(part.sql, offset, part.source?.secret === true ? stringBlots(part.sql) : undefined),
  };
}
