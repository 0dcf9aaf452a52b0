import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../../src/cli.ts';

/** Documents that were damaged on their way: whatever the bytes, a readable message, and no connection for a wrong spec. */

const RUNS = process.env['FAULTS'] === 'all' ? 2_000 : 200;

let folder: string;
let server: net.Server;
let port: number;
let connections = 0;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'citus-databases-bad-input-'));
  await writeFile(path.join(folder, 'password'), 'secret\n', { mode: 0o600 });
  server = net.createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});

afterAll(async () => {
  server?.close();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

function document(): Buffer {
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
}

interface Ended {
  readonly code: number;
  readonly text: string;
  readonly milliseconds: number;
}

async function run(bytes: Uint8Array): Promise<Ended> {
  const file = path.join(folder, 'spec.yaml');
  await writeFile(file, bytes);
  let text = '';
  const stream = () =>
    new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    });
  const startedAt = performance.now();
  const outputs = { stdout: stream(), stderr: stream(), interactive: false, onSignal: () => {} };
  const code = await runCli(['apply', '--spec', file], outputs);
  return { code, text, milliseconds: performance.now() - startedAt };
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

async function expectReadable(bytes: Uint8Array): Promise<number> {
  const before = connections;
  const { code, text, milliseconds } = await run(bytes);
  // 1: the document is still a spec, and nobody answers at its port.
  expect([1, 2]).toContain(code);
  expect(text).not.toContain('has a defect');
  expect(text).toMatch(/^ERROR: .+/m);
  if (code === 2) {
    expect(connections).toBe(before);
    // A second on a machine that has other things to do as well.
    expect(milliseconds).toBeLessThan(5_000);
  }
  return code;
}

test('a good document gets as far as the nodes', async () => {
  expect(await expectReadable(document())).toBe(1);
  expect(connections).toBeGreaterThan(0);
});

test('damaged documents', { timeout: 1_800_000 }, async () => {
  const codes = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
      const code = await expectReadable(damages.reduce((bytes, each) => each(bytes), document()));
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }),
    { numRuns: RUNS },
  );
  console.log('Exit codes and how often:', Object.fromEntries(codes));
  expect(codes.get(2)).toBeGreaterThan(0);
});

test('bytes of any kind', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      expect(await expectReadable(bytes)).toBe(2);
    }),
    { numRuns: RUNS },
  );
});
