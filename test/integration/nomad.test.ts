import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { connect, type LocalCluster, nodeOf, query, startLocalCluster } from '../support/cluster.ts';
import { runProgram } from '../support/program.ts';

const root = new URL('../../', import.meta.url);

let cluster: LocalCluster;
let folder: string;

beforeAll(async () => {
  cluster = await startLocalCluster({ workers: 0, citus: 'none' });
  folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-nomad-'));
});

afterAll(async () => {
  await cluster?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

test('the job file of docs/NOMAD.md: every password that its spec names is rendered, and the spec works', async () => {
  const job = await readFile(new URL('docs/NOMAD.md', root), 'utf8');
  const spec = /destination = "local\/spec\.yaml"\s+data\s+= <<EOH\n(.*?)EOH\n/s.exec(job)?.[1] ?? '';
  const task = job.slice(job.indexOf('task "databases"'));
  const rendered = [...task.matchAll(/destination = "(secrets\/[^"]+)"[^}]*?data\s+= "\{\{ with secret/gs)].map(
    ([, destination]) => `/${destination}`,
  );
  const named = [...spec.matchAll(/passwordFile: (\/secrets\/[^\s,]+)/g)].map(([, file]) => file);
  expect(rendered.filter((file) => named.includes(file)).toSorted()).toEqual([...new Set(named)].toSorted());

  await mkdir(path.join(folder, 'users'));
  for (const name of ['gitea', 'grafana'])
    await writeFile(path.join(folder, 'users', name), `of ${name}`, { mode: 0o600 });
  await writeFile(path.join(folder, 'superuser'), cluster.password, { mode: 0o600 });
  const { host, port } = nodeOf(cluster, 0);
  const document = spec
    .replaceAll('/secrets/', `${folder}/`)
    .replace('{{ env "NOMAD_IP_db" }}', host)
    .replace('{{ env "NOMAD_PORT_db" }}', String(port));
  expect(document).not.toContain('{{');
  const run = await runProgram(cluster, ['apply'], parse(document));
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
  for (const name of ['gitea', 'grafana']) {
    await (await connect(cluster, 0, name, { name, password: `of ${name}` })).end();
  }
  expect(await query(cluster, 0, 'gitea', "SELECT extname FROM pg_extension WHERE extname = 'pg_trgm'")).toHaveLength(
    1,
  );
  // Adopted by the next job, whatever it was made by: nothing to do.
  expect((await runProgram(cluster, ['plan'], parse(document))).code).toBe(0);
});
