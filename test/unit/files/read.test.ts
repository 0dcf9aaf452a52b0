import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PEM, readBounded, SHORT, TooLarge } from '../../../src/files/read.ts';
import { loadTls } from '../../../src/postgres/tls.ts';
import { readPreparation } from '../../../src/prepare/document.ts';
import { createRedactor } from '../../../src/report/redact.ts';
import { readPasswordFile } from '../../../src/secrets/credentials.ts';
import { readSpec } from '../../../src/spec/read.ts';
import { ScriptFiles } from '../../../src/spec/readScriptFile.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'files-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fifo(name: string): string {
  const file = path.join(folder, name);
  execFileSync('mkfifo', [file]);
  return file;
}

/** Ten gigabytes, none of them on the disk. */
function enormous(): string {
  const file = path.join(folder, 'enormous');
  writeFileSync(file, '');
  truncateSync(file, 10_000_000_000);
  return file;
}

const READERS: Readonly<Record<string, { readonly most: string; readonly read: (file: string) => Promise<unknown> }>> =
  {
    'a password': { most: '64 KB', read: (file) => readPasswordFile(file, createRedactor()) },
    'a certificate': {
      most: '1 MB',
      read: (file) =>
        loadTls({
          enabled: true,
          mode: 'verify-full',
          directory: path.dirname(file),
          ca: path.basename(file),
          certificate: 'none.crt',
          key: 'none.key',
        }),
    },
    'a script': { most: '10 MB', read: (file) => new ScriptFiles().read(file, 'skymap') },
    'a spec': { most: '10 MB', read: readSpec },
    'the document for prepare': { most: '10 MB', read: readPreparation },
  };

test.for(Object.keys(READERS).flatMap((name) => ['/dev/zero', 'ten gigabytes'].map((file) => [name, file] as const)))(
  '%s from %s is read up to a bound, and refused by name',
  { timeout: 10_000 },
  async ([name, content]) => {
    const reader = READERS[name];
    const file = content === '/dev/zero' ? content : enormous();
    await expect(reader?.read(file)).rejects.toMatchObject({
      details: { kind: 'invalid' },
      message: expect.stringMatching(new RegExp(`${file}[^]*larger than ${reader?.most}`)),
    });
  },
);

test('as much as is allowed is read', async () => {
  const file = path.join(folder, 'full');
  writeFileSync(file, 'x'.repeat(SHORT));
  expect((await readBounded(file, { mostBytes: SHORT })).length).toBe(SHORT);
  await expect(readBounded(file, { mostBytes: SHORT - 1 })).rejects.toThrow(TooLarge);
  await expect(readBounded(path.join(folder, 'none'), { mostBytes: PEM })).rejects.toMatchObject({ code: 'ENOENT' });
});

test('pipes without writers take nothing that other reads need, and are given up', { timeout: 10_000 }, async () => {
  const pipes = Array.from({ length: 8 }, (_, index) => fifo(`silent${index}`));
  const waiting = pipes.map((file) => readBounded(file, { mostBytes: SHORT, pipeDeadlineMs: 500 }));
  const all = Promise.allSettled(waiting);
  expect((await readBounded('/dev/null', { mostBytes: SHORT })).length).toBe(0);
  expect(await all).toEqual(
    pipes.map(() => ({
      status: 'rejected',
      reason: new Error('It is a pipe, and its writer did not end within 0.5 s'),
    })),
  );
});

test('whoever writes into a pipe late, and slowly, is waited for', async () => {
  const file = fifo('slow');
  const reading = readBounded(file, { mostBytes: SHORT });
  await sleep(200);
  const writer = await open(file, 'w');
  await writer.write('one ');
  await sleep(200);
  await writer.write('two');
  await writer.close();
  expect((await reading).toString()).toBe('one two');
});

test('no other file reads what it does not own', () => {
  const source = path.join(import.meta.dirname, '../../../src');
  const reads = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .filter((file) =>
      /\b(?:readFile|readFileSync|createReadStream)\b/.test(readFileSync(path.join(source, file), 'utf8')),
    );
  expect(reads.toSorted()).toEqual([
    // Files of this package, of a server that it has started, and of /proc.
    'cli/version.ts',
    'localCluster/localNode.ts',
    'localCluster/portHolder.ts',
    'localCluster/server.ts',
    'localCluster/standIn.ts',
  ]);
});
