import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { inCluster, type Kubernetes } from '../../../src/kubernetes/client.ts';
import { podReasons } from '../../../src/kubernetes/podReasons.ts';
import { createAuthority } from '../../support/certificates.ts';

let folder: string;
let server: Server;
let kubernetes: Kubernetes;
let sent = 0;

beforeAll(async () => {
  const authority = createAuthority('Kubernetes');
  const { key, certificate } = authority.issue({ commonName: 'api', dns: ['localhost'], ip: ['127.0.0.1'] });
  folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-account-'));
  await writeFile(path.join(folder, 'ca.crt'), authority.certificate);
  await writeFile(path.join(folder, 'namespace'), 'shop');
  await writeFile(path.join(folder, 'token'), 'a-token');
  const chunk = Buffer.alloc(1_000_000, ' ');
  server = createServer({ key, cert: certificate }, ({ url }, outgoing) => {
    if (url?.includes('/pods') === true) {
      outgoing.end('{"items":[]}');
      return;
    }
    outgoing.on('error', () => undefined);
    const more = () => {
      if (outgoing.destroyed) return;
      sent += chunk.length;
      outgoing.write(chunk, more);
    };
    more();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '127.0.0.1');
  vi.stubEnv('KUBERNETES_SERVICE_PORT', String(typeof address === 'object' && address !== null ? address.port : 0));
  const found = await inCluster(new AbortController().signal, folder);
  if (found === undefined) throw new Error('no API');
  kubernetes = found;
});

afterEach(() => {
  sent = 0;
});

afterAll(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

test('an answer that never ends is not read to the end', async () => {
  await expect(kubernetes.call('GET', '/api/v1/namespaces/shop/events')).rejects.toMatchObject({
    details: {
      what: 'The answer of Kubernetes is larger than this program reads',
      cause: 'GET /api/v1/namespaces/shop/events: more than 32 MB',
    },
  });
  expect(sent).toBeLessThan(64_000_000);
});

test('Events without end do not hide what is known of pods', async () => {
  expect(await podReasons(kubernetes, ['citusdemo-0'])).toEqual(['citusdemo-0: there is no pod']);
});
