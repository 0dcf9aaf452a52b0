import { Composer, type Document, type ErrorCode, Lexer, LineCounter, Parser } from 'yaml';
import { type PlainResult, toPlain } from './plain.ts';
import { invalidSpec, type SpecProblem } from './problems.ts';

export const maxSpecBytes = 10 * 1024 * 1024;

/**
 * Bounds on what the YAML parser is given. It spends a few microseconds on each token, and about one on each line, so
 * this keeps every document, however hostile, near a second. A thousand databases with most fields have 133,000 tokens.
 */
const maxTokens = 200_000;
const maxLines = 500_000;

/** Stops the composer at its first error: hostile documents have millions, and all but the first tend to be echoes. */
class FirstError extends Error {}

/**
 * One YAML 1.2 document as plain data. Throws a Failure 'invalid' with line and column for what is no YAML document;
 * the problems it returns are those of documents that can be read but not trusted: duplicate keys, tags, NUL.
 */
export function parseYaml(text: string, source: string): PlainResult {
  // A byte order mark is no part of the document, nor of its columns.
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const position = positionsOf(body);
  const refusal = refuseUnread(body, position);
  if (refusal !== undefined) throw invalidSpec(source, [refusal]);
  const fail: Fail = (offset, message) => invalidSpec(source, [{ path: [], position: position(offset), message }]);
  return toPlain(compose(body, fail), position);
}

type Fail = (offset: number, message: string) => Error;

/** What can be said without parsing. */
function refuseUnread(text: string, position: (offset: number) => string): SpecProblem | undefined {
  if (Buffer.byteLength(text) > maxSpecBytes) return { path: [], message: 'is larger than 10 MB' };
  const nul = text.indexOf('\0');
  if (nul !== -1) return { path: [], position: position(nul), message: 'NUL character; the spec must be UTF-8 text' };
  let lines = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines += 1;
  if (lines > maxLines) return { path: [], message: `has more than ${maxLines} lines` };
  let tokens = 0;
  for (const _ of new Lexer().lex(text)) {
    tokens += 1;
    if (tokens > maxTokens) return { path: [], message: `has more than ${maxTokens} YAML tokens` };
  }
  return undefined;
}

function compose(text: string, fail: Fail): Document.Parsed {
  // Duplicate keys are found in plain.ts, in linear time.
  const composer = new Composer({ version: '1.2', schema: 'core', prettyErrors: false, uniqueKeys: false });
  let first: Error | undefined;
  // The composer takes no error handler, it only has one (Composer.onError in yaml's compose/composer.js). Its public ways
  // collect all errors of a document first, which takes minutes and gigabytes where a hostile one has millions.
  Object.assign(composer, {
    onError(at: ErrorPosition, code: ErrorCode, message: string) {
      first ??= fail(startOf(at), reason(code, message));
      throw new FirstError();
    },
  });
  const documents: Document.Parsed[] = [];
  try {
    for (const document of composer.compose(new Parser().parse(text), true, text.length)) {
      documents.push(document);
      if (documents.length > 1)
        throw fail(document.range[0], 'a second document begins here; the spec is one document');
    }
  } catch (error) {
    throw error instanceof FirstError && first !== undefined ? first : error;
  }
  const [document] = documents;
  if (document === undefined) throw fail(0, 'holds no YAML document');
  const [error] = [...document.errors, ...document.warnings].toSorted((left, right) => left.pos[0] - right.pos[0]);
  if (error !== undefined) throw fail(error.pos[0], reason(error.code, error.message));
  // YAML 1.1 would read `on` as true and 010 as 8.
  if (document.directives.yaml.version !== '1.2') throw fail(0, reason('BAD_DIRECTIVE', ''));
  return document;
}

type ErrorPosition = number | readonly [number, ...number[]] | { readonly offset: number };

function startOf(at: ErrorPosition): number {
  if (typeof at === 'number') return at;
  return 'offset' in at ? at.offset : at[0];
}

/**
 * The library's words, except where they are obscure or quote the document: a spec may hold a password in initSQL, and
 * no part of it may reach a log.
 */
function reason(code: ErrorCode, message: string): string {
  switch (code) {
    case 'RESOURCE_EXHAUSTION':
      return 'nested too deeply';
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'a second "key: value" on the same line; text that holds ": " needs quotes';
    case 'TAG_RESOLVE_FAILED':
    case 'BAD_COLLECTION_TYPE':
      return 'a tag that means nothing here; text that begins with ! needs quotes';
    case 'BAD_DIRECTIVE':
      return 'a directive that means nothing here; only %YAML 1.2 does';
    case 'BAD_DQ_ESCAPE':
      return 'an escape sequence that YAML does not know; a backslash in double quotes must be doubled';
    case 'UNEXPECTED_TOKEN':
      return lowerFirst(message.split(': ', 1)[0] ?? message);
    default:
      return lowerFirst(message);
  }
}

function lowerFirst(text: string): string {
  return `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;
}

/** Tells lines and columns, from 1; the lines are counted when first asked for. */
function positionsOf(text: string): (offset: number) => string {
  let counter: LineCounter | undefined;
  return (offset) => {
    counter ??= countLines(text);
    const { line, col } = counter.linePos(offset);
    return `line ${line}, column ${col}`;
  };
}

function countLines(text: string): LineCounter {
  const counter = new LineCounter();
  counter.addNewLine(0);
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) counter.addNewLine(at + 1);
  return counter;
}
