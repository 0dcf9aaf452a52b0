import { mkdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeEach, expect } from 'vitest';
import { createAuthority } from '../support/certificates.ts';
import { nodeOf } from '../support/cluster.ts';
import { tlsClusterTest } from '../support/fixtures.ts';
import { runProgram } from '../support/program.ts';

/**
 * Somebody on the network between this program and a server that speaks TLS: what they may answer, and what they get. The
 * server is real, its Citus does not matter.
 */

const authority = createAuthority('Authority of the cluster');
const server = authority.issue({ commonName: 'postgres', dns: ['localhost'], ip: ['127.0.0.1'] });
const own = createAuthority('Somebody else').issue({ commonName: 'postgres', dns: ['localhost'], ip: ['127.0.0.1'] });

const test = tlsClusterTest({ server, authority }, { workers: 0, citus: 'none' })
  .extend('relay', { scope: 'file' }, ({ cluster }) => (client: net.Socket, first?: Buffer): void => {
    const { answer, change = (chunk: Buffer) => chunk, endless, upstream } = man;
    const watch = (chunk: Buffer) => void seen.push(chunk);
    if (upstream === 'nobody') {
      const reply = (chunk: Buffer) => {
        watch(chunk);
        if (endless !== undefined) talk(client, endless);
        const text = answer?.(chunk);
        if (text !== undefined) client.write(text);
      };
      if (first !== undefined) reply(first);
      client.on('data', reply);
      return;
    }
    const { host, port } = nodeOf(cluster, 0);
    const tcp = net.connect(port, host);
    tcp.on('error', () => undefined);
    const join = (target: net.Socket) => {
      target.on('error', () => undefined);
      if (first !== undefined) target.write(first);
      client.on('data', (chunk) => {
        watch(chunk);
        target.write(chunk);
      });
      target.on('data', (chunk) => void client.write(change(chunk)));
      target.on('close', () => client.destroy());
      client.on('close', () => target.destroy());
    };
    if (upstream === 'plain') {
      join(tcp);
      return;
    }
    client.pause();
    tcp.write(SSL_REQUEST);
    tcp.once('data', () => {
      const secured = tls.connect({ socket: tcp, rejectUnauthorized: false }, () => {
        join(secured);
        client.resume();
      });
      secured.on('error', () => undefined);
    });
  })
  .extend(
    'run',
    { scope: 'file' },
    ({ cluster, folder }) =>
      async (command: 'wait' | 'apply', mode: string, ca: 'with' | 'without' = 'without') => {
        const address = proxy.address();
        const port = typeof address === 'object' && address !== null ? address.port : 0;
        const spec = {
          cluster: { citus: false, passwordFile: cluster.passwordFile, coordinator: { host: '127.0.0.1', port } },
          ssl: { enabled: true, mode, directory: path.join(folder, ca) },
          databases: [
            {
              ...{ name: 'skymap', maxAttempts: 1 },
              ...(command === 'wait'
                ? {}
                : { users: [{ name: 'reader', passwordFile: cluster.passwordFile, access: 'readOnly' }] }),
            },
          ],
        };
        const { code, stdout, stderr, milliseconds } = await runProgram(cluster, [command], spec);
        const sent = Buffer.concat(seen).toString('latin1');
        expect(sent).not.toContain(cluster.password);
        expect(milliseconds).toBeLessThan(30_000);
        return { code, text: stdout + stderr, sent };
      },
  )
  .extend(
    'wait',
    { scope: 'file' },
    ({ run }) =>
      (mode: string, ca: 'with' | 'without' = 'without') =>
        run('wait', mode, ca),
  )
  .extend('stand', { scope: 'file' }, ({ relay }) => (client: net.Socket): void => {
    client.on('error', () => undefined);
    client.once('data', (first) => {
      if (!first.equals(SSL_REQUEST)) return relay(client, first);
      if (man.tls === 'none') {
        client.write('N');
        return relay(client);
      }
      client.write('S');
      const secured = new tls.TLSSocket(client, { isServer: true, key: own.key, cert: own.certificate });
      secured.on('error', () => undefined);
      relay(secured);
    });
  });

let proxy: net.Server;
let man: Man;
let seen: Buffer[] = [];

/** How they stand in between. */
interface Man {
  /** To the program's request for TLS: no, or a certificate of their own. */
  readonly tls: 'none' | 'own';
  /** To the server. */
  readonly upstream: 'plain' | 'tls' | 'nobody';
  /** What becomes of the server's messages. */
  readonly change?: (chunk: Buffer) => Buffer;
  /** In place of a server, to each message of the program. */
  readonly answer?: (chunk: Buffer) => Buffer | undefined;
  /** The same, and it never ends. */
  readonly endless?: { readonly head: Buffer; readonly chunk: Buffer; readonly onSent: (bytes: number) => void };
}

test.beforeAll(async ({ folder, stand }) => {
  await mkdir(path.join(folder, 'with'));
  await mkdir(path.join(folder, 'without'));
  await writeFile(path.join(folder, 'with', 'ca.crt'), authority.certificate);
  proxy = net.createServer((client) => stand(client));
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  proxy?.close();
});

beforeEach(() => {
  seen = [];
});

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

function talk(client: net.Socket, { head, chunk, onSent }: NonNullable<Man['endless']>): void {
  client.write(head);
  const more = () => {
    if (client.destroyed) return;
    onSent(chunk.length);
    client.write(chunk, () => setTimeout(more, 1));
  };
  more();
}

const without = (what: string) => (chunk: Buffer) => {
  const at = chunk.indexOf(what);
  if (at === -1) return chunk;
  const rest = Buffer.concat([chunk.subarray(0, at), chunk.subarray(at + what.length)]);
  rest.writeInt32BE(rest.length - 1, 1);
  return rest;
};

const PLUS = 'SCRAM-SHA-256-PLUS\0';

test('nobody in between: each mode gets in', async ({ wait }) => {
  man = { tls: 'none', upstream: 'plain' };
  expect(await wait('disable')).toMatchObject({ code: 0 });
});

test.for(['require', 'verify-ca', 'verify-full'])('TLS taken away, %s: nothing is said', async (mode, { wait }) => {
  man = { tls: 'none', upstream: 'plain' };
  expect(await wait(mode, 'with')).toEqual({ code: 1, text: expect.stringContaining('does not speak TLS'), sent: '' });
});

test('TLS taken away, prefer: the exchange is overheard, and the password is not in it', async ({ wait }) => {
  man = { tls: 'none', upstream: 'plain' };
  const { code, sent } = await wait('prefer');
  expect(code).toBe(0);
  expect(sent).toContain('SCRAM-SHA-256');
});

test.for([
  ['TLS taken away', { tls: 'none', upstream: 'plain' }],
  ['another certificate', { tls: 'own', upstream: 'tls', change: without(PLUS) }],
] as const)('%s, prefer: no verifier of a password is sent', async ([_, between], { run }) => {
  man = between;
  const { code, text, sent } = await run('apply', 'prefer');
  expect({ code, text }).toEqual({
    code: 3,
    text: expect.stringContaining('The server offers TLS, and somebody in between could read this connection'),
  });
  expect(sent).not.toContain('SCRAM-SHA-256$');
});

test('TLS taken away, disable: that is what was asked for', async ({ run }) => {
  man = { tls: 'none', upstream: 'plain' };
  expect(await run('apply', 'disable')).toMatchObject({ code: 0, sent: expect.stringContaining('SCRAM-SHA-256$') });
});

test.for(['verify-ca', 'verify-full', 'require'])(
  'another certificate, %s with an authority: nothing is said',
  async (mode, { wait }) => {
    man = { tls: 'own', upstream: 'tls' };
    expect(await wait(mode, 'with')).toMatchObject({ code: 1, sent: '' });
  },
);

test('another certificate, require without an authority: the exchange is bound to it, and the server refuses', async ({
  wait,
}) => {
  man = { tls: 'own', upstream: 'tls' };
  expect(await wait('require')).toMatchObject({
    code: 1,
    text: expect.stringContaining('SCRAM channel binding check failed'),
  });
});

test('the offer of channel binding taken away, require: no answer', async ({ wait }) => {
  man = { tls: 'own', upstream: 'tls', change: without(PLUS) };
  const { code, text, sent } = await wait('require');
  expect({ code, text }).toEqual({ code: 1, text: expect.stringContaining('offers no SCRAM-SHA-256-PLUS over TLS') });
  expect(sent).not.toContain('n=*');
});

function authentication(kind: number, rest: string | Buffer = ''): Buffer {
  const body = Buffer.from(rest);
  const head = Buffer.alloc(9);
  head.write('R');
  head.writeInt32BE(8 + body.length, 1);
  head.writeInt32BE(kind, 5);
  return Buffer.concat([head, body]);
}

const IN = Buffer.concat([authentication(0), Buffer.from('Z\0\0\0\u0005I', 'latin1')]);
const SALT = Buffer.alloc(16).toString('base64');

/** Asks for SCRAM, and says of iterations what `attributes` makes of the client's nonce. */
function scram(attributes: (nonce: string) => string): (chunk: Buffer) => Buffer {
  return (chunk) => {
    const nonce = /n=\*,r=([^,\0]+)/.exec(chunk.toString('latin1'))?.[1];
    if (nonce === undefined) return authentication(10, 'SCRAM-SHA-256\0\0');
    return authentication(11, attributes(`${nonce}more`));
  };
}

test.for([
  ['clear text', () => authentication(3), 'in clear text'],
  ['MD5', () => authentication(5, 'salt'), 'as an MD5 hash'],
  ['nothing', () => IN, 'without proving that it knows the password'],
  ['a Kerberos ticket', () => authentication(7), ''],
  ['SCRAM with one iteration', scram((nonce) => `r=${nonce},s=${SALT},i=1`), 'with 1 iterations'],
  ['4,096 iterations, and then one', scram((nonce) => `r=${nonce},s=${SALT},i=4096,i=1`), ''],
  ['4,096 iterations, and first one', scram((nonce) => `r=${nonce},s=${SALT},i=1,i=4096`), ''],
  ['no iterations', scram((nonce) => `r=${nonce},s=${SALT},i=0`), ''],
  ['more iterations than a day has time for', scram((nonce) => `r=${nonce},s=${SALT},i=2147483647`), ''],
  ['an extension that must be understood', scram((nonce) => `m=x,r=${nonce},s=${SALT},i=1`), ''],
  ['another nonce', scram(() => `r=other,s=${SALT},i=4096`), ''],
] as const)('a server that asks for %s gets no proof of the password', async ([_, answer, words], { wait }) => {
  for (const [mode, kind] of [
    ['prefer', 'own'],
    ['prefer', 'none'],
    ['disable', 'none'],
  ] as const) {
    seen = [];
    man = { tls: kind, upstream: 'nobody', answer };
    const { code, text, sent } = await wait(mode);
    expect({ mode, code, text }).toEqual({ mode, code: 1, text: expect.stringContaining(words) });
    // The client's proof (RFC 5802, section 7), with which the password can be guessed offline.
    expect(sent).not.toContain(',p=');
  }
});

test('a server that lets everybody in and never stops talking is not listened to', async ({ wait }) => {
  // A parameter's status of 1 GB, of which a chunk comes for each millisecond.
  const head = Buffer.from('S\x3f\xff\xff\xff', 'latin1');
  const chunk = Buffer.alloc(1_000_000, 'x');
  let sent = 0;
  man = {
    tls: 'none',
    upstream: 'nobody',
    endless: {
      head: Buffer.concat([authentication(0), head]),
      chunk,
      onSent: (bytes) => {
        sent += bytes;
      },
    },
  };
  const { code, text } = await wait('disable');
  expect({ code, text }).toEqual({
    code: 1,
    text: expect.stringContaining('without proving that it knows the password'),
  });
  // What was on its way when the program hung up.
  expect(sent).toBeLessThan(20_000_000);
});

test('an exchange that is handed on to a server with another password ends there', async ({ cluster }) => {
  const { host, port } = nodeOf(cluster, 0);
  // The same server, as a role that has another one: what a stolen name or address amounts to.
  const spec = {
    cluster: { citus: false, user: 'other', passwordFile: cluster.passwordFile, coordinator: { host, port } },
    ssl: { mode: 'disable' },
    databases: [{ name: 'skymap', maxAttempts: 1 }],
  };
  const { code, stdout, stderr } = await runProgram(cluster, ['wait'], spec);
  expect({ code, text: stdout + stderr }).toEqual({
    code: 1,
    text: expect.stringContaining('password authentication failed'),
  });
});
