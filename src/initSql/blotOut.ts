import { type Token, tokenize } from './lexer.ts';
import { type Blot, textPatternBlots } from './secretPatterns.ts';

/**
 * Takes passwords out of SQL before it is shown, hashed or stored. A rotated password must not change what remains, so
 * every secret becomes the same `'***'`. Where the text leaves room for doubt, more is blotted out rather than less.
 */

interface Findings {
  readonly blots: readonly Blot[];
  /** The text names a password that is filled in from elsewhere: `… PASSWORD %L`, `'… PASSWORD ' || …`. */
  readonly dynamic: boolean;
}

const NOTHING: Findings = { blots: [], dynamic: false };
const BLOT = "'***'";
/** No secret is recognised without one of these. */
const WORTH_A_LOOK = /pass|pwd|secret|scram|md5|identified|:\/\/|\\(?:set|c|connect)\s/i;
/** psql's commands whose arguments may be secret. */
const SECRET_COMMAND = /^\\(?:set|c|connect|password)(?=\s)/;
const SECRET_NAME = /passw(?:or)?d|passphrase|secret|^pwd$/i;
const SECRET_KEY = /^[\w.-]*(?:passw(?:or)?d|passphrase|secret)$/i;
const CONNECTORS = new Set(['=', '=>', ':', 'to', 'by', ':=']);
/** Strings within strings within function bodies: nobody nests deeper on purpose. */
const DEEPEST = 6;

/** The text without passwords; text without any comes back unchanged. Never fails, SQL or not. */
export function blotOutPasswords(sql: string): string {
  return applyBlots(sql, passwordBlots(sql));
}

/** Of a script from a Secret no string constant is shown, whatever it holds; comments go as well. */
export function blotOutStrings(sql: string): string {
  return applyBlots(sql, stringBlots(sql));
}

/** As PostgreSQL's translations (lc_messages) quote. */
const QUOTES = '"„“”«»‹›「」『』';
const QUOTED = new RegExp(`[${QUOTES}]([^${QUOTES}]*)[${QUOTES}]`, 'gu');
const FROM_LAST_QUOTE = new RegExp(`[${QUOTES}][^${QUOTES}]*$`, 'u');
const MAY_HOLD_QUOTES = new RegExp(`[${QUOTES}\\\\]`, 'u');

/**
 * What PostgreSQL says of a statement, without its values: what is quoted stays where the statement has it outside of its
 * string constants. Where a constant may hold quotation marks itself, nobody knows where it ends in the message.
 */
export function hideValues(message: string, sql: string): string {
  const shown = blotOutStrings(sql);
  const isName = (text: string) => shown.includes(text.trim());
  const constants = tokenize(sql).filter(({ kind }) => kind === 'string' || kind === 'dollarString');
  if (!constants.some(({ start, end }) => MAY_HOLD_QUOTES.test(sql.slice(start, end)))) {
    return message.replaceAll(QUOTED, (quotation, text: string) => (isName(text) ? quotation : '"***"'));
  }
  for (const { index, 1: text = '' } of message.matchAll(QUOTED)) {
    if (isName(text)) continue;
    return `${message.slice(0, index)}"***"${FROM_LAST_QUOTE.exec(message)?.[0].slice(1) ?? ''}`;
  }
  return message;
}

export function stringBlots(sql: string): readonly Blot[] {
  return tokenize(sql).flatMap(({ kind, start, end }): readonly Blot[] => {
    if (kind === 'string' || kind === 'dollarString') return [{ start, end, replacement: BLOT }];
    return kind === 'comment' ? [{ start, end, replacement: '' }] : [];
  });
}

/** In order, without overlaps. */
export function passwordBlots(sql: string): readonly Blot[] {
  return find(sql, 0, 'code').blots;
}

export function applyBlots(text: string, blots: readonly Blot[]): string {
  let result = '';
  let at = 0;
  for (const blot of blots) {
    result += text.slice(at, blot.start) + blot.replacement;
    at = blot.end;
  }
  return result + text.slice(at);
}

/** `code`: SQL or a function's body; `literal`: what a quoted string holds, which may be SQL, a conninfo or anything. */
function find(text: string, depth: number, nature: 'code' | 'literal'): Findings {
  if (!WORTH_A_LOOK.test(text)) return NOTHING;
  if (depth > DEEPEST) return { blots: [{ start: 0, end: text.length, replacement: '***' }], dynamic: false };
  const tokens = tokenize(text);
  const code = tokens.filter((token) => token.kind !== 'comment');
  const patterns = textPatternBlots(text, nature);
  const direct = namedSecrets(text, code, patterns.blots);
  const blots = [...direct.blots];
  const dynamicStrings: Token[] = [];
  for (const token of tokens) {
    if (blots.some((blot) => blot.start <= token.start && token.end <= blot.end)) continue;
    const inner = within(text, token, depth);
    blots.push(...inner.blots);
    if (inner.dynamic && token.kind !== 'comment') dynamicStrings.push(token);
  }
  for (const template of dynamicStrings) blots.push(...otherStrings(text, code, template, depth));
  // Patterns first: a conninfo's password looks the same afterwards, whether it was quoted or not.
  return { blots: merge([...patterns.blots, ...blots]), dynamic: direct.dynamic || patterns.dynamic };
}

/** `PASSWORD 'x'`, `password => 'x'`, `IDENTIFIED BY 'x'`, `'password', 'x'`: a name, and the literal that belongs to it. */
function namedSecrets(text: string, tokens: readonly Token[], known: readonly Blot[]): Findings {
  const blots: Blot[] = [];
  let inRoleStatement = false;
  let dynamic = false;
  for (const [index, token] of tokens.entries()) {
    const word = text.slice(token.innerStart, token.innerEnd);
    const next = tokens[index + 1];
    if (token.kind === 'operator' && word === ';') inRoleStatement = false;
    if (token.kind === 'word' && /^(?:create|alter)$/i.test(word) && next !== undefined) {
      inRoleStatement = /^(?:role|user|group)$/i.test(text.slice(next.start, next.end));
    }
    if (token.kind === 'string' && next !== undefined && text.charAt(next.start) === ',' && SECRET_KEY.test(word)) {
      blots.push(...literalsFrom(tokens, index + 2));
    }
    if (!isSecretName(token, word)) continue;
    const valueIndex = skipConnectors(text, tokens, index + 1);
    const value = tokens[valueIndex];
    // A conninfo's quotes end elsewhere than SQL's.
    if (value !== undefined && text.charAt(value.start) === "'" && known.some((blot) => blot.start === value.start))
      continue;
    const literals = literalsFrom(tokens, valueIndex);
    blots.push(...literals);
    if (literals.some((literal) => literal.end === text.length)) dynamic ||= isOpen(text, value);
    if (literals.length > 0 || !inRoleStatement || !/^password$/i.test(word)) continue;
    if (value === undefined || text.charAt(value.start) === '%') dynamic = true;
    else if (!/^null$/i.test(text.slice(value.start, value.end))) blots.push(restOfLine(text, value.start));
  }
  return { blots, dynamic: dynamic || /\bpassword\s+$/i.test(text) };
}

function isSecretName(token: Token, word: string): boolean {
  if (token.kind !== 'word' && token.kind !== 'quotedIdentifier') return false;
  return SECRET_NAME.test(word) || /^identified$/i.test(word);
}

function skipConnectors(text: string, tokens: readonly Token[], from: number): number {
  let index = from;
  for (;;) {
    const token = tokens[index];
    if (token === undefined || !CONNECTORS.has(text.slice(token.start, token.end).toLowerCase())) return index;
    index += 1;
  }
}

/** The literal at `index` with its continuations on further lines. */
function literalsFrom(tokens: readonly Token[], index: number): Blot[] {
  const blots: Blot[] = [];
  for (let at = index; ; at += 1) {
    const token = tokens[at];
    if (token === undefined || (token.kind !== 'string' && token.kind !== 'dollarString')) break;
    blots.push({ start: token.start, end: token.end, replacement: BLOT });
  }
  const [first] = blots;
  const last = blots.at(-1);
  return first === undefined || last === undefined ? [] : [{ ...first, end: last.end }];
}

function isOpen(text: string, token: Token | undefined): boolean {
  return token !== undefined && token.innerEnd === text.length;
}

/** A password somebody forgot to quote. */
function restOfLine(text: string, start: number): Blot {
  const newline = text.indexOf('\n', start);
  return { start, end: newline === -1 ? text.length : newline, replacement: BLOT };
}

/** What lies within a token, its blots moved to the places they have in the whole text. */
function within(text: string, token: Token, depth: number): Findings {
  if (token.kind === 'metaCommand') {
    const [command] = SECRET_COMMAND.exec(text.slice(token.start, token.end)) ?? [];
    if (command !== undefined) {
      return { blots: [{ start: token.start + command.length, end: token.end, replacement: ' ***' }], dynamic: false };
    }
  }
  if (token.kind === 'string') {
    const inner = decode(text, token);
    const findings = find(inner.text, depth + 1, 'literal');
    const blots = findings.blots.map((blot) => ({
      start: inner.offsets[blot.start] ?? token.innerEnd,
      end: inner.offsets[blot.end] ?? token.innerEnd,
      replacement: blot.replacement.replaceAll("'", "''"),
    }));
    return { blots, dynamic: findings.dynamic };
  }
  const skip = { dollarString: 0, comment: 0, metaCommand: 1 } as const;
  if (token.kind !== 'dollarString' && token.kind !== 'comment' && token.kind !== 'metaCommand') return NOTHING;
  const start = token.innerStart + skip[token.kind];
  const findings = find(text.slice(start, token.innerEnd), depth + 1, token.kind === 'comment' ? 'literal' : 'code');
  const blots = findings.blots.map((blot) => ({ ...blot, start: blot.start + start, end: blot.end + start }));
  return { blots, dynamic: findings.dynamic };
}

/** The string's value, and for each of its characters (and the end) the offset it came from. */
function decode(text: string, token: Token): { readonly text: string; readonly offsets: readonly number[] } {
  const offsets: number[] = [];
  let value = '';
  let at = token.innerStart;
  while (at < token.innerEnd) {
    const character = text.charAt(at);
    const pair = character === "'" || (token.escapes && character === '\\');
    offsets.push(at);
    value += pair ? (text.charAt(at + 1) === 'n' && character === '\\' ? '\n' : text.charAt(at + 1)) : character;
    at += pair ? 2 : 1;
  }
  offsets.push(token.innerEnd);
  return { text: value, offsets };
}

/**
 * A template such as format('… PASSWORD %L', …) takes its password from some other string: of the same statement, or,
 * within a function's body, of any of its statements.
 */
function otherStrings(text: string, tokens: readonly Token[], template: Token, depth: number): Blot[] {
  const isEnd = (token: Token) => depth === 0 && text.slice(token.start, token.end) === ';';
  const position = tokens.indexOf(template);
  const start = tokens.findLastIndex((token, index) => index < position && isEnd(token)) + 1;
  const close = tokens.findIndex((token, index) => index > position && isEnd(token));
  return tokens
    .slice(start, close === -1 ? tokens.length : close)
    .filter((token) => token.kind === 'string' || token.kind === 'dollarString')
    .filter((token) => token !== template && !/password/i.test(text.slice(token.start, token.end)))
    .map((token) => ({ start: token.start, end: token.end, replacement: BLOT }));
}

function merge(blots: readonly Blot[]): Blot[] {
  const merged: Blot[] = [];
  for (const blot of blots.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = merged.at(-1);
    if (last === undefined || blot.start >= last.end) merged.push(blot);
    else if (blot.end > last.end) merged[merged.length - 1] = { ...last, end: blot.end };
  }
  return merged;
}
