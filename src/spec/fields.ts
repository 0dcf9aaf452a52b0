import * as z from 'zod/mini';
import * as names from './names.ts';

/**
 * Building blocks of the schemas beside it. `null` and an absent key mean the same throughout: Helm writes null for
 * values that were taken away, and YAML reads a key with nothing behind it as null.
 *
 * zod/mini, and descriptions registered on the schema instead of on a copy of it: every start of every command makes
 * these objects, and a field of zod's with its methods takes twice as long.
 */

type Schema = z.core.$ZodType;

/** Text (or whatever `base` takes) that passes the check. */
export function checked<T extends z.ZodMiniType>(base: T, check: names.Check<z.output<T>>): T {
  return base.check((payload) => {
    const message = check(payload.value);
    if (message !== undefined) payload.issues.push({ code: 'custom', message, input: payload.value });
  });
}

/** `limits` are for the JSON Schema alone: the check says the same in better words. */
export function text(
  check: names.Check,
  limits: { readonly minLength?: number; readonly maxLength?: number } = { minLength: 1 },
) {
  return described(checked(z.string(), check), limits);
}

/** A name of PostgreSQL; the JSON Schema counts characters where PostgreSQL counts bytes. */
export function name(check: names.Check) {
  return text(check, { minLength: 1, maxLength: 63 });
}

export function required<T extends Schema>(schema: T, description: string): T {
  // A copy, which has what is registered for the original: that may stand in other fields, under other descriptions.
  return described(z.clone(schema), { description });
}

export function optional<T extends Schema>(schema: T, description: string, meta: z.core.GlobalMeta = {}) {
  const read = z.transform((value: z.output<T> | null | undefined): z.output<T> | undefined => value ?? undefined);
  return described(z.pipe(z.nullish(schema), read), { ...meta, description });
}

export function defaulted<T extends Schema>(schema: T, value: z.output<T>, description: string) {
  const read = z.transform((given: z.output<T> | null | undefined): z.output<T> => given ?? value);
  return described(z.pipe(z.nullish(schema), read), { description, default: value });
}

/** One of several shapes; the message is for values that have none of them. */
export function anyOf<T extends readonly [Schema, ...Schema[]]>(shapes: T, message: string) {
  return z.union(shapes, {
    error: (issue) => (issue.input === undefined ? 'is required' : issue.input === null ? 'is empty' : message),
  });
}

export function wholeNumber(least: number, most: number) {
  return z.int().check(z.gte(least), z.lte(most));
}

/** What the JSON Schema says of it. */
export function described<T extends Schema>(schema: T, meta: z.core.GlobalMeta): T {
  z.globalRegistry.add(schema, meta);
  return schema;
}

export const port = wholeNumber(1, 65_535);
export function group(check: names.Check<string | number>) {
  return checked(
    anyOf([wholeNumber(0, names.maxInt4), z.string()], 'must be a group number: a whole number, or one in quotes'),
    check,
  );
}

/** The value of a setting of PostgreSQL. */
export const parameterValue = checked(
  anyOf(
    [z.string(), z.number(), z.boolean()],
    "must be text, a number, or true or false; lists are one text ('analytics,public'), and a name with a dot is one key ('pg_partman_bgw.dbname')",
  ),
  (value) =>
    typeof value === 'number' && (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER)
      ? 'is a number too large for YAML to keep all its digits: write it in quotes'
      : undefined,
);
