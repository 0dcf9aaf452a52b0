/**
 * The log in README.md is what the demo prints on the stand-in. When it changed for a good reason:
 *
 *     UPDATE_README=1 npx vitest run --project integration test/integration/readme.test.ts
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { demo } from '../../src/commands/demo.ts';
import { createRedactor } from '../../src/report/redact.ts';
import { Collector } from '../support/commandLine.ts';
import { freePortRange } from '../support/ports.ts';

const file = fileURLToPath(new URL('../../README.md', import.meta.url));
const BETWEEN_MARKERS = /(?<=<!-- demo-log: begin [^>]*-->\n)[\s\S]*?(?=<!-- demo-log: end -->)/;

test('the log in the README is that of the demo', async () => {
  const block = `\n\`\`\`text\n${logOf(await runDemo())}\n\`\`\`\n\n`;
  const readme = readFileSync(file, 'utf8');
  expect(readme).toMatch(BETWEEN_MARKERS);
  if (process.env['UPDATE_README'] === '1')
    writeFileSync(
      file,
      readme.replace(BETWEEN_MARKERS, () => block),
    );
  expect(BETWEEN_MARKERS.exec(readFileSync(file, 'utf8'))?.[0]).toBe(block);
});

/** From the first frame to the last one: what a Job's log holds too. */
function logOf(printed: string): string {
  const rule = '='.repeat(40);
  return printed.slice(printed.indexOf(rule), printed.lastIndexOf(rule) + rule.length);
}

/** What the demo prints, with the ports that it has by default. */
async function runDemo(): Promise<string> {
  vi.stubEnv('CITUS_DATABASES_TEST_CITUS', 'stand-in');
  const port = await freePortRange(3);
  const stdout = new Collector();
  const surroundings = { stdout, interactive: false, invokedAs: 'npx citus-databases' };
  const directory = mkdtempSync(path.join(tmpdir(), 'demo-'));
  const options = { docker: false, port, directory };
  const code = await demo(surroundings, createRedactor(), new AbortController().signal, options);
  rmSync(directory, { recursive: true });
  expect(code).toBe(0);
  return [0, 1, 2].reduce((text, n) => text.replaceAll(String(port + n), String(5600 + n)), stdout.text);
}
