/**
 * The Jobs of one List are one hook of Helm's: what that costs, and what Helm makes of a List of which some Jobs fail. Prints
 * how long each operation took, the goal, and the load of the machine (the table in docs/PERFORMANCE.md, "What an upgrade costs").
 */
import { loadavg } from 'node:os';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { eventually, type Outcome } from './support/command.ts';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

type Note = (text: string) => void;
interface Entry {
  readonly name: string;
  readonly initSQL?: string;
}

const entries = (count: number): readonly Entry[] =>
  Array.from({ length: count }, (_, index) => ({ name: `d${index}` }));
const jobName = (name: string) => `citusdemo-create-db-${name}`;

describe('Jobs in Lists', () => {
  let release: Release;
  /** The Job with which the revision that failed prepared its Secrets. */
  let prepared = '';

  beforeAll(async () => {
    release = await createRelease('hooks');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 180_000);

  async function apply(
    note: Note,
    verb: 'install' | 'upgrade',
    additionalDatabases: readonly Entry[],
    { jobs = {}, goal }: { readonly jobs?: object; readonly goal?: number } = {},
  ): Promise<Outcome> {
    const load = loadavg()[0] ?? 0;
    const start = performance.now();
    const outcome = await release.helm(verb, [], { ...smallCluster(), additionalDatabases, jobs });
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const options = Object.keys(jobs).length === 0 ? '' : ` with ${JSON.stringify(jobs)}`;
    const aim = goal === undefined ? '' : `, goal ${goal} s`;
    note(
      `helm ${verb}, ${additionalDatabases.length} databases${options}: ${seconds} s${aim}; load ${load.toFixed(1)}`,
    );
    return outcome;
  }

  async function applied(...args: Parameters<typeof apply>): Promise<void> {
    const { code, stdout, stderr } = await apply(...args);
    expect({ code, stderr }, stdout).toMatchObject({ code: 0 });
  }

  /** Of each Job that makes a database: which it is and when it ran. */
  async function jobs(): Promise<readonly { name: string; uid: string; start: number; end: number }[]> {
    const list = JSON.parse(await release.kubectl('get', 'jobs', '-l', 'job-type=database-creation', '-o', 'json'));
    const found = list.items.map((job: { metadata: Record<string, string>; status: Record<string, string> }) => ({
      name: job.metadata['name'],
      uid: job.metadata['uid'],
      start: Date.parse(job.status['startTime'] ?? ''),
      end: Date.parse(job.status['completionTime'] ?? ''),
    }));
    return found.toSorted((left: { start: number }, right: { start: number }) => left.start - right.start);
  }

  async function identities(): Promise<readonly string[]> {
    return (await jobs()).map(({ uid }) => uid);
  }

  async function expectReady(names: readonly string[]): Promise<void> {
    const logs = await Promise.all(names.map((name) => release.kubectl('logs', `job/${jobName(name)}`)));
    for (const [index, log] of logs.entries()) expect(log).toContain(`Database '${names[index]}' is ready!`);
  }

  step('install with one database', 420, async (note) => {
    await applied(note, 'install', entries(1), { goal: 15 });
    await expectReady(['d0']);
  });

  step('one database more', 120, async (note) => {
    await applied(note, 'upgrade', entries(2), { goal: 8 });
    await expectReady(['d0', 'd1']);
  });

  step('one database, as declared before', 120, async (note) => {
    await applied(note, 'upgrade', entries(1), { goal: 8 });
  });

  step('ten databases: each has its Job and its log', 300, async (note) => {
    await applied(note, 'upgrade', entries(10));
    await expectReady(entries(10).map(({ name }) => name));
  });

  step('ten as declared before: every Job is a new one, and they run at the same time', 120, async (note) => {
    const before = await identities();
    await applied(note, 'upgrade', entries(10), { goal: 8 });
    const now = await jobs();
    expect(now.map(({ name }) => name).toSorted()).toEqual(entries(10).map(({ name }) => jobName(name)));
    expect(now.filter(({ uid }) => before.includes(uid))).toEqual([]);
    // One after the other, each would begin when the one before has ended.
    expect(now.some(({ start }, index) => start < (now[index - 1]?.end ?? 0))).toBe(true);
    await expectReady(entries(10).map(({ name }) => name));
  });

  step('ten as declared before, skipped: every Job stays', 120, async (note) => {
    const before = await identities();
    await applied(note, 'upgrade', entries(10), { jobs: { unchanged: 'skip' }, goal: 5 });
    expect(await identities()).toEqual(before);
  });

  step('jobs.parallel: 1 is a hook for each, one after the other', 180, async (note) => {
    await applied(note, 'upgrade', entries(3), { jobs: { parallel: 1 } });
    const now = (await jobs()).filter(({ name }) => ['d0', 'd1', 'd2'].some((entry) => name === jobName(entry)));
    expect(now).toHaveLength(3);
    for (const [index, { start }] of now.entries()) {
      const previous = now[index - 1];
      if (previous !== undefined) expect(start).toBeGreaterThanOrEqual(previous.end);
    }
  });

  step('two of five fail: Helm names both, the other three are ready, each has its log', 300, async (note) => {
    const wrong = { initSQL: 'SELECT * FROM no_such_table;' };
    const five = entries(5).map(({ name }) => (name === 'd1' || name === 'd3' ? { name, ...wrong } : { name }));
    const before = await identities();
    const fresh = five.map(({ name, ...rest }) => ({ name: `f${name}`, ...rest }));
    const { code, stderr } = await apply(note, 'upgrade', fresh);
    expect(code).not.toBe(0);
    for (const name of ['fd1', 'fd3']) expect(stderr).toContain(jobName(name));
    for (const name of ['fd0', 'fd2', 'fd4']) expect(stderr).not.toContain(jobName(name));
    note(`Helm says: ${stderr.trim().replaceAll(/\s+/g, ' ').slice(0, 400)}`);
    await expectReady(['fd0', 'fd2', 'fd4']);
    for (const name of ['fd1', 'fd3']) {
      const pods = await release.kubectl('get', 'pods', '-l', `job-name=${jobName(name)}`, '-o', 'name');
      expect(pods.trim().split('\n')).toHaveLength(1);
      expect(await release.kubectl('logs', `job/${jobName(name)}`)).toMatch(/no_such_table.*\(SQLSTATE 42P01\)/);
    }
    const status = JSON.parse(await release.helmCommand('status', release.name, '-o', 'json'));
    expect(status.info.status).toBe('failed');
    const manifest = await release.helmCommand('get', 'manifest', release.name);
    [, prepared = ''] = /^ {2}name: (citusdemo-prepare-[0-9a-f]{8})$/m.exec(manifest) ?? [];
    expect(prepared).not.toBe('');
    await applied(
      note,
      'upgrade',
      entries(5).map(({ name }) => ({ name: `f${name}` })),
    );
    await expectReady(['fd0', 'fd1', 'fd2', 'fd3', 'fd4']);
    expect((await identities()).filter((uid) => before.includes(uid)).length).toBeGreaterThan(0);
  });

  step('jobs.parallel: 1, Helm names the Job that failed, or prints its log line by line', 180, async (note) => {
    const wrong = { name: 'fd5', initSQL: 'SELECT * FROM no_such_table;' };
    const { code, stdout, stderr } = await apply(note, 'upgrade', [wrong], { jobs: { parallel: 1 } });
    expect(code).not.toBe(0);
    const output = stdout + stderr;
    note(`Helm says: ${output.trim()}`);
    expect(output).toContain(jobName('fd5'));
    expect(output).not.toContain('\\n');
    const cause = /^ *Cause: .*no_such_table.*\(SQLSTATE 42P01\)/m;
    expect(await release.kubectl('logs', `job/${jobName('fd5')}`)).toMatch(cause);
    const version = await release.helmCommand('version', '--template', '{{.Version}}');
    if (/^v3\.(1[89]|2\d)\./.test(version)) expect(output).toMatch(cause);
  });

  step('a rollback runs the Jobs of the revision that it goes back to', 180, async (note) => {
    const before = await identities();
    const start = performance.now();
    const history = JSON.parse(await release.helmCommand('history', release.name, '-o', 'json'));
    const ten: { readonly revision: number } = history[4];
    await release.helmCommand('rollback', release.name, String(ten.revision), '--timeout', '4m');
    note(`helm rollback, 10 databases: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    const now = await jobs();
    const names = entries(10).map(({ name }) => jobName(name));
    const renewed = now.filter(({ name }) => names.includes(name));
    expect(renewed).toHaveLength(10);
    expect(renewed.filter(({ uid }) => before.includes(uid))).toEqual([]);
  });

  step('helm test', 120, async (note) => {
    const start = performance.now();
    expect(await release.helmCommand('test', release.name)).toMatch(/Phase:\s+Succeeded/);
    note(`helm test, 10 databases: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  });

  step('uninstall takes the Jobs of Lists along; what left before stays until its time is up', 180, async () => {
    await release.helmCommand('uninstall', release.name, '--timeout', '4m');
    // Jobs of entries that left, and one that Helm has lost sight of: an upgrade compares with the last revision that was
    // deployed, so that what only a failed one between them had stays (Helm, pkg/action/upgrade.go).
    const left = [...entries(6).map(({ name }) => jobName(`f${name}`)), prepared];
    await eventually('the Jobs of the release are gone', 60_000, async () => {
      const names = (await release.kubectl('get', 'jobs', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ');
      expect(names.toSorted()).toEqual(left);
      return true;
    });
    const times = await release.kubectl('get', 'jobs', '-o', 'jsonpath={.items[*].spec.ttlSecondsAfterFinished}');
    expect(times.split(' ')).toEqual(left.map(() => '604800'));
  });
});
