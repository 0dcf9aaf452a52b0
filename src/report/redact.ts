/**
 * Keeps secrets out of everything that is printed. Secrets are known by value: whoever reads one adds it, and every
 * output passes through `redact`, so that it does not matter which message or driver carries it.
 */
export interface Redactor {
  /** Registers one secret; an empty one is ignored, because it would match everywhere. */
  add(secret: string): void;
  redact(text: string): string;
}

export const REDACTED = '[redacted]';

export function createRedactor(): Redactor {
  const forms = new Set<string>();
  return {
    add(secret) {
      if (secret === '') return;
      for (const form of writtenForms(secret)) forms.add(form);
    },
    redact(text) {
      return blotOut(text, forms);
    },
  };
}

/** Quotings that other text wraps around a secret: SQL literals, conninfo strings, identifiers, JSON. */
const QUOTINGS: readonly ((text: string) => string)[] = [
  (text) => text.replaceAll("'", "''"),
  (text) => text.replaceAll("'", "''").replaceAll('\\', '\\\\'),
  (text) => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'"),
  (text) => text.replaceAll('"', '""'),
  (text) => JSON.stringify(text).slice(1, -1),
];

/** A conninfo string in an SQL literal in a line of JSON is the deepest that occurs. */
const DEEPEST_QUOTING = 3;

/** The ways in which a secret is written elsewhere. A secret without special characters has just one. */
function writtenForms(secret: string): ReadonlySet<string> {
  const forms = new Set([secret]);
  for (let depth = 0; depth < DEEPEST_QUOTING; depth += 1) {
    for (const form of [...forms]) for (const quote of QUOTINGS) forms.add(quote(form));
  }
  for (const form of urlForms(secret)) forms.add(form);
  return forms;
}

function urlForms(secret: string): readonly string[] {
  const bytes = [...new TextEncoder().encode(secret)];
  const encoded = bytes.map(percentEncode).join('');
  // application/x-www-form-urlencoded writes a space as a plus sign
  return [
    encoded,
    lowerCaseEscapes(encoded),
    encoded.replaceAll('%20', '+'),
    encodeURI(new TextDecoder().decode(new Uint8Array(bytes))),
  ];
}

function percentEncode(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[A-Za-z0-9_.~!*'()-]/.test(character) && byte < 0x80 ? character : `%${hex(byte)}`;
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}

function lowerCaseEscapes(text: string): string {
  return text.replaceAll(/%[0-9A-F]{2}/g, (sequence) => sequence.toLowerCase());
}

/** So long a run of characters stands in no ordinary word by chance. */
const SURELY_A_SECRET = 16;

/** `secret12` in `mysecret12`: hidden there, it would show what it is by what is left. Escape sequences end a word. */
function isPartOfWord(text: string, start: number, end: number): boolean {
  const before = text.slice(Math.max(0, start - 6), start);
  const continued = LETTER_AT_END.test(before) && !ESCAPE_AT_END.test(before);
  return (
    (continued && LETTER_AT_START.test(text.slice(start, end))) ||
    (LETTER_AT_END.test(text.slice(start, end)) && LETTER_AT_START.test(text.slice(end, end + 2)))
  );
}

const ESCAPE_AT_END = /(?:%[0-9a-f]{2}|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\\[a-z])$/i;
const LETTER_AT_END = /[\p{L}\p{N}]$/u;
const LETTER_AT_START = /^[\p{L}\p{N}]/u;

/**
 * All occurrences are found before any is replaced, and overlapping ones become one: replacing secret after secret
 * would leave the rest of a longer secret readable, and could match inside a replacement.
 */
function blotOut(text: string, forms: ReadonlySet<string>): string {
  const spans: [start: number, end: number][] = [];
  for (const form of forms) {
    for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + 1)) {
      if (form.length < SURELY_A_SECRET && isPartOfWord(text, at, at + form.length)) continue;
      spans.push([at, at + form.length]);
    }
  }
  if (spans.length === 0) return text;
  spans.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  let output = '';
  let copied = 0;
  let blotted = -1;
  for (const [start, end] of spans) {
    if (start >= blotted) {
      output += text.slice(copied, start) + REDACTED;
      blotted = end;
    } else {
      blotted = Math.max(blotted, end);
    }
    copied = blotted;
  }
  return output + text.slice(copied);
}
