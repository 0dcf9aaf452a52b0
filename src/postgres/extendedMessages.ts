/**
 * Messages of the extended query protocol (PostgreSQL documentation, "Message Formats"), many in one buffer: pg writes
 * each message by itself, which costs more than the server takes to execute a small statement.
 */

/** One thing to do on the server. All but `parse` are answered by CommandComplete. */
export type Step =
  /** Parses, binds and executes a statement without parameters. */
  | { readonly kind: 'statement'; readonly sql: string }
  /** Names a statement for `prepared`; what had the name before is forgotten. */
  | { readonly kind: 'parse'; readonly name: string; readonly sql: string }
  | { readonly kind: 'prepared'; readonly name: string; readonly values: readonly string[] };

const EXECUTE = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
const FLUSH = Buffer.from([0x48, 0, 0, 0, 4]);
const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);
/** The unnamed portal of the unnamed statement: no parameters, results as text. */
const BIND_UNNAMED = Buffer.from([0x42, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]);

const [CLOSE, PARSE, BIND] = [0x43, 0x50, 0x42] as const;

const FIRST_SIZE = 65_536;

/** Written one behind the other, each byte once. */
export class Messages {
  #bytes = Buffer.allocUnsafeSlow(FIRST_SIZE);
  #length = 0;
  /** Where the length of the message under way stands. */
  #start = 0;

  get length(): number {
    return this.#length;
  }

  get size(): number {
    return this.#bytes.length;
  }

  /** Valid until more is added. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  step(step: Step): void {
    switch (step.kind) {
      case 'statement':
        this.#parse('', step.sql);
        this.#add(BIND_UNNAMED);
        this.#add(EXECUTE);
        return;
      case 'parse':
        this.#begin(CLOSE);
        this.#text(`S${step.name}`);
        this.#end();
        this.#parse(step.name, step.sql);
        return;
      case 'prepared':
        this.#bind(step.name, step.values);
        this.#add(EXECUTE);
        return;
      default:
        step satisfies never;
    }
  }

  flush(): void {
    this.#add(FLUSH);
  }

  sync(): void {
    this.#add(SYNC);
  }

  #parse(name: string, sql: string): void {
    this.#begin(PARSE);
    this.#text(name);
    this.#text(sql);
    this.#int16(0);
    this.#end();
  }

  #bind(name: string, values: readonly string[]): void {
    this.#begin(BIND);
    this.#text('');
    this.#text(name);
    this.#int16(0);
    this.#int16(values.length);
    for (const value of values) {
      const length = Buffer.byteLength(value);
      this.#reserve(length + 4);
      this.#length = this.#bytes.writeInt32BE(length, this.#length);
      this.#length += this.#bytes.write(value, this.#length);
    }
    this.#int16(0);
    this.#end();
  }

  #begin(type: number): void {
    this.#reserve(5);
    this.#bytes[this.#length] = type;
    this.#start = this.#length + 1;
    this.#length += 5;
  }

  #end(): void {
    this.#bytes.writeInt32BE(this.#length - this.#start, this.#start);
  }

  #text(value: string): void {
    this.#reserve(Buffer.byteLength(value) + 1);
    this.#length += this.#bytes.write(value, this.#length);
    this.#bytes[this.#length] = 0;
    this.#length += 1;
  }

  #int16(value: number): void {
    this.#reserve(2);
    this.#length = this.#bytes.writeInt16BE(value, this.#length);
  }

  #add(bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.#length += bytes.copy(this.#bytes, this.#length);
  }

  #reserve(length: number): void {
    const needed = this.#length + length;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
