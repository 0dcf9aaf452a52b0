import * as z from 'zod';
import type { Check } from './names.ts';

/**
 * Building blocks of schema.ts. `null` and an absent key mean the same throughout: Helm writes null for values that
 * were taken away, and YAML reads a key with nothing behind it as null.
 */

/** Text (or whatever `base` takes) that passes the check. */
export function checked<T extends z.ZodType>(base: T, check: Check<z.output<T>>) {
  return base.superRefine((value, context) => {
    const message = check(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

/** `limits` are for the JSON Schema alone: the check says the same in better words. */
export function text(
  check: Check,
  limits: { readonly minLength?: number; readonly maxLength?: number } = { minLength: 1 },
) {
  return checked(z.string().meta(limits), check);
}

/** A name of PostgreSQL; the JSON Schema counts characters where PostgreSQL counts bytes. */
export function name(check: Check) {
  return text(check, { minLength: 1, maxLength: 63 });
}

export function required<T extends z.ZodType>(schema: T, description: string) {
  return schema.describe(description);
}

export function optional<T extends z.ZodType>(schema: T, description: string) {
  return schema
    .nullish()
    .transform((value): z.output<T> | undefined => value ?? undefined)
    .describe(description);
}

export function defaulted<T extends z.ZodType>(schema: T, value: z.output<T>, description: string) {
  return schema
    .nullish()
    .transform((given): z.output<T> => given ?? value)
    .meta({ description, default: value });
}

/** One of several shapes; the message is for values that have none of them. */
export function anyOf<T extends readonly [z.ZodType, ...z.ZodType[]]>(shapes: T, message: string) {
  return z.union(shapes, {
    error: (issue) => (issue.input === undefined ? 'is required' : issue.input === null ? 'is empty' : message),
  });
}
