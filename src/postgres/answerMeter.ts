/**
 * What one server may make this program keep. A server that answers as it should is still not trusted with the memory of this
 * program, in which other nodes and databases have their turn: rows and results that never end are cut off here, and so is
 * a message that says it is larger, before any of it is collected.
 */

const MEGABYTE = 1024 * 1024;

/** To one statement. What the catalogs say comes as digests, or as JSON of a few kilobytes (docs/PERFORMANCE.md). */
export const LARGEST_ANSWER = 64 * MEGABYTE;
/** In a row as large as this the values are counted: as JSON, `{}` takes twenty times its bytes. */
const LARGE_ROW = MEGABYTE;
const MOST_VALUES = 3_000_000;
const [COMMA, BRACKET, BRACE] = [0x2c, 0x5b, 0x7b];
/** What a server asks for, why it lets nobody in, and the settings it reports take a few kilobytes at most. */
const LONGEST_LOGIN = 64 * 1024;
/** Of an error or a warning, whose texts whoever owns a function chooses, up to 1 GB each. */
export const LONGEST_NOTE = 64 * 1024;

/** A message's type, and its length without the type (PostgreSQL documentation, "Message Formats"). */
const HEADER = 5;
const [ERROR_RESPONSE, NOTICE_RESPONSE, DATA_ROW] = [0x45, 0x4e, 0x44];

/** What a message takes in memory at least. One error ends a statement; each costs a stack trace. */
const LEAST_ROW = 128;
const LEAST = 512;
const LEAST_ERROR = 8192;

const NOTHING = Buffer.alloc(0);
/** Ends the field that was cut, and the list of fields. */
const END_OF_NOTE = Buffer.alloc(2);

/** What becomes of an answer. */
export type Kept =
  /** The server has not let this program in yet. */
  | 'login'
  /** Rows are collected. */
  | 'all'
  /** Rows and results are dropped as they come, so their number does not matter. */
  | 'nothing';

export class AnswerTooLarge extends Error {
  /** What came before, and is pg's: what is said there may be the better reason to end. */
  before: Buffer = NOTHING;
}

interface Note {
  readonly type: number;
  readonly parts: Buffer[];
  bytes: number;
}

/** Follows the messages of one connection by their lengths, as pg's parser does. */
export class AnswerMeter {
  #kept: Kept = 'login';
  #weight = 0;
  /** Of the message under way, what has not come yet. */
  #left = 0;
  /** Whether its values are counted, and those of the answer so far. */
  #counts = false;
  #values = 0;
  /** The message under way, where it is to be shortened. */
  #note: Note | undefined;
  /** A piece of a header. */
  #held = NOTHING;

  /** The next answer begins. */
  begin(kept: Kept): void {
    this.#kept = kept;
    this.#weight = 0;
    this.#values = 0;
  }

  get kept(): Kept {
    return this.#kept;
  }

  /** What of it is for pg. Throws AnswerTooLarge. */
  take(bytes: Buffer): Buffer {
    const chunk = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const { length } = chunk;
    const done: Buffer[] = [];
    let from = 0;
    let at = 0;
    this.#held = NOTHING;
    for (;;) {
      const end = Math.min(at + this.#left, length);
      this.#left -= end - at;
      if (this.#counts) this.#count(chunk, at, end);
      if (this.#note !== undefined) {
        keep(this.#note, chunk.subarray(at, end));
        from = end;
        if (this.#left === 0) {
          done.push(shortened(this.#note));
          this.#note = undefined;
        }
      }
      at = end;
      if (this.#left > 0) break;
      if (at + HEADER > length) {
        this.#held = at === length ? NOTHING : Buffer.from(chunk.subarray(at));
        break;
      }
      const type = chunk[at] ?? 0;
      this.#left = 1 + chunk.readUInt32BE(at + 1);
      this.#weighed(type, () => Buffer.concat([...done, chunk.subarray(from, at)]));
      this.#counts = type === DATA_ROW && this.#kept === 'all' && this.#left > LARGE_ROW;
      if (isNote(type) && this.#left > HEADER + LONGEST_NOTE) {
        done.push(chunk.subarray(from, at));
        this.#note = { type, parts: [], bytes: 0 };
        this.#left -= HEADER;
        at += HEADER;
      }
    }
    if (done.length === 0) return from === 0 && at === length ? chunk : chunk.subarray(from, at);
    return Buffer.concat([...done, chunk.subarray(from, at)]);
  }

  #weighed(type: number, before: () => Buffer): void {
    try {
      this.#weigh(type, this.#left);
    } catch (error) {
      if (error instanceof AnswerTooLarge) error.before = before();
      throw error;
    }
  }

  #weigh(type: number, size: number): void {
    if (size < HEADER) throw new Error('a message that is shorter than its own length');
    const login = this.#kept === 'login';
    const limit = login ? LONGEST_LOGIN : LARGEST_ANSWER;
    const kept = isNote(type) && !login ? Math.min(size, LONGEST_NOTE) : size;
    if (kept > limit) throw new AnswerTooLarge(`a message of ${size} bytes, and ${limit} are read at most`);
    this.#weight += this.#weightOf(type, kept);
    if (this.#weight > limit) throw new AnswerTooLarge(`messages of ${limit} bytes in all, and no end`);
  }

  #count(chunk: Buffer, from: number, to: number): void {
    let found = 0;
    for (let at = from; at < to; at += 1) {
      const byte = chunk[at];
      if (byte === COMMA || byte === BRACE || byte === BRACKET) found += 1;
    }
    this.#values += found;
    if (this.#values > MOST_VALUES) throw new AnswerTooLarge(`a row of more than ${MOST_VALUES} values`);
  }

  #weightOf(type: number, size: number): number {
    if (type === ERROR_RESPONSE) return Math.max(size, LEAST_ERROR);
    if (this.#kept === 'nothing') return 0;
    return Math.max(size, type === DATA_ROW ? LEAST_ROW : LEAST);
  }
}

function isNote(type: number): boolean {
  return type === ERROR_RESPONSE || type === NOTICE_RESPONSE;
}

function keep(note: Note, part: Buffer): void {
  const kept = part.subarray(0, LONGEST_NOTE - note.bytes);
  if (kept.length === 0) return;
  note.parts.push(kept);
  note.bytes += kept.length;
}

/** Its first fields are severity and SQLSTATE; then come message, DETAIL and HINT (PostgreSQL: elog.c, send_message_to_frontend()). */
function shortened({ type, parts, bytes }: Note): Buffer {
  const header = Buffer.alloc(HEADER);
  header[0] = type;
  header.writeUInt32BE(HEADER - 1 + bytes + END_OF_NOTE.length, 1);
  return Buffer.concat([header, ...parts, END_OF_NOTE]);
}
