import { itemsOf, type Kubernetes, textAt } from './client.ts';
import { podsOf, podsPath } from './podReasons.ts';

/**
 * The chart puts the image of the release here, on each pod. The image of the container itself may be another text: admission
 * webhooks replace registries and tags (Kubernetes documentation, "Dynamic Admission Control").
 */
export const IMAGE_ANNOTATION = 'citus-databases/image';

/** Which pods keep a release from running one image, or why that cannot be known. */
export type ImageState =
  | { readonly kind: 'known'; readonly others: readonly string[] }
  | { readonly kind: 'forbidden'; readonly reason: string };

/**
 * One line for each pod that runs another image, those that are ending included, and for each group without pods. A pod
 * that is missing beside others is no obstacle: the StatefulSet replaces pods from the highest number down, and makes the
 * one that is missing then from the new image.
 */
export async function podsOfOtherImages(
  kubernetes: Kubernetes,
  hosts: readonly string[],
  image: string,
): Promise<ImageState> {
  const { status, body } = await kubernetes.call('GET', podsPath(kubernetes));
  if (status === 401 || status === 403) {
    return { kind: 'forbidden', reason: textAt(body, 'message') ?? `HTTP ${status}` };
  }
  if (status !== 200) throw new Error(`Kubernetes answers HTTP ${status}: ${textAt(body, 'message') ?? 'no message'}`);
  const pods = itemsOf(body);
  const others = hosts.flatMap((host) => {
    const own = podsOf(host, pods);
    return own.length === 0 ? [`${host} has no pod`] : own.flatMap((pod) => otherImage(pod, image));
  });
  return { kind: 'known', others };
}

function otherImage(pod: unknown, image: string): readonly string[] {
  const found = textAt(pod, 'metadata', 'annotations', IMAGE_ANNOTATION);
  if (found === image) return [];
  const name = textAt(pod, 'metadata', 'name') ?? 'a pod';
  return [found === undefined ? `${name} was made by an earlier chart` : `${name} runs ${found}`];
}
