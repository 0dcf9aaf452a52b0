/**
 * What a record holds by a name that anybody may choose (a role's, a type's): what it does not hold, it does not inherit
 * either, as from Object.prototype for a role named constructor.
 */
export function entryOf<Entry>(
  record: Readonly<Record<string, Entry>> | null | undefined,
  name: string,
): Entry | undefined {
  return record != null && Object.hasOwn(record, name) ? record[name] : undefined;
}
