import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';
import { runCommandLine } from '../support/commandLine.ts';
import { programTest } from '../support/fixtures.ts';
import { everything, seed } from './support/sample.ts';

/** Documents that were damaged on their way: whatever the bytes, a readable message, and no connection for a wrong spec. */

/** The same documents each day, others the next. */
const SAMPLE = { numRuns: everything ? 2_000 : 200, seed };
/** A damaged document may ask for hours of patience: by then it has been taken for a spec. */
const LONG_MS = 20_000;

const test = programTest
  .extend('document', { scope: 'file' }, ({ folder }) => (port: number): Buffer => {
    return Buffer.from(`cluster:
  name: citusdemo
  passwordFile: ${folder}/password
  coordinator: { group: 0, host: 127.0.0.1, port: ${port} }
  workers:
    - { group: 1, host: localhost, port: ${port} }
databases:
  - name: skymap
    maxAttempts: 1
    retryDelaySeconds: 1
    workerGroups: ["1"]
    extensions: [hstore, { name: pg_trgm, schema: tools }]
    schemas: [{ name: analytics, owner: postgres }]
    parameters: { timezone: "UTC", search_path: "analytics,public" }
    initSQL: |
      CREATE TABLE t (a int); -- 'x'
      SELECT $body$ ; $body$;
`);
  })
  /**
   * Each document has a node, and a port, of its own: a connection that a run before it gave up on may be accepted when
   * the next run has begun.
   */
  .extend(
    'run',
    { scope: 'file' },
    ({ folder }) =>
      async (documentFor: (port: number) => Uint8Array): Promise<Ended> => {
        const listener = await listen();
        try {
          const file = path.join(folder, 'spec.yaml');
          await writeFile(file, documentFor(listener.port));
          let timer: NodeJS.Timeout | undefined;
          const { code, out } = await runCommandLine(['apply', '--spec', file], (handler) => {
            timer = setTimeout(() => handler('SIGTERM'), LONG_MS);
          });
          clearTimeout(timer);
          return { code, text: out, connections: await listener.connections() };
        } finally {
          listener.close();
        }
      },
  )
  .extend(
    'expectReadable',
    { scope: 'file' },
    ({ run }) =>
      async (documentFor: (port: number) => Uint8Array): Promise<Ended> => {
        const ended = await run(documentFor);
        // 1: the document is still a spec, and nobody answers at its port. 143: it is a spec with much patience.
        expect([1, 2, 143]).toContain(ended.code);
        expect(ended.text).not.toContain('has a defect');
        expect(ended.text).toMatch(/^ERROR: .+|Stopped by SIGTERM/m);
        if (ended.code === 2) expect(ended.connections).toBe(0);
        return ended;
      },
  );

test.beforeAll(async ({ folder }) => {
  await writeFile(path.join(folder, 'password'), 'secret of this test\n', { mode: 0o600 });
});

interface Ended {
  readonly code: number;
  readonly text: string;
  /** How many the program made to the port of the document. */
  readonly connections: number;
}

interface Listener {
  readonly port: number;
  /** Up to now: whatever was asked for before this call is accepted before its own connection is. */
  connections(): Promise<number>;
  close(): void;
}

async function listen(): Promise<Listener> {
  let accepted = 0;
  const server = net.createServer((socket) => {
    accepted += 1;
    socket.on('error', () => undefined);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The listener has no port');
  return {
    port: address.port,
    async connections() {
      const last = net.connect(address.port, '127.0.0.1');
      await new Promise((resolve) => last.on('error', () => undefined).once('close', resolve));
      return accepted - 1;
    },
    close: () => void server.close(),
  };
}

type Damage = (bytes: Buffer) => Buffer;

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const damage: fc.Arbitrary<Damage> = fc.oneof(
  // another byte, a piece lost, a piece twice, a piece put in, the end missing
  fc.tuple(place, fc.nat(255)).map(
    ([at, byte]): Damage =>
      (bytes) => {
        const copy = Buffer.from(bytes);
        copy[Math.floor(at * copy.length)] = byte;
        return copy;
      },
  ),
  fc.tuple(place, fc.nat(40)).map(
    ([at, length]): Damage =>
      (bytes) => {
        const start = Math.floor(at * bytes.length);
        return Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + length)]);
      },
  ),
  fc.tuple(place, place, fc.nat(60)).map(
    ([from, to, length]): Damage =>
      (bytes) => {
        const start = Math.floor(from * bytes.length);
        const target = Math.floor(to * bytes.length);
        return Buffer.concat([
          bytes.subarray(0, target),
          bytes.subarray(start, start + length),
          bytes.subarray(target),
        ]);
      },
  ),
  fc
    .tuple(
      place,
      fc.oneof(
        fc.uint8Array({ maxLength: 8 }).map((array) => Buffer.from(array)),
        fc.string().map((text) => Buffer.from(text)),
      ),
    )
    .map(
      ([at, piece]): Damage =>
        (bytes) => {
          const target = Math.floor(at * bytes.length);
          return Buffer.concat([bytes.subarray(0, target), piece, bytes.subarray(target)]);
        },
    ),
  place.map(
    (at): Damage =>
      (bytes) =>
        bytes.subarray(0, Math.floor(at * bytes.length)),
  ),
);

test('a good document gets as far as the nodes', async ({ document, expectReadable }) => {
  const { code, connections } = await expectReadable(document);
  expect(code).toBe(1);
  expect(connections).toBeGreaterThan(0);
});

test('damaged documents', { timeout: 1_800_000 }, async ({ document, expectReadable }) => {
  const codes = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
      const { code } = await expectReadable((port) => damages.reduce((bytes, each) => each(bytes), document(port)));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }),
    SAMPLE,
  );
  console.log(`Damaged documents: seed ${seed}, exit codes and how often:`, Object.fromEntries(codes));
  expect(codes.get(2)).toBeGreaterThan(0);
});

test('bytes of any kind', async ({ expectReadable }) => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      expect((await expectReadable(() => bytes)).code).toBe(2);
    }),
    SAMPLE,
  );
});
