import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { query, startLocalCluster } from '../support/cluster.ts';
import { runProgram, specOf } from '../support/program.ts';

/**
 * A small file system takes the place of the folder in which the databases are (not that of the write-ahead log, without
 * which a server stops as a whole). Only root can mount one; elsewhere this test does not exist.
 */
if (canMount()) {
  test('a disk that fills up while CREATE DATABASE runs', { timeout: 180_000 }, async () => {
    const cluster = await startLocalCluster({ workers: 0, citus: 'none' });
    const [node] = cluster.nodes;
    const base = path.join(node?.dataDirectory ?? '', 'base');
    const spec = specOf(cluster, [{ name: 'big', maxAttempts: 2, retryDelaySeconds: 1 }]);
    await node?.stop();
    mountOver(base);
    try {
      await node?.start();
      const ballast = path.join(base, 'ballast');
      // The copies of large tables are sparse at first (RelationCopyStorageUsingBuffer), those of the many small ones not.
      const { bavail, bsize } = statfsSync(base);
      writeFileSync(ballast, Buffer.alloc(bavail * bsize - 500_000));

      const { code, log } = await runProgram(cluster, ['apply'], spec);
      expect({ code, log }).toEqual({
        code: 1,
        log: expect.stringMatching(/Failed to create database 'big'[\s\S]*No space left on device \(SQLSTATE 53100\)/),
      });
      const found = "SELECT FROM pg_database WHERE datname = 'big'";
      expect(await query(cluster, 0, 'postgres', found)).toEqual([]);

      rmSync(ballast);
      const rerun = await runProgram(cluster, ['apply'], spec);
      expect(rerun).toMatchObject({ code: 0, log: expect.stringContaining("Database 'big' is ready!") });
    } finally {
      await node?.stop('immediate');
      execFileSync('umount', [base]);
      await cluster.stop();
    }
  });
} else {
  console.log('Disk full: not tested here, because only root can mount a small file system');
  test('there is no disk to fill', () => expect(canMount()).toBe(false));
}

function mountOver(folder: string): void {
  const copy = mkdtempSync(path.join(tmpdir(), 'citus-databases-base-'));
  try {
    cpSync(folder, copy, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=80m', 'tmpfs', folder]);
    cpSync(copy, folder, { recursive: true });
    execFileSync('chown', ['-R', `--reference=${path.dirname(folder)}`, folder]);
    execFileSync('chmod', ['-R', 'u=rwX,go=', folder]);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function canMount(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/proc/self/mounts')) return false;
  const folder = mkdtempSync(path.join(tmpdir(), 'citus-databases-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
