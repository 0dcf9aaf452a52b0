/**
 * What one server may make this program keep. It is a superuser's server, and still not trusted with the memory of this
 * program, in which other nodes and databases have their turn: rows and results that never end are cut off here, and so is
 * a message that says it is larger, before any of it is collected.
 */

const MEGABYTE = 1024 * 1024;

/**
 * To one statement. What the catalogs say comes as digests or as JSON: 100,000 shards and 200,000 rights take less than a
 * tenth of it (docs/PERFORMANCE.md).
 */
export const LARGEST_ANSWER = 64 * MEGABYTE;
/** What a server asks for, why it lets nobody in, and the settings it reports take a few kilobytes at most. */
const LONGEST_LOGIN = 64 * 1024;

/** A message's type, and its length without the type (PostgreSQL documentation, "Message Formats"). */
const HEADER = 5;
const ERROR_RESPONSE = 0x45;
const DATA_ROW = 0x44;

/** What a message takes in memory at least. One error ends a statement; each costs a stack trace. */
const LEAST_ROW = 128;
const LEAST = 512;
const LEAST_ERROR = 8192;

/** What becomes of an answer. */
export type Kept =
  /** The server has not let this program in yet. */
  | 'login'
  /** Rows are collected. */
  | 'all'
  /** Rows and results are dropped as they come, so their number does not matter. */
  | 'nothing';

export class AnswerTooLarge extends Error {}

/** Follows the messages of one connection by their lengths, as pg's parser does. */
export class AnswerMeter {
  #kept: Kept = 'login';
  #weight = 0;
  /** Of the message under way, what has not come yet. */
  #left = 0;
  readonly #header = Buffer.alloc(HEADER);
  #headerBytes = 0;

  /** The next answer begins. */
  begin(kept: Kept): void {
    this.#kept = kept;
    this.#weight = 0;
  }

  get kept(): Kept {
    return this.#kept;
  }

  /** Throws AnswerTooLarge. */
  take(chunk: Buffer): void {
    const { length } = chunk;
    let at = this.#headerBytes === 0 ? this.#left : this.#finishHeader(chunk);
    while (at + HEADER <= length) at += this.#message(chunk, at);
    if (at < length) {
      this.#headerBytes = chunk.copy(this.#header, 0, at);
      this.#left = 0;
    } else {
      this.#left = at - length;
    }
  }

  /** Of one that came in two pieces. Where the next message begins in the chunk. */
  #finishHeader(chunk: Buffer): number {
    const before = this.#headerBytes;
    this.#headerBytes += chunk.copy(this.#header, before, 0, HEADER - before);
    if (this.#headerBytes < HEADER) return chunk.length;
    this.#headerBytes = 0;
    return this.#message(this.#header, 0) - before;
  }

  /** Weighs one, and returns its size. */
  #message(bytes: Buffer, at: number): number {
    const type = bytes[at];
    const size = 1 + bytes.readUInt32BE(at + 1);
    if (size < HEADER) throw new Error('a message that is shorter than its own length');
    const limit = this.#kept === 'login' ? LONGEST_LOGIN : LARGEST_ANSWER;
    if (size > limit) throw new AnswerTooLarge(`a message of ${size} bytes, and ${limit} are read at most`);
    this.#weight += this.#weightOf(type, size);
    if (this.#weight > limit) throw new AnswerTooLarge(`messages of ${limit} bytes in all, and no end`);
    return size;
  }

  #weightOf(type: number | undefined, size: number): number {
    if (type === ERROR_RESPONSE) return Math.max(size, LEAST_ERROR);
    if (this.#kept === 'nothing') return 0;
    return Math.max(size, type === DATA_ROW ? LEAST_ROW : LEAST);
  }
}
