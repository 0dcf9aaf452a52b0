import { createHash } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { runProgram, specOf } from '../support/program.ts';

/** A server gets the superuser's password, or a proof of it, only once it has proved to be the one that is meant. */

const test = clusterTest({
  workers: 1,
  citus: 'standIn',
  hba: [
    'host all trusted all trust',
    'host all hashed all md5',
    'host all few all scram-sha-256',
    'host all all all scram-sha-256',
  ],
})
  .extend('waitAs', { scope: 'file' }, ({ cluster }) => async (user: string, more: object = {}) => {
    const spec = specOf(cluster, [{ name: 'skymap', maxAttempts: 1 }], {
      groups: [],
      cluster: { user, citus: false, workers: undefined, ...more },
    });
    return await runProgram(cluster, ['wait'], spec);
  })
  /** What the program does when it meets the server that pretends. */
  .extend('met', { scope: 'file' }, ({ cluster }) => async () => {
    received = [];
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const spec = {
      cluster: { citus: false, passwordFile: cluster.passwordFile, coordinator: { host: '127.0.0.1', port } },
      ssl: { mode: 'disable' },
      databases: [{ name: 'skymap', maxAttempts: 1 }],
    };
    const { code, stdout, stderr } = await runProgram(cluster, ['wait'], spec);
    return { code, text: stdout + stderr, sent: Buffer.concat(received).toString('latin1') };
  });

let server: Server;
let received: Buffer[] = [];

test.beforeAll(async ({ cluster }) => {
  await query(cluster, 0, 'postgres', 'CREATE ROLE trusted SUPERUSER LOGIN');
  const md5 = createHash('md5').update(`${cluster.password}hashed`).digest('hex');
  await query(cluster, 0, 'postgres', `CREATE ROLE hashed SUPERUSER LOGIN PASSWORD 'md5${md5}'`);
});

describe('a real server', () => {
  test.for([
    ['trusted', 'let us in without proving that it knows the password'],
    ['hashed', 'asks for the password as an MD5 hash'],
  ] as const)('%s', async ([user, words], { waitAs }) => {
    const refused = await waitAs(user);
    expect({ code: refused.code, text: refused.stdout + refused.stderr }).toEqual({
      code: 1,
      text: expect.stringContaining(words),
    });
    const accepted = await waitAs(user, { acceptServerWithoutProof: true });
    expect({ code: accepted.code, text: accepted.stdout + accepted.stderr }).toEqual({
      code: 0,
      text: expect.any(String),
    });
  });

  test('by SCRAM it proves itself', async ({ waitAs }) => {
    expect((await waitAs('postgres')).code).toBe(0);
  });
});

describe('a server that pretends', () => {
  let answer: (socket: Socket, message: Buffer) => void = () => undefined;

  beforeAll(async () => {
    server = createServer((socket) => {
      let count = 0;
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => {
        // The request for TLS (PostgreSQL documentation, "SSL Session Encryption").
        if (chunk.length === 8) return void socket.write('N');
        count += 1;
        if (count > 1) received.push(chunk);
        answer(socket, chunk);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterAll(() => server.close());

  const authentication = (code: number, rest = Buffer.alloc(0)) => {
    const head = Buffer.alloc(9);
    head.write('R');
    head.writeInt32BE(8 + rest.length, 1);
    head.writeInt32BE(code, 5);
    return Buffer.concat([head, rest]);
  };
  const IN = Buffer.concat([authentication(0), Buffer.from('Z\0\0\0\u0005I', 'latin1')]);

  test('trust', async ({ met }) => {
    answer = (socket) => void socket.write(IN);
    expect(await met()).toMatchObject({
      code: 1,
      text: expect.stringContaining('without proving that it knows the password'),
    });
  });

  test.for([
    ['clear text', authentication(3), 'in clear text'],
    ['MD5', authentication(5, Buffer.from('salt')), 'as an MD5 hash'],
  ] as const)('%s', async ([_, request, words], { met }) => {
    answer = (socket) => void socket.write(request);
    const { code, text, sent } = await met();
    expect({ code, text, sent }).toEqual({
      code: 1,
      text: expect.stringContaining(words),
      sent: expect.not.stringMatching(/^p/),
    });
  });

  test('SCRAM with one iteration gets no proof of the password', async ({ met }) => {
    answer = (socket, message) => {
      if (message.toString('latin1').startsWith('p')) {
        const nonce = /r=([^,\0]+)/.exec(message.toString('latin1'))?.[1] ?? '';
        socket.write(authentication(11, Buffer.from(`r=${nonce}server,s=${Buffer.alloc(16).toString('base64')},i=1`)));
      } else socket.write(authentication(10, Buffer.from('SCRAM-SHA-256\0\0')));
    };
    const { code, text, sent } = await met();
    expect({ code, text }).toEqual({
      code: 1,
      text: expect.stringContaining('SCRAM with 1 iterations, fewer than 4096'),
    });
    expect(sent).not.toContain('p=');
  });

  test('a message that is shorter than it says is no crash', async ({ met }) => {
    answer = (socket) => void socket.write(Buffer.from('K\0\0\0\u0008\0\0\0\u0005', 'latin1'));
    expect(await met()).toMatchObject({
      code: 1,
      text: expect.stringContaining("does not speak PostgreSQL's protocol"),
    });
  });

  test('a message without an end takes no memory', async ({ met }) => {
    answer = (socket) => {
      socket.write(Buffer.from('R\x7f\xff\xff\xff', 'latin1'));
      const chunk = Buffer.alloc(32 * 1024, 'x');
      const more = () => {
        while (!socket.destroyed && socket.write(chunk));
      };
      socket.on('drain', more);
      more();
    };
    expect(await met()).toMatchObject({
      code: 1,
      text: expect.stringContaining("does not speak PostgreSQL's protocol"),
    });
  });

  test('SCRAM that ends before the server has proved anything', async ({ met }) => {
    answer = (socket, message) => {
      if (message.toString('latin1').startsWith('p')) socket.write(IN);
      else socket.write(authentication(10, Buffer.from('SCRAM-SHA-256\0\0')));
    };
    expect(await met()).toMatchObject({
      code: 1,
      text: expect.stringContaining('without proving that it knows the password'),
    });
  });
});
