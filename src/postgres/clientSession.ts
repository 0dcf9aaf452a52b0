import pg from 'pg';
import { Failure } from '../report/errors.ts';
import type { AnswerMeter } from './answerMeter.ts';
import { NoAnswer } from './limit.ts';
import { sendWithoutRows } from './queryWithoutRows.ts';
import { AheadQuery, type SendAhead } from './sendAhead.ts';
import type { ServerAddress } from './serverAddress.ts';
import {
  ConnectionLost,
  type PipelineOptions,
  type QueryOptions,
  type QueryResult,
  type ScriptOptions,
  type Session,
  UNLIMITED,
} from './session.ts';
import { NOTHING_SENT, settledBy } from './settled.ts';
import { attachWarnings } from './sqlstate.ts';
import { SQLSTATE } from './sqlstates.ts';
import type { Statement } from './statement.ts';
import { type LimitParts, limitStatement } from './statementLimits.ts';
import { reportAnswer, reportSteps } from './statementReport.ts';
import { placeOf } from './stream.ts';
import { Warnings } from './warnings.ts';

export interface SessionParts
  extends Pick<
      Session,
      'node' | 'database' | 'backendPid' | 'serverMajor' | 'encrypted' | 'mayBeOverheard' | 'inRecovery'
    >,
    LimitParts {
  readonly client: pg.Client;
  readonly answers: AnswerMeter;
  /** A statement that has to come before all others; it shares the first message where that is possible. */
  readonly prelude: string | undefined;
  readonly sendCancel: () => Promise<void>;
  readonly onStatement: ((statement: Statement) => void) | undefined;
}

const DEADLINE_MS = 30 * 60_000;
const CLOSE_GRACE_MS = 1_000;

interface ExtendedQuery extends pg.QueryConfig<unknown[]> {
  // left out of @types/pg; without it a query without values would go by the simple protocol
  readonly queryMode: 'extended';
}

export function createSession(parts: SessionParts): Session {
  return new ClientSession(parts);
}

class ClientSession implements Session {
  readonly node: ServerAddress;
  readonly database: string;
  readonly backendPid: number;
  readonly serverMajor: number;
  readonly encrypted: boolean;
  readonly mayBeOverheard: boolean;
  readonly inRecovery: boolean | undefined;
  readonly #parts: SessionParts;
  #queries = 0;
  #prelude: string | undefined;
  /** Of the statement under way. */
  #warnings = new Warnings();
  /** Of the message sent last. */
  #settled = NOTHING_SENT;
  #lost: Error | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #cancelling: Promise<void> | undefined;
  /** Statements under way or waiting for their turn. */
  #open = 0;

  constructor(parts: SessionParts) {
    this.node = parts.node;
    this.database = parts.database;
    this.backendPid = parts.backendPid;
    this.serverMajor = parts.serverMajor;
    this.encrypted = parts.encrypted;
    this.mayBeOverheard = parts.mayBeOverheard;
    this.inRecovery = parts.inRecovery;
    this.#prelude = parts.prelude;
    this.#parts = parts;
    parts.client.on('error', (error) => {
      this.#lost ??= error;
    });
    parts.client.on('notice', ({ severity, message }) => {
      if (severity === 'WARNING' && message !== undefined) this.#warnings.add(message);
    });
    parts.client.on('end', () => {
      this.#lost ??= new Error('the server closed it');
    });
  }

  get queries(): number {
    return this.#queries;
  }

  get isAlive(): boolean {
    return this.#lost === undefined && !this.#parts.tcp.destroyed;
  }

  get transactionStatus(): 'I' | 'T' | 'E' {
    return this.#parts.client.getTransactionStatus() ?? 'I';
  }

  async query<Row>(text: string, values: readonly unknown[] = [], options: QueryOptions = {}) {
    const query: ExtendedQuery = { text, values: [...values], queryMode: 'extended' };
    return this.#inTurn(async () => {
      await this.#sendPrelude();
      return toResult<Row>(await this.#send(query));
    }, options);
  }

  async script<Row>(text: string, { joinable = false, dropsRows = false, ...options }: ScriptOptions = {}) {
    return this.#inTurn(async () => {
      if (!joinable) await this.#sendPrelude();
      const prelude = this.#prelude;
      const result: unknown = await this.#send(prelude === undefined ? text : `${prelude};\n${text}`, dropsRows);
      // A script that fails takes the prelude back with it: the next message then brings it again.
      this.#prelude = undefined;
      const results = [result].flat().map((each) => toResult<Row>(each as pg.QueryResult));
      return prelude === undefined ? results : results.slice(1);
    }, options);
  }

  async pipeline(messages: readonly string[], { onDone, ...options }: PipelineOptions = {}) {
    await this.#inTurn(
      async () => {
        await this.#sendPrelude();
        await this.#sendAll(messages, (index) => {
          // A later error must not be explained by what an earlier statement was warned of.
          this.#warnings = new Warnings();
          onDone?.(index);
        });
      },
      { deadlineMs: UNLIMITED, ...options },
    );
  }

  async sendAhead({ groups, onAnswer }: SendAhead, options: QueryOptions = {}) {
    await this.#inTurn(
      async () => {
        await this.#sendPrelude();
        const report = reportSteps(this, this.#parts.onStatement);
        this.#settled.forget();
        this.#settled = settledBy(this.#parts.client);
        this.#parts.answers.begin('nothing');
        const ahead = new AheadQuery({
          groups: report === undefined ? groups : report.seen(groups),
          onAnswer: (answered) => {
            this.#warnings = new Warnings();
            report?.answered();
            onAnswer(answered);
          },
        });
        this.#parts.client.query(ahead);
        await ahead.done.catch((error: unknown) => {
          report?.failed(error);
          throw error;
        });
      },
      { deadlineMs: UNLIMITED, ...options },
    );
  }

  async #sendPrelude(): Promise<void> {
    if (this.#prelude === undefined) return;
    await this.#send(this.#prelude);
    this.#prelude = undefined;
  }

  /** One message; a call may need two, and only the end of the one that failed settles it. */
  #send(message: ExtendedQuery | string, dropsRows = false): Promise<pg.QueryResult> {
    this.#settled.forget();
    this.#settled = settledBy(this.#parts.client);
    const { client, answers } = this.#parts;
    answers.begin(dropsRows ? 'nothing' : 'all');
    if (typeof message !== 'string') return this.#reported(message.text, client.query(message));
    return this.#reported(message, dropsRows ? sendWithoutRows(client, message) : client.query(message));
  }

  #reported<Answer>(text: string, answer: Promise<Answer>): Promise<Answer> {
    return reportAnswer(this, this.#parts.onStatement, { text, answer });
  }

  /** All messages in one write. Each has an answer of its own, errors included (pg, "pipeline"). */
  async #sendAll(messages: readonly string[], onDone: (index: number) => void): Promise<void> {
    const { client } = this.#parts;
    this.#settled.forget();
    this.#settled = settledBy(client, messages.length);
    this.#parts.answers.begin('nothing');
    const { stream } = client.connection;
    let failed = false;
    stream.cork();
    const answers = messages.map(async (message, index) => {
      try {
        await this.#reported(message, sendWithoutRows(client, message));
      } catch (error) {
        failed = true;
        throw error;
      } finally {
        // Behind an error each of the others has one of its own.
        this.#parts.answers.begin('nothing');
      }
      if (!failed) onDone(index);
    });
    stream.uncork();
    const settled = await Promise.allSettled(answers);
    const first = settled.find((answer) => answer.status === 'rejected');
    if (first !== undefined) throw first.reason;
  }

  cancel(): Promise<void> {
    // a request that finds no statement would hit the next one
    if (this.#open === 0) return Promise.resolve();
    this.#cancelling ??= this.#parts.sendCancel();
    return this.#cancelling;
  }

  async close(): Promise<void> {
    const { client, tcp } = this.#parts;
    this.#lost ??= new Error('it was closed by this program');
    const timer = setTimeout(() => tcp.destroy(), CLOSE_GRACE_MS);
    try {
      await client.end();
    } catch {
      // nothing depends on a goodbye
    } finally {
      clearTimeout(timer);
      tcp.destroy();
    }
  }

  #inTurn<T>(send: () => Promise<T>, options: QueryOptions): Promise<T> {
    this.#open += 1;
    const turn = this.#turn.then(async () => {
      try {
        return await this.#execute(send, options);
      } finally {
        // Only a session that goes on could be hit by a request that comes late.
        if (this.isAlive) await this.#cancelling?.catch(() => undefined);
        this.#cancelling = undefined;
        this.#open -= 1;
      }
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #execute<T>(send: () => Promise<T>, options: QueryOptions): Promise<T> {
    options.signal?.throwIfAborted();
    if (!this.isAlive) throw this.#connectionLost(this.#lost);
    this.#queries += 1;
    this.#warnings = new Warnings();
    const limits = limitStatement(
      { ...this.#parts, requestCancel: () => this.#requestCancel() },
      { ...options, deadlineMs: options.deadlineMs ?? defaultDeadline(options) },
    );
    try {
      return await send();
    } catch (error) {
      // pg reports an error before the server's word that it is ready, which brings the state of the transaction
      if (error instanceof pg.DatabaseError) {
        await this.#settled.promise;
        attachWarnings(error, this.#warnings.list());
      }
      if (limits.reason() !== undefined && (isCancelled(error) || !this.isAlive)) throw limits.reason();
      if (error instanceof pg.DatabaseError || error instanceof NoAnswer || this.isAlive) throw error;
      throw this.#connectionLost(error);
    } finally {
      this.#settled.forget();
      limits.release();
    }
  }

  /** One more request; the next statement waits for all of them. */
  #requestCancel(): void {
    const requests = Promise.all([this.#cancelling, this.#parts.sendCancel()]).then(() => undefined);
    this.#cancelling = requests;
    requests.catch(() => undefined);
  }

  /** A Failure says more: this program has cut the connection, and would again. */
  #connectionLost(cause: unknown): ConnectionLost | Failure {
    if (cause instanceof Failure) return cause;
    const reason = cause instanceof Error ? `: ${cause.message}` : '';
    return new ConnectionLost(`The connection to ${placeOf(this.node)} was lost${reason}`, { cause });
  }
}

function defaultDeadline({ lockDeadline }: QueryOptions): number {
  return DEADLINE_MS + Math.max(0, (lockDeadline ?? 0) - performance.now());
}

function isCancelled(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === SQLSTATE.queryCanceled;
}

function toResult<Row>(result: pg.QueryResult): QueryResult<Row> {
  return { rows: result.rows, rowCount: result.rowCount ?? 0, command: result.command };
}
