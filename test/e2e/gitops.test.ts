/**
 * Argo CD's own engine (github.com/argoproj/gitops-engine) synchronizes the rendered chart three times. It cannot look anything up while
 * it renders, takes Lists apart, and runs every hook at each sync: the last two syncs may change nothing. Needs Go; without it
 * the file says so.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { stringify } from 'yaml';
import { chartFolder } from '../support/chart.ts';
import { run } from './support/command.ts';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

const hasGo = spawnSync('go', ['version']).status === 0;
if (!hasGo) console.log('There is no Go on PATH: Argo CD is not tried');

const values = {
  ...smallCluster(),
  ssl: { mode: 'verify-full' },
  additionalDatabases: {
    shop: {
      users: [{ name: 'shop_app', access: 'readWrite', generate: true }],
      initSQL: "CREATE TABLE items (id bigint PRIMARY KEY);\nSELECT create_distributed_table('items', 'id');",
    },
    crm: {},
  },
};

describe.skipIf(!hasGo)("Argo CD's engine", () => {
  let release: Release;

  beforeAll(async () => {
    release = await createRelease('gitops');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 180_000);

  async function synchronize(): Promise<string> {
    const program = path.join(release.files, 'gitops', 'gitops');
    const kubeconfig = process.env['KUBECONFIG'] ?? path.join(process.env['HOME'] ?? '', '.kube', 'config');
    return await run(program, [kubeconfig, release.namespace, path.join(release.files, 'manifests.yaml')], {
      timeoutMs: 400_000,
    });
  }

  /** Secrets with their versions, and what a new password, certificate or pod would show in. */
  async function state(): Promise<string> {
    const fields =
      'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation}{"\\n"}{end}';
    const versions =
      'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.resourceVersion}{"\\n"}{end}';
    return (
      (await release.kubectl('get', 'secrets', '-o', versions)) +
      (await release.kubectl('get', 'statefulsets,services,pvc,roles,networkpolicies', '-o', fields)) +
      (await release.kubectl('get', 'pods', '-l', 'application=patroni', '-o', fields))
    );
  }

  step('the engine is built, and the chart rendered', 900, async () => {
    const source = path.join(release.files, 'gitops');
    cpSync(fileURLToPath(new URL('gitops', import.meta.url)), source, { recursive: true });
    await run('go', ['build', '-C', source, '-mod=mod', '-o', 'gitops', '.'], { timeoutMs: 880_000 });
    const file = path.join(release.files, 'values.yaml');
    writeFileSync(file, stringify(values));
    const { E2E_CHART, E2E_VALUES } = process.env;
    const files = ['-f', file, ...(E2E_VALUES === undefined ? [] : ['-f', E2E_VALUES])];
    const rendered = await run(release.helmPath, [
      ...['template', release.name, E2E_CHART ?? chartFolder, '--namespace', release.namespace],
      ...files,
    ]);
    writeFileSync(path.join(release.files, 'manifests.yaml'), rendered);
  });

  step('the first sync makes the cluster and its databases', 420, async () => {
    const output = await synchronize();
    expect(output).toMatch(/^Job\/citusdemo-prepare-\w+ hook=Sync phase=Succeeded/m);
    for (const name of ['shop', 'crm']) {
      expect(output).toMatch(new RegExp(`^Job/citusdemo-create-db-${name} hook=PostSync phase=Succeeded`, 'm'));
      expect(await release.jobLog(name)).toContain(`Database '${name}' is ready!`);
    }
  });

  for (const which of ['second', 'third']) {
    step(`the ${which} sync runs every hook and changes nothing`, 300, async () => {
      const before = await state();
      const output = await synchronize();
      expect(await state()).toBe(before);
      const applied = output.split('\n').filter((line) => line.includes(' hook= '));
      expect(applied.filter((line) => / created"$| configured"$/.test(line))).toEqual([]);
      expect(await release.jobLog('shop')).toContain('Nothing was changed');
    });
  }
});
