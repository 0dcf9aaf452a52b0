/**
 * The one way to set up a test with servers (vitest, "Test context"). One screen of usage:
 *
 *     const test = clusterTest({ workers: 2 })
 *       .extend('apply', { scope: 'file' }, ({ cluster }) => (database: Document) =>
 *         runProgram(cluster, ['apply'], specOf(cluster, [database])));
 *
 *     test.beforeAll(async ({ cluster }) => { … });                    // also test.afterAll, test.beforeEach
 *     test('what it shows', async ({ cluster, apply }) => { … });
 *     test.for([1, 2])('of group %i', async (group, { apply }) => { … });
 *
 * A fixture serves the whole file, and goes away after it: `cluster` (cluster.ts), which starts with the first hook or test;
 * `program` (the bundled program, program.ts) and `folder` (an empty one), which start when one first names them. What a file
 * adds with `extend` and scope 'file' does the same. Give a file one `test`: one that is extended later would start a second cluster.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test as base } from 'vitest';
import type { Authority, Identity } from './certificates.ts';
import { type LocalClusterOptions, startLocalCluster } from './cluster.ts';
import { buildProgram } from './program.ts';

/** With `program` and `folder`, for files whose servers are of another kind. */
export const programTest = base
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from this pattern which fixtures a function needs
  .extend('folder', { scope: 'file' }, async ({}, { onCleanup }) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'fixture-'));
    onCleanup(() => rm(folder, { recursive: true, force: true }));
    return folder;
  })
  // biome-ignore lint/correctness/noEmptyPattern: see above
  .extend('program', { scope: 'file' }, async ({}, { onCleanup }) => {
    const program = await buildProgram();
    onCleanup(() => program.remove());
    return program;
  });

/** With a cluster of its own besides. */
export function clusterTest(options: LocalClusterOptions) {
  return programTest.extend('cluster', { scope: 'file', auto: true }, clusterFixture(options));
}

/** Whose servers show a certificate. */
export function tlsClusterTest(
  { server, authority }: { readonly server: Identity; readonly authority: Authority },
  options: LocalClusterOptions,
) {
  return programTest.extend('cluster', { scope: 'file', auto: true }, async ({ folder }, { onCleanup }) => {
    const certificate = path.join(folder, 'server.crt');
    const key = path.join(folder, 'server.key');
    const ca = path.join(folder, 'ca.crt');
    await writeFile(certificate, server.certificate);
    await writeFile(key, server.key);
    await writeFile(ca, authority.certificate);
    const cluster = await startLocalCluster({ ...options, ssl: { certificate, key, ca } });
    onCleanup(() => cluster.stop());
    return cluster;
  });
}

/** For a file that needs one more: `.extend('plain', { scope: 'file' }, clusterFixture({ … }))`. */
export function clusterFixture(options: LocalClusterOptions) {
  // biome-ignore lint/correctness/noEmptyPattern: see above
  return async ({}, { onCleanup }: { readonly onCleanup: (stop: () => Promise<void>) => void }) => {
    const cluster = await startLocalCluster(options);
    onCleanup(() => cluster.stop());
    console.log(cluster.description);
    return cluster;
  };
}
