/**
 * How many Jobs an upgrade takes: one for each database, one for all, and none for what is declared as before. Prints how
 * long each upgrade took.
 */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

const databases = [
  { name: 'shop', users: [{ name: 'shop_app', access: 'readWrite', generate: true }] },
  { name: 'crm', extensions: ['hstore'] },
  { name: 'wiki', parameters: { work_mem: '5MB' } },
];
const names = databases.map(({ name }) => name);

describe('jobs.mode and jobs.unchanged', () => {
  let release: Release;

  beforeAll(async () => {
    release = await createRelease('jobs');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 180_000);

  async function apply(verb: 'install' | 'upgrade', jobs: object, additionalDatabases: readonly object[] = databases) {
    const startedAt = performance.now();
    const outcome = await release.helm(verb, [], { ...smallCluster(), additionalDatabases, jobs });
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(`helm ${verb} with ${JSON.stringify(jobs)}: ${seconds} s`);
    return outcome;
  }

  /** Uid of each Job that makes databases, by its name. */
  async function jobs(): Promise<ReadonlyMap<string, string>> {
    const lines = await release.kubectl(
      ...['get', 'jobs', '-l', 'job-type=database-creation', '-o'],
      'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{"\\n"}{end}',
    );
    return new Map(
      lines
        .trim()
        .split('\n')
        .map((line): [string, string] => [line.split(' ')[0] ?? '', line]),
    );
  }

  /** The databases whose Job is another than before. */
  function renewed(before: ReadonlyMap<string, string>, now: ReadonlyMap<string, string>): readonly string[] {
    return [...now].filter(([name, uid]) => before.get(name) !== uid).map(([name]) => name.replace(/.*-/, ''));
  }

  step('install: a Job for each database', 900_000, async () => {
    const { code, stderr } = await apply('install', { unchanged: 'skip' });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect([...(await jobs()).keys()]).toEqual(names.map((name) => `citusdemo-create-db-${name}`).toSorted());
  });

  step('skip: the first upgrade runs only where the chart made a password meanwhile', 300_000, async () => {
    const before = await jobs();
    expect((await apply('upgrade', { unchanged: 'skip' })).code).toBe(0);
    expect(renewed(before, await jobs())).toEqual(['shop']);
  });

  step('skip: the next one runs none; Jobs, logs and Secrets stay', 300_000, async () => {
    const before = await jobs();
    const { code, stdout } = await apply('upgrade', { unchanged: 'skip' });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('crm, declared as before') });
    expect(renewed(before, await jobs())).toEqual([]);
    for (const name of names) {
      expect(await release.kubectl('logs', `job/citusdemo-create-db-${name}`)).toContain(
        `Database '${name}' is ready!`,
      );
      await release.kubectl('get', 'secret', `citusdemo-create-db-${name}`);
    }
  });

  step('skip: what is declared differently runs, and a password that was replaced', 300_000, async () => {
    const before = await jobs();
    const changed = databases.map((entry) =>
      entry.name === 'wiki' ? { ...entry, parameters: { work_mem: '6MB' } } : entry,
    );
    const password = Buffer.from('another-password').toString('base64');
    const secret = await release.kubectl(
      ...['get', 'secrets', '-o'],
      'jsonpath={.items[?(@.metadata.annotations.citus-databases/user=="shop_app")].metadata.name}',
    );
    await release.kubectl('patch', 'secret', secret.trim(), '-p', JSON.stringify({ data: { password } }));
    expect((await apply('upgrade', { unchanged: 'skip' }, changed)).code).toBe(0);
    expect(renewed(before, await jobs())).toEqual(['shop', 'wiki']);
    expect(await release.kubectl('logs', 'job/citusdemo-create-db-wiki')).not.toContain('Nothing was changed');
  });

  step('a rollback to a revision whose Jobs were left out runs them', 300_000, async () => {
    const before = await jobs();
    expect(await release.sql(0, 'wiki', 'SHOW work_mem')).toBe('6MB');
    await release.helmCommand('rollback', release.name, '3', '--timeout', '4m');
    expect(renewed(before, await jobs())).toEqual(names.toSorted());
    expect(await release.sql(0, 'wiki', 'SHOW work_mem')).toBe('5MB');
  });

  step('run: all again', 300_000, async () => {
    const before = await jobs();
    expect((await apply('upgrade', {})).code).toBe(0);
    expect(renewed(before, await jobs())).toEqual(names.toSorted());
  });

  step('single: one Job and one log, a section for each database', 300_000, async () => {
    expect((await apply('upgrade', { mode: 'single', unchanged: 'skip' })).code).toBe(0);
    const log = await release.kubectl('logs', 'job/citusdemo-create-databases');
    const sections = log.split(/^=+\nCreating database: /m).slice(1);
    expect(sections.map((section) => section.split('\n')[0])).toEqual(names);
    for (const [index, section] of sections.entries())
      expect(section).toContain(`Database '${names[index]}' is ready!`);
    const before = await jobs();
    expect((await apply('upgrade', { mode: 'single', unchanged: 'skip' })).code).toBe(0);
    expect(renewed(before, await jobs())).toEqual([]);
  });

  step('single: one that fails leaves the others done, and is named at the end', 300_000, async () => {
    const more = [{ name: 'bad', owner: 'nobody_declared' }, ...databases, { name: 'good' }];
    expect((await apply('upgrade', { mode: 'single' }, more)).code).not.toBe(0);
    const log = await release.kubectl('logs', 'job/citusdemo-create-databases');
    expect(log).toContain("Database 'good' is ready!");
    expect(log.trimEnd()).toMatch(/ERROR: 1 of 5 databases is not ready: 'bad'\n.*$/);
    // Exit code 2: Kubernetes does not try again.
    const failed = await release.kubectl('get', 'job', 'citusdemo-create-databases', '-o', 'jsonpath={.status.failed}');
    expect(failed).toBe('1');
    expect(await release.sql(1, 'good', 'SELECT count(*) FROM pg_dist_node')).toBe('2');
  });

  step('back to one for each: all run, although their old Jobs succeeded with the same', 300_000, async () => {
    const before = await jobs();
    expect((await apply('upgrade', { unchanged: 'skip' })).code).toBe(0);
    expect(renewed(before, await jobs())).toEqual(names.toSorted());
  });
});
