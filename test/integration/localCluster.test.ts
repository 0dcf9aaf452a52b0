import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startLocalCluster } from '../../src/localCluster/localCluster.ts';
import { serverUser } from '../../src/localCluster/systemUser.ts';

/**
 * Whoever is the servers' user, as each superuser of any PostgreSQL on the machine (COPY … TO PROGRAM), puts links in the
 * way of what root writes, and names a process of root's as a server.
 */
const ATTACK = `
  while :; do
    for own in "$1"/citus-databases-*; do for folder in "$own" "$own/servers" "$own/ssl"; do
      [ -d "$folder" ] && [ -w "$folder" ] || continue
      for name in superuser-password server.key; do ln -s "$2" "$folder/$name" 2>/dev/null; done
      [ -e "$folder/zz" ] || { mkdir "$folder/zz"; echo "$3" >"$folder/zz/postmaster.pid"; }
    done; done
  done
`;

let temporary: string;
const running: ChildProcess[] = [];

beforeEach(() => {
  temporary = mkdtempSync(path.join(tmpdir(), 'local-cluster-'));
  chmodSync(temporary, 0o1777);
  vi.stubEnv('TMPDIR', temporary);
});
afterEach(() => {
  vi.unstubAllEnvs();
  for (const child of running.splice(0)) child.kill('SIGKILL');
  rmSync(temporary, { recursive: true, force: true });
});

async function started(command: string, args: readonly string[], user: object = {}): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: 'ignore', cwd: '/', ...user });
  running.push(child);
  await once(child, 'spawn');
  return child;
}

// Only root gives files away.
test.skipIf(process.getuid?.() !== 0)("root does nothing for the servers' user that it may not do", async () => {
  const user = await serverUser();
  const precious = path.join(temporary, 'precious');
  writeFileSync(precious, 'of root', { mode: 0o600 });
  const bystander = await started('sleep', ['600']);
  await started('/bin/sh', ['-c', ATTACK, 'attack', temporary, precious, String(bystander.pid)], user);
  const cluster = await startLocalCluster({ workers: 0 });
  try {
    const { uid, mode } = statSync(path.dirname(cluster.passwordFile));
    expect({ uid, mode: mode & 0o777 }).toEqual({ uid: 0, mode: 0o711 });
    expect(lstatSync(cluster.passwordFile).isFile()).toBe(true);
    await vi.waitFor(
      () => statSync(path.join(path.dirname(cluster.nodes[0]?.dataDirectory ?? temporary), 'zz')),
      10_000,
    );
  } finally {
    await cluster.stop();
  }
  expect({ uid: statSync(precious).uid, content: readFileSync(precious, 'utf8') }).toEqual({
    uid: 0,
    content: 'of root',
  });
  expect({ code: bystander.exitCode, signal: bystander.signalCode }).toEqual({ code: null, signal: null });
  expect(() => statSync(path.dirname(cluster.passwordFile))).toThrow('ENOENT');
});
