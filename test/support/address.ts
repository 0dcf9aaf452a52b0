/** An address of a server that the nodes use among themselves, and that leads elsewhere, or nowhere, from a moment on. */
import { once } from 'node:events';
import net from 'node:net';

export interface Address {
  readonly port: number;
  leadTo(port: number): void;
  /** Whoever connects from now on is let in and hears nothing. */
  silence(): void;
  stop(): void;
}

export async function startAddress(first: number): Promise<Address> {
  let target: number | undefined = first;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    if (target === undefined) {
      sockets.add(client);
      client.on('error', () => undefined);
      return;
    }
    const upstream = net.connect(target, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => (socket === client ? upstream : client).destroy());
    }
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const listening = server.address();
  if (listening === null || typeof listening === 'string') throw new Error('The server has no port');
  return {
    port: listening.port,
    leadTo(port) {
      target = port;
    },
    silence() {
      target = undefined;
      for (const socket of sockets) socket.destroy();
    },
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
