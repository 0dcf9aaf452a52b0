import { describe, expect, test } from 'vitest';
import { type CheckInput, checkValues } from '../../../src/patroni/check.ts';
import { deriveProfile } from '../../../src/patroni/profile.ts';
import { parseNumber } from '../../../src/patroni/units.ts';
import { isInForce, type KnownSetting, nameProblem, valueProblem } from '../../../src/patroni/values.ts';
import { withCitusFirst } from '../../../src/patroni/wanted.ts';
import { parseQuantity } from '../../../src/spec/memory.ts';

function setting(name: string, vartype: KnownSetting['vartype'], more: Partial<KnownSetting> = {}): KnownSetting {
  return {
    name,
    vartype,
    setting: '',
    unit: null,
    min_val: null,
    max_val: null,
    enumvals: null,
    context: 'user',
    source: 'default',
    sourcefile: null,
    ...more,
  };
}

const workMem = setting('work_mem', 'integer', { unit: 'kB', min_val: '64', max_val: '2147483647', setting: '4096' });
const buffers = setting('shared_buffers', 'integer', { unit: '8kB', min_val: '16', max_val: '1073741823' });
const connections = setting('max_connections', 'integer', { min_val: '1', max_val: '262143', context: 'postmaster' });
const timeout = setting('statement_timeout', 'integer', { unit: 'ms', min_val: '0', max_val: '2147483647' });
const cost = setting('random_page_cost', 'real', { min_val: '0', max_val: '1.79769e+308', setting: '4' });
const jit = setting('jit', 'bool', { setting: 'on' });
const commit = setting('synchronous_commit', 'enum', {
  enumvals: ['local', 'remote_write', 'remote_apply', 'on', 'off'],
  setting: 'on',
});
const preload = setting('shared_preload_libraries', 'string', { setting: 'citus, pg_partman_bgw' });
const version = setting('server_version', 'string', { context: 'internal' });
const shards = setting('citus.shard_count', 'integer', { min_val: '1', max_val: '64000' });
const all = [workMem, buffers, connections, timeout, cost, jit, commit, preload, version, shards];
const known = new Map(all.map((row) => [row.name, row]));

describe('valueProblem', () => {
  test.each<[KnownSetting, string]>([
    [workMem, '16MB'],
    [workMem, ' 16 MB '],
    [workMem, '1.5GB'],
    [workMem, '4096'],
    [buffers, '32768'],
    [connections, '0x64'],
    [timeout, '5min'],
    [timeout, '0'],
    [cost, '1.1'],
    [cost, '1e-3'],
    [jit, 'yes'],
    [jit, 'OF'],
    [commit, 'REMOTE_APPLY'],
    [commit, 'true'],
    [preload, 'anything'],
  ])('takes %o', (row, value) => {
    expect(valueProblem(row, value)).toBeUndefined();
  });

  test.each<[KnownSetting, string, string]>([
    [
      workMem,
      '16mb',
      "takes one of the units B, kB, MB, GB, TB, not 'mb' as in '16mb'; write MB, units are case-sensitive",
    ],
    [workMem, '5min', "takes one of the units B, kB, MB, GB, TB, not 'min' as in '5min'"],
    [workMem, '1kB', 'takes 64 to 2147483647 kB, not 1kB (1)'],
    [workMem, 'lots', "takes a number, with a unit if any (B, kB, MB, GB, TB), not 'lots'"],
    [buffers, '64kB', 'takes 16 to 1073741823 (in units of 8kB), not 64kB (8)'],
    [connections, '200MB', "takes a number without a unit, not '200MB'"],
    [connections, '300000', 'takes 1 to 262143, not 300000'],
    [connections, '', "takes a number, not ''"],
    [timeout, '5m', "takes one of the units us, ms, s, min, h, d, not 'm' as in '5m'"],
    [cost, '-1', 'takes 0 to 1.79769e+308, not -1'],
    [jit, 'o', "takes on or off, not 'o'"],
    [jit, 'maybe', "takes on or off, not 'maybe'"],
    [
      commit,
      'remote_aply',
      "takes one of local, remote_write, remote_apply, on, off, not 'remote_aply'; did you mean remote_apply?",
    ],
    [version, '15', 'cannot be set: PostgreSQL fixes it itself'],
  ])('refuses %o', (row, value, expected) => {
    expect(valueProblem(row, value)).toBe(expected);
  });
});

describe('nameProblem', () => {
  test.each<[string, string | undefined]>([
    ['work_mem', undefined],
    ['citus.shard_count', undefined],
    ['pg_partman_bgw.interval', undefined],
    ['work_memm', 'is no parameter of this server; did you mean work_mem?'],
    ['citus.shard_counts', 'is no parameter of this server; did you mean citus.shard_count?'],
    ['zzz', 'is no parameter of this server'],
  ])('%s', (name, expected) => {
    expect(nameProblem(name, known)).toBe(expected);
  });
});

describe('isInForce', () => {
  test.each<[KnownSetting, string, boolean]>([
    [workMem, '4MB', true],
    [workMem, '4096kB', true],
    [workMem, '4097kB', false],
    [cost, '4.0', true],
    [cost, '4.1', false],
    [jit, 'true', true],
    [jit, 'off', false],
    [commit, 'yes', true],
    [commit, 'local', false],
    [preload, 'citus,pg_partman_bgw', true],
    [preload, 'citus', false],
    [setting('wal_buffers', 'integer', { unit: '8kB', setting: '512' }), '-1', true],
    [setting('log_min_duration_statement', 'integer', { unit: 'ms', setting: '512' }), '-1', false],
  ])('%o, %s: %s', (row, value, expected) => {
    expect(isInForce(row, value)).toBe(expected);
  });
});

describe('parseNumber', () => {
  test.each<[string, string | null, 'integer' | 'real', number]>([
    ['256MB', '8kB', 'integer', 32_768],
    ['1TB', 'kB', 'integer', 1_073_741_824],
    ['1.5min', 's', 'integer', 90],
    ['1500us', 'ms', 'integer', 2],
    ['2500us', 'ms', 'integer', 2],
    ['010', null, 'integer', 8],
    ['0.9', null, 'real', 0.9],
    ['-1', 'kB', 'integer', -1],
  ])('%s in %s is %s %d', (text, unit, type, expected) => {
    expect(parseNumber(text, unit, type)).toEqual({ ok: true, value: expected });
  });
});

describe('checkValues', () => {
  const fine: CheckInput = {
    wanted: { work_mem: '16MB' },
    memoryLimit: 2 ** 30,
    citus: true,
    databases: new Set(['citus', 'skymap']),
    known,
    missingLibraries: [],
    refused: new Map(),
  };

  test.each<[string, Partial<CheckInput>, readonly string[]]>([
    ['nothing wrong', {}, []],
    ['a value out of range', { wanted: { work_mem: '1kB' } }, ['work_mem takes 64 to 2147483647 kB, not 1kB (1)']],
    [
      'more memory than there is',
      { wanted: { shared_buffers: '1GB' } },
      [
        'shared_buffers 1GB does not fit into the container, whose memory limit is 1GiB: the server would not start, or be killed',
      ],
    ],
    ['just fits', { wanted: { shared_buffers: '1023MB' } }, []],
    ['no limit known', { wanted: { shared_buffers: '100GB' }, memoryLimit: undefined }, []],
    [
      'blocks without a unit',
      { wanted: { shared_buffers: '131072' }, known: undefined },
      [
        'shared_buffers 131072 does not fit into the container, whose memory limit is 1GiB: the server would not start, or be killed',
      ],
    ],
    [
      'too few workers',
      { wanted: { max_worker_processes: '2' }, known: undefined },
      [
        'max_worker_processes 2 is too small for 2 databases: Citus takes one for each and PostgreSQL 1 for itself, 3 at least',
      ],
    ],
    ['enough workers', { wanted: { max_worker_processes: '3' }, known: undefined }, []],
    ['plain PostgreSQL', { wanted: { max_worker_processes: '2' }, known: undefined, citus: false }, []],
    [
      "below Patroni's least",
      { wanted: { max_connections: '24' } },
      ['max_connections takes 25 at least under Patroni, which would put its own default in place of 24'],
    ],
    [
      'a library that is not there',
      { missingLibraries: ['nope'] },
      ['shared_preload_libraries names nope, of which the server has no file: with it the server would not start'],
    ],
    [
      "PostgreSQL's own judgement",
      { refused: new Map([['work_mem', 'no (SQLSTATE 22023)']]) },
      ["work_mem does not take '16MB': no (SQLSTATE 22023)"],
    ],
  ])('%s', (_, more, expected) => {
    expect(checkValues({ ...fine, ...more })).toEqual(expected);
  });
});

describe('deriveProfile', () => {
  test('has the sizes that the documentation lists for 8 and 16 GB', () => {
    expect(deriveProfile(8 * 2 ** 30)).toEqual({
      shared_buffers: '2GB',
      work_mem: '32MB',
      maintenance_work_mem: '512MB',
      effective_cache_size: '6GB',
      wal_buffers: '16MB',
    });
    expect(deriveProfile(16 * 2 ** 30)).toEqual({
      shared_buffers: '4GB',
      work_mem: '64MB',
      maintenance_work_mem: '1GB',
      effective_cache_size: '12GB',
      wal_buffers: '16MB',
    });
  });

  test.each([64 * 2 ** 20, 256 * 2 ** 20, 1.5 * 2 ** 30, 2 ** 40])('is in range and fits for %d bytes', (bytes) => {
    const profile = deriveProfile(bytes);
    for (const [name, value] of Object.entries(profile)) {
      const parsed = parseNumber(value, 'kB', 'integer');
      expect(parsed, name).toMatchObject({ ok: true });
      expect(parsed.ok && parsed.value * 1024 < bytes, name).toBe(true);
    }
    expect(valueProblem(workMem, profile['work_mem'] ?? '')).toBeUndefined();
    expect(valueProblem(buffers, profile['shared_buffers'] ?? '')).toBeUndefined();
  });
});

describe('parseQuantity', () => {
  test.each<[string | number, number | undefined]>([
    ['2Gi', 2 ** 31],
    ['512Mi', 2 ** 29],
    ['1.5G', 1.5e9],
    ['1e9', 1e9],
    [128_974_848, 128_974_848],
    ['129k', 129_000],
    ['2GB', undefined],
    ['0', undefined],
    ['-1Gi', undefined],
    ['', undefined],
  ])('%s is %s', (text, expected) => {
    expect(parseQuantity(text)).toBe(expected);
  });
});

describe('withCitusFirst', () => {
  test.each([
    ['', 'citus'],
    ['pg_partman_bgw', 'citus,pg_partman_bgw'],
    ['pg_partman_bgw, citus ,pg_stat_statements', 'citus,pg_partman_bgw,pg_stat_statements'],
    ['citus,citus', 'citus'],
    ['"citus", b', 'citus,b'],
  ])('%s', (given, expected) => {
    expect(withCitusFirst(given)).toBe(expected);
  });
});
