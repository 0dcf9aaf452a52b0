/**
 * Passes results on in the order of their items, each as soon as all earlier ones are known. `undefined` is a result with
 * nothing to report.
 */
export function inOrder<Result>(tell: (result: Result) => void): (index: number, result: Result | undefined) => void {
  const come = new Map<number, Result | undefined>();
  let next = 0;
  return (index, result) => {
    come.set(index, result);
    for (; come.has(next); next += 1) {
      const due = come.get(next);
      if (due !== undefined) tell(due);
    }
  };
}
