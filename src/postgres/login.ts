import type { Socket } from 'node:net';
import type pg from 'pg';
import { Failure } from '../report/errors.ts';
import { AnswerMeter, AnswerTooLarge } from './answerMeter.ts';
import type { ConnectOptions, ConnectTarget } from './connectOptions.ts';
import type { Credentials } from './credentials.ts';
import { type Exchange, newExchange, objection, proofFailure, unproven } from './proof.ts';
import type { ServerAddress } from './serverAddress.ts';
import { startupOptions } from './startup.ts';
import { placeOf, type Stream } from './stream.ts';

/** What the server says while it lets us in. */
export interface Login {
  authenticated: boolean;
  /** How much it says, then and later. */
  readonly answers: AnswerMeter;
  readonly exchange: Exchange;
  backendPid: number;
  secretKey: number;
  serverMajor: number;
  /** in_hot_standby, which servers report from PostgreSQL 14 on. */
  inRecovery: boolean | undefined;
}

export function newLogin(): Login {
  return {
    authenticated: false,
    answers: new AnswerMeter(),
    exchange: newExchange(),
    backendPid: 0,
    secretKey: 0,
    serverMajor: 0,
    inRecovery: undefined,
  };
}

/**
 * Every field is given, and none is empty: pg takes what is missing from PGUSER, PGPASSWORD, PGOPTIONS, PGSSLMODE and
 * so on, or from ~/.pgpass (pg, lib/connection-parameters.js).
 */
export function clientConfig(
  target: ConnectTarget,
  access: Credentials,
  options: ConnectOptions,
  stream: Stream,
  login: Login,
): pg.ClientConfig {
  const { pinned = true, ownSearchPath, settings, applicationName = 'citus-databases' } = options;
  const config: pg.ClientConfig & { readonly replication: string } = {
    user: access.user,
    password: () => passwordFor(target.node, access),
    host: target.node.host,
    port: target.node.port,
    database: target.database,
    application_name: applicationName,
    options: startupOptions({ pinned, ownSearchPath, settings }),
    client_encoding: 'UTF8',
    // else PGREPLICATION would make this a replication connection
    replication: 'false',
    // TLS is spoken already (stream.ts): pg's own way does not have libpq's modes
    ssl: false,
    sslnegotiation: 'postgres',
    // binds the password exchange to the TLS channel where the server offers it, as libpq does
    enableChannelBinding: stream.encrypted,
    connectionTimeoutMillis: 0,
    // clientSession.ts waits for each answer, except where several messages are to go out at once
    pipeline: true,
    stream: () => handOver(stream.socket, target.node, login),
  };
  return config;
}

/**
 * pg connects every stream that it is given; this one is connected already and just says so. What comes from it is
 * watched on its way to pg, whose parser throws at a message that is malformed, and keeps whatever it has of one that never
 * ends.
 */
function handOver(socket: Socket, node: ServerAddress, login: Login): Socket {
  const { answers } = login;
  const listen = socket.on.bind(socket);
  const watched = (event: string, listener: (chunk: Buffer) => void) => {
    if (event !== 'data') return listen(event, listener);
    return listen('data', (chunk: Buffer) => {
      try {
        const taken = answers.take(chunk);
        if (taken.length > 0) listener(taken);
      } catch (error) {
        if (error instanceof AnswerTooLarge) passOn(error.before, listener);
        const failure = error instanceof AnswerTooLarge ? tooLargeFailure(login) : noPostgres;
        socket.destroy(failure(node, error));
      }
    });
  };
  Object.assign(socket, { on: watched });
  socket.connect = () => {
    setImmediate(() => {
      socket.emit('connect');
      // stream.ts left it paused, so that no byte is lost between two readers
      socket.resume();
    });
    return socket;
  };
  return socket;
}

/** What came before a message that is too large. The connection ends in any case. */
function passOn(before: Buffer, listener: (chunk: Buffer) => void): void {
  try {
    if (before.length > 0) listener(before);
  } catch {
    // Malformed as well: the larger message is the reason that is given.
  }
}

function tooLargeFailure({ answers, authenticated }: Login): (node: ServerAddress, error: unknown) => Failure {
  if (answers.kept !== 'login') return answerTooLarge;
  return authenticated ? longSettings : noPostgres;
}

/** Whom it has let in, a server tells settings, search_path among them; libpq gives up as well, at 30,000 bytes (fe-protocol3.c). */
function longSettings(node: ServerAddress, error: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: 'The server has let this user in, and what it says then cannot be read',
      node: placeOf(node),
      cause: error instanceof Error ? error.message : String(error),
      next: 'Look for a very long value in pg_db_role_setting (SELECT setrole::regrole, length(setconfig::text) FROM pg_db_role_setting), and RESET it; else check what is between this program and the server',
    },
    { cause: error },
  );
}

function answerTooLarge(node: ServerAddress, error: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: 'The server answers with more than this program reads',
      node: placeOf(node),
      cause: error instanceof Error ? error.message : String(error),
      next:
        'Look at what answers at that address and at what is between (plan says it without changing anything). A row of ' +
        'initSQL that is so large has to be made smaller',
    },
    { cause: error },
  );
}

function noPostgres(node: ServerAddress, error: unknown): Failure {
  return new Failure(
    {
      kind: 'failed',
      what: "What answers there does not speak PostgreSQL's protocol",
      node: placeOf(node),
      cause: error instanceof Error ? error.message : String(error),
      next: 'Correct host and port of that node in the spec, or check what is between this program and the server',
    },
    { cause: error },
  );
}

/**
 * PgBouncer takes few settings at login, and none that it does not know (PgBouncer documentation, ignore_startup_parameters).
 * undefined: the error is another one.
 */
export function poolerFailure(error: unknown, node: ServerAddress): Failure | undefined {
  if (!(error instanceof Error) || !error.message.startsWith('unsupported startup parameter')) return undefined;
  return new Failure(
    {
      kind: 'invalid',
      what: 'A connection pooler answers there, and not PostgreSQL itself',
      node: placeOf(node),
      cause: error.message,
      next: 'Give host and port of the server itself: locks and settings belong to sessions, which PgBouncer shares out',
    },
    { cause: error },
  );
}

/** Listens before pg does, whose answers are therefore never sent where there is an objection. */
export function followLogin(
  client: pg.Client,
  login: Login,
  { node }: ConnectTarget,
  access: Credentials,
  stream: Stream,
): void {
  const { connection } = client;
  const { exchange } = login;
  const judge = () => {
    const doubt = objection(exchange, access, stream);
    if (doubt !== undefined) stream.socket.destroy(proofFailure(doubt, node));
  };
  connection.once('authenticationOk', () => {
    login.authenticated = true;
    // Whoever has proved nothing says nothing more to us.
    const doubt = unproven(exchange, access, stream);
    if (doubt !== undefined) stream.socket.destroy(proofFailure(doubt, node));
  });
  connection.once('readyForQuery', () => {
    login.answers.begin('all');
  });
  connection.on('authenticationCleartextPassword', () => {
    exchange.asked = 'clear text';
    judge();
  });
  connection.on('authenticationMD5Password', () => {
    exchange.asked = 'MD5';
    judge();
  });
  connection.on('authenticationSASL', ({ mechanisms }: { readonly mechanisms: readonly string[] }) => {
    exchange.asked = 'SCRAM';
    exchange.channelBound = stream.encrypted && mechanisms.includes('SCRAM-SHA-256-PLUS');
    judge();
  });
  // RFC 5802, section 5.1: r=nonce,s=salt,i=iterations. pg takes the last one where a server says it twice.
  connection.on('authenticationSASLContinue', ({ data }: { readonly data: string }) => {
    const said = [...data.matchAll(/(?:^|,)i=(\d+)/g)].map(([, count]) => Number(count));
    exchange.iterations = Math.min(...(said.length === 0 ? [1] : said));
    judge();
  });
  connection.on('authenticationSASLFinal', () => {
    exchange.completed = true;
  });
  connection.once('backendKeyData', (key: { readonly processID: number; readonly secretKey: number }) => {
    login.backendPid = key.processID;
    login.secretKey = key.secretKey;
  });
  connection.on('parameterStatus', (status: { readonly parameterName: string; readonly parameterValue: string }) => {
    if (status.parameterName === 'server_version') login.serverMajor = Number.parseInt(status.parameterValue, 10);
    if (status.parameterName === 'in_hot_standby') login.inRecovery = status.parameterValue === 'on';
  });
}

function passwordFor(node: ServerAddress, access: Credentials): string {
  if (access.password !== undefined) return access.password;
  throw new Failure({
    kind: 'failed',
    what: `The server asks for the password of user ${access.user}, and none is given`,
    node: placeOf(node),
    next: 'Give cluster.passwordFile, or let pg_hba.conf of that server accept the certificate',
  });
}
