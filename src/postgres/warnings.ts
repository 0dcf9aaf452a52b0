/** A loop of RAISE WARNING sends them faster than anybody reads: so many are kept of a statement, and so much of each. */
const MOST = 20;
const LONGEST = 8_192;

/** The WARNINGs that came with one statement. */
export class Warnings {
  readonly #first: string[] = [];
  #more = 0;

  add(message: string): void {
    if (this.#first.length < MOST) this.#first.push(message.slice(0, LONGEST));
    else this.#more += 1;
  }

  list(): readonly string[] {
    if (this.#more === 0) return this.#first;
    return [...this.#first, `… and ${this.#more.toLocaleString('en-US')} more`];
  }
}
