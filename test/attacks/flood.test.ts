import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect } from 'vitest';
import { nodeOf } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import type { StartedProgram } from '../support/program.ts';

/**
 * The operator of a node changes what it answers: to a statement of their choice it talks without end. It must not use up the
 * memory of this program, where other nodes and databases have their turn, and not keep SIGTERM from ending it.
 */

/** The limit of a Job's pod is 384 MiB. */
const MOST_MEGABYTES = 350;

interface Man {
  /** What the statement has in it. */
  readonly at: string;
  /** What is said to it at first, and then again and again. */
  readonly first: Buffer;
  readonly then: Buffer;
}

let man: Man | undefined;
let struck = false;
let relay: net.Server | undefined;

afterAll(() => {
  relay?.close();
});

const test = clusterTest({ workers: 0, citus: 'none' }).extend('spec', { scope: 'file' }, async ({ cluster }) => {
  const { host, port } = nodeOf(cluster, 0);
  relay = net.createServer((client) => {
    const server = net.connect(port, host);
    client.on('error', () => undefined).on('close', () => server.destroy());
    server.on('error', () => undefined).on('close', () => client.destroy());
    let talks = false;
    server.on('data', (chunk) => void (talks || client.write(chunk)));
    client.on('data', (chunk) => {
      if (man !== undefined && chunk.includes(man.at)) {
        talks = true;
        struck = true;
        talk(client, man);
      } else if (!talks) {
        server.write(chunk);
      }
    });
  });
  await new Promise<void>((resolve) => relay?.listen(0, '127.0.0.1', resolve));
  const address = relay.address();
  const taken = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    cluster: { citus: false, passwordFile: cluster.passwordFile, coordinator: { host: '127.0.0.1', port: taken } },
    databases: [{ name: 'skymap', initSQL: "SELECT 'talk';\nSELECT 'of the weather'" }],
  };
});

function talk(client: net.Socket, { first, then }: Man): void {
  client.write(first);
  const more = () => {
    if (client.destroyed) return;
    if (client.write(then)) setImmediate(more);
    else client.once('drain', more);
  };
  more();
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.from(`${type}\0\0\0\0`, 'latin1');
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

function many(one: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: Math.ceil(65_536 / one.length) }, () => one));
}

/** One column of text. */
const DESCRIPTION = message('T', Buffer.from('\0\u0001observed\0\0\0\0\0\0\0\0\0\0\u0019ÿÿÿÿÿÿ\0\0', 'latin1'));
const row = (bytes: number) => {
  const head = Buffer.from([0, 1, 0, 0, 0, 0]);
  head.writeInt32BE(bytes, 2);
  return message('D', Buffer.concat([head, Buffer.alloc(bytes, 'x')]));
};
const said = (type: string, severity: string) =>
  message(
    type,
    Buffer.from(`S${severity}\0V${severity}\0C${type === 'E' ? 'XX000' : '01000'}\0M${'w'.repeat(100)}\0\0`),
  );
const HUGE = Buffer.from('D\xff\xff\xff\xf0', 'latin1');

const KINDS: readonly (readonly [name: string, first: Buffer, then: Buffer])[] = [
  ['rows without end', DESCRIPTION, many(row(1000))],
  ['small rows without end', DESCRIPTION, many(row(1))],
  ['a row of 4 GB', Buffer.concat([DESCRIPTION, HUGE]), Buffer.alloc(65_536, 'x')],
  ['results without end', DESCRIPTION, many(message('C', Buffer.from('SELECT 1\0')))],
  ['descriptions without end', DESCRIPTION, many(DESCRIPTION)],
  ['warnings without end', DESCRIPTION, many(said('N', 'WARNING'))],
  ['errors without end', said('E', 'ERROR'), many(said('E', 'ERROR'))],
];

/** The most memory that it has taken. */
async function peak({ pid, ended }: StartedProgram): Promise<number> {
  let most = 0;
  let over = false;
  const end = () => {
    over = true;
  };
  ended.then(end, end);
  while (!over) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    most = Math.max(most, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    if (most > 2 * MOST_MEGABYTES) process.kill(pid ?? 0, 'SIGKILL');
    await sleep(50);
  }
  return most;
}

test.for(KINDS)(
  'a server that answers with %s is named, and cut off',
  async ([name, first, then], { cluster, program, spec }) => {
    man = { at: 'citus_databases.observed', first, then };
    struck = false;
    const run = await program.start(cluster, ['plan'], spec);
    const [megabytes, { code, stdout, stderr, milliseconds }] = await Promise.all([peak(run), run.ended]);
    expect({ name, struck, code, text: stdout + stderr }).toEqual({
      ...{ name, struck: true, code: 1 },
      text: expect.stringMatching(
        name.startsWith('errors')
          ? /w{100}/
          : /The server answers with more than this program reads \(node 127\.0\.0\.1:\d+/,
      ),
    });
    expect(megabytes).toBeLessThan(MOST_MEGABYTES);
    expect(milliseconds).toBeLessThan(20_000);
  },
);

test.for(KINDS)(
  'SIGTERM ends a run within five seconds while initSQL is answered with %s',
  async ([name, first, then], { cluster, program, spec }) => {
    man = { at: "'talk'", first, then };
    struck = false;
    const run = await program.start(cluster, ['apply'], {
      ...spec,
      databases: [{ ...spec.databases[0], name: 'talker' }],
    });
    const memory = peak(run);
    await expect.poll(() => struck, { timeout: 30_000 }).toBe(true);
    await sleep(2_000);
    const since = performance.now();
    run.kill('SIGTERM');
    const { code, stdout, stderr } = await run.ended;
    expect(performance.now() - since).toBeLessThan(5_000);
    expect({ name, code, text: stdout + stderr }).toEqual({
      name,
      code: expect.toSatisfy((ended: number) => ended === 1 || ended === 143),
      text: expect.stringMatching(/Stopped by SIGTERM|more than this program reads|w{100}/),
    });
    expect(await memory).toBeLessThan(MOST_MEGABYTES);
  },
);

test('an error and warnings of hundreds of megabytes, as the owner of a trigger may word them, are cut', async ({
  cluster,
  program,
  spec,
}) => {
  man = undefined;
  const long = (bytes: number) => `repeat('x', ${bytes})`;
  const initSQL = `DO $$ BEGIN
    RAISE WARNING '%', ${long(100_000_000)};
    RAISE EXCEPTION 'out of %', ${long(200_000_000)} USING detail = ${long(100_000_000)}, errcode = 'P0777';
  END $$`;
  const run = await program.start(cluster, ['apply'], { ...spec, databases: [{ name: 'wordy', initSQL }] });
  const [megabytes, { code, stdout, stderr }] = await Promise.all([peak(run), run.ended]);
  const text = stdout + stderr;
  expect({ code, text: text.replaceAll(/x{100,}/g, 'xxx') }).toEqual({
    code: 1,
    text: expect.stringMatching(/out of xxx[\s\S]*P0777/),
  });
  expect(text.length).toBeLessThan(500_000);
  expect(megabytes).toBeLessThan(200);
});

test('rows that initSQL drops may be as many as they like', async ({ cluster, program, spec }) => {
  man = undefined;
  const initSQL = "SELECT repeat('x', 1000) FROM generate_series(1, 100000)";
  const run = await program.start(cluster, ['apply'], { ...spec, databases: [{ name: 'many', initSQL }] });
  const [megabytes, { code, stdout, stderr }] = await Promise.all([peak(run), run.ended]);
  expect({ code, text: stdout + stderr }).toMatchObject({ code: 0 });
  expect(megabytes).toBeLessThan(150);
});
