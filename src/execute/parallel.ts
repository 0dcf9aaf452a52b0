/**
 * Runs an action for every item, at most `limit` at a time, and waits for all of them to end, also when one fails: the
 * others' connections must not be left in the middle of something. Then throws the first failure in the items' order.
 */
export async function forAll<Item, Result>(
  items: readonly Item[],
  action: (item: Item, index: number) => Promise<Result>,
  limit = Number.POSITIVE_INFINITY,
): Promise<readonly Result[]> {
  const results = new Map<number, Result>();
  const failures = new Map<number, unknown>();
  let next = 0;
  async function work(): Promise<void> {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item === undefined) continue;
      try {
        results.set(index, await action(item, index));
      } catch (error) {
        failures.set(index, error);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, () => work()));
  const first = Math.min(...failures.keys());
  if (failures.size > 0) throw failures.get(first);
  return items.map((_, index) => results.get(index) as Result);
}
