/** docs/NOMAD.md: its job file does here what Nomad does with it, on one plain PostgreSQL. */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, expect } from 'vitest';
import { parse } from 'yaml';
import { connect, nodeOf, query } from '../support/cluster.ts';
import { readDocument, root } from '../support/documents.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Job, parseJob, parseTemplates, render, type Task } from '../support/nomadJob.ts';
import { type Document, runProgram } from '../support/program.ts';

const document = readDocument('docs/NOMAD.md');
const [jobText = '', serviceText = ''] = document.blocks.flatMap(({ language, code }) =>
  language === 'hcl' ? [code] : [],
);

const test = clusterTest({ workers: 0, citus: 'none' })
  /** As the document's first commands put them there. */
  .extend('vault', { scope: 'file' }, ({ cluster }) => (): Record<string, string> => {
    const puts = [...document.text.matchAll(/^vault kv put (secret)\/(\S+) +password=/gm)];
    const secrets = puts.map(([, engine, name]) => [`${engine}/data/${name}`, `password of ${name}`]);
    return { ...Object.fromEntries(secrets), 'secret/data/postgres/superuser': cluster.password };
  })
  /** Renders the task's templates below `folder`, as Nomad does below the task's own; returns the spec. */
  .extend(
    'rendered',
    { scope: 'file' },
    ({ cluster, folder }) =>
      async (secrets: Readonly<Record<string, string>>): Promise<string> => {
        const { host, port } = nodeOf(cluster, 0);
        const labels = Object.keys(groupOf(job).network.port);
        const environment = Object.fromEntries(
          labels.flatMap((label) => [
            [`NOMAD_IP_${label}`, host],
            [`NOMAD_PORT_${label}`, String(port)],
          ]),
        );
        for (const template of taskOf('databases').template) {
          const file = path.join(folder, template.destination);
          await mkdir(path.dirname(file), { recursive: true });
          await rm(file, { force: true });
          await writeFile(file, render(template, secrets, environment));
          await chmod(file, Number.parseInt(template.perms ?? '0644', 8));
        }
        const [, option, spec = ''] = taskOf('databases').config.args ?? [];
        expect(option).toBe('--spec');
        return (await readFile(path.join(folder, spec), 'utf8')).replaceAll('/secrets/', `${folder}/secrets/`);
      },
  )
  .extend('run', { scope: 'file' }, ({ cluster }) => async (command: string, spec: string) => {
    const parsed: Document = parse(spec);
    return await runProgram(cluster, [command], parsed);
  });

let job: Job;

beforeAll(async () => {
  job = parseJob(jobText);
});

function groupOf({ group }: Job) {
  const [only, ...others] = Object.values(group);
  if (only === undefined || others.length > 0) throw new Error('Not one group');
  return only;
}

function taskOf(name: string): Task {
  const task = groupOf(job).task[name];
  if (task === undefined) throw new Error(`The job has no task ${name}`);
  return task;
}

test('the task for the databases runs once, after the server of the same group has started', async () => {
  const { task, network, volume } = groupOf(job);
  expect(Object.keys(task).toSorted()).toEqual(['databases', 'postgresql']);
  expect(taskOf('postgresql').lifecycle).toBeUndefined();
  expect(taskOf('databases').lifecycle).toEqual({ hook: 'poststart', sidecar: false });
  // What a failed task is tried again with, and not for ever.
  expect(taskOf('databases').restart?.mode).toBe('fail');
  expect(taskOf('databases').config.args?.[0]).toBe('apply');

  const server = taskOf('postgresql');
  expect(Object.keys(network.port)).toEqual(server.config.ports);
  expect(server.service?.port).toBe(server.config.ports?.[0]);
  expect(Object.keys(volume)).toEqual([server.volume_mount?.volume]);
  expect(server.template.map(({ destination }) => `/${destination}`)).toEqual(Object.values(server.env ?? {}));
});

test('its image is the one that is built here, whose user can read the files and nobody else', async () => {
  const read = (file: string) => readFile(path.join(root, file), 'utf8');
  const version = /^VERSION=(.+)$/m.exec(await read('versions.env'))?.[1];
  const user = /^USER (\d+):(\d+)$/m.exec(await read('Dockerfile.job'));
  const { config, template } = taskOf('databases');
  expect(config.image).toBe(`citus-databases:${version}`);
  const secrets = template.filter(({ destination }) => destination.startsWith('secrets/'));
  expect(secrets.length).toBeGreaterThan(0);
  for (const { destination, uid, gid, perms } of secrets) {
    expect({ destination, uid, gid, perms }).toMatchObject({ uid: Number(user?.[1]), gid: Number(user?.[2]) });
    expect(perms).toBe('0400');
  }
  // Outside the folder that is in memory there is no secret.
  for (const { destination, data } of template) {
    expect({ destination, secret: data.includes('secret "') }).toEqual({
      destination,
      secret: destination.startsWith('secrets/'),
    });
  }
});

test('rendered, it makes the databases and users; the next allocation finds nothing to do', async ({
  cluster,
  vault,
  rendered,
  run,
}) => {
  const spec = await rendered(vault());
  const made = await run('apply', spec);
  expect({ code: made.code, log: made.log, stderr: made.stderr }).toMatchObject({ code: 0, stderr: '' });
  for (const name of ['gitea', 'grafana']) {
    const client = await connect(cluster, 0, name, { name, password: `password of postgres/${name}` });
    await client.query('CREATE TABLE own (id int)');
    await client.end();
  }
  const extension = "SELECT extname FROM pg_extension WHERE extname = 'pg_trgm'";
  expect(await query(cluster, 0, 'gitea', extension)).toHaveLength(1);
  expect((await run('plan', spec)).code).toBe(0);
});

test('a password that was changed in Vault changes one verifier, no other', async ({
  cluster,
  vault,
  rendered,
  run,
}) => {
  const verifiers = async () => {
    const text = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname IN ('gitea', 'grafana', 'postgres')";
    const rows = await query(cluster, 0, 'postgres', text);
    return new Map(rows.map(({ rolname, rolpassword }) => [rolname, rolpassword]));
  };
  const before = await verifiers();
  const again = await run('apply', await rendered({ ...vault(), 'secret/data/postgres/gitea': 'rotated secret' }));
  expect(again.code).toBe(0);
  const after = await verifiers();
  expect([...after.keys()].filter((name) => after.get(name) !== before.get(name))).toEqual(['gitea']);
  await (await connect(cluster, 0, 'gitea', { name: 'gitea', password: 'rotated secret' })).end();
});

test('one more service: its entry, its secret, and the template with which the service reads it', async ({
  cluster,
  folder,
  vault,
  rendered,
  run,
}) => {
  const [, entry = ''] = /```yaml\n(\s+- name: myservice\n[\s\S]*?)```/.exec(document.text) ?? [];
  const spec: { readonly databases: readonly unknown[] } = parse(await rendered(vault()));
  const databases = [...spec.databases, ...parse(entry)];
  await writeFile(path.join(folder, 'secrets', 'users', 'myservice'), 'of myservice', { mode: 0o600 });
  const more = JSON.stringify({ ...spec, databases }).replaceAll('"/secrets/', `"${folder}/secrets/`);
  expect((await run('apply', more)).code).toBe(0);
  await (await connect(cluster, 0, 'myservice', { name: 'myservice', password: 'of myservice' })).end();

  const [template] = parseTemplates(serviceText);
  expect(template).toMatchObject({ env: true, destination: expect.stringMatching(/^secrets\//) });
  const asked = [...(template?.data ?? '').matchAll(/with secret "([^"]+)"/g)].map(([, secret]) => secret);
  const [, put] = /`vault kv put secret\/(\S+) password=/.exec(document.text) ?? [];
  expect(asked).toEqual([`secret/data/${put}`]);
  // The job's policy covers it.
  expect(document.text).toContain('reading `secret/data/postgres/*`');
});
