/**
 * The shell steps of .github/workflows/release.yml, as the workflow runs them: on a copy of the files that they read, with
 * stand-ins for Docker, cosign and the registry, and with Helm itself for the package.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { helm } from '../support/chart.ts';
import { findHelm } from '../support/helm.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const text = readFileSync(path.join(root, '.github/workflows/release.yml'), 'utf8');
const step = z.looseObject({
  id: z.string().optional(),
  name: z.string().optional(),
  run: z.string().optional(),
  env: z.record(z.string(), z.string()).default({}),
});
const { jobs, defaults } = z
  .looseObject({
    defaults: z.object({ run: z.object({ shell: z.literal('bash') }) }),
    jobs: z.object({ publish: z.looseObject({ steps: z.array(step) }) }),
  })
  .parse(parse(text));

const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;
const standIns = {
  // With the containerd image store, an image has a digest under each of its names.
  docker: `case "$1 $2" in
  'image inspect') case $5 in *patroni*) d=${digestOf('a')} ;; *) d=${digestOf('b')} ;; esac
    repository=\${5%:*}; printf '%s@%s\\n' "\${repository##*/}" "$d" "$repository" "$d" ;;
esac`,
  cosign: ':',
  helm: `case "$1" in
  registry) [ "$(cat)" = token ] ;;
  push) printf 'Pushed: %s/citus-cluster:0.1.0\\nDigest: ${digestOf('c')}\\n' "\${3#oci://}" >&2; exit "\${HELM_PUSH_CODE:-0}" ;;
  *) PATH=$REAL_PATH exec "$REAL_HELM" "$@" ;;
esac`,
};

describe('the steps of the release workflow', () => {
  let folder: string;
  let environment: Record<string, string>;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'citus-databases-release-'));
    for (const name of ['versions.env', 'chart', 'scripts'])
      cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
    mkdirSync(path.join(folder, 'bin'));
    for (const [name, script] of Object.entries(standIns)) {
      const file = path.join(folder, 'bin', name);
      writeFileSync(file, `#!/usr/bin/env bash\necho "${name} $*" >>"$CALLS"\n${script}\n`);
      chmodSync(file, 0o755);
    }
    environment = {
      PATH: `${path.join(folder, 'bin')}${path.delimiter}${process.env['PATH'] ?? ''}`,
      HOME: folder,
      REAL_HELM: findHelm(),
      REAL_PATH: process.env['PATH'] ?? '',
      CALLS: path.join(folder, 'calls'),
      GITHUB_ENV: path.join(folder, 'env'),
      GITHUB_OUTPUT: path.join(folder, 'output'),
      GITHUB_ACTOR: 'somebody',
      GITHUB_REPOSITORY_OWNER: 'Some-Owner',
      GITHUB_REF_NAME: 'v0.1.0',
    };
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Lines that a step has written for others: NAME=value. */
  function written(file: 'env' | 'output' | 'calls'): readonly string[] {
    const name = path.join(folder, file);
    return existsSync(name) ? readFileSync(name, 'utf8').trim().split('\n') : [];
  }

  function run(name: string) {
    const found = jobs.publish.steps.find((each) => each.name === name);
    if (found?.run === undefined) throw new Error(`There is no step '${name}' with commands`);
    for (const line of written('env')) environment[line.replace(/=.*/, '')] = line.replace(/^[^=]*=/, '');
    const secrets = Object.fromEntries(
      Object.entries(found.env).map(([key, value]) => [
        key,
        value.replace(/\$\{\{ secrets\.GITHUB_TOKEN \}\}/, 'token'),
      ]),
    );
    const script = path.join(folder, 'step.sh');
    writeFileSync(script, found.run);
    // As GitHub starts `shell: bash`, which is not what it starts where no shell is named.
    const args = ['--noprofile', '--norc', '-eo', 'pipefail', script];
    return spawnSync(defaults.run.shell, args, {
      cwd: folder,
      env: { ...environment, ...secrets },
      encoding: 'utf8',
      timeout: 20_000,
    });
  }

  test('agree on the version, or end', () => {
    expect(run('versions agree')).toMatchObject({ status: 0 });
    expect(written('env')).toEqual(
      expect.arrayContaining([
        'VERSION=0.1.0',
        'REGISTRY=ghcr.io/some-owner',
        expect.stringMatching(/^HELM_VERSION=v4/),
      ]),
    );
    environment['GITHUB_REF_NAME'] = 'v0.1.1';
    expect(run('versions agree').status).not.toBe(0);
  });

  test('push, sign and hand on the digests of the images under their names in the registry', () => {
    run('versions agree');
    expect(run('images')).toMatchObject({ status: 0 });
    expect(written('output')).toEqual([`patroni-citus-k8s=${digestOf('a')}`, `citus-databases=${digestOf('b')}`]);
    const calls = written('calls');
    for (const [name, letter] of [
      ['patroni-citus-k8s', 'a'],
      ['citus-databases', 'b'],
    ] as const) {
      const image = `ghcr.io/some-owner/${name}`;
      expect(calls).toContain(`docker push ${image}:0.1.0`);
      expect(calls).toContain(`cosign sign --yes ${image}@${digestOf(letter)}`);
    }
  });

  test('package a chart that names the images that were pushed, push and sign it', () => {
    run('versions agree');
    expect(run('chart')).toMatchObject({ status: 0 });
    expect(written('output')).toEqual([`digest=${digestOf('c')}`]);
    expect(written('calls').slice(-2)).toEqual([
      'helm push citus-cluster-0.1.0.tgz oci://ghcr.io/some-owner/charts',
      `cosign sign --yes ghcr.io/some-owner/charts/citus-cluster@${digestOf('c')}`,
    ]);
    const archive = path.join(folder, 'citus-cluster-0.1.0.tgz');
    const images = (...args: string[]) => {
      const { stdout } = helm([
        'template',
        'citusdemo',
        archive,
        '--set',
        'additionalDatabases.shop.owner=postgres',
        ...args,
      ]);
      return new Set([...stdout.matchAll(/^ +(?:- )?image: "?([^"\n]+)"?$/gm)].map(([, image]) => image));
    };
    expect(images()).toEqual(
      new Set(['patroni-citus-k8s', 'citus-databases'].map((name) => `ghcr.io/some-owner/${name}:0.1.0`)),
    );
    expect(images('--set', 'image.repository=registry.example.com/mine')).toContain('registry.example.com/mine:0.1.0');
  });

  test('end where the chart cannot be pushed', () => {
    run('versions agree');
    environment['HELM_PUSH_CODE'] = '1';
    expect(run('chart').status).not.toBe(0);
    expect(written('output')).toEqual([]);
  });

  test('hand on every value that a later step asks for', () => {
    for (const name of ['versions agree', 'images', 'chart']) expect(run(name), name).toMatchObject({ status: 0 });
    const asked = (what: RegExp) => [...text.matchAll(what)].map(([, name]) => name);
    const names = (file: 'env' | 'output') => written(file).map((line) => line.replace(/=.*/, ''));
    expect(names('output')).toEqual(expect.arrayContaining(asked(/steps\.\w+\.outputs\.([\w-]+)/g)));
    expect(names('env')).toEqual(expect.arrayContaining(asked(/\$\{\{ env\.(\w+) \}\}/g)));
  });
});
