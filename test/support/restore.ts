/**
 * Copies of a local cluster's servers, and the cluster set back to a restore point: each server starts from its copy and
 * replays its archived WAL.
 *
 *     const cluster = await startLocalCluster({ workers: 2, serverSettings: ARCHIVING });
 *     const base = await copyServers(cluster);                 // stops the servers, copies them, starts them
 *     await restoreTo(cluster, base, 'before_release');        // on every server
 */
import { execFile } from 'node:child_process';
import { appendFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { type LocalCluster, type LocalNode, query } from './cluster.ts';

const run = promisify(execFile);

/** The working directory of a server is its data directory; each has an archive beside it. */
const ARCHIVE = '../archive-$(basename "$PWD")';
export const ARCHIVING = {
  archive_mode: 'on',
  archive_command: `mkdir -p ${ARCHIVE} && cp %p ${ARCHIVE}/%f.new && mv ${ARCHIVE}/%f.new ${ARCHIVE}/%f`,
};

export async function copyServers(cluster: LocalCluster): Promise<(node: LocalNode) => string> {
  const copyOf = (node: LocalNode) => `${node.dataDirectory}.copy`;
  await Promise.all(
    cluster.nodes.map(async (node) => {
      await node.stop();
      await run('cp', ['-Rp', node.dataDirectory, copyOf(node)]);
      await node.start();
    }),
  );
  return copyOf;
}

export async function restoreTo(
  cluster: LocalCluster,
  copyOf: (node: LocalNode) => string,
  point: string,
): Promise<void> {
  await Promise.all(
    cluster.nodes.map(async (node) => {
      await node.stop('immediate');
      await run('rm', ['-rf', node.dataDirectory]);
      await run('cp', ['-Rp', copyOf(node), node.dataDirectory]);
      // Archiving would mix what is written from now on with what the next restore needs.
      const settings = [
        `restore_command = 'cp ${ARCHIVE}/%f %p'`,
        `recovery_target_name = '${point}'`,
        "recovery_target_timeline = 'current'",
        "recovery_target_action = 'promote'",
        "archive_mode = 'off'",
      ];
      await appendFile(path.join(node.dataDirectory, 'postgresql.conf'), `${settings.join('\n')}\n`);
      await writeFile(path.join(node.dataDirectory, 'recovery.signal'), '');
      await node.start();
      await promoted(cluster, node);
    }),
  );
}

/** A server accepts connections before it has reached the point. */
export async function promoted(cluster: LocalCluster, { group }: LocalNode): Promise<void> {
  const recovering = async () =>
    (await query(cluster, group, 'postgres', 'SELECT pg_is_in_recovery() AS recovering'))[0]?.['recovering'];
  await expect.poll(recovering, { timeout: 60_000 }).toBe(false);
}
