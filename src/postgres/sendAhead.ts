import pg from 'pg';
import { Messages, type Step } from './extendedMessages.ts';

/** So much is under way at most: enough to keep the server busy over a slow network, and little to be undone or awaited. */
const MOST_GROUPS = 64;
const MOST_BYTES = 1_000_000;
/** Each Flush costs the server a packet, and this program a read. */
const QUICK_UNFLUSHED = 8;
/** A buffer that has become larger is not kept. */
const LARGEST_KEPT = 2 * MOST_BYTES;

/** Steps that belong together, such as a transaction. */
export interface Group {
  readonly steps: readonly Step[];
  /** It will not take long, so its answers may wait for those of a few groups behind it. */
  readonly quick: boolean;
}

/** Where the server is: which of the groups, and which of its steps has been answered. */
export interface Answered {
  readonly group: number;
  readonly step: number;
  /** The group is done. */
  readonly last: boolean;
}

export interface SendAhead {
  /** Asked for a group whenever there is room; it ends by itself, or when there is to be no more. */
  readonly groups: Iterator<Group>;
  readonly onAnswer: (answered: Answered) => void;
}

interface Sent {
  /** Not the statements themselves, which may be large. */
  readonly steps: readonly Step['kind'][];
  readonly bytes: number;
}

/**
 * Groups of steps, sent without waiting for the answers and without Sync between them: after an error the server skips
 * all that it has been sent, up to the Sync that answers the error (PostgreSQL documentation, "Extended Query" and
 * "Pipelining"). So nothing behind a failed step takes effect, whatever failed, COMMIT included, and what was committed
 * before stays. A Flush brings the answers, and lets a server whose client is gone find out: one goes before and behind
 * each group that may take long.
 *
 * To pg it is one query; the client calls these methods as the messages come in (pg, lib/client.js).
 */
export class AheadQuery extends pg.Query {
  readonly done: Promise<void>;
  readonly #task: SendAhead;
  readonly #sent: Sent[] = [];
  /** Buffers that are written. */
  readonly #spare: Messages[] = [];
  #connection: pg.Connection | undefined;
  #group = 0;
  #step = 0;
  #bytes = 0;
  #synced = false;
  #unflushed = 0;
  #settle: { readonly resolve: () => void; readonly reject: (error: Error) => void };

  constructor(task: SendAhead) {
    super({ text: '' });
    this.#task = task;
    const { promise, ...settle } = deferred();
    this.done = promise;
    this.#settle = settle;
  }

  override submit = (connection: pg.Connection): void => {
    this.#connection = connection;
    this.#fill();
  };

  handleRowDescription(): void {}

  handleDataRow(): void {}

  handlePortalSuspended(): void {}

  handleCopyData(): void {}

  /** The next message fails it (PostgreSQL documentation, "COPY Operations"). */
  handleCopyInResponse(): void {}

  handleEmptyQuery(): void {
    this.handleCommandComplete();
  }

  handleCommandComplete(): void {
    const [sent] = this.#sent;
    if (sent === undefined) return;
    while (sent.steps[this.#step] === 'parse') this.#step += 1;
    const answered = { group: this.#group, step: this.#step, last: this.#step === sent.steps.length - 1 };
    this.#step += 1;
    if (answered.last) {
      this.#sent.shift();
      this.#bytes -= sent.bytes;
      this.#group += 1;
      this.#step = 0;
    }
    this.#task.onAnswer(answered);
    if (answered.last) this.#fill();
  }

  handleError(error: Error): void {
    this.#sync();
    this.#settle.reject(error);
  }

  handleReadyForQuery(): void {
    this.#settle.resolve();
  }

  /** Waits until half of what may be under way is answered, so that many groups go out in one write. */
  #fill(): void {
    if (this.#synced || this.#sent.length > MOST_GROUPS / 2 || this.#bytes > MOST_BYTES / 2) return;
    const messages = this.#spare.pop() ?? new Messages();
    const flush = () => {
      if (this.#unflushed > 0) messages.flush();
      this.#unflushed = 0;
    };
    while (this.#sent.length < MOST_GROUPS && this.#bytes < MOST_BYTES) {
      const next = this.#task.groups.next();
      if (next.done === true) {
        this.#synced = true;
        messages.sync();
        break;
      }
      const { steps, quick } = next.value;
      if (!quick) flush();
      const before = messages.length;
      for (const step of steps) messages.step(step);
      const bytes = messages.length - before;
      this.#sent.push({ steps: steps.map(({ kind }) => kind), bytes });
      this.#bytes += bytes;
      this.#unflushed += 1;
      if (!quick || this.#unflushed >= QUICK_UNFLUSHED) flush();
    }
    if (!this.#synced) flush();
    this.#write(messages);
  }

  #write(messages: Messages): void {
    this.#connection?.stream.write(messages.bytes(), () => {
      if (messages.size > LARGEST_KEPT) return;
      messages.clear();
      this.#spare.push(messages);
    });
  }

  #sync(): void {
    if (this.#synced) return;
    this.#synced = true;
    const messages = new Messages();
    messages.sync();
    this.#write(messages);
  }
}

function deferred() {
  let resolve = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
