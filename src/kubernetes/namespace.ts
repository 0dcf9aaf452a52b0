import { readText, SHORT } from '../files/read.ts';

/** The namespace of this pod; undefined outside of one. Kubernetes documentation, "Accessing the Kubernetes API from a Pod". */
export async function ownNamespace(
  file = '/var/run/secrets/kubernetes.io/serviceaccount/namespace',
): Promise<string | undefined> {
  try {
    return (await readText(file, SHORT)).trim();
  } catch {
    return undefined;
  }
}
