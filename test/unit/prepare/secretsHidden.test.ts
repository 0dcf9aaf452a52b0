import { expect, test } from 'vitest';
import type { Kubernetes } from '../../../src/kubernetes/client.ts';
import { parsePreparation } from '../../../src/prepare/document.ts';
import { makePreparations } from '../../../src/prepare/makeSecrets.ts';
import { Failure } from '../../../src/report/errors.ts';
import { createRedactor } from '../../../src/report/redact.ts';

test.each([
  ['the servers', { credentials: { secret: 'citusdemo-credentials', keys: ['superuser-password'] }, users: [] }],
  [
    'a user',
    {
      users: [
        {
          role: 'web',
          secret: 'web',
          generate: true,
          databases: [{ name: 'shop', secret: 'web-shop' }],
          namespaces: [],
        },
      ],
    },
  ],
])('an answer that repeats what it was sent does not show the new password of %s', async (_, wanted) => {
  const document = parsePreparation(
    JSON.stringify({
      ...{ release: 'r', chart: 'c', cluster: 'citusdemo', scope: 'citusdemo', groups: [], retired: [] },
      secrets: { labels: {}, connection: { host: 'citusdemo', sslmode: 'require' }, ...wanted },
    }),
  );
  const sent: string[] = [];
  const kubernetes: Kubernetes = {
    namespace: 'shop',
    call: async (method, path, body) => {
      if (method === 'GET') return path.includes('/secrets/') ? { status: 404, body: {} } : { status: 200, body: {} };
      const { data } = body as { readonly data: Readonly<Record<string, string>> };
      for (const key of ['superuser-password', 'password', 'PGPASSWORD', 'uri']) sent.push(...[data[key] ?? []].flat());
      return { status: 422, body: { message: `invalid: ${JSON.stringify(body)}` } };
    },
  };
  const redactor = createRedactor();
  const error = await makePreparations({ kubernetes, log: { line: () => {} }, hide: redactor.add }, document).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw new Error('no Failure');
  const shown = redactor.redact(error.details.cause ?? '');
  expect(shown).toContain('invalid');
  expect(sent.length).toBeGreaterThan(0);
  for (const secret of sent) {
    expect(shown).not.toContain(secret);
    expect(shown).not.toContain(Buffer.from(secret, 'base64').toString());
  }
});
