import type { Kubernetes, Reply } from '../../src/kubernetes/client.ts';
import { parsePreparation } from '../../src/prepare/document.ts';
import { makePreparations } from '../../src/prepare/makeSecrets.ts';
import { type Manifest, named } from './chart.ts';

/** As much of Kubernetes' API as `prepare` uses, over objects in memory. */
export interface MemoryKubernetes extends Kubernetes {
  readonly objects: Manifest[];
}

export function memoryKubernetes(present: readonly Manifest[], namespace = 'shop'): MemoryKubernetes {
  const objects = present.map((object) => structuredClone(object));
  function find(place: string, resource: string, name: string): Manifest | undefined {
    return objects.find(
      ({ kind, metadata }) =>
        `${kind.toLowerCase()}s` === resource &&
        metadata.name === name &&
        (metadata['namespace'] ?? namespace) === place,
    );
  }
  return {
    namespace,
    objects,
    call: async (method, path, body): Promise<Reply> => {
      const url = new URL(path, 'http://localhost');
      const [, place = '', resource = '', name] = /\/namespaces\/([^/]+)\/(\w+)(?:\/(.+))?$/.exec(url.pathname) ?? [];
      if (method === 'GET' && name === undefined) {
        const wanted = (url.searchParams.get('labelSelector') ?? '').split(',').map((pair) => pair.split('='));
        const items = objects.filter(
          ({ kind, metadata }) =>
            `${kind.toLowerCase()}s` === resource &&
            wanted.every(([key = '', value]) => metadata.labels[key] === value),
        );
        return { status: 200, body: { items } };
      }
      if (method === 'POST') {
        const object = structuredClone(body) as Manifest;
        if (find(place, resource, object.metadata.name) !== undefined) return { status: 409, body: {} };
        if (place !== namespace) object.metadata['namespace'] = place;
        objects.push(object);
        return { status: 201, body: object };
      }
      const found = find(place, resource, name ?? '');
      if (found === undefined) return { status: 404, body: {} };
      if (method === 'GET') return { status: 200, body: found };
      const patch = body as Manifest;
      Object.assign(found.metadata.annotations, patch.metadata.annotations);
      found.data = { ...found.data, ...patch.data };
      return { status: 200, body: found };
    },
  };
}

/** The objects of a rendered chart, and the Secrets that its Job `prepare` makes in a cluster that holds `present`. */
export async function prepared(
  rendered: readonly Manifest[],
  present: readonly Manifest[] = [],
  clusterName = 'citusdemo',
): Promise<readonly Manifest[]> {
  return await preparedBy(`${clusterName}-prepare`, rendered, present);
}

/** The same for the document of any ConfigMap of the chart's: that of the guard makes nothing. */
export async function preparedBy(
  configMap: string,
  rendered: readonly Manifest[],
  present: readonly Manifest[],
): Promise<readonly Manifest[]> {
  const kubernetes = memoryKubernetes(present);
  const document = named(rendered, 'ConfigMap', configMap).data?.['prepare.json'] ?? '';
  await makePreparations({ kubernetes, log: { line: () => {} }, hide: () => {} }, parsePreparation(document));
  return [...rendered, ...kubernetes.objects];
}
