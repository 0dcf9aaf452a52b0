import { describe, expect, test } from 'vitest';
import type { VerificationReport } from '../../../src/objects/verification.ts';
import { metricsOf, type VerifiedFacts } from '../../../src/reconcile/metrics.ts';
import { citusNodes, metadata, type SituationOptions, situation } from './situations.ts';

/** The samples of one metric: values by node, or the only one. */
function measured(name: string, facts: Partial<VerifiedFacts>): unknown {
  const gauges = metricsOf({
    cluster: 'citusdemo',
    databases: [{ database: 'skymap', ready: false, ...facts }],
    nodes: [],
    now: 1_700_000_000_123,
    certificateEnds: undefined,
  });
  const samples = gauges.find((gauge) => gauge.name === `citus_databases_${name}`)?.samples ?? [];
  if (samples.some(({ labels }) => labels['node'] !== undefined)) return samples.map(({ value }) => value);
  return samples[0]?.value;
}

const of = (name: string, options: SituationOptions) => measured(name, { situation: situation(options) });

describe('workers that are not joined', () => {
  test('none where all are registered and active', () => {
    expect(measured('workers_not_joined', { situation: withNodes(citusNodes(2)) })).toBe(0);
  });

  test('one that the coordinator has disabled', () => {
    const nodes = citusNodes(2).map((row) => (row.groupid === 2 ? { ...row, isactive: false } : row));
    expect(measured('workers_not_joined', { situation: withNodes(nodes) })).toBe(1);
  });

  test('one that the coordinator does not know', () => {
    const nodes = citusNodes(2).filter(({ groupid }) => groupid !== 2);
    expect(measured('workers_not_joined', { situation: withNodes(nodes) })).toBe(1);
  });
});

test('links: those that were proved, from each node that reported', () => {
  const links = citusNodes(2).map(({ nodeid }) => ({ nodeid, success: nodeid !== 2, result: 'off' }));
  const report = (group: number): VerificationReport => ({
    ...{ links, startedAt: '1', metadata: metadata(group), extensions: [] },
  });
  const reports = new Map([
    [0, report(0)],
    [2, report(2)],
  ]);
  expect(measured('links_proved', { situation: situation({}), reports })).toEqual([2, 2]);
  expect(of('links_expected', {})).toEqual([3, 3, 3]);
});

test('the last proof is the time of a run that proved the database, in seconds', () => {
  expect(measured('last_proof_timestamp_seconds', { ready: true })).toBe(1_700_000_000);
  expect(measured('last_proof_timestamp_seconds', { ready: false })).toBeUndefined();
});

test('of a database that was not reached nothing is known but that it is not ready', () => {
  expect(measured('ready', {})).toBe(0);
  for (const name of ['changes_due', 'workers_not_joined', 'init_sql_pending_statements', 'links_expected']) {
    expect(measured(name, {}), name).toBeUndefined();
  }
});

function withNodes(nodes: ReturnType<typeof citusNodes>) {
  return situation({ inside: { 0: { extensions: [], schemas: [], metadata: metadata(0, { nodes }) } } });
}
