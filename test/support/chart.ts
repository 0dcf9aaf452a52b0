import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';
import * as z from 'zod';
import { findHelm } from './helm.ts';

export const chartFolder = fileURLToPath(new URL('../../chart', import.meta.url));
export const exampleFile = fileURLToPath(new URL('../../chart/values.example-automated-setup.yaml', import.meta.url));

export const usersExampleFile = fileURLToPath(new URL('../../chart/values.example-users.yaml', import.meta.url));

/** As much of a Kubernetes object as the tests ask for; the rest stays unknown and is read with `at`. */
const manifest = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  data: z.record(z.string(), z.string()).optional(),
});
export type Manifest = z.output<typeof manifest>;

export interface RenderOptions {
  readonly values?: Readonly<Record<string, unknown>>;
  readonly release?: string;
  readonly args?: readonly string[];
}

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function helm(args: readonly string[], input = ''): Outcome {
  const { status, stdout, stderr } = spawnSync(findHelm(), args, {
    input,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, stdout, stderr };
}

function template({ values = {}, release = 'citusdemo', args = [] }: RenderOptions): Outcome {
  return helm(['template', release, chartFolder, '--namespace', 'shop', '--values', '-', ...args], stringify(values));
}

/** All objects of the chart with these values. */
export function render(options: RenderOptions = {}): readonly Manifest[] {
  const { status, stdout, stderr } = template(options);
  if (status !== 0) throw new Error(stderr);
  return parseManifests(stdout);
}

/** What `helm template` prints, as objects. */
export function parseManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as unknown)
    .filter((object) => object !== null && object !== undefined)
    .map((object) => manifest.parse(object))
    .flatMap((object) => itemsOf(object) ?? object);
}

/** Kubernetes, and tools that apply manifests, take a List for its items; undefined for what is no List. */
function itemsOf(object: Manifest): readonly Manifest[] | undefined {
  if (object.kind !== 'List') return undefined;
  return z.array(manifest).parse(object['items']);
}

/** Helm's message for values that it has to refuse. */
export function refusal(values: Readonly<Record<string, unknown>>): string {
  const { status, stderr } = template({ values });
  if (status === 0) throw new Error('Helm rendered values that it should have refused');
  // Helm 4 breaks the message over lines and indents them.
  return stderr.replaceAll(/\s+/g, ' ');
}

export function ofKind(objects: readonly Manifest[], kind: string): readonly Manifest[] {
  return objects.filter((object) => object.kind === kind);
}

export function named(objects: readonly Manifest[], kind: string, name: string): Manifest {
  const found = ofKind(objects, kind).filter(({ metadata }) => metadata.name === name);
  const [first] = found;
  if (first === undefined || found.length > 1) throw new Error(`${found.length} objects ${kind}/${name}`);
  return first;
}

/** The value at a path such as `spec.template.spec.containers.0.image`; undefined where the path ends early. */
export function at(object: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => {
    return typeof value === 'object' && value !== null
      ? Object.entries(value).find(([name]) => name === key)?.[1]
      : undefined;
  }, object);
}

/** The text of a Secret's key. */
export function decoded(secret: Manifest, key: string): string {
  const value = secret.data?.[key];
  if (value === undefined) throw new Error(`${secret.metadata.name} has no key ${key}`);
  return Buffer.from(value, 'base64').toString('utf8');
}
