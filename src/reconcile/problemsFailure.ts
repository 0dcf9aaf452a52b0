import type { Problem } from '../objects/change.ts';
import { Failure } from '../report/errors.ts';

export interface ProblemsContext {
  readonly database?: string;
  /** What several problems are together. */
  readonly what: string;
  /** Said after what to do next. */
  readonly after?: string;
}

/** All problems in one Failure. What makes running again useless outweighs what might pass. */
export function problemsFailure(problems: readonly Problem[], { database, what, after }: ProblemsContext): Failure {
  const kinds = ['invalid', 'refused', 'failed'] as const;
  const kind = kinds.find((candidate) => problems.some((problem) => problem.kind === candidate)) ?? 'failed';
  const end = after === undefined ? '' : `. ${after}`;
  const [only] = problems;
  if (problems.length === 1 && only !== undefined) {
    return new Failure({ kind, what: only.what, node: only.node, database, next: `${only.next}${end}` });
  }
  const lines = problems.map(
    (problem) => `${problem.node === undefined ? '' : `${problem.node}: `}${problem.what}\n  Next: ${problem.next}`,
  );
  return new Failure({
    kind,
    what,
    cause: `\n${lines.join('\n')}`,
    next: `Correct them and run again${end}`,
  });
}
