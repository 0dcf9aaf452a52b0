/**
 * The first half of docs/QUICKSTART.md, typed word for word into a shell beside a running demo. Only the ports differ, so
 * that it can run beside other demos. What a person does is timed: the document promises five minutes.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Collector } from '../support/commandLine.ts';
import { readDocument, root } from '../support/documents.ts';
import { freePortRange } from '../support/ports.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'quickstart-'));
const program = path.join(folder, 'program');
let demo: ChildProcess;
let port: number;

beforeAll(async () => {
  execFileSync(process.execPath, ['scripts/build.mjs', program], { cwd: root });
  // As npx finds it in a checkout.
  const npx = path.join(folder, 'bin', 'npx');
  mkdirSync(path.dirname(npx));
  writeFileSync(npx, `#!/bin/sh\nshift\nexec '${process.execPath}' '${program}/citus-databases.js' "$@"\n`);
  chmodSync(npx, 0o755);
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root });
  port = await freePortRange(3);
  const args = [
    path.join(root, 'dist/citus-databases.js'),
    'demo',
    '--stay',
    '--directory',
    'demo',
    '--port',
    String(port),
  ];
  demo = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = new Collector();
  demo.stdout?.pipe(output);
  demo.stderr?.pipe(output);
  await output.contains('The cluster stays up until Ctrl-C.');
});

afterAll(async () => {
  const ended = new Promise((resolve) => demo.once('close', resolve));
  demo.kill('SIGINT');
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

const document = readDocument('docs/QUICKSTART.md');
const own = document.blocks.filter(({ mark }) => mark?.kind === 'by');
const blocks = own.filter(({ language }) => language === 'bash').map(({ code }) => code);

/** What the document shows behind a command, if anything; `…` stands for lines that it leaves out. */
function shownBehind(block: string): string | undefined {
  const next = own[own.findIndex(({ code }) => code === block) + 1];
  return next?.language === 'text' ? next.code : undefined;
}

const onPorts = (text: string) => text.replaceAll(/\b560([012])\b/g, (_text, node) => String(port + Number(node)));

/** What follows each block: the exit code of its last command, and a line that it prints. */
const EXPECTED: readonly (readonly [code: number, prints: RegExp])[] = [
  [0, /^Wrote demo\/first\.yaml\. It names 3 nodes/m],
  [10, /create database "app" owned by "app"/],
  [0, /^Database 'app' is ready!$/m],
  [0, /^ +100$/m],
  [0, /Line 3: CREATE INDEX events_at ON events/],
  [1, /ERROR: /],
  [0, /Database 'app' is ready!\n$/],
  [0, /Database 'app' is gone from every node/],
];

test('it is all there', () => {
  expect(blocks.length).toBe(EXPECTED.length);
  expect(document.text).toContain('npm run demo');
});

/** One shell for all blocks, as in a terminal: what one exports, the next one has. */
let exported = '';
let shownBlocks = 0;

test.each(EXPECTED.map(([code, prints], index) => [blocks[index]?.split('\n')[0] ?? '', index, code, prints] as const))(
  '%s',
  (_, index, code, prints) => {
    const typed = blocks[index] ?? '';
    const block = onPorts(typed);
    const env = { ...process.env, PATH: `${path.join(folder, 'bin')}${path.delimiter}${process.env['PATH']}` };
    const ended = spawnSync('bash', ['-c', `${exported}\n${block}`], { cwd: folder, env, encoding: 'utf8' });
    const out = ended.stdout + ended.stderr;
    expect({ code: ended.status, out }).toEqual({ code, out: expect.stringMatching(prints) });
    const shown = shownBehind(typed);
    let from = 0;
    for (const part of shown?.trimEnd().split('\n…\n') ?? []) {
      const found = out.indexOf(onPorts(part), from);
      expect(found, `${part}\nis not in:\n${out}`).not.toBe(-1);
      from = found + part.length;
    }
    if (shown !== undefined) shownBlocks += 1;
    exported += block
      .split('\n')
      .filter((line) => line.startsWith('export '))
      .join('\n');
  },
);

test('everything that the document shows was compared', () => {
  expect(shownBlocks).toBe(own.filter(({ language }) => language === 'text').length);
});

test('the second run of an unchanged spec would have done nothing', () => {
  const written = readFileSync(path.join(folder, 'demo/first.yaml'), 'utf8');
  expect(written).toMatch(/^ {6}CREATE INDEX events_at ON events \(at\);\n$/m);
});
