import { throwIfInterrupted } from '../concurrency/interrupt.ts';
import { forAll } from '../concurrency/parallel.ts';
import { beginBlocking, LET_GO } from '../objects/restorePoint.ts';
import { ACTIVITY_OF, type Activity, describeWait } from '../postgres/activity.ts';
import { LONG_MS, MAINTENANCE_DATABASE, type QueryResult, type Session } from '../postgres/connection.ts';
import type { Sessions } from '../postgres/sessions.ts';
import { codeOf, describe } from '../postgres/sqlstate.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { Failure } from '../report/errors.ts';
import type { NodeSpec } from '../spec/types.ts';
import type { Blocking } from './restorePointOrder.ts';

export interface WriteBlockOptions {
  /** Of the transactions with the locks: nothing else may use them. */
  readonly sessions: Sessions;
  /** Sessions that tell who holds a lock. */
  readonly maintenance: Sessions;
  readonly label: (node: NodeSpec) => string;
  /** For all locks together. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

interface Held {
  readonly blocking: Blocking;
  readonly session: Session;
}

const HOLDERS_DEADLINE_MS = 2_000;
const RELEASE_DEADLINE_MS = 5_000;

/** Transactions that hold locks in several databases of several nodes until they are released, all at the same time. */
export class WriteBlock {
  readonly #options: WriteBlockOptions;
  readonly #deadline: number;
  readonly #held: Held[] = [];

  constructor(options: WriteBlockOptions) {
    this.#options = options;
    this.#deadline = performance.now() + options.waitMs;
  }

  /**
   * Opens what `take` would have to wait for otherwise, while writes still go on. Tells which accept no connections; what is
   * not there has no locks to take.
   */
  async open(blockings: readonly Blocking[]): Promise<readonly Blocking[]> {
    const refused = await forAll(blockings, async (blocking) => {
      const found = await openUnlessRefused(() => this.#session(blocking));
      return found === 'refused' ? [blocking] : [];
    });
    return refused.flat();
  }

  /** Takes the locks of one statement for each of the blockings, in the transaction that it has or begins. */
  async take(
    blockings: readonly Blocking[],
    statement: (blocking: Blocking) => string,
  ): Promise<readonly (readonly QueryResult<Record<string, unknown>>[])[]> {
    const { signal } = this.#options;
    throwIfInterrupted(signal);
    const giveUp = new AbortController();
    const waiting = new Set<Held>();
    const timer = setTimeout(
      () => void this.#timedOut([...waiting]).then((failure) => giveUp.abort(failure)),
      Math.max(0, this.#deadline - performance.now()),
    );
    try {
      return await forAll(blockings, async (blocking) => {
        let held: Held | undefined;
        try {
          held = await this.#transactionOf(blocking);
          waiting.add(held);
          return await held.session.script(statement(blocking), {
            joinable: true,
            deadlineMs: LONG_MS,
            signal: AbortSignal.any([signal, giveUp.signal]),
          });
        } catch (error) {
          throwIfInterrupted(signal);
          // The others would go on waiting until the deadline, and writes with them.
          if (!giveUp.signal.aborted) giveUp.abort(this.#lockFailure(blocking, error));
          throw giveUp.signal.reason;
        } finally {
          if (held !== undefined) waiting.delete(held);
        }
      });
    } catch (error) {
      throwIfInterrupted(signal);
      throw giveUp.signal.aborted ? giveUp.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the transactions. Fails when one of them was over before, so that its locks were not held until now. */
  async release(): Promise<void> {
    const held = this.#held.splice(0);
    await forAll(held, async ({ blocking, session }) => {
      try {
        if (session.transactionStatus !== 'T') throw new Error('its transaction was over');
        await session.script(LET_GO, { joinable: true, deadlineMs: RELEASE_DEADLINE_MS });
      } catch (error) {
        throw new Failure(
          {
            kind: 'failed',
            what: 'The locks were not held until the end: the restore point may be of two moments',
            ...this.#place(blocking),
            cause: describe(error),
            next: 'Do not restore to this point: run again with another name',
          },
          { cause: error },
        );
      }
    });
  }

  async #session({ node, database }: Blocking): Promise<Session> {
    return await this.#options.sessions.get(node, database);
  }

  async #transactionOf(blocking: Blocking): Promise<Held> {
    const { node, database } = blocking;
    const known = this.#held.find((held) => held.blocking.node === node && held.blocking.database === database);
    if (known !== undefined) return known;
    const held = { blocking, session: await this.#session(blocking) };
    this.#held.push(held);
    await held.session.script(beginBlocking(this.#options.waitMs), { joinable: true });
    return held;
  }

  #place({ node, database }: Blocking): { readonly node: string; readonly database: string } {
    return { node: this.#options.label(node), database };
  }

  #lockFailure(blocking: Blocking, error: unknown): Failure {
    if (error instanceof Failure) return error;
    const code = codeOf(error);
    return new Failure(
      {
        kind: 'failed',
        what: 'Failed to lock the metadata of Citus for the restore point',
        ...this.#place(blocking),
        cause: describe(error),
        next:
          code === SQLSTATE.deadlockDetected || code === SQLSTATE.lockNotAvailable
            ? 'Nothing is locked any more, and there is no point: run again'
            : 'Nothing is locked any more, and there is no point. Remove the cause and run again',
      },
      { cause: error },
    );
  }

  /** Asked before the waiting statements are cancelled: afterwards nobody knows what they waited for. */
  async #timedOut(waiting: readonly Held[]): Promise<Failure> {
    const waits = await Promise.all(
      waiting.map(async ({ blocking, session }) => {
        const { node, database } = this.#place(blocking);
        const wait = await this.#waitOf(blocking, session).catch(() => undefined);
        return `${node}, database ${database}: ${wait ?? 'no answer'}`;
      }),
    );
    return new Failure({
      kind: 'failed',
      what: `The locks for the restore point were not granted within ${this.#options.waitMs / 1000} s`,
      cause: `\n${waits.join('\n')}`,
      next: 'Nothing is locked any more, and there is no point. End the transaction that stands in the way, or wait longer: --lock-timeout',
    });
  }

  async #waitOf({ node, database }: Blocking, session: Session): Promise<string | undefined> {
    const asked = await this.#options.maintenance.get(node, MAINTENANCE_DATABASE);
    const { rows } = await asked.query<Activity>(ACTIVITY_OF, [session.backendPid, database], {
      deadlineMs: HOLDERS_DEADLINE_MS,
    });
    const [activity] = rows;
    return activity === undefined || activity.lock === null ? undefined : describeWait(activity);
  }
}

/** The owner of a database decides, at any moment, whether it accepts connections, on each node. */
export async function openUnlessRefused(open: () => Promise<Session>): Promise<Session | 'absent' | 'refused'> {
  try {
    return await open();
  } catch (error) {
    const code = codeOf(error);
    if (code === SQLSTATE.invalidCatalogName) return 'absent';
    if (code === SQLSTATE.objectNotInPrerequisiteState) return 'refused';
    throw error;
  }
}
