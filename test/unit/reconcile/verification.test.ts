import { describe, expect, test } from 'vitest';
import type { VerificationReport } from '../../../src/objects/verification.ts';
import { judge, provedLinks } from '../../../src/reconcile/judge.ts';
import { citusNode, citusNodes, metadata, type SituationOptions, situation } from './situations.ts';

const CITUS = { name: 'citus', version: '13.2-1', schema: 'pg_catalog' };
const HSTORE = { name: 'hstore', version: '1.8', schema: 'public' };

function report(group: number, changed: Partial<VerificationReport> = {}): VerificationReport {
  return {
    links: citusNodes(2).map(({ nodeid }) => ({ nodeid, success: true, result: 'off' })),
    startedAt: `10${group}`,
    metadata: metadata(group),
    extensions: [CITUS],
    ...changed,
  };
}

/** What is wrong when the nodes report this; a node that is not given reports that all is well. */
function faults(changed: Readonly<Record<number, VerificationReport | undefined>>, options: SituationOptions = {}) {
  const reports = [0, 1, 2].flatMap((group) => {
    const given = group in changed ? changed[group] : report(group);
    return given === undefined ? [] : [[group, given] as const];
  });
  return judge(situation(options), new Map(reports));
}

/** Every node knows of these nodes, and has reached those that it can. */
function everywhere(nodes: ReturnType<typeof citusNodes>) {
  const links = nodes
    .filter(({ isactive, noderole }) => isactive && noderole === 'primary')
    .map(({ nodeid }) => ({ nodeid, success: true, result: 'off' }));
  return Object.fromEntries(
    [0, 1, 2].map((group) => [group, report(group, { links, metadata: metadata(group, { nodes }) })]),
  );
}

test('all is well', () => {
  expect(faults({})).toEqual([]);
});

describe('reports', () => {
  test.each([
    ['none from the coordinator', { 0: undefined }, ['the coordinator did not report']],
    ['none from a worker', { 2: undefined }, ['w2 did not report']],
    [
      'a link that is broken, one that was not tried',
      {
        1: report(1, {
          links: [
            { nodeid: 1, success: true, result: 'off' },
            { nodeid: 2, success: false, result: ' fe_sendauth: no password supplied\n' },
          ],
        }),
      },
      ['w1 cannot reach w1:5432: fe_sendauth: no password supplied', 'w1 did not reach w2:5432'],
    ],
    [
      'an address that leads to a standby',
      {
        2: report(2, {
          links: citusNodes(2).map(({ nodeid }) => ({ nodeid, success: true, result: nodeid === 2 ? 'on' : 'off' })),
        }),
      },
      ['w2 reaches a standby at w1:5432, which takes no writes'],
    ],
    [
      'the coordinator reaches another server at one address',
      {
        0: report(0, {
          links: citusNodes(2).map(({ nodeid, groupid }) => ({
            ...{ nodeid, success: true },
            result: `off 10${groupid === 2 ? 9 : groupid}`,
          })),
        }),
      },
      [
        'the coordinator reaches another server at w2:5432 than this program at w2: they were not started at the same moment',
      ],
    ],
    ['another group', { 1: report(1, { metadata: metadata(0) }) }, ['w1 takes itself for group 0, not 1']],
    [
      'other nodes',
      { 2: report(2, { metadata: metadata(2, { nodes: citusNodes(1) }) }) },
      ['w2 knows other nodes (pg_dist_node) than the coordinator'],
    ],
    [
      'other tables',
      { 1: report(1, { metadata: metadata(1, { tables: 'other' }) }) },
      ['w1 knows other distributed tables than the coordinator'],
    ],
    ['no citus', { 1: report(1, { extensions: [] }) }, ['extension citus is missing on w1']],
    [
      'another citus',
      { 1: report(1, { extensions: [{ ...CITUS, version: '13.0-1' }] }) },
      ['extension citus is 13.0-1 on w1 and 13.2-1 on the coordinator'],
    ],
  ] as const)('%s', (_, changed, expected) => {
    expect(faults(changed)).toEqual(expected);
  });
});

describe('nodes', () => {
  test('a worker that the coordinator does not know', () => {
    expect(faults(everywhere(citusNodes(1)))).toEqual(['the coordinator does not know w2:5432']);
  });

  test('a coordinator that is known as localhost', () => {
    const nodes = [citusNode(0, { nodename: 'localhost' }), citusNode(1), citusNode(2)];
    expect(faults(everywhere(nodes))).toEqual(['the coordinator does not know c:5432']);
  });

  test('a worker that is disabled', () => {
    const nodes = [citusNode(0), citusNode(1), citusNode(2, { isactive: false })];
    expect(faults(everywhere(nodes))).toEqual(["w2:5432 is disabled in the coordinator's pg_dist_node"]);
  });

  test('a secondary is not asked for', () => {
    const standby = citusNode(2, { nodeid: 9, nodename: 'w2-standby', noderole: 'secondary' });
    expect(faults(everywhere([...citusNodes(2), standby]))).toEqual([]);
  });
});

describe('declared extensions', () => {
  const database = '{ name: skymap, extensions: [{ name: hstore, version: "1.8" }] }';
  const older = { ...HSTORE, version: '1.7' };
  test.each([
    ['there', [CITUS, HSTORE], [CITUS, HSTORE], []],
    ['missing on a worker', [CITUS, HSTORE], [CITUS], ['extension hstore is missing on w1']],
    [
      'missing on the coordinator',
      [CITUS],
      [CITUS, HSTORE],
      [
        'extension hstore is missing on c',
        'extension hstore is 1.8 on w1 and missing on the coordinator',
        'extension hstore is 1.8 on w2 and missing on the coordinator',
      ],
    ],
    [
      'another version on a worker',
      [CITUS, HSTORE],
      [CITUS, older],
      ['extension hstore is 1.7 on w1 and 1.8 on the coordinator', 'extension hstore is 1.7 on w1, not 1.8'],
    ],
  ] as const)('%s', (_, onCoordinator, onWorker, expected) => {
    const changed = {
      0: report(0, { extensions: onCoordinator }),
      1: report(1, { extensions: onWorker }),
      2: report(2, { extensions: [CITUS, HSTORE] }),
    };
    expect(faults(changed, { database })).toEqual(expected);
  });

  test.each([
    ['there', [HSTORE], []],
    ['missing', [], ['extension hstore is missing on c']],
    ['another version', [older], ['extension hstore is 1.7 on c, not 1.8']],
  ] as const)('without Citus: %s', (_, extensions, expected) => {
    const reports = new Map([[0, report(0, { extensions, links: [] })]]);
    expect(judge(situation({ citus: false, database }), reports)).toEqual(expected);
  });
});

test('links between declared nodes count; those to nodes no longer declared do not', () => {
  const reports = new Map([0, 1].map((group) => [group, report(group)] as const));
  expect(provedLinks(situation({ database: '{ name: skymap, workerGroups: [1] }' }), reports)).toBe(4);
  expect(provedLinks(situation(), new Map([0, 1, 2].map((group) => [group, report(group)] as const)))).toBe(9);
  const broken = report(0, { links: [{ nodeid: 1, success: false, result: '' }] });
  expect(provedLinks(situation(), new Map([[0, broken]]))).toBe(0);
});
