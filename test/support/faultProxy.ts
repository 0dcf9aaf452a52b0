/**
 * A TCP proxy between the program and one node, which can break a connection at an exact point of the conversation. It
 * reads the frontend's messages (PostgreSQL documentation, "Message Formats"), so connections must be plain: `ssl`
 * disabled. One screen of usage:
 *
 *     const proxy = await startFaultProxy(node);                        // listens on 127.0.0.1, port proxy.port
 *     proxy.reset();                                                    // forget what was counted, let all pass
 *     proxy.reset({ at: 7, moment: 'sent', strike: () => 'cut' });      // the 7th message with a statement is the last
 *     proxy.messages();                                                 // how many messages with a statement came
 *     proxy.struck();                                                   // whether the fault came to pass
 *     proxy.reset({ at: 7, moment: 'before', silent: true });           // from then on it answers nothing
 *     proxy.reset({ at: 7, moment: 'answered', swallowed: true });      // it executes; that session hears no more of it
 *     proxy.silence();                                                  // accept and take everything, answer nothing
 *     await proxy.stop();
 *
 * A message carries a statement when it is Query, Parse or Sync: with Sync an extended query is executed for good. Flush
 * counts too: what is sent ahead has no Sync behind each statement.
 */
import net from 'node:net';

/**
 * - before: the server never gets the message.
 * - sent: it gets the message and is cut off at once, so that it executes without anybody to tell.
 * - answered: it has executed and answered; the answer is lost.
 */
export type Moment = 'before' | 'sent' | 'answered';
export const MOMENTS: readonly Moment[] = ['before', 'sent', 'answered'];

export interface Fault {
  /** 1-based, over all connections to the node. */
  readonly at: number;
  readonly moment: Moment;
  /** No cut: from this message on, which it does not get, the node is silent. */
  readonly silent?: boolean | undefined;
  /** No cut: the session stays open and hears nothing any more; others are let through. */
  readonly swallowed?: boolean | undefined;
  /** What happens at that moment, before the connection is cut. */
  readonly strike?: (() => Promise<void> | void) | undefined;
}

export interface FaultProxy {
  readonly group: number;
  readonly port: number;
  /** Texts of the messages that carried a statement, in the order in which they came; Sync has none. */
  messages(): readonly string[];
  struck(): boolean;
  /** Starts to count anew. Connections that are open stay open; silence ends. */
  reset(fault?: Fault): void;
  /** From now on nothing is passed on, in either direction, and new connections are accepted and left alone. */
  silence(): void;
  stop(): Promise<void>;
}

export const SYNC = 'Sync';
export const FLUSH = 'Flush';
const STATEMENT_TYPES = new Map<string, (body: Buffer) => string>([
  ['Q', (body) => body.toString('utf8', 0, body.length - 1)],
  ['P', (body) => body.toString('utf8', body.indexOf(0) + 1, body.indexOf(0, body.indexOf(0) + 1))],
  ['S', () => SYNC],
  ['H', () => FLUSH],
]);
const READY_FOR_QUERY = 'Z';

export async function startFaultProxy(node: {
  readonly group: number;
  readonly host: string;
  readonly port: number;
}): Promise<FaultProxy> {
  const sockets = new Set<net.Socket>();
  let fault: Fault | undefined;
  let seen: string[] = [];
  let struck = false;
  let silent = false;

  const server = net.createServer((client) => {
    const upstream = net.connect(node.port, node.host);
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        // In silence the program is left to find out by itself.
        if (!silent) (socket === client ? upstream : client).destroy();
      });
    }
    const frontend = messageReader(true);
    const backend = messageReader(false);
    let ended = false;
    let cutOnAnswer = false;
    let swallowed = false;

    async function cut(): Promise<void> {
      ended = true;
      await fault?.strike?.();
      client.destroy();
      // A proper end: the server reads what it was sent before it learns that nobody is there.
      upstream.end();
    }

    client.on('data', (data) => {
      if (silent || ended) return;
      for (const message of frontend(data)) {
        if (ended) return;
        const textOf = STATEMENT_TYPES.get(message.type);
        if (textOf !== undefined) seen.push(textOf(message.bytes.subarray(5)));
        const hit = textOf !== undefined && !struck && fault?.at === seen.length ? fault : undefined;
        if (hit !== undefined) struck = true;
        if (hit?.silent === true) silent = true;
        if (silent) return;
        if (hit?.moment !== 'before') upstream.write(message.bytes);
        if (hit?.swallowed === true) swallowed = true;
        else if (hit?.moment === 'answered') cutOnAnswer = true;
        else if (hit !== undefined) void cut();
      }
    });
    upstream.on('data', (data) => {
      if (silent || ended || swallowed) return;
      const messages = backend(data);
      if (cutOnAnswer && messages.some(({ type }) => type === READY_FOR_QUERY || type === '1')) {
        void cut();
        return;
      }
      if (!cutOnAnswer) client.write(data);
    });
  });
  const port = await listen(server);

  return {
    group: node.group,
    port,
    messages: () => seen,
    struck: () => struck,
    reset(next) {
      fault = next;
      seen = [];
      struck = false;
      if (silent) for (const socket of sockets) socket.destroy();
      silent = false;
    },
    silence() {
      silent = true;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Message {
  /** '' for what comes before the first typed message: the startup packet, or a request to cancel. */
  readonly type: string;
  readonly bytes: Buffer;
}

/** Cuts a stream into messages, whatever pieces it arrives in. */
function messageReader(startup: boolean): (data: Buffer) => readonly Message[] {
  let untyped = startup;
  let rest = Buffer.alloc(0);
  return (data) => {
    rest = Buffer.concat([rest, data]);
    const messages: Message[] = [];
    for (;;) {
      const head = untyped ? 0 : 1;
      if (rest.length < head + 4) return messages;
      const length = head + rest.readInt32BE(head);
      if (rest.length < length) return messages;
      const bytes = rest.subarray(0, length);
      messages.push({ type: untyped ? '' : String.fromCharCode(bytes[0] ?? 0), bytes });
      rest = rest.subarray(length);
      untyped = false;
    }
  };
}

async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port');
  return address.port;
}
