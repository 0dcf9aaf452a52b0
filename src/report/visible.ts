/**
 * Names, notices and errors of servers are text that others wrote. What moves the cursor, colours, hides or reorders
 * text is shown as an escape sequence, as it would be in a string of a program.
 */

// C0 but for the newline and the tab, DEL, C1, line and paragraph separators, and what sets the direction of text
// (Unicode Standard Annex #9): a name with an override reads as something else than it is.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const HIDDEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Newlines stay: the caller indents them, so that quoted text never begins a line. */
export function visible(text: string): string {
  return text.replaceAll(HIDDEN, escaped);
}

/** For what is one line, whatever a name in it holds. */
export function oneLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n');
}

function escaped(character: string): string {
  if (character === '\r') return '\\r';
  const code = character.charCodeAt(0).toString(16);
  return code.length > 2 || character > '\x7f' ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}
