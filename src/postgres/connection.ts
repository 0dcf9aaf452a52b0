import pg from 'pg';
import { Failure } from '../report/errors.ts';
import type { Activity } from './activity.ts';
import { createSession } from './clientSession.ts';
import type { ConnectOptions, ConnectTarget } from './connectOptions.ts';
import type { Credentials } from './credentials.ts';
import { NoAnswer, withLimit } from './limit.ts';
import { clientConfig, followLogin, type Login, newLogin, poolerFailure } from './login.ts';
import { probeOf } from './probe.ts';
import { mayBeOverheard, proofFailure, unproven } from './proof.ts';
import type { Session } from './session.ts';
import { codeOf } from './sqlstate.ts';
import { SQLSTATE } from './sqlstates.ts';
import {
  HandshakeFailed,
  isSocketDirectory,
  openStream,
  placeOf,
  type Stream,
  sendCancel,
  type Way,
} from './stream.ts';
import { OLDER, rejectedByServer } from './tls.ts';

export type { ConnectOptions, ConnectTarget, Notice } from './connectOptions.ts';
export {
  LONG_MS,
  type QueryOptions,
  type QueryResult,
  type ScriptOptions,
  type Session,
  UNLIMITED,
} from './session.ts';

/** PostgreSQL's own database, where locks and bookkeeping live and where a node is asked whether it is ready. */
export const MAINTENANCE_DATABASE = 'postgres';

const CONNECT_TIMEOUT_MS = 10_000;
const CANCEL_TIMEOUT_MS = 2_000;
const PROBE_AFTER_MS = 30_000;

/** Opens a session. Throws PostgreSQL's or the system's error (sqlstate.ts reads both), or a Failure about TLS. */
export async function connect(
  target: ConnectTarget,
  access: Credentials,
  options: ConnectOptions = {},
): Promise<Session> {
  const milliseconds = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  const expired = () => new NoAnswer(`No answer from ${placeOf(target.node)} within ${milliseconds / 1000} s`);
  return withLimit({ milliseconds, signal: options.signal, expired }, (limit) =>
    connectWithoutMissingLibraries({ target, access, options, limit }),
  );
}

/** undefined_file: of a library that session_preload_libraries names. */
const NO_SUCH_FILE = '58P01';

/**
 * What the role or the database has in session_preload_libraries lets nobody in when a library is not there. Only a
 * superuser may say otherwise, so that is not said to everybody; the setting itself is judged once we are in.
 */
async function connectWithoutMissingLibraries(attempt: Attempt): Promise<Session> {
  try {
    return await connectInMode(attempt);
  } catch (error) {
    const { options } = attempt;
    if (codeOf(error) !== NO_SUCH_FILE || options.pinned === false) throw error;
    const settings = { ...options.settings, session_preload_libraries: '' };
    return await connectInMode({ ...attempt, options: { ...options, settings } });
  }
}

interface Attempt {
  readonly target: ConnectTarget;
  readonly access: Credentials;
  readonly options: ConnectOptions;
  readonly limit: AbortSignal;
}

/**
 * `allow` goes without TLS first, `prefer` with it; each tries the other way when the handshake failed, or when the
 * server turned the first one down before it had let us in (libpq, src/interfaces/libpq/fe-connect.c).
 */
async function connectInMode(attempt: Attempt): Promise<Session> {
  const [first, second] = waysOf(attempt);
  try {
    return await connectOnce(attempt, first);
  } catch (error) {
    if (!canTryOtherWay(error) || second === undefined) throw unwrap(error);
    try {
      return await connectOnce(attempt, second);
    } catch (secondError) {
      throw moreTelling(unwrap(error), unwrap(secondError));
    }
  }
}

function waysOf({ access, target }: Attempt): readonly [Way, Way?] {
  // a local socket has no TLS, whatever the mode
  if (isSocketDirectory(target.node.host)) return ['plain'];
  switch (access.tls.mode) {
    case 'disable':
      return ['plain'];
    case 'allow':
      return ['plain', 'tls'];
    case 'prefer':
      return ['tls', 'plain'];
    default:
      return ['tls'];
  }
}

/** The server turned the connection down before authentication was through. */
class TurnedDown extends Error {}

function canTryOtherWay(error: unknown): boolean {
  return error instanceof TurnedDown || error instanceof HandshakeFailed;
}

function unwrap(error: unknown): unknown {
  return error instanceof TurnedDown || error instanceof HandshakeFailed ? error.cause : error;
}

/** `no pg_hba.conf entry` (28000) often says only that this was the wrong one of two ways. */
function moreTelling(first: unknown, second: unknown): unknown {
  return codeOf(second) === SQLSTATE.invalidAuthorizationSpecification &&
    codeOf(first) !== SQLSTATE.invalidAuthorizationSpecification
    ? first
    : second;
}

async function connectOnce(attempt: Attempt, way: Way): Promise<Session> {
  const { target, access, options, limit } = attempt;
  const { node } = target;
  const stream = await openStream(node, node.host, access.tls, way, limit);
  const login = newLogin();
  const client = new pg.Client(clientConfig(target, access, options, stream, login));
  followLogin(client, login, target, access, stream);
  // without a listener the end of an idle connection would be an uncaught exception
  client.on('error', () => undefined);
  client.on('notice', (notice) =>
    options.onNotice?.({ severity: notice.severity ?? 'NOTICE', message: notice.message ?? '' }),
  );
  try {
    await client.connect();
    // Asked once more: one packet may have let us in and said that it is ready.
    const doubt = unproven(login.exchange, access, stream);
    if (doubt !== undefined) throw proofFailure(doubt, node);
  } catch (error) {
    stream.tcp.destroy();
    if (error instanceof Failure) throw error;
    const pooler = poolerFailure(error, node);
    if (pooler !== undefined) throw pooler;
    if (error instanceof pg.DatabaseError && !login.authenticated)
      throw new TurnedDown(error.message, { cause: error });
    const alert = stream.encrypted && brokeOff(error) ? await alertOf(attempt) : undefined;
    throw rejectedByServer(alert ?? error, placeOf(node)) ?? error;
  }
  let activity: Activity | undefined;
  return createSession({
    client,
    tcp: stream.tcp,
    answers: login.answers,
    ...target,
    backendPid: login.backendPid,
    serverMajor: login.serverMajor,
    encrypted: stream.encrypted,
    mayBeOverheard: !isSocketDirectory(node.host) && mayBeOverheard(login.exchange, access, stream),
    inRecovery: login.inRecovery,
    // PostgreSQL 17 has a limit more; older servers refuse the name, so it cannot be in the startup message
    prelude: options.pinned !== false && login.serverMajor >= 17 ? 'SET transaction_timeout = 0' : undefined,
    signal: options.signal,
    probeAfterMs: options.probeAfterMs ?? PROBE_AFTER_MS,
    probe: probeOf({
      open: (database) =>
        connect({ node, database }, options.probeAs ?? access, { applicationName: 'citus-databases probe' }),
      openIn: [...new Set([MAINTENANCE_DATABASE, target.database])],
      backendPid: login.backendPid,
      database: target.database,
      elsewhere: options.elsewhere,
      onProbe: (seen) => {
        activity = seen;
        options.onProbe?.(seen);
      },
    }),
    activity: () => activity,
    sendCancel: () => cancel(attempt, stream, login),
    onStatement: access.onStatement,
  });
}

function brokeOff(error: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '');
}

/**
 * In TLS 1.3 a server turns a client's certificate down only after the client's side of the handshake is over (RFC
 * 8446, section 2), and our next message can meet the closed connection before its alert is read. In TLS 1.2 the alert
 * is part of the handshake, so that is where it is looked for.
 */
async function alertOf({ target: { node }, access, limit }: Attempt): Promise<unknown> {
  try {
    const stream = await openStream(node, node.host, access.tls, 'tls', limit, OLDER);
    stream.tcp.destroy();
    return undefined;
  } catch (error) {
    return unwrap(error);
  }
}

async function cancel({ target: { node }, access }: Attempt, stream: Stream, login: Login): Promise<void> {
  const expired = () => new NoAnswer(`${placeOf(node)} did not take the request to cancel`);
  await withLimit({ milliseconds: CANCEL_TIMEOUT_MS, expired }, async (limit) => {
    // the very server of the session, where the name stands for several
    const address = isSocketDirectory(node.host) ? node.host : (stream.tcp.remoteAddress ?? node.host);
    const way = stream.encrypted ? 'tls' : 'plain';
    await sendCancel(await openStream(node, address, access.tls, way, limit), login.backendPid, login.secretKey);
  });
}
