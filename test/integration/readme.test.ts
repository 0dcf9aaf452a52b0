/**
 * The log in README.md is what the demo prints on the stand-in. When it changed for a good reason:
 *
 *     UPDATE_README=1 npx vitest run --project integration test/integration/readme.test.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { demo } from '../../src/commands/demo.ts';
import { createRedactor } from '../../src/report/redact.ts';
import { Collector } from '../support/commandLine.ts';
import { freePorts } from '../support/ports.ts';

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
  const [coordinator = 0, first = 0, second = 0] = await freePorts(3);
  const ports = [coordinator, first, second] as const;
  const stdout = new Collector();
  const surroundings = { stdout, interactive: false };
  const code = await demo(surroundings, createRedactor(), new AbortController().signal, { docker: false, ports });
  expect(code).toBe(0);
  return ports.reduce((text, port, index) => text.replaceAll(String(port), String(5600 + index)), stdout.text);
}
