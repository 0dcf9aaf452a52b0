import { connect, createServer, type Server, type Socket } from 'node:net';

/** What one client connection sent, in the words of the protocol (PostgreSQL documentation, "Message Flow"). */
export interface ConnectionCount {
  readonly group: number;
  database: string;
  application: string;
  /** Messages of the login that wait for an answer: the startup message, and each answer to the server. */
  login: number;
  /** Messages with an answer to wait for afterwards: Query, and Sync, which ends Parse, Bind and Execute. */
  messages: number;
}

export interface Target {
  readonly group: number;
  readonly host: string;
  readonly port: number;
}

export interface CountingProxy {
  /** Where to connect to instead, in the order of the targets. */
  readonly nodes: readonly Target[];
  /** The connections since the last call. */
  take(): readonly ConnectionCount[];
  /** The most connections that were open together since the last call, by group. */
  takePeaks(): ReadonlyMap<number, number>;
  close(): Promise<void>;
}

/**
 * Stands before each server, counts what clients send, and can hold everything up: `roundTripMs` is added to each
 * question and answer, half on either way. It declines TLS, because it could not read what is encrypted.
 */
export async function startProxy(targets: readonly Target[], roundTripMs = 0): Promise<CountingProxy> {
  let counts: ConnectionCount[] = [];
  const open = new Map<number, number>();
  let peaks = new Map<number, number>();
  const sockets = new Set<Socket>();
  const servers = await Promise.all(
    targets.map((target) =>
      listen((client) => {
        const count = { group: target.group, database: '', application: '', login: 0, messages: 0 };
        const upstream = connect({ host: target.host, port: target.port, noDelay: true });
        for (const socket of [client, upstream]) {
          sockets.add(socket);
          socket.on('error', () => undefined);
        }
        client.setNoDelay(true);
        const reader = createReader(count, () => {
          counts.push(count);
          const together = (open.get(target.group) ?? 0) + 1;
          open.set(target.group, together);
          peaks.set(target.group, Math.max(together, peaks.get(target.group) ?? 0));
          client.once('close', () => open.set(target.group, (open.get(target.group) ?? 0) - 1));
        });
        const delay = roundTripMs / 2;
        client.on('data', (chunk: Buffer) => {
          const { forward, answer } = reader(chunk);
          if (answer !== undefined) later(delay * 2, () => client.write(answer));
          if (forward.length > 0) later(delay, () => upstream.write(forward));
        });
        upstream.on('data', (chunk: Buffer) => later(delay, () => client.write(chunk)));
        client.on('close', () => later(delay, () => upstream.destroy()));
        upstream.on('close', () => later(delay, () => client.destroy()));
      }),
    ),
  );
  return {
    nodes: servers.map((server, index) => ({ group: targets[index]?.group ?? 0, ...addressOf(server) })),
    take() {
      const taken = counts;
      counts = [];
      return taken;
    },
    takePeaks() {
      const taken = peaks;
      peaks = new Map(open);
      return taken;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

/** Timers of the same length fire in the order in which they were set, so the order of the bytes is kept. */
function later(milliseconds: number, action: () => void): void {
  if (milliseconds === 0) action();
  else setTimeout(action, milliseconds);
}

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const STARTUP_HEADER = 8;

interface Read {
  readonly forward: Buffer;
  readonly answer?: Buffer;
}

/** Follows the client's messages over the borders of chunks. */
function createReader(count: ConnectionCount, onStart: () => void): (chunk: Buffer) => Read {
  let started = false;
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    if (!started) {
      if (rest.length < STARTUP_HEADER || rest.length < rest.readInt32BE(0)) return { forward: Buffer.alloc(0) };
      const length = rest.readInt32BE(0);
      const code = rest.readInt32BE(4);
      if (code === SSL_REQUEST || code === GSS_REQUEST) {
        rest = rest.subarray(length);
        return { forward: Buffer.alloc(0), answer: Buffer.from('N') };
      }
      started = true;
      const startup = rest.subarray(0, length);
      rest = rest.subarray(length);
      if (code !== CANCEL_REQUEST) {
        readStartup(startup, count);
        onStart();
      }
      return { forward: Buffer.concat([startup, countMessages()]) };
    }
    countMessages();
    return { forward: chunk };
  };

  /** Returns what it has read of whole messages, for the first chunk; later ones are passed on as they came. */
  function countMessages(): Buffer {
    const before = rest;
    while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const type = String.fromCharCode(rest[0] ?? 0);
      if (type === 'p') count.login += 1;
      if (type === 'Q' || type === 'S') count.messages += 1;
      rest = rest.subarray(1 + rest.readInt32BE(1));
    }
    return before;
  }
}

function readStartup(startup: Buffer, count: ConnectionCount): void {
  const fields = startup.toString('utf8', STARTUP_HEADER).split('\0');
  for (let index = 0; index + 1 < fields.length; index += 2) {
    if (fields[index] === 'database') count.database = fields[index + 1] ?? '';
    if (fields[index] === 'application_name') count.application = fields[index + 1] ?? '';
  }
  count.login = 1;
}

function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(onConnection);
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

function addressOf(server: Server): { readonly host: string; readonly port: number } {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return { host: address.address, port: address.port };
}
