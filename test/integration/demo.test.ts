import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { expect, test } from 'vitest';
import { freePorts } from '../support/ports.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('at a terminal the demo stays up until Ctrl-C, and answers at the addresses that it prints', async () => {
  const ports = await freePorts(3);
  const args = ['scripts/run-ts.mjs', 'test/support/runDemo.ts', ...ports.map(String)];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let output = '';
  const printed = new Promise<void>((resolve) => {
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('The cluster stays up until Ctrl-C.')) resolve();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
  });
  try {
    await Promise.race([printed, exited]);
    expect(output).toContain('The cluster stays up until Ctrl-C.');
    // Long enough for a process that nothing keeps alive to end.
    expect(await Promise.race([sleep(2_000, 'stays up'), exited])).toBe('stays up');
    const addresses = [...output.matchAll(/^ {2}psql -h (\S+) -p (\d+) -U (\w+) -d (\w+) .* password: (\w+)$/gm)];
    expect(addresses.map(([, , port]) => Number(port))).toEqual(ports);
    for (const [, host = '', port, user = '', database = '', password = ''] of addresses) {
      const client = new pg.Client({ host, port: Number(port), user, database, password });
      await client.connect();
      await client.end();
    }
  } finally {
    child.kill('SIGINT');
  }
  expect(await exited).toEqual([0, null]);
});
