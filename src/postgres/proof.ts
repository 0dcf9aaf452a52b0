import { Failure } from '../report/errors.ts';
import type { Credentials } from './credentials.ts';
import { SCRAM_ITERATIONS } from './scram.ts';
import type { ServerAddress } from './serverAddress.ts';
import { placeOf, type Stream } from './stream.ts';
import { requiresTls } from './tls.ts';

/** Why a server is not to be answered, or not to be believed. */
export interface Doubt {
  readonly what: string;
}

/** How a server asked for the password, and what it has proved of itself by then. */
export interface Exchange {
  asked: 'nothing' | 'clear text' | 'MD5' | 'SCRAM';
  /** SCRAM-SHA-256-PLUS: nobody stands in between, even where the certificate is not verified. */
  channelBound: boolean;
  iterations: number;
  /** The server showed that it knows the verifier (pg has checked its signature by the time it lets us in). */
  completed: boolean;
}

export function newExchange(): Exchange {
  return { asked: 'nothing', channelBound: false, iterations: 0, completed: false };
}

/**
 * Why the exchange must not go on, to be asked before each answer to the server: what is sent by then lets a hostile
 * server guess the password offline, the faster the fewer iterations there are (RFC 7677, section 4).
 */
export function objection(exchange: Exchange, access: Credentials, stream: Stream): Doubt | undefined {
  if (access.password === undefined) return undefined;
  if (exchange.asked === 'clear text') {
    return { what: 'The server asks for the password in clear text, which this program never sends' };
  }
  if (access.acceptServerWithoutProof) return undefined;
  if (exchange.asked === 'MD5')
    return { what: 'The server asks for the password as an MD5 hash, from which it can be guessed' };
  if (exchange.asked !== 'SCRAM') return undefined;
  if (exchange.iterations !== 0 && exchange.iterations < SCRAM_ITERATIONS) {
    return { what: `The server asks for SCRAM with ${exchange.iterations} iterations, fewer than ${SCRAM_ITERATIONS}` };
  }
  if (requiresTls(access.tls.mode) && stream.encrypted && !isVerified(access, stream) && !exchange.channelBound) {
    return {
      what: 'The server offers no SCRAM-SHA-256-PLUS over TLS: somebody may be between this program and the server, and no certificate was verified',
    };
  }
  return undefined;
}

/** Why the server that let us in is not the one that is meant, as far as anybody can tell. */
export function unproven(exchange: Exchange, access: Credentials, stream: Stream): Doubt | undefined {
  if (access.password === undefined || access.acceptServerWithoutProof) return undefined;
  if (exchange.completed || isVerified(access, stream)) return undefined;
  return {
    what: 'The server let us in without proving that it knows the password (trust in its pg_hba.conf, or another server)',
  };
}

/**
 * Where the chain is verified, TLS itself is the proof: with the authority's certificate at hand, sslmode=require means
 * verify-ca (PostgreSQL documentation, "SSL Support" in libpq).
 */
function isVerified(access: Credentials, stream: Stream): boolean {
  return stream.encrypted && access.tls.verifiesChain;
}

/**
 * With ssl.mode prefer: there is no TLS, or it is not bound to the login. Somebody between this program and the server may
 * have seen to either; in the other modes it is refused, or accepted by the name of the mode.
 */
export function mayBeOverheard(exchange: Exchange, access: Credentials, stream: Stream): boolean {
  if (access.tls.mode !== 'prefer') return false;
  if (!stream.encrypted) return true;
  return exchange.asked === 'SCRAM' && !exchange.channelBound && !isVerified(access, stream);
}

export function proofFailure({ what }: Doubt, node: ServerAddress): Failure {
  return new Failure({
    kind: 'failed',
    what,
    node: placeOf(node),
    next:
      'Use scram-sha-256 in pg_hba.conf of that server and a SCRAM verifier for the role, or verify its certificate ' +
      '(ssl.mode verify-ca or verify-full). cluster.acceptServerWithoutProof gives the password to whoever answers there',
  });
}
