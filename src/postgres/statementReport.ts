import type { Step } from './extendedMessages.ts';
import type { Group } from './sendAhead.ts';
import type { Session } from './session.ts';
import { codeOf } from './sqlstate.ts';
import type { Statement } from './statement.ts';

/** Whoever wants to know of each statement, with its time and what became of it. undefined: nobody. */
type OnStatement = ((statement: Statement) => void) | undefined;

type Place = Pick<Session, 'node' | 'database'>;

export async function reportAnswer<Answer>(
  { node, database }: Place,
  onStatement: OnStatement,
  { text, answer }: { readonly text: string; readonly answer: Promise<Answer> },
): Promise<Answer> {
  if (onStatement === undefined) return await answer;
  const sentAt = performance.now();
  try {
    const result = await answer;
    onStatement({ node, database, text, milliseconds: performance.now() - sentAt, failedWith: undefined });
    return result;
  } catch (error) {
    const failedWith = codeOf(error) ?? 'an error';
    onStatement({ node, database, text, milliseconds: performance.now() - sentAt, failedWith });
    throw error;
  }
}

/** For statements that are sent before the last one is answered: each is reported with its own answer. */
export function reportSteps({ node, database }: Place, onStatement: OnStatement) {
  if (onStatement === undefined) return undefined;
  const texts: string[] = [];
  let since = performance.now();
  function report(failedWith: string | undefined): void {
    const text = texts.shift() ?? '';
    onStatement?.({ node, database, text, milliseconds: performance.now() - since, failedWith });
    since = performance.now();
  }
  return {
    *seen(groups: Iterator<Group>): Iterator<Group> {
      for (let next = groups.next(); next.done !== true; next = groups.next()) {
        texts.push(...next.value.steps.flatMap(textOf));
        yield next.value;
      }
    },
    answered: () => report(undefined),
    failed: (error: unknown) => report(codeOf(error) ?? 'an error'),
  };
}

function textOf(step: Step): readonly string[] {
  if (step.kind === 'parse') return [];
  return [step.kind === 'statement' ? step.sql : `EXECUTE ${step.name}`];
}
