import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { integrationProjects } from '../support/installations.ts';

/** Programs that answer as those of an installation do; nothing is started. */
async function install(folder: string, postgres: string, citus: string): Promise<string> {
  const root = path.join(folder, `${postgres}-${citus}-${Math.random()}`);
  await Promise.all(['bin', 'share/extension'].map((name) => mkdir(path.join(root, name), { recursive: true })));
  const script = (name: string, text: string) =>
    writeFile(path.join(root, 'bin', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  await script('pg_config', `case $1 in --bindir) echo ${root}/bin ;; --sharedir) echo ${root}/share ;; esac`);
  await script('postgres', `echo 'postgres (PostgreSQL) ${postgres} (Debian)'`);
  await script('initdb', 'exit 1');
  await writeFile(path.join(root, 'share/extension/citus.control'), `default_version = '${citus}'\n`);
  return root;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-installations-'));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

test('runs the integration suite on every installation that is named, each under a name of its own', async () => {
  const named = [
    await install(folder, '18.6', '14.0-1'),
    await install(folder, '17.12', '14.0-1'),
    await install(folder, '17.12', '13.2-1'),
    await install(folder, '17.12', '13.2-1'),
  ];
  vi.stubEnv('CITUS_DATABASES_TEST_POSTGRES', named.join(path.delimiter));
  const projects = await integrationProjects();
  expect(projects.map(({ name, install: found }) => [name, found?.bin])).toEqual([
    ['integration', `${named[0]}/bin`],
    ['integration-17.12-citus-14.0-1', `${named[1]}/bin`],
    ['integration-17.12-citus-13.2-1', `${named[2]}/bin`],
    ['integration-17.12-citus-13.2-1-again1', `${named[3]}/bin`],
  ]);
});

test('takes the root folder of a Debian without pg_config, as images are', async () => {
  const made = await install(folder, '18.6', '14.0-1');
  const root = path.join(folder, 'image');
  await mkdir(path.join(root, 'usr/lib/postgresql/18'), { recursive: true });
  await mkdir(path.join(root, 'usr/share/postgresql'), { recursive: true });
  await rename(path.join(made, 'bin'), path.join(root, 'usr/lib/postgresql/18/bin'));
  await rename(path.join(made, 'share'), path.join(root, 'usr/share/postgresql/18'));
  await rm(path.join(root, 'usr/lib/postgresql/18/bin/pg_config'));
  vi.stubEnv('CITUS_DATABASES_TEST_POSTGRES', root);
  expect((await integrationProjects()).map(({ install: found }) => found)).toEqual([
    { bin: path.join(root, 'usr/lib/postgresql/18/bin'), version: '18.6', citusVersion: '14.0-1' },
  ]);
});

test('says which folder holds no Citus', async () => {
  vi.stubEnv('CITUS_DATABASES_TEST_POSTGRES', folder);
  await expect(integrationProjects()).rejects.toThrow(`${folder}, which holds no PostgreSQL with the extension citus`);
});
