import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCli } from '../../../src/cli/cli.ts';
import { LiveLines } from '../../../src/report/liveLines.ts';
import { textLog } from '../../../src/report/log.ts';
import { Collector } from '../../support/commandLine.ts';
import { freePorts } from '../../support/ports.ts';

const ESCAPE = '\u001b';

/** What is on a terminal's screen, and above it, after it was sent this. */
function screen(sent: string): readonly string[] {
  const lines: string[] = [''];
  for (const [part = ''] of sent.replaceAll(ESCAPE, '^').matchAll(/\^\[\d*[A-Z]|\r|\n|[^^\r\n]+/g)) {
    const up = /^\^\[(\d+)A$/.exec(part);
    if (up !== null) lines.splice(lines.length - 1 - Number(up[1]));
    if (up !== null || part === '\n') lines.push('');
    else if (!/^[\r^]/.test(part)) lines[lines.length - 1] += part;
  }
  return lines;
}

test('lines are written over, and the log goes on above them', () => {
  const stream = new Collector();
  const live = new LiveLines({ stream });
  const log = textLog({ level: 'info', stream, redact: (text) => text, live });
  const write = (text: string) => log.write({ level: 'info', text, depth: 0, context: {} });
  write('first');
  live.show(['a: 1', 'b: 1']);
  expect(screen(stream.text)).toEqual(['first', 'a: 1', 'b: 1', '']);
  live.show(['a: 2', 'b: 2']);
  write('second');
  expect(screen(stream.text)).toEqual(['first', 'second', 'a: 2', 'b: 2', '']);
  live.end();
  write('third');
  expect(screen(stream.text)).toEqual(['first', 'second', 'third', '']);
});

test('a line never wraps, and shows no control characters of others', () => {
  const stream = Object.assign(new Collector(), { columns: 12 });
  new LiveLines({ stream }).show(['0123456789012345', 'a\u001b[2Jb\nc']);
  expect(screen(stream.text)).toEqual(['0123456789…', 'a\\x1b[2Jb c', '']);
});

test('wait draws one line for each node on a terminal, and takes them away', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'citus-databases-live-'));
  // Nobody listens on them.
  const ports = await freePorts(2);
  try {
    const spec = join(folder, 'spec.yaml');
    writeFileSync(join(folder, 'password'), 'a secret');
    const cluster = {
      passwordFile: join(folder, 'password'),
      coordinator: { group: 0, host: '127.0.0.1', port: ports[0] },
      workers: [{ group: 1, host: '127.0.0.1', port: ports[1] }],
    };
    writeFileSync(spec, JSON.stringify({ cluster, databases: [{ name: 'a', maxAttempts: 2, retryDelaySeconds: 1 }] }));
    const run = async (terminal: boolean) => {
      const stdout = Object.assign(new Collector(), { columns: 200 });
      const code = await runCli(['wait', '--spec', spec, '--timeout', '2s'], {
        ...{ stdout, stderr: stdout, interactive: false, terminal, invokedAs: 'citus-databases' },
        onSignal: () => undefined,
      });
      return { code, text: stdout.text };
    };
    const drawn = await run(true);
    expect(drawn.code).toBe(1);
    const each = ports.map(
      (port) => `  … 127.0.0.1:${port}: waiting, 0 s, attempt 1 of 2: connect ECONNREFUSED 127.0.0.1:${port}\n`,
    );
    expect(drawn.text).toContain(each.join(''));
    expect(screen(drawn.text).join('\n')).toMatch(/^(?:WARNING: .*\n)?ERROR: .* did not become ready after 2 attempts/);
    const plain = await run(false);
    expect(plain.code).toBe(1);
    expect(plain.text).toContain(`Waiting for PostgreSQL coordinator... (attempt 1/2: connect ECONNREFUSED`);
    expect(plain.text).not.toContain(ESCAPE);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
