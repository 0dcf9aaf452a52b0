import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isExposed } from '../../../src/secrets/exposedFiles.ts';
import { runCommandLine } from '../../support/commandLine.ts';

describe('by owner and mode, as libpq judges private keys', () => {
  test.each<[string, number, number, boolean]>([
    ['of a user, for nobody else', 1000, 0o600, false],
    ['of a user, only to be read', 1000, 0o400, false],
    ['of a user, for the group', 1000, 0o640, true],
    ['of a user, for all', 1000, 0o604, true],
    ['of a user, all may write', 1000, 0o602, true],
    ['of root, for the group', 0, 0o640, false],
    ['of root, as Kubernetes mounts it with fsGroup', 0, 0o440, false],
    ['of root, as Kubernetes mounts it', 0, 0o400, false],
    ['of root, as Kubernetes mounts it without defaultMode', 0, 0o644, true],
    ['of root, the group may write', 0, 0o660, true],
    ['of root, the group may execute', 0, 0o650, true],
  ])('%s', (_, uid, mode, expected) => {
    expect(isExposed({ uid, mode: 0o100000 | mode })).toBe(expected);
  });
});

describe('the log names them', () => {
  let folder: string;
  const file = (name: string) => join(folder, name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'citus-databases-exposed-'));
    await mkdir(file('ssl'));
    // No certificate: the key is not used, and is a secret all the same.
    for (const name of ['superuser', 'user', 'rest', 'ssl/server.key']) await writeFile(file(name), 'opensesame\n');
    // Nothing listens on port 1.
    await writeFile(
      file('spec.yaml'),
      `cluster:
  passwordFile: ${file('superuser')}
  coordinator: { group: 0, host: 127.0.0.1, port: 1 }
  workers: [{ group: 1, host: localhost, port: 1 }]
ssl: { enabled: true, mode: prefer, directory: ${file('ssl')} }
databases:
  - name: skymap
    maxAttempts: 1
    retryDelaySeconds: 1
    users: [{ name: app, access: readOnly, passwordFile: ${file('user')} }]
patroni:
  scope: citusdemo
  credentials: { username: admin, passwordFile: ${file('rest')} }
  groups: [{ group: 0, members: [{ host: 127.0.0.1 }] }]
`,
    );
  });

  afterAll(() => rm(folder, { recursive: true }));

  async function warnings(modes: Readonly<Record<string, number>>): Promise<readonly string[]> {
    for (const [name, mode] of Object.entries(modes)) await chmod(file(name), mode);
    const { code, out } = await runCommandLine(['wait', '--spec', file('spec.yaml')]);
    expect({ code, out }).toEqual({ code: 1, out: expect.stringContaining('did not become ready') });
    return out.split('\n').filter((line) => line.includes('Files with secrets'));
  }

  test('all of them, in one line', async () => {
    const all = ['superuser', 'user', 'ssl/server.key', 'rest'];
    const listed = all.map((name) => `${file(name)} (0644)`).join(', ');
    expect(await warnings(Object.fromEntries(all.map((name) => [name, 0o644])))).toEqual([
      `WARNING: Files with secrets may be read by more than their owner: ${listed}`,
    ]);
  });

  test('none that only their owner may read', async () => {
    expect(await warnings({ superuser: 0o600, user: 0o400, 'ssl/server.key': 0o600, rest: 0o600 })).toEqual([]);
  });
});
