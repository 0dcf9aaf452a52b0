import { z } from 'zod';

/**
 * What `plan --output json` and `verify --output json` print. schema/plan.schema.json and
 * schema/verify.schema.json are generated from here (scripts/generate-spec-schema.mjs), and tests check real output
 * against it. No command loads this file.
 */

const text = (description: string) => z.string().describe(description);
const change = z.strictObject({
  action: z.enum(['create', 'change']).describe('What is new, statements of initSQL included, or changed'),
  node: text('What the log calls the node'),
  summary: text('What apply would do there'),
});
const step = z.strictObject({
  step: z.int().describe('Number of the step in the log'),
  title: text('What the step would do'),
  changes: z.array(change).describe('In the order in which apply makes them'),
});
const finding = z.strictObject({
  node: text('What the log calls the node; several are separated by commas'),
  kind: z
    .enum([
      'lostShard',
      'missingCopy',
      'rights',
      'policies',
      'incomplete',
      'metadata',
      'invalidIndex',
      'preparedTransaction',
      'leftovers',
      'setBack',
    ])
    .describe('What sort of thing is wrong'),
  object: text('Qualified name of what is wrong'),
  healable: z.boolean().describe('Whether apply sets it right'),
  blocks: z.boolean().describe('Whether the database is not ready because of it'),
  message: text('What is wrong, in a sentence'),
  next: text('What to do about it'),
});
const findings = z.array(finding).describe('What is wrong with what exists');

export const planReport = z.strictObject({
  changes: z.boolean().describe('Whether apply would change anything (exit code 10)'),
  databases: z
    .array(
      z.strictObject({
        database: text('Name of the database'),
        absent: z.boolean().describe('It does not exist; the plan takes it to be empty'),
        steps: z.array(step).describe('Steps with changes'),
        differences: z.int().describe('Number of changes beside initSQL'),
        findings,
        warnings: z.array(z.string()).describe('As in the log'),
      }),
    )
    .describe('Databases that could be observed, in the order of the spec'),
  undeclared: z
    .array(z.string())
    .describe('Databases that this program created and that are not in this spec; empty with --database'),
});

export const verifyReport = z.strictObject({
  ready: z.boolean().describe('Whether every declared database is ready'),
  databases: z
    .array(
      z.strictObject({
        database: text('Name of the database'),
        ready: z.boolean().describe('Whether it is ready'),
        nodes: z.int().describe('Number of nodes that were proved'),
        links: z.int().describe('Number of connections between nodes that were proved'),
        findings,
        problem: z.string().optional().describe('Why it is not ready, as the log says it'),
      }),
    )
    .describe('In the order of the spec'),
});

export function planJsonSchema(): unknown {
  return z.toJSONSchema(planReport);
}

export function verifyJsonSchema(): unknown {
  return z.toJSONSchema(verifyReport);
}
