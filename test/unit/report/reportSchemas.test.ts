import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { planDatabase } from '../../../src/reconcile/planDatabase.ts';
import {
  applyJsonSchema,
  planJsonSchema,
  planReport,
  verifyJsonSchema,
  verifyReport,
} from '../../../src/report/reportSchemas.ts';
import { situation } from '../reconcile/situations.ts';

describe('schemas of reports', () => {
  test.each([
    ['apply', applyJsonSchema()],
    ['plan', planJsonSchema()],
    ['verify', verifyJsonSchema()],
  ])('schema/%s.schema.json is up to date (node scripts/generate-spec-schema.mjs)', (name, schema) => {
    const file = new URL(`../../../schema/${name}.schema.json`, import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(schema)));
  });

  const shard = {
    ...{ group: 1, table: 'public.events', name: 'public.events_102008', shardid: 102008 },
    ...{ reference: false, replaceable: true, others: [] },
  };

  test('a plan with a finding is as its schema says', () => {
    const seen = {
      ...situation(),
      shardFaults: {
        missing: [shard],
        unplaced: [],
        unknown: [],
        partlyCopied: [],
        rights: new Map(),
        gaps: new Map(),
      },
    };
    const plan = planDatabase(seen, []);
    expect(planReport.parse({ changes: true, databases: [plan], undeclared: [] }).databases[0]?.findings).toEqual([
      {
        ...{ node: 'w1', kind: 'lostShard', object: 'public.events', healable: false, blocks: true },
        message: '1 shard of public.events is gone (public.events_102008); no other node has a copy',
        next: expect.stringContaining('Restore w1 from a backup'),
      },
    ]);
  });

  test('what the schema does not know is refused', () => {
    const database = { database: 'x', ready: true, nodes: 3, links: 9, findings: [] };
    expect(verifyReport.safeParse({ ready: true, databases: [database] }).success).toBe(true);
    expect(verifyReport.safeParse({ ready: true, databases: [{ ...database, more: 1 }] }).success).toBe(false);
  });
});
