import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { CITUS_IMAGE } from '../../../src/localCluster/dockerCluster.ts';
import { parseSpec } from '../../../src/spec/parse.ts';

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

interface Compose {
  readonly services: Readonly<
    Record<string, { readonly image: string; readonly ports?: readonly string[]; readonly volumes?: readonly string[] }>
  >;
}

const compose: Compose = parse(read('compose.yaml'), { merge: true });
const inside = parseSpec(read('development/spec.yaml'), 'development/spec.yaml');
const outside = parseSpec(read('development/spec.host.yaml'), 'development/spec.host.yaml');

test('the spec for this machine names the ports that compose.yaml opens, and the names that the nodes have', () => {
  const { coordinator, workers = [] } = outside.cluster;
  const opened = [coordinator, ...workers].map(({ host, port, nodeName, nodePort }) => {
    return [nodeName, [`127.0.0.1:${port}:${nodePort}`], host];
  });
  const nodes = Object.entries(compose.services).filter(([, { ports }]) => ports !== undefined);
  expect(opened).toEqual(nodes.map(([name, { ports }]) => [name, ports, 'localhost']));
});

test('both specs declare the same nodes and databases', () => {
  const names = ({ cluster: { coordinator, workers = [] } }: typeof inside) =>
    [coordinator, ...workers].map(({ group, nodeName, nodePort }) => ({ group, nodeName, nodePort }));
  const databases = ({ databases }: typeof inside) => JSON.stringify(databases).replaceAll(/"[^"]*passwords\//g, '"');
  expect(names(inside)).toEqual(names(outside));
  expect(databases(inside)).toBe(databases(outside));
  expect(inside.databases[0]).toMatchObject({ name: 'commcare_ucr_citus', owner: 'commcarehq' });
});

test('every password file is there, in the folder that the services mount', () => {
  expect(compose.services['databases']?.volumes).toContain('./development/passwords:/run/passwords:ro');
  const files = inside.databases.flatMap(({ users }) => users.map(({ passwordFile }) => passwordFile));
  for (const file of [inside.cluster.passwordFile, ...files]) {
    expect(read((file ?? '').replace('/run/', 'development/')).trim()).not.toBe('');
  }
});

test('the images are those of versions.env', () => {
  const versions = read('versions.env');
  const version = /^VERSION=(.+)$/m.exec(versions)?.[1];
  const citus = /^CITUS_IMAGE=(.+)$/m.exec(versions)?.[1];
  expect(Object.values(compose.services).map(({ image }) => image)).toEqual([
    citus,
    citus,
    citus,
    `citus-databases:${version}`,
  ]);
  expect(CITUS_IMAGE, 'the image of demo --docker').toBe(citus);
});
