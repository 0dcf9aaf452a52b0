/**
 * The messages that the source can print, read from the source itself: for the test that looks each of them up in the
 * troubleshooting document. What varies is `…`, as that document writes it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Message {
  /** `Database '…' does not exist` */
  readonly text: string;
  /** src/commands/verify.ts:86 */
  readonly place: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Pattern {
  readonly where: RegExp;
  /** Only in these files. */
  readonly file?: RegExp;
  /** All literals of the match, instead of those of the expression behind it. */
  readonly whole?: boolean;
}

/** Where the text of an error begins: properties of Failure, Problem and Change, and the calls that build them. */
const ERRORS: readonly Pattern[] = [
  { where: /\bwhat:\s/g },
  { where: /\bfailure:\s/g },
  { where: /\bthrow invalid\(/g },
  // pairs of what and next
  { where: /\breturn \[\s*(?=[`'])/g, file: /cluster\/ready\.ts$/ },
];
const WARNINGS: readonly Pattern[] = [
  { where: /\bwarn\(/g },
  { where: /\bwarning\(/g },
  { where: /\bwarnings\.push\(/g },
  { where: /\bconst (?:NOT_OURS|warning) =\s/g, file: /initSql\/policy\.ts$/ },
  { where: /\nexport function \w*Warnings\([\s\S]*?\n\}\n/g, whole: true },
  { where: /\nfunction \w*Warnings\([\s\S]*?\n\}\n/g, whole: true },
];
const VERIFICATION: readonly Pattern[] = [
  { where: /\bwrong\.push\(/g, file: /reconcile\/judge\.ts$/ },
  { where: /\breturn \[(?=')/g, file: /reconcile\/judge\.ts$/ },
  { where: /\bfound:\s/g, file: /reconcile\/(?:findings\w*|positions)\.ts$/ },
];

/** Every text that an error can begin with, sorted, each once. */
export function errorMessages(): readonly Message[] {
  return collect(ERRORS);
}

/** Every warning of the log. */
export function warningMessages(): readonly Message[] {
  return collect(WARNINGS);
}

/** Every sentence with which a verification says what is wrong. */
export function verificationMessages(): readonly Message[] {
  return collect(VERIFICATION);
}

/**
 * Errors that are built without a text beside them: it was given elsewhere, and this scanner has to know where (ERRORS).
 */
export function errorsWithoutText(): readonly string[] {
  const found = new Set<string>();
  for (const file of sourceFiles('src')) {
    const source = readFileSync(join(root, file), 'utf8');
    for (const { index, 0: call } of source.matchAll(/\bnew Failure\(\s*\{?/g)) {
      const what = /\bwhat\b(?::\s)?/.exec(source.slice(index + call.length));
      const start = index + call.length + (what?.index ?? 0) + (what?.[0].length ?? 0);
      if (what === null || literalsOf(source, start, undefined).length === 0) found.add(file);
    }
  }
  return [...found].toSorted();
}

function collect(patterns: readonly Pattern[]): readonly Message[] {
  const found = new Map<string, Message>();
  for (const file of sourceFiles('src')) {
    const source = readFileSync(join(root, file), 'utf8');
    for (const { where, file: only, whole } of patterns) {
      if (only?.test(file) === false) continue;
      for (const match of source.matchAll(where)) {
        const lineStart = match[0].startsWith('\n') ? match.index + 1 : match.index;
        const line = source.slice(0, lineStart).split('\n').length;
        const texts =
          whole === true
            ? literalsOf(match[0], 0, match[0].length)
            : literalsOf(source, match.index + match[0].length, undefined);
        for (const text of texts.filter(isSentence)) {
          if (!found.has(text)) found.set(text, { text, place: `${file}:${line}` });
        }
      }
    }
  }
  return [...found.values()].toSorted((a, b) => (a.text < b.text ? -1 : 1));
}

/** Types and the fragments of an interpolation are no messages. */
function isSentence(text: string): boolean {
  return /[A-Za-z]{2}.* /.test(text);
}

function sourceFiles(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sourceFiles(path);
    return path.endsWith('.ts') ? [path] : [];
  });
}

/** The literals up to `end`, or of the expression that ends at the next comma or bracket of its own level. */
function literalsOf(source: string, from: number, end: number | undefined): readonly string[] {
  const literals: string[] = [];
  let depth = 0;
  for (let at = from; at < (end ?? source.length); ) {
    const character = source[at] ?? '';
    if (character === "'" || character === '`' || character === '"') {
      const found = literal(source, at);
      literals.push(found.text);
      at = found.end;
      continue;
    }
    if (source.startsWith('//', at) || source.startsWith('/*', at)) {
      at = source.indexOf(source[at + 1] === '/' ? '\n' : '*/', at) + 1;
      continue;
    }
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    if (end === undefined && (depth < 0 || (depth === 0 && (character === ',' || character === ';')))) break;
    at += 1;
  }
  return literals;
}

/** One string or template; an interpolation becomes `…`. */
function literal(source: string, start: number): { readonly text: string; readonly end: number } {
  const quote = source[start];
  let text = '';
  let at = start + 1;
  while (at < source.length && source[at] !== quote) {
    if (source[at] === '\\') {
      text += source.slice(at + 1, at + 2);
      at += 2;
    } else if (quote === '`' && source.startsWith('${', at)) {
      text += '…';
      at = endOfInterpolation(source, at + 2);
    } else {
      text += source[at];
      at += 1;
    }
  }
  return { text: text.replaceAll(/…+/g, '…'), end: at + 1 };
}

function endOfInterpolation(source: string, from: number): number {
  let depth = 1;
  let at = from;
  while (at < source.length && depth > 0) {
    const character = source[at] ?? '';
    if (character === "'" || character === '`' || character === '"') {
      at = literal(source, at).end;
      continue;
    }
    if (character === '{') depth += 1;
    if (character === '}') depth -= 1;
    at += 1;
  }
  return at;
}
