import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { saslprep } from './saslprep.ts';

/**
 * SCRAM-SHA-256 verifiers as PostgreSQL stores them in pg_authid.rolpassword: a server that is given one keeps it as it
 * is (PostgreSQL documentation, CREATE ROLE, PASSWORD), so the password itself never leaves this program. Composition:
 * RFC 5802, chapter 3, and PostgreSQL's src/common/scram-common.c, scram_build_secret().
 */

/** PostgreSQL's default, and the least that RFC 7677 allows (scram_iterations). */
export const SCRAM_ITERATIONS = 4096;
/** As many bytes as PostgreSQL takes (SCRAM_DEFAULT_SALT_LEN). */
export const SALT_BYTES = 16;

/**
 * A role may give itself a verifier of any cost, and every run would pay for it on every node, deaf to signals meanwhile.
 * 100,000 take 0.05 s; a verifier with more counts as another password's, and is replaced.
 */
const MOST_ITERATIONS = 100_000;

interface Verifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export function scramVerifier(password: string, salt: Uint8Array, iterations: number = SCRAM_ITERATIONS): string {
  const { storedKey, serverKey } = deriveKeys(password, salt, iterations);
  const encode = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return `SCRAM-SHA-256$${iterations}:${encode(salt)}$${encode(storedKey)}:${encode(serverKey)}`;
}

/** Whether a stored verifier is one of this password; an md5 hash, or nothing, never is. */
export function isVerifierOf(stored: string | null | undefined, password: string): boolean {
  const verifier = parseVerifier(stored ?? '');
  if (verifier === undefined) return false;
  const { storedKey, serverKey } = deriveKeys(password, verifier.salt, verifier.iterations);
  return same(storedKey, verifier.storedKey) && same(serverKey, verifier.serverKey);
}

function parseVerifier(text: string): Verifier | undefined {
  const match = /^SCRAM-SHA-256\$(\d{1,10}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(text);
  if (match === null) return undefined;
  const [, iterations, ...encoded] = match;
  const [salt, storedKey, serverKey] = encoded.map((part) => Buffer.from(part, 'base64'));
  const count = Number(iterations);
  if (salt === undefined || storedKey === undefined || serverKey === undefined) return undefined;
  return count < 1 || count > MOST_ITERATIONS ? undefined : { iterations: count, salt, storedKey, serverKey };
}

function deriveKeys(password: string, salt: Uint8Array, iterations: number): { storedKey: Buffer; serverKey: Buffer } {
  const salted = pbkdf2Sync(saslprep(password), salt, iterations, 32, 'sha256');
  const keyed = (text: string) => createHmac('sha256', salted).update(text).digest();
  return { storedKey: createHash('sha256').update(keyed('Client Key')).digest(), serverKey: keyed('Server Key') };
}

function same(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
