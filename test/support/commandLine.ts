/**
 * The program's command line in this process, everything but main.ts, for tests that write their spec themselves;
 * program.ts is for those with a local cluster.
 *
 *     const { code, out } = await runCommandLine(['configure', '--spec', file]);      // standard output and standard error
 */
import { Writable } from 'node:stream';
import { runCli } from '../../src/cli/cli.ts';
import type { Surroundings } from '../../src/cli/surroundings.ts';

/** A stream that keeps what is written to it. */
export class Collector extends Writable {
  text = '';
  readonly #waiting: { readonly text: string; readonly found: () => void }[] = [];

  override _write(chunk: Buffer | string, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    for (const { text, found } of this.#waiting) if (this.text.includes(text)) found();
    done();
  }

  /** Resolves once the text has been written. */
  contains(text: string): Promise<void> {
    if (this.text.includes(text)) return Promise.resolve();
    return new Promise((found) => this.#waiting.push({ text, found }));
  }
}

export interface Ended {
  readonly code: number;
  readonly out: string;
}

export async function runCommandLine(
  args: readonly string[],
  onSignal: Surroundings['onSignal'] = () => undefined,
): Promise<Ended> {
  const printed = new Collector();
  const code = await runCli(args, {
    stdout: printed,
    stderr: printed,
    interactive: false,
    invokedAs: 'citus-databases',
    onSignal,
  });
  return { code, out: printed.text };
}
