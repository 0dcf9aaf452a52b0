import { type TestContext, test } from 'vitest';

/** Steps of which one failed: those after it in the same file stand on it, so they fail at once and say why. */
const failedStep = new WeakMap<object, string>();

/** A test that prints how long it took. The steps of a file build on each other, in the order in which they stand. */
export function step(
  title: string,
  timeoutSeconds: number,
  body: (note: (text: string) => void) => Promise<void>,
): void {
  test(title, { timeout: timeoutSeconds * 1000 }, async (context) => {
    const file = context.task.file;
    const broken = failedStep.get(file);
    if (broken !== undefined) throw new Error(`Not tried, because an earlier step failed: ${broken}`);
    const notes: string[] = [];
    const start = performance.now();
    const print = (result: string) => {
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(
        [`[${seconds.padStart(6)} s] ${title}: ${result}`, ...notes.map((note) => `           ${note}`)].join('\n'),
      );
    };
    markOnFailure(context, title, () => print('failed'));
    await body((text) => notes.push(text));
    print('done');
  });
}

function markOnFailure(context: TestContext, title: string, then: () => void): void {
  context.onTestFailed(() => {
    failedStep.set(context.task.file, title);
    then();
  });
}
