import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { prepareDemoFolder, writePgpass } from '../../../src/localCluster/demoFolder.ts';
import { othersMayReplaceIn } from '../../../src/localCluster/ownFolder.ts';

const SOMEBODY = 4711;
let around: string;
let folder: string;

beforeEach(() => {
  around = mkdtempSync(path.join(tmpdir(), 'demo-folder-'));
  folder = path.join(around, 'demo');
});
afterEach(() => rmSync(around, { recursive: true, force: true }));

function modeOf(file: string): number {
  return statSync(path.join(folder, file)).mode & 0o777;
}

test('a folder of your own: made, and found again', async () => {
  const { superuserPassword } = await prepareDemoFolder(folder);
  expect(modeOf('.')).toBe(0o700);
  expect(modeOf('passwords/postgres')).toBe(0o600);
  expect((await prepareDemoFolder(folder)).superuserPassword).toBe(superuserPassword);
});

/** What somebody else may have done before. */
const PLANTED: Readonly<Record<string, () => void>> = {
  'a folder that everybody may write to': () => {
    mkdirSync(folder);
    chmodSync(folder, 0o777);
  },
  'passwords that everybody may write to': () => {
    mkdirSync(path.join(folder, 'passwords'), { recursive: true });
    chmodSync(path.join(folder, 'passwords'), 0o777);
  },
  'a folder that everybody may replace': () => chmodSync(around, 0o777),
};

const PLANTED_BY_OTHERS: typeof PLANTED = {
  'a folder of somebody else': () => {
    mkdirSync(folder);
    chownSync(folder, SOMEBODY, SOMEBODY);
  },
  'a spec of somebody else': () => {
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'spec.yaml'), 'databases: []');
    chownSync(path.join(folder, 'spec.yaml'), SOMEBODY, SOMEBODY);
  },
  'a password of somebody else': () => {
    mkdirSync(path.join(folder, 'passwords'), { recursive: true });
    writeFileSync(path.join(folder, 'passwords/postgres'), 'known to them');
    chownSync(path.join(folder, 'passwords/postgres'), SOMEBODY, SOMEBODY);
  },
};

async function refused(plant: (() => void) | undefined): Promise<void> {
  plant?.();
  await expect(prepareDemoFolder(folder)).rejects.toMatchObject({
    details: { kind: 'invalid', next: expect.stringContaining('--directory FOLDER') },
    message: expect.stringContaining(`Of ${around}`),
  });
}

test.for(Object.keys(PLANTED))('%s is refused', (name) => refused(PLANTED[name]));

// Only root gives files away.
test.skipIf(process.getuid?.() !== 0).for(Object.keys(PLANTED_BY_OTHERS))('%s is refused', (name) =>
  refused(PLANTED_BY_OTHERS[name]),
);

test('passwords for psql: no link is followed, and nobody else reads them', async () => {
  await prepareDemoFolder(folder);
  const file = path.join(folder, 'pgpass');
  const elsewhere = path.join(around, 'elsewhere');
  symlinkSync(elsewhere, file);
  await writePgpass(file, new Map([['app', 'a:b']]));
  expect(existsSync(elsewhere)).toBe(false);
  chmodSync(file, 0o666);
  await writePgpass(file, new Map([['app', 'c']]));
  expect({ text: readFileSync(file, 'utf8'), mode: modeOf('pgpass') }).toEqual({ text: '*:*:*:app:c\n', mode: 0o600 });
});

test.for<[mode: number, gid: number, expected: boolean]>([
  [0o755, 20, false],
  [0o1777, 0, false],
  [0o777, 1000, true],
  [0o775, 20, true],
  [0o775, 1000, false],
])('%o, group %i: %s', ([mode, gid, expected]) => {
  expect(othersMayReplaceIn({ uid: 1000, gid, mode })).toBe(expected);
});
