import type { Writable } from 'node:stream';
import { visible } from './visible.ts';

/** A terminal to draw on. */
export interface Terminal {
  readonly stream: Writable & { readonly columns?: number };
}

/** Back to the first of these lines, and everything from there on taken away (ECMA-48: CUU, ED). */
function erase(lines: number): string {
  return lines === 0 ? '' : `\r\u001b[${lines}A\u001b[J`;
}

/**
 * Lines at the bottom of a terminal that are written over again and again, while the log goes on above them. What is
 * drawn is of this moment only: nothing of it stays.
 */
export class LiveLines {
  readonly #stream: Terminal['stream'];
  #lines: readonly string[] = [];
  #drawn = 0;

  constructor({ stream }: Terminal) {
    this.#stream = stream;
  }

  /** Shows these lines instead of the ones before. */
  show(lines: readonly string[]): void {
    // A line that wraps would take two, and the count would be wrong.
    const width = (this.#stream.columns ?? 80) - 1;
    this.#lines = lines.map((line) => shorten(visible(line).replaceAll('\n', ' '), width));
    this.#draw();
  }

  /** Writes something else: above the lines, which stay at the bottom. */
  above(write: () => void): void {
    if (this.#drawn > 0) this.#stream.write(erase(this.#drawn));
    this.#drawn = 0;
    write();
    if (this.#lines.length > 0) this.#draw();
  }

  end(): void {
    this.show([]);
  }

  #draw(): void {
    const text = erase(this.#drawn) + this.#lines.map((line) => `${line}\n`).join('');
    this.#drawn = this.#lines.length;
    if (text !== '') this.#stream.write(text);
  }
}

function shorten(line: string, width: number): string {
  const characters = [...line];
  return characters.length <= width ? line : `${characters.slice(0, Math.max(0, width - 1)).join('')}…`;
}
