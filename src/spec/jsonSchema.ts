import * as z from 'zod/mini';
import { specDocument } from './schema.ts';

/**
 * The JSON Schema of the document that parseSpec takes, for editors and for charts. It says less than parseSpec
 * checks: what needs a comparison of fields, or bytes counted in UTF-8, has no words in JSON Schema.
 */
export function specJsonSchema(): Readonly<Record<string, unknown>> {
  return z.toJSONSchema(specDocument, {
    io: 'input',
    target: 'draft-2020-12',
    override({ zodSchema, jsonSchema }) {
      // zod leaves defaults out where a transformation stands between input and output; ours are of the input.
      const { default: value } = z.globalRegistry.get(zodSchema) ?? {};
      if (value !== undefined) Object.assign(jsonSchema, { default: value });
    },
  });
}
