import { once } from 'node:events';
import { createServer } from 'node:net';

/** Ports of 127.0.0.1 that nobody listens on, all held at the same time, so that they differ. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(probes.map((probe) => once(probe, 'listening')));
  const ports = probes.map((probe) => {
    const address = probe.address();
    if (address === null || typeof address === 'string') throw new Error('A server has no port');
    return address.port;
  });
  await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  return ports;
}

/** The first of as many neighbouring ports that nobody listens on. */
export async function freePortRange(count: number): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    // Below the range from which the system gives out ports to others (32768 on Linux).
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    const probes = Array.from({ length: count }, (_, index) => createServer().listen(first + index, '127.0.0.1'));
    const listening = await Promise.allSettled(probes.map((probe) => once(probe, 'listening')));
    await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
    if (listening.every(({ status }) => status === 'fulfilled')) return first;
    if (attempt === 20) throw new Error(`There are no ${count} free ports in a row`);
  }
}
