import * as z from 'zod/mini';
import { type Path, type SpecProblem, show } from './problems.ts';
import { nearest } from './suggest.ts';

type RawIssue = z.core.$ZodRawIssue;
type Issue = z.core.$ZodIssue;

/**
 * Words for zod's own findings; checks of ours bring theirs along. None of them quotes a value other than a number or
 * a key: a password may stand in any text.
 */
export function issueMessage(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return typeMessage(issue.expected, issue.input);
    case 'invalid_value':
      return typeof issue.input === 'string'
        ? `${show(issue.input)} is none of ${issue.values.join(', ')}${meant(issue.input, issue.values.map(String))}`
        : typeMessage('string', issue.input);
    case 'too_small':
      return `${issue.input} is too small; the least is ${issue.minimum}`;
    case 'too_big':
      return `${issue.input} is too big; the most is ${issue.maximum}`;
    case 'unrecognized_keys': {
      const known = issue.inst instanceof z.ZodMiniObject ? Object.keys(issue.inst.shape) : [];
      // One line a key: problemsOf takes them apart again.
      return issue.keys.map((key) => unknownKey(key, known)).join('\n');
    }
    default:
      return undefined;
  }
}

function unknownKey(key: string, known: readonly string[]): string {
  return `unknown key${meant(key, known) || `; known here: ${known.join(', ')}`}`;
}

function meant(given: string, known: readonly string[]): string {
  const near = nearest(given, known);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function typeMessage(expected: string, input: unknown): string {
  if (input === undefined) return 'is required';
  if (input === null) return 'is empty';
  const wanted = typeNames[expected] ?? expected;
  if (typeof input === 'number') {
    return `must be ${wanted}, not ${input}${expected === 'string' ? '; write it in quotes' : ''}`;
  }
  if (typeof input === 'boolean') {
    return `must be ${wanted}, not ${input}${expected === 'string' ? '; write it in quotes' : ''}`;
  }
  if (typeof input === 'string') return `must be ${wanted}, not text`;
  return `must be ${wanted}, not ${Array.isArray(input) ? 'a list' : 'a mapping'}`;
}

/** The problems in an issue; of a union's shapes, those of the shape that was meant. */
export function problemsOf(issue: Issue, base: Path = []): readonly SpecProblem[] {
  const path = [...base, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  switch (issue.code) {
    case 'unrecognized_keys': {
      const messages = issue.message.split('\n');
      return issue.keys.map((key, index) => ({ path: [...path, key], message: messages[index] ?? 'unknown key' }));
    }
    case 'invalid_union': {
      const [shape, other] = issue.errors.filter((errors) => !errors.some(isWrongShape));
      if (shape === undefined || other !== undefined) return [{ path, message: issue.message }];
      return shape.flatMap((inner) => problemsOf(inner, path));
    }
    case 'invalid_key':
      return issue.issues.map((inner) => ({ path, message: inner.message }));
    default:
      return [{ path, message: issue.message }];
  }
}

function isWrongShape(issue: Issue): boolean {
  return issue.code === 'invalid_type' && issue.path.length === 0;
}
