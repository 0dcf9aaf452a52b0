import { setMaxListeners } from 'node:events';
import { worthAnotherAttempt } from '../commands/forEachDatabase.ts';
import { statementLog } from '../commands/statementLog.ts';
import { unlessInterrupted } from '../concurrency/interrupt.ts';
import type { Context } from '../context.ts';
import { asFailure } from '../postgres/asFailure.ts';
import { paintReport } from '../report/color.ts';
import { exitCode, Interrupted } from '../report/errors.ts';
import { LiveLines } from '../report/liveLines.ts';
import { isLouder, jsonLog, type RememberingLog, rememberLatest, textLog } from '../report/log.ts';
import { createRedactor, type Redactor } from '../report/redact.ts';
import { createStepLog, type StepLog } from '../report/stepLog.ts';
import { visible } from '../report/visible.ts';
import { loadAccess } from '../secrets/credentials.ts';
import { exposedFiles } from '../secrets/exposedFiles.ts';
import { readSpec } from '../spec/read.ts';
import { selectDatabases, withPatience } from '../spec/select.ts';
import type { Spec } from '../spec/types.ts';
import { withAttempts } from './attempts.ts';
import { errorMessage } from './errorMessage.ts';
import { errorReport } from './errorReport.ts';
import { type CommonOptions, DEFAULT_SPEC, type LogOptions } from './options.ts';
import type { Surroundings } from './surroundings.ts';
import { writeTerminationMessage } from './terminationLog.ts';

interface OwnLog {
  readonly log: StepLog;
  readonly live: LiveLines | undefined;
  readonly signal: AbortSignal;
}

interface Destination {
  readonly log: RememberingLog;
  readonly terminationLog: string;
  /** Standard output is for JSON alone. */
  readonly json: boolean;
}

/** Runs the handler of one command and keeps its exit code. */
export class Runner {
  readonly surroundings: Surroundings;
  readonly redactor: Redactor = createRedactor();
  readonly #stop = new AbortController();
  #exitCode = 0;
  #reported = false;
  #outputError: NodeJS.ErrnoException | undefined;

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
    // Every statement under way listens; Node would take more than ten for a leak and say so on standard error.
    setMaxListeners(0, this.#stop.signal);
    surroundings.onSignal((signal) => this.#stop.abort(new Interrupted(signal)));
    surroundings.stdout.on('error', (error) => {
      this.#outputError ??= error;
      this.#stop.abort(new Interrupted('SIGPIPE'));
    });
    // Nothing is left to report on when standard error is closed.
    surroundings.stderr.on('error', () => {});
  }

  /** The exit code, once all output is written. */
  async finish(): Promise<number> {
    await new Promise<void>((resolve) => this.surroundings.stdout.write('', () => resolve()));
    if (this.#outputError === undefined) return this.#exitCode;
    if (this.#outputError.code === 'EPIPE') return exitCode(new Interrupted('SIGPIPE'));
    this.surroundings.stderr.write(`ERROR: Standard output cannot be written\n  Cause: ${this.#outputError.message}\n`);
    return 1;
  }

  /** A command that works on what a spec declares. */
  async withSpec(command: string, options: CommonOptions, body: (context: Context) => Promise<number>): Promise<void> {
    await this.withLog(options, async ({ log, live, signal }) => {
      const most = options.attempts ?? 1;
      const onFailed = (error: unknown, attempt: number, pauseSeconds: number) => {
        log.error(this.redactor.redact(errorMessage(error, undefined)));
        log.line(`Attempt ${attempt} of ${most} failed; the next one begins in ${pauseSeconds} s`);
      };
      const worthAnother = worthAnotherAttempt;
      return await withAttempts({ most, signal, worthAnother, onFailed }, () =>
        this.once(command, options, { log, live, signal }, body),
      );
    });
  }

  private async once(
    command: string,
    options: CommonOptions,
    { log, live, signal }: OwnLog,
    body: (context: Context) => Promise<number>,
  ): Promise<number> {
    const file = options.spec === '' ? DEFAULT_SPEC : options.spec;
    const spec = selectedSpec(await unlessInterrupted(signal, readSpec(file)), options);
    const hideStrings = spec.databases.some(({ initSQLFrom }) => initSQLFrom.some(({ secret }) => secret));
    const onStatement = options.logLevel === 'debug' ? await statementLog(log, { hideStrings }) : undefined;
    const access = await unlessInterrupted(signal, loadAccess(spec, this.redactor, onStatement));
    const exposed = (await unlessInterrupted(signal, exposedFiles(spec))).join(', ');
    if (exposed !== '') log.warn(`Files with secrets may be read by more than their owner: ${exposed}`);
    return await body({
      command,
      spec,
      access,
      log,
      live,
      timeoutSeconds: options.timeout ?? options.mostPatience,
      signal,
      print: (text) => {
        this.#reported = true;
        const shown = visible(this.redactor.redact(text));
        this.surroundings.stdout.write(this.#paints(options) ? paintReport(shown) : shown);
      },
    });
  }

  /** A command with a log. */
  async withLog(options: LogOptions, body: (own: OwnLog) => Promise<number>): Promise<void> {
    const { stdout, stderr } = this.surroundings;
    // A report for another program has standard output to itself.
    const stream = isForPrograms(options) ? stderr : stdout;
    const level = options.quiet === true && isLouder(options.logLevel, 'warn') ? 'warn' : options.logLevel;
    const color = stream === stdout && this.#paints(options);
    const drawn = this.surroundings.terminal === true && stream === stdout && options.logFormat === 'text';
    const live = drawn && !isLouder('info', level) ? new LiveLines({ stream }) : undefined;
    const logOptions = { level, stream, redact: this.redactor.redact, color, live };
    const log = rememberLatest(options.logFormat === 'json' ? await jsonLog(logOptions) : textLog(logOptions));
    const stepLog = createStepLog(log);
    const { terminationLog, output } = options;
    await this.guarded((signal) => body({ log: stepLog, live, signal }), {
      log,
      terminationLog,
      json: output === 'json',
    });
  }

  #paints(options: LogOptions): boolean {
    return options.color !== false && !isForPrograms(options) && this.surroundings.color === true;
  }

  /** A command that answers with a few lines, without a log. */
  async report(
    json: boolean,
    body: (signal: AbortSignal) => Promise<{ readonly text: string; readonly json?: unknown }>,
  ): Promise<void> {
    await this.guarded(async (signal) => {
      try {
        const report = await body(signal);
        this.surroundings.stdout.write(json ? `${JSON.stringify(report.json, undefined, 2)}\n` : report.text);
        return 0;
      } catch (error) {
        const report = errorReport(asFailure(error), this.redactor.redact);
        if (json) this.surroundings.stdout.write(`${JSON.stringify({ error: report }, undefined, 2)}\n`);
        throw error;
      }
    });
  }

  /** What a Job ended with, where Kubernetes shows it. */
  async leaveMessage(message: string, terminationLog: string): Promise<void> {
    await writeTerminationMessage(terminationLog, message);
    const { leaveEvent } = await import('../kubernetes/event.ts');
    await leaveEvent(message);
  }

  /** Turns whatever is thrown into one message and an exit code, and a signal into an abort. */
  async guarded(body: (signal: AbortSignal) => Promise<number>, destination?: Destination): Promise<void> {
    try {
      this.#exitCode = await body(this.#stop.signal);
    } catch (thrown) {
      const error = asFailure(thrown);
      const message = visible(this.redactor.redact(errorMessage(error, destination?.log.latest())));
      if (destination === undefined || this.#outputError !== undefined) {
        this.surroundings.stderr.write(`${message}\n`);
      } else {
        const report = errorReport(error, this.redactor.redact);
        destination.log.write({ level: 'error', text: message, depth: 0, context: {}, error: report });
        // A report that was printed says itself what went wrong.
        if (destination.json && !this.#reported) {
          this.surroundings.stdout.write(`${JSON.stringify({ error: report }, undefined, 2)}\n`);
        }
      }
      if (destination !== undefined) {
        await this.leaveMessage(message, destination.terminationLog);
      }
      this.#exitCode = exitCode(error);
    }
  }
}

function isForPrograms({ output }: LogOptions): boolean {
  return output === 'json' || output === 'prometheus';
}

function selectedSpec(spec: Spec, { database, timeout, mostPatience }: CommonOptions): Spec {
  return withPatience(selectDatabases(spec, database ?? []), { seconds: timeout, mostSeconds: mostPatience });
}
