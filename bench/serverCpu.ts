import { readFileSync } from 'node:fs';
import type { LocalCluster } from '../src/localCluster/localCluster.ts';

const TICK_MS = 10;

/**
 * CPU time of all servers in milliseconds, ended sessions included; undefined where there is no /proc. Unlike time on the
 * clock it is the same on a busy machine, and divided by the number of cores it is what no program can be faster than.
 */
export function serverCpu(cluster: LocalCluster): number | undefined {
  if (process.platform !== 'linux') return undefined;
  return cluster.nodes.reduce((sum, node) => {
    const pid = node.pid();
    if (pid === undefined) return sum;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return children.reduce((more, child) => more + cpuOf(child), sum + cpuOf(String(pid)));
  }, 0);
}

/** Fields 14 to 17 of /proc/PID/stat: its own time and that of the children that it has seen end (proc(5)). */
function cpuOf(pid: string): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return TICK_MS * fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  } catch {
    // It has ended between the two looks.
    return 0;
  }
}
