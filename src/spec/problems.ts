import { Failure } from '../report/errors.ts';

export type Path = readonly (string | number)[];

/** One thing that is wrong with a spec: where, and a sentence that goes on from there. */
export interface SpecProblem {
  /** [] is the document itself. */
  readonly path: Path;
  /** Line and column instead of a path, where the text is no YAML. */
  readonly position?: string;
  readonly message: string;
}

/** More lines than this help nobody; the rest is counted. */
const maxProblemsShown = 1000;

/** The Failure that lists the problems, one a line. */
export function invalidSpec(source: string, problems: readonly SpecProblem[]): Failure {
  const lines = sortProblems(problems.slice(0, maxProblemsShown)).map((problem) => `\n  ${formatProblem(problem)}`);
  const rest = problems.length - lines.length;
  if (rest > 0) lines.push(`\n  and ${rest} more`);
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new Failure({
    kind: 'invalid',
    what: `The spec has ${count} (${source}):${lines.join('')}`,
    next: 'Correct the spec, or the values it was rendered from, and run again.',
  });
}

export function formatProblem(problem: SpecProblem): string {
  const { path, position, message } = problem;
  if (position !== undefined) return `${position}: ${message}`;
  return path.length === 0 ? `the document ${message}` : `${formatPath(path)}: ${message}`;
}

/** `databases[0].workerGroups[1]`; keys that are no plain words are quoted: `databases['my-db'].owner`. */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[A-Za-z_]\w*$/.test(part)) return `[${show(part)}]`;
      return index === 0 ? part : `.${part}`;
    })
    .join('');
}

/** Text of the spec inside a message: quoted, on one line, without control characters, cut when long. */
export function show(text: string): string {
  const cut = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  const escaped = cut.replaceAll(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return `'${escaped}'`;
}

const sections: readonly Path[] = [['cluster'], ['ssl'], ['databases'], ['additionalDatabases'], ['patroni']];

/** In the order of the document's sections and of list entries; all that is wrong with one thing stands together. */
function sortProblems(problems: readonly SpecProblem[]): readonly SpecProblem[] {
  const ranks = new Map<string, number>();
  for (const path of [...sections, ...problems.map((problem) => problem.path)]) {
    for (const prefix of prefixes(path)) if (!ranks.has(prefix)) ranks.set(prefix, ranks.size);
  }
  return problems
    .map((problem) => {
      const keys = prefixes(problem.path);
      // An index is its own rank, a key's is that of its first mention.
      const order = problem.path.map((part, index) => (typeof part === 'number' ? part : ranks.get(keys[index] ?? '')));
      return { problem, order };
    })
    .toSorted((left, right) => compare(left.order, right.order))
    .map(({ problem }) => problem);
}

function prefixes(path: Path): readonly string[] {
  return path.map((_, index) => JSON.stringify(path.slice(0, index + 1)));
}

function compare(left: readonly (number | undefined)[], right: readonly (number | undefined)[]): number {
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? -1) - (right[index] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}
