import { describe, expect, test } from 'vitest';
import { diffCitusUpgrade, type ObservedUpgrade } from '../../../src/objects/citusUpgrade.ts';
import { planDatabase } from '../../../src/reconcile/planDatabase.ts';
import {
  COORDINATOR,
  citusNode,
  metadata,
  READY_EXTENSIONS,
  readySituation,
  SETTINGS,
  sqlOf,
} from '../reconcile/situations.ts';

const CALL = 'CALL pg_catalog.citus_finish_citus_upgrade()';

describe('citus_finish_citus_upgrade()', () => {
  test.each([
    ['made new', { last: '14.0-1', steps: 14 }, '14.0-1', '14.0-1', false],
    ['before the update', { last: '13.2-1', steps: 11 }, '13.2-1', '14.0-1', true],
    ['after the update, cut off before the end', { last: '13.2-1', steps: 14 }, '14.0-1', '14.0-1', true],
    ['an update without steps', { last: '13.1-1', steps: 11 }, '13.1-1', '13.2-1', false],
    ['made by Citus 13 and updated within it', { last: '12.1-1', steps: 11 }, '13.2-1', '13.2-1', false],
    ['a Citus that nobody knows yet, before', { last: '14.0-1', steps: 14 }, '14.0-1', '15.0-1', true],
    ['a Citus that nobody knows yet, without steps', { last: '14.0-1', steps: 14 }, '15.0-1', '15.0-1', false],
    ['a Citus that nobody knows yet, with a step', { last: '14.0-1', steps: 15 }, '15.0-1', '15.0-1', true],
    ['nothing recorded', { last: null, steps: 14 }, '14.0-1', '14.0-1', true],
    ['citus still to be made', undefined, undefined, '14.0-1', false],
  ] as const)('%s', (_, observed: ObservedUpgrade | undefined, extension, library, due) => {
    const changes = diffCitusUpgrade(observed, extension, library, COORDINATOR);
    expect(changes.flatMap(sqlOf)).toEqual(due ? [CALL] : []);
  });

  test('is planned behind the updates of every node, once, on the coordinator', () => {
    const settings = { ...SETTINGS, citusVersion: '14.0-1', loadedCitus: '14.0.1', columnarVersion: '14.0-1' };
    const inside = (group: number) => ({
      extensions: [...READY_EXTENSIONS, { name: 'citus_columnar', version: '13.2-1', schema: 'pg_catalog' }],
      schemas: [],
      metadata: metadata(group),
      authinfo: [],
      citusUpgrade: { last: '13.2-1', steps: 11 },
    });
    const servers = { 0: { settings }, 1: { settings }, 2: { settings } };
    const given = readySituation({ servers, inside: { 0: inside(0), 1: inside(1), 2: inside(2) } });
    const { steps } = planDatabase(given, []);
    const updates = ['citus', 'citus_columnar'].map((name) => `update extension ${name} from 13.2-1 to 14.0-1`);
    expect(steps.map(({ step, changes }) => [step, changes.map(({ node, summary }) => `${node}: ${summary}`)])).toEqual(
      [
        [1, ['w1', 'w2'].flatMap((node) => updates.map((update) => `${node}: ${update}`))],
        [3, updates.map((update) => `c: ${update}`)],
        [6, ['c: finish the upgrade of citus from 13.2-1']],
      ],
    );
  });
});

describe('citus_columnar', () => {
  const inside = (group: number) => ({
    extensions: [...READY_EXTENSIONS, { name: 'citus_columnar', version: '13.2-1', schema: 'pg_catalog' }],
    schemas: [],
    metadata: metadata(group, { nodes: [citusNode(0), citusNode(1), citusNode(2)] }),
    authinfo: [],
  });
  const settings = { ...SETTINGS, columnarVersion: '14.0-1' };
  const planned = (database: string) => {
    const all = [0, 1, 2];
    const given = readySituation({
      database,
      servers: Object.fromEntries(all.map((group) => [group, { settings }])),
      inside: Object.fromEntries(all.map((group) => [group, inside(group)])),
    });
    return planDatabase(given, []).differences;
  };

  test('follows its library, declared or not, unless a version of it is declared', () => {
    expect(planned('{ name: skymap }')).toBe(3);
    expect(planned('{ name: skymap, extensions: [citus_columnar] }')).toBe(3);
    expect(planned('{ name: skymap, extensions: [{ name: citus_columnar, version: "13.2-1" }] }')).toBe(0);
  });
});
