import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { stringify } from 'yaml';
import { chartFolder, type Manifest, parseManifests } from '../support/chart.ts';
import { findHelm } from '../support/helm.ts';

type Values = Readonly<Record<string, unknown>>;

/** What an upgrade (or an install) makes of the values in a cluster that holds these objects. */
export async function renderAgainst(
  present: readonly Manifest[],
  values: Values,
  command: 'upgrade' | 'install' = 'upgrade',
): Promise<readonly Manifest[]> {
  const args = ['template', '--dry-run=server', '--disable-openapi-validation'];
  return parseManifests(await helmAgainst(present, command === 'upgrade' ? [...args, '--is-upgrade'] : args, values));
}

/** Helm's message where it refuses to install or upgrade in a cluster that holds these objects. */
export async function refusalAgainst(
  present: readonly Manifest[],
  values: Values,
  command: 'upgrade' | 'install' = 'upgrade',
): Promise<string> {
  try {
    await renderAgainst(present, values, command);
  } catch (error) {
    // Helm 4 breaks the message over lines and indents them.
    return String(error).replaceAll(/\s+/g, ' ');
  }
  throw new Error('Helm rendered values that it should have refused');
}

/** What `helm install` tells its user. */
export async function notesOf(values: Values): Promise<string> {
  const output = await helmAgainst([], ['install', '--dry-run=client', '--disable-openapi-validation'], values);
  return output.slice(output.indexOf('\nNOTES:\n'));
}

/**
 * Helm beside as much of Kubernetes' API as it asks for: discovery, reading one object, and all of a kind. Helm itself cannot be told
 * what `lookup` shall find, and whether generated passwords stay depends on nothing else.
 */
async function helmAgainst(present: readonly Manifest[], args: readonly string[], values: Values): Promise<string> {
  const server = createServer((request, response) => {
    const { status, body } = answer(new URL(request.url ?? '/', 'http://localhost').pathname, present);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  const port = await listen(server);
  try {
    const target = ['--kube-apiserver', `http://127.0.0.1:${port}`, '--kube-token', 'none', '--namespace', 'shop'];
    return await run([...args, 'citusdemo', chartFolder, '--values', '-', ...target], stringify(values));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Every kind that the chart makes: Helm looks up what each is called. */
const kinds: Readonly<Record<string, readonly string[]>> = {
  v1: ['Secret', 'ConfigMap', 'ServiceAccount', 'Service', 'PersistentVolumeClaim'],
  'apps/v1': ['StatefulSet'],
  'batch/v1': ['Job'],
  'policy/v1': ['PodDisruptionBudget'],
  'networking.k8s.io/v1': ['NetworkPolicy'],
  'rbac.authorization.k8s.io/v1': ['Role', 'RoleBinding'],
};

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

function answer(path: string, present: readonly Manifest[]): Answer {
  return discovery(path) ?? list(path, present) ?? object(path, present);
}

function discovery(path: string): Answer | undefined {
  const ok = (body: unknown): Answer => ({ status: 200, body });
  if (path === '/version') return ok({ major: '1', minor: '34', gitVersion: 'v1.34.0' });
  if (path === '/api') return ok({ kind: 'APIVersions', versions: ['v1'] });
  if (path === '/apis') {
    const groups = Object.keys(kinds).flatMap((groupVersion) => {
      const [name, version] = groupVersion.split('/');
      const versions = [{ groupVersion, version }];
      return version === undefined ? [] : [{ name, versions, preferredVersion: versions[0] }];
    });
    return ok({ kind: 'APIGroupList', apiVersion: 'v1', groups });
  }
  const groupVersion = path.replace(/^\/apis?\//, '');
  const verbs = ['get', 'list'];
  const resources = kinds[groupVersion]?.map((kind) => ({ name: plural(kind), kind, namespaced: true, verbs }));
  return resources === undefined ? undefined : ok({ kind: 'APIResourceList', groupVersion, resources });
}

function list(path: string, present: readonly Manifest[]): Answer | undefined {
  const [, resource] = /^\/(?:api|apis\/[^/]+)\/[^/]+\/namespaces\/shop\/(\w+)$/.exec(path) ?? [];
  if (resource === undefined) return undefined;
  const items = present.filter(({ kind }) => plural(kind) === resource);
  return { status: 200, body: { kind: 'List', apiVersion: 'v1', metadata: {}, items } };
}

function object(path: string, present: readonly Manifest[]): Answer {
  const [, resource, name] = /^\/(?:api|apis\/[^/]+)\/[^/]+\/namespaces\/shop\/(\w+)\/(.+)$/.exec(path) ?? [];
  const found = present.find(({ kind, metadata }) => plural(kind) === resource && metadata.name === name);
  if (found !== undefined) return { status: 200, body: found };
  return { status: 404, body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 } };
}

function plural(kind: string): string {
  return `${kind.toLowerCase()}s`;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port');
  return address.port;
}

function run(args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const helm = spawn(findHelm(), args, { stdio: 'pipe' });
    let output = '';
    let errors = '';
    helm.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    helm.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    helm.on('error', reject);
    helm.on('close', (status) => (status === 0 ? resolve(output) : reject(new Error(errors))));
    helm.stdin.end(input);
  });
}
