/**
 * Tells results in the order of what they belong to, each as soon as all before it have come. `undefined` is a result
 * that there is nothing to tell of.
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
