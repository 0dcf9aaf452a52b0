import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, test } from 'vitest';
import { chartFolder, exampleFile } from '../support/chart.ts';
import { findHelm, type HelmMajor } from '../support/helm.ts';

const helms = new Map<HelmMajor, string>();

beforeAll(() => {
  for (const major of [3, 4] as const) helms.set(major, findHelm(major));
}, 180_000);

function run(major: HelmMajor, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(helms.get(major) ?? '', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** Generated secrets differ from one rendering to the next. */
function withoutRandomness(manifests: string): string {
  return manifests.replaceAll(/^( {2}[\w.-]+(?:password|\.crt|\.key)): .*$/gm, '$1: random');
}

describe('Helm 3 and Helm 4', () => {
  test('are what they say', () => {
    for (const [major, helm] of helms) {
      expect(spawnSync(helm, ['version', '--short'], { encoding: 'utf8' }).stdout).toMatch(new RegExp(`^v${major}\\.`));
    }
  });

  test('render the same, but for the logs that they are asked to print', () => {
    const args = ['template', 'citusdemo', chartFolder, '--values', exampleFile, '--set', 'networkPolicy.enabled=true'];
    const withoutLogs = (manifests: string) => manifests.replaceAll(/^ *helm\.sh\/hook-output-log-policy: .*\n/gm, '');
    expect(withoutRandomness(withoutLogs(run(3, args)))).toBe(withoutRandomness(run(4, args)));
  });

  test('3 is asked for the log of a Job that is a hook by itself; 4 would print it in one line', () => {
    const args = ['template', 'citusdemo', chartFolder, '--values', exampleFile, '--set', 'jobs.parallel=1'];
    const policies = (major: HelmMajor) =>
      run(major, [...args, '--is-upgrade'])
        .split(/^---$/m)
        .flatMap((manifest) => {
          const [, policy] = /helm\.sh\/hook-output-log-policy: (\S+)/.exec(manifest) ?? [];
          const [, name] = /^ {2}name: (\S+)$/m.exec(manifest) ?? [];
          return policy === undefined ? [] : [`${name} ${policy}`];
        });
    expect(policies(3).toSorted()).toEqual([
      'citusdemo-configure hook-failed',
      'citusdemo-create-db-skymap hook-failed',
      'citusdemo-verify hook-succeeded,hook-failed',
    ]);
    expect(policies(4)).toEqual([]);
  });

  test.each([3, 4] as const)('accept chart and example strictly (%i)', (major) => {
    expect(run(major, ['lint', '--strict', chartFolder, '--values', exampleFile])).toContain('0 chart(s) failed');
  });
});
