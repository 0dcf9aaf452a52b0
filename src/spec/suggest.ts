/**
 * The known name that a mistyped one most likely stands for, or undefined when none is close enough to be worth
 * naming. Case and separators are free: `backoff_limit` finds `backoffLimit`.
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const typed = fold(name);
  // A third of the letters may be wrong: `ownr` finds `owner`, `foo` finds nothing.
  let best = Math.max(1, Math.floor(typed.length / 3)) + 1;
  let found: string | undefined;
  for (const candidate of known) {
    const folded = fold(candidate);
    if (Math.abs(folded.length - typed.length) >= best) continue;
    const distance = editDistance(typed, folded);
    if (distance >= best) continue;
    best = distance;
    found = candidate;
  }
  return found;
}

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[\s_.-]/g, '');
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment distance). */
export function editDistance(left: string, right: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let cost = Math.min(at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1));
      const swapped =
        row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (swapped) cost = Math.min(cost, at(beforeLast, column - 2) + 1);
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return at(last, right.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
