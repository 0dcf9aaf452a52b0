import type { LocalCluster } from '../src/localCluster/localCluster.ts';
import { measureBaseline } from './baseline.ts';
import { dropEverywhere, measureFloor, openAll } from './floor.ts';
import { benchSpec, type Program, succeeded, timed } from './program.ts';
import { type ConnectionCount, startProxy } from './proxy.ts';
import { serverCpu } from './serverCpu.ts';

/** Milliseconds, one number for each round. */
export interface Times {
  readonly emptyNode: number[];
  readonly floor: number[];
  /** The floor and the proof behind it. */
  readonly floorProved: number[];
  readonly baseline: number[];
  readonly baselineAgain: number[];
  readonly first: number[];
  readonly again: number[];
}

/** Milliseconds of CPU that all servers together took, one number for each round; empty where it cannot be told. */
export interface ServerCpu {
  readonly floor: number[];
  readonly first: number[];
  readonly again: number[];
  /** `plan` looks at everything as a second apply does, and proves nothing. */
  readonly looking: number[];
}

export interface Measured {
  readonly cpu: ServerCpu;
  readonly workers: number;
  readonly times: Times;
  /** Two databases more, through a slow network. */
  readonly slow: { readonly first: number[]; readonly again: number[] };
  readonly firstCounts: readonly ConnectionCount[];
  readonly againCounts: readonly ConnectionCount[];
  readonly peakMegabytes: number;
}

export interface Plan {
  readonly workers: number;
  readonly rounds: number;
  readonly latencyMs: number;
  readonly baseline: boolean;
  readonly say: (text: string) => void;
}

/** All contestants in turn, in each round; fresh databases, one cluster. */
export async function measure(cluster: LocalCluster, program: Program, plan: Plan): Promise<Measured> {
  const servers = await openAll(cluster);
  const times: Times = {
    emptyNode: [],
    floor: [],
    floorProved: [],
    baseline: [],
    baselineAgain: [],
    first: [],
    again: [],
  };
  const cpu: ServerCpu = { floor: [], first: [], again: [], looking: [] };
  const slow = { first: [] as number[], again: [] as number[] };
  const apply = async (name: string, through?: Parameters<typeof benchSpec>[2]) =>
    succeeded('apply', await program.run(['apply'], benchSpec(cluster, name, through))).milliseconds;
  /** What ends a moment later (sessions that log out) counts as well. */
  const cpuOf = async (into: number[], action: () => Promise<unknown>) => {
    const before = serverCpu(cluster);
    await action();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const after = serverCpu(cluster);
    if (before !== undefined && after !== undefined) into.push(after - before);
  };
  try {
    // The first Citus database of a server makes a certificate and turns TLS on: that is not repeated.
    await apply('warm_up');
    await dropEverywhere(servers, 'warm_up');
    for (let round = 1; round <= plan.rounds; round += 1) {
      const contestants = [
        async () => {
          const floor = await measureFloor(cluster, servers, `floor${round}`);
          times.floor.push(floor.milliseconds);
          times.floorProved.push(floor.proved);
          if (floor.serverCpu !== undefined) cpu.floor.push(floor.serverCpu);
        },
        async () => {
          if (!plan.baseline) return;
          times.baseline.push(await measureBaseline(cluster, `baseline${round}`));
          times.baselineAgain.push(await measureBaseline(cluster, `baseline${round}`));
        },
        async () => {
          times.emptyNode.push((await timed(program.node, ['-e', '0'])).milliseconds);
          await cpuOf(cpu.first, async () => times.first.push(await apply(`first${round}`)));
          await cpuOf(cpu.again, async () => times.again.push(await apply(`first${round}`)));
          times.again.push(await apply(`first${round}`));
          const spec = benchSpec(cluster, `first${round}`);
          await cpuOf(cpu.looking, async () => succeeded('plan', await program.run(['plan'], spec)));
          times.emptyNode.push((await timed(program.node, ['-e', '0'])).milliseconds);
        },
      ];
      // Whoever comes first in a round finds other caches than the last.
      const shift = round % contestants.length;
      for (const contestant of [...contestants.slice(shift), ...contestants.slice(0, shift)]) {
        await contestant();
        for (const name of [`floor${round}`, `baseline${round}`, `first${round}`]) await dropEverywhere(servers, name);
      }
      plan.say(`${plan.workers} workers, round ${round} of ${plan.rounds}`);
    }
    if (plan.latencyMs > 0) {
      const proxy = await startProxy(cluster.nodes, plan.latencyMs);
      try {
        for (let round = 1; round <= Math.min(3, plan.rounds); round += 1) {
          slow.first.push(await apply(`slow${round}`, proxy.nodes));
          slow.again.push(await apply(`slow${round}`, proxy.nodes));
          await dropEverywhere(servers, `slow${round}`);
        }
      } finally {
        await proxy.close();
      }
    }
    const proxy = await startProxy(cluster.nodes);
    try {
      await apply('counted', proxy.nodes);
      const firstCounts = proxy.take();
      await apply('counted', proxy.nodes);
      const againCounts = proxy.take();
      await dropEverywhere(servers, 'counted');
      const spec = benchSpec(cluster, 'memory');
      const peaks = [await program.measureMemory(['apply'], spec), await program.measureMemory(['apply'], spec)];
      const peakMegabytes = Math.max(...peaks.map((peak) => succeeded('apply', peak).peakMegabytes ?? 0));
      await dropEverywhere(servers, 'memory');
      return { workers: plan.workers, times, cpu, slow, firstCounts, againCounts, peakMegabytes };
    } finally {
      await proxy.close();
    }
  } finally {
    await Promise.all(servers.map((server) => server.end()));
  }
}
