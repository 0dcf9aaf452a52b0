import { Failure } from '../report/errors.ts';
import { SQLSTATE } from './sqlstates.ts';

/**
 * What an error says about trying again.
 * - transient: the same action may succeed in a moment.
 * - hopeless: nobody gets in until a person changes something (password, pg_hba.conf, certificate).
 * - permanent: anything else; the statement is wrong, or the state of the database forbids it.
 */
export type Classification = 'transient' | 'hopeless' | 'permanent';

interface Entry {
  readonly classification: Classification;
  readonly meaning: string;
}

function transient(meaning: string): Entry {
  return { classification: 'transient', meaning };
}

function hopeless(meaning: string): Entry {
  return { classification: 'hopeless', meaning };
}

/** SQLSTATEs of PostgreSQL (documentation, appendix "PostgreSQL Error Codes") and error codes of the system. */
const CODES: ReadonlyMap<string, Entry> = new Map([
  [SQLSTATE.readOnlySqlTransaction, transient('the server is read-only: it has just been demoted or is a standby')],
  [SQLSTATE.serializationFailure, transient('a concurrent transaction won (serialization failure)')],
  [SQLSTATE.deadlockDetected, transient('deadlock')],
  [SQLSTATE.tooManyConnections, transient('all connection slots are in use')],
  [SQLSTATE.objectInUse, transient('the object is in use by another session')],
  [SQLSTATE.adminShutdown, transient('the server is shutting down, or an administrator ended the session')],
  [SQLSTATE.crashShutdown, transient('the server crashed and is recovering')],
  [SQLSTATE.cannotConnectNow, transient('the server is starting up or shutting down')],
  [SQLSTATE.invalidPassword, hopeless('the password is wrong')],
  [
    SQLSTATE.invalidAuthorizationSpecification,
    hopeless('pg_hba.conf or the role itself does not allow this connection'),
  ],
  [SQLSTATE.invalidCatalogName, hopeless('the database does not exist')],
  ['ECONNREFUSED', transient('nothing listens there')],
  ['ECONNRESET', transient('the connection was cut')],
  ['ECONNABORTED', transient('the connection was cut')],
  ['EPIPE', transient('the connection was cut')],
  ['ETIMEDOUT', transient('no answer in time')],
  ['EHOSTUNREACH', transient('there is no route to the host')],
  ['ENETUNREACH', transient('there is no route to the network')],
  ['ENOTFOUND', transient('the host name is unknown')],
  ['EAI_AGAIN', transient('the name server does not answer')],
  ['EAI_FAIL', transient('the name server failed')],
  // src/postgres/tls.ts
  ['TLS_REFUSED', hopeless('the server does not speak TLS')],
  ['ERR_TLS_CERT_ALTNAME_INVALID', hopeless('the certificate is for another host')],
]);

/** Codes that Node gives to failures of certificate verification, from OpenSSL's X509_V_ERR names. */
const CERTIFICATE_CODE =
  /^(CERT|CRL|ERROR_IN_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|INVALID_(CA|PURPOSE)|HOSTNAME_|PATH_)/;

/** Alerts: the other side ended the handshake, because it wants another certificate or another protocol version. */
const TLS_ALERT_CODE = /^ERR_SSL_.*(ALERT|HANDSHAKE|PROTOCOL|VERSION)/;

function entryOf(error: unknown): Entry | undefined {
  const code = codeOf(error);
  if (code === undefined) return undefined;
  const known = CODES.get(code);
  if (known !== undefined) return known;
  if (/^08[0-9A-Z]{3}$/.test(code)) return transient('the connection failed');
  // elog() messages are not translated, so the text is the same in every lc_messages (PostgreSQL documentation,
  // "Reporting Errors Within the Server")
  const told = [messageOf(error), ...warningsOf(error)];
  if (code === SQLSTATE.internalError && told.some((text) => /tuple concurrently (updated|deleted)/.test(text))) {
    return transient('another session changed the same catalog row');
  }
  if (CERTIFICATE_CODE.test(code)) return hopeless('the certificate does not verify');
  if (TLS_ALERT_CODE.test(code)) return hopeless('the TLS handshake failed');
  return undefined;
}

export function classify(error: unknown): Classification {
  const entry = entryOf(error);
  if (entry !== undefined) return entry.classification;
  const cause = causeOf(error);
  return cause === undefined ? 'permanent' : classify(cause);
}

/**
 * Classes of SQLSTATEs that say of the statement itself that it is wrong, or of the data that they forbid it (PostgreSQL
 * documentation, "PostgreSQL Error Codes"): the same statement meets the same error again.
 */
const WRONG_STATEMENT: ReadonlySet<string> = new Set(
  '0A 0B 0F 0L 0P 0Z 20 21 22 23 26 27 2B 2D 2F 34 38 39 3B 3F 42 44'.split(' '),
);

/** Whether trying the very same thing again is of no use. */
export function meetsItAgain(error: unknown): boolean {
  const code = codeOf(error);
  return isSqlState(code) && code !== undefined && WRONG_STATEMENT.has(code.slice(0, 2));
}

/** What a code of the table means, in words; undefined for the codes that it does not list. */
export function meaningOf(error: unknown): string | undefined {
  return entryOf(error)?.meaning;
}

/** The SQLSTATE or the system's error code of an error; of a Failure, that of its cause. */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof Failure) return codeOf(causeOf(error));
  return textField(error, 'code');
}

export interface DescribeOptions {
  /** false where DETAIL may repeat a row that holds a secret (pg_dist_authinfo does). Default true. */
  readonly detail?: boolean;
}

/** An error in PostgreSQL's own words: message, DETAIL, HINT and SQLSTATE. Callers redact what they print. */
export function describe(error: unknown, options: DescribeOptions = {}): string {
  const code = codeOf(error);
  const first = `${messageOf(error)}${codeSuffix(code, error)}`;
  if (!isSqlState(code)) return first;
  const detail = options.detail === false ? undefined : textField(error, 'detail');
  const hint = textField(error, 'hint');
  return [
    first,
    ...(detail === undefined ? [] : [`DETAIL: ${detail}`]),
    ...(hint === undefined ? [] : [`HINT: ${hint}`]),
    ...(options.detail === false ? [] : warningsOf(error).map((text) => `WARNING: ${text}`)),
  ].join('\n');
}

function codeSuffix(code: string | undefined, error: unknown): string {
  if (code === undefined || error instanceof Failure) return '';
  if (isSqlState(code)) return ` (SQLSTATE ${code})`;
  return messageOf(error).includes(code) ? '' : ` (${code})`;
}

/** Letters and digits only are not enough: EPIPE has five of them too. */
export function isSqlState(code: string | undefined): boolean {
  return code !== undefined && /^(?=.*[0-9])[0-9A-Z]{5}$/.test(code);
}

function messageOf(error: unknown): string {
  // an AggregateError of Node (one entry per address of a host) has no message of its own
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

const WARNINGS = Symbol('warnings before the error');

/**
 * Keeps the warnings that came before an error with it. When a statement fails on another node, Citus says no more in
 * the error than "failure on connection marked as essential"; the reason came as a warning (Citus: remote_commands.c,
 * ReportResultError).
 */
export function attachWarnings(error: Error, warnings: readonly string[]): void {
  if (warnings.length > 0) Reflect.set(error, WARNINGS, warnings);
}

function warningsOf(error: unknown): readonly string[] {
  if (typeof error !== 'object' || error === null) return [];
  const warnings: unknown = Reflect.get(error, WARNINGS);
  return Array.isArray(warnings) ? warnings.map(String) : [];
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined;
}

function textField(error: unknown, key: 'code' | 'detail' | 'hint'): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value: unknown = Reflect.get(error, key);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
