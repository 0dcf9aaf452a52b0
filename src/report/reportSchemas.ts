import { z } from 'zod';

/**
 * What `apply`, `plan` and `verify` print with `--output json`. schema/apply.schema.json, schema/plan.schema.json and
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
        problem: z.string().optional().describe('Why apply could not carry the plan out, as the log says it'),
      }),
    )
    .describe('In the order of the spec'),
  undeclared: z
    .array(z.string())
    .describe('Databases that this program created and that are not in this spec; empty with --database'),
});

const verdict = {
  database: text('Name of the database'),
  ready: z.boolean().describe('Whether it is ready'),
} as const;
const whyNotReady = z.string().optional().describe('Why it is not ready, as the log says it');

export const verifyReport = z.strictObject({
  ready: z.boolean().describe('Whether every declared database is ready'),
  databases: z
    .array(
      z.strictObject({
        ...verdict,
        provedAs: z
          .string()
          .optional()
          .describe('With cluster.withoutSuperuser: the role as far as which the database was proved'),
        nodes: z.int().describe('Number of nodes that were proved'),
        links: z.int().describe('Number of connections between nodes that were proved'),
        findings,
        problem: whyNotReady,
      }),
    )
    .describe('In the order of the spec'),
});

const reportedNode = z.strictObject({
  node: text('What the log calls the node'),
  status: z.enum(['done', 'failed', 'notReached']).describe('Nothing to do counts as done'),
  changes: z.array(z.string()).describe('What was changed, in the words of plan'),
});

export const applyReport = z.strictObject({
  ready: z.boolean().describe('Whether every declared database is ready'),
  databases: z
    .array(
      z.strictObject({
        ...verdict,
        steps: z
          .array(
            z.strictObject({
              step: z.int().optional().describe('Number of the step in the log'),
              title: z.string().optional().describe('Title of the step in the log'),
              work: z
                .array(
                  z.strictObject({
                    name: text('Name of the piece of work'),
                    nodes: z.array(reportedNode).describe('In the order in which they are worked on'),
                  }),
                )
                .describe('In the order in which it is done'),
            }),
          )
          .describe('Empty where the run ended before there was an order of work'),
        findings: findings.describe('What was wrong before anything was changed, what was healed included'),
        problem: whyNotReady,
      }),
    )
    .describe('In the order of the spec'),
});

export function applyJsonSchema(): unknown {
  return z.toJSONSchema(applyReport);
}

export function planJsonSchema(): unknown {
  return z.toJSONSchema(planReport);
}

export function verifyJsonSchema(): unknown {
  return z.toJSONSchema(verifyReport);
}
