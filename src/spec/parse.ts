import { complete } from './complete.ts';
import { contradictions } from './contradictions.ts';
import { issueMessage, problemsOf } from './issues.ts';
import { invalidSpec, type SpecProblem } from './problems.ts';
import { specDocument } from './schema.ts';
import type { Spec } from './types.ts';
import { parseYaml } from './yaml.ts';

/**
 * The spec that a YAML text declares. Throws one Failure 'invalid' that lists all that is wrong with it; `source` is
 * how that message calls the text, a file name as a rule.
 */
export function parseSpec(text: string, source: string): Spec {
  const document = parseYaml(text, source);
  const result = specDocument.safeParse(document.value, { error: issueMessage });
  const issues = result.success ? [] : result.error.issues.flatMap((issue) => problemsOf(issue));
  const problems = [
    ...document.problems,
    ...withoutEchoes([...issues, ...contradictions(document.value)], document.problems),
  ];
  if (!result.success || problems.length > 0) throw invalidSpec(source, problems);
  return complete(result.data);
}

/** A value that could not be read stands as null in the document: what follows from that is no problem of its own. */
function withoutEchoes(problems: readonly SpecProblem[], causes: readonly SpecProblem[]): readonly SpecProblem[] {
  if (causes.length === 0) return problems;
  const known = new Set(causes.map(({ path }) => JSON.stringify(path)));
  return problems.filter(({ path }) => !known.has(JSON.stringify(path)));
}
