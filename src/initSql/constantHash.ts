import { createHash, hash as digest, type Hash } from 'node:crypto';
import type { Shape } from './constantInsert.ts';
import type { Rows } from './constantRows.ts';

const [TAB, LINE_FEED, CARRIAGE_RETURN, SPACE] = [0x09, 0x0a, 0x0d, 0x20] as const;
const [QUOTE, PARENTHESIS, MINUS] = [0x27, 0x28, 0x2d] as const;

/** So many bytes are hashed at once. */
const AT_ONCE = 131_072;
/** One byte of a row becomes that many at most. */
const MOST_OF_ONE = 3;

/**
 * What hashOf() (units.ts) says of an INSERT of constants, without an object for each of its tokens: 100 MB have ten
 * million. Each token in its rows is a string, a word, a number or one of `(`, `)`, `,`, `+` and `-`.
 */
export class ConstantHashes {
  readonly #out = Buffer.allocUnsafeSlow(AT_ONCE);
  #length = 0;
  #hash: Hash | undefined;
  #text = Buffer.alloc(0);

  of(sql: string, { start, end }: Rows, { before, behind }: Pick<Shape, 'before' | 'behind'>): string {
    const rows = sql.slice(start, end);
    const length = Buffer.byteLength(rows);
    if (this.#text.length < length) this.#text = Buffer.allocUnsafeSlow(length);
    this.#text.write(rows);
    this.#length = 0;
    this.#hash = undefined;
    this.#add(before);
    this.#addRows(this.#text, length);
    this.#add(behind);
    if (this.#hash === undefined) return digest('sha256', this.#out.subarray(0, this.#length), 'hex');
    return this.#flush().digest('hex');
  }

  #add(bytes: Buffer): void {
    if (this.#length + bytes.length > AT_ONCE) this.#flush();
    if (bytes.length > AT_ONCE) this.#hash?.update(bytes);
    else this.#length += bytes.copy(this.#out, this.#length);
  }

  #flush(): Hash {
    this.#hash ??= createHash('sha256');
    this.#hash.update(this.#out.subarray(0, this.#length));
    this.#length = 0;
    return this.#hash;
  }

  /** A space before each token and no other blank, but for those in strings, where `\r\n` counts as `\n`. */
  #addRows(text: Uint8Array, length: number): void {
    const out: Uint8Array = this.#out;
    let to = this.#length;
    let within: 'string' | 'word' | undefined;
    for (let at = 0; at < length; at += 1) {
      if (to > AT_ONCE - MOST_OF_ONE) {
        this.#length = to;
        this.#flush();
        to = 0;
      }
      const byte = text[at] ?? 0;
      if (within === 'string') {
        if (byte === CARRIAGE_RETURN && text[at + 1] === LINE_FEED) continue;
        out[to++] = byte;
        if (byte !== QUOTE) continue;
        if (text[at + 1] !== QUOTE) within = undefined;
        else {
          out[to++] = byte;
          at += 1;
        }
      } else if (byte === SPACE || (byte >= TAB && byte <= CARRIAGE_RETURN)) within = undefined;
      else {
        const isSign = byte >= PARENTHESIS && byte <= MINUS;
        if (within === undefined || isSign || byte === QUOTE) out[to++] = SPACE;
        out[to++] = byte;
        within = byte === QUOTE ? 'string' : isSign ? undefined : 'word';
      }
    }
    this.#length = to;
  }
}
