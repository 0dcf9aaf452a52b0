import { X509Certificate } from 'node:crypto';
import { issue, makeAuthority, type Pair } from '../certificates/certificate.ts';
import { Failure } from '../report/errors.ts';
import type { CertificatesWanted, SecretsWanted, UserSecrets } from './document.ts';
import { newServerPassword, newUserPassword } from './passwords.ts';

/** The values of a Secret by key, decoded. */
export type SecretData = Readonly<Record<string, string>>;

/** A Secret as it shall be; what `present` holds and this does not name stays. */
export interface WantedSecret {
  readonly name: string;
  readonly type: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: SecretData;
}

/** Reads what is there now; undefined where there is no such Secret. */
export type Present = (name: string) => SecretData | undefined;

const RENEWED_BEFORE_MS = 30 * 86_400_000;

/** The passwords of the cluster's own roles: those that are there stay, whatever happens. */
export function credentialsSecret(
  { secret, keys }: NonNullable<SecretsWanted['credentials']>,
  present: SecretData | undefined,
): WantedSecret {
  const data = Object.fromEntries(keys.map((key) => [key, present?.[key] ?? newServerPassword()]));
  return { name: secret, type: 'Opaque', annotations: {}, data };
}

/**
 * Authority and server certificate. The authority stays; the certificate is made anew when names were added, when it is of
 * another authority, and in its last 30 days. Pods read the new files while they run (docs/SSL_SETUP.md, "Renew").
 */
export function certificateSecrets(
  wanted: CertificatesWanted,
  cluster: string,
  present: Present,
  now: Date,
): readonly WantedSecret[] {
  const { keys } = wanted;
  const served = present(wanted.secret);
  const kept = pairOf(present(wanted.authoritySecret), 'ca.crt', 'ca.key');
  const pair = pairOf(served, keys.certificate, keys.key);
  if (kept === undefined) {
    if (pair !== undefined && served?.[keys.ca] !== undefined) {
      return wanted.acceptOthers === true ? [] : withoutAuthority(wanted, pair, now);
    }
  }
  const authority = kept ?? makeAuthority(`${cluster} CA`, wanted.days, now);
  const good =
    pair !== undefined && served?.[keys.ca] === authority.certificate && reasonToRenew(wanted, pair, now) === undefined;
  const server = good
    ? pair
    : issue({ commonName: 'postgres', names: wanted.names, days: wanted.days }, authority, now);
  return [
    secretOf(wanted.authoritySecret, { 'ca.crt': authority.certificate, 'ca.key': authority.key }),
    secretOf(wanted.secret, {
      [keys.ca]: authority.certificate,
      [keys.certificate]: server.certificate,
      [keys.key]: server.key,
    }),
  ];
}

/** The authority's key is gone: what it signed stays in use as long as it will do. */
function withoutAuthority(wanted: CertificatesWanted, pair: Pair, now: Date): readonly WantedSecret[] {
  const reason = reasonToRenew(wanted, pair, now);
  if (reason === undefined) return [];
  throw new Failure({
    kind: 'refused',
    what: `The server certificate in the Secret ${wanted.secret} ${reason}, and the authority's key in the Secret ${wanted.authoritySecret} is gone`,
    cause: 'A certificate of another authority would be refused by every client and node that knows the old one',
    next:
      `Restore the Secret ${wanted.authoritySecret}, or delete ${wanted.secret} too: then both are made anew, and clients ` +
      'and nodes have to get the new ca.crt',
  });
}

function reasonToRenew(wanted: CertificatesWanted, pair: Pair, now: Date): string | undefined {
  const certificate = new X509Certificate(pair.certificate);
  if (Date.parse(certificate.validTo) - now.getTime() < RENEWED_BEFORE_MS) return `ends on ${certificate.validTo}`;
  const named = new Set(
    (certificate.subjectAltName ?? '').split(', ').map((name) => name.replace(/^(DNS|IP Address):/, '')),
  );
  const missing = wanted.names.filter((name) => !named.has(name) && !named.has(longForm(name)));
  return missing.length === 0 ? undefined : `does not name ${missing.slice(0, 3).join(', ')}`;
}

/** Node prints the loopback address of IPv6 in full. */
function longForm(name: string): string {
  return name === '::1' ? '0:0:0:0:0:0:0:1' : name;
}

function secretOf(name: string, data: SecretData): WantedSecret {
  return { name, type: 'Opaque', annotations: {}, data };
}

function pairOf(data: SecretData | undefined, certificate: string, key: string): Pair | undefined {
  const [first, second] = [data?.[certificate], data?.[key]];
  return first === undefined || second === undefined ? undefined : { certificate: first, key: second };
}

/**
 * What applications connect with: a Secret in the layout of Service Binding (servicebinding.io, "Well-known Secret
 * Entries"), whose other keys are libpq's environment variables. One per role; a role of several databases has one more for
 * each further database.
 */
export function connectionSecrets(
  user: UserSecrets,
  connection: SecretsWanted['connection'],
  present: Present,
): readonly WantedSecret[] {
  const kept = present(user.secret);
  const password = user.generate ? (kept?.['password'] ?? newUserPassword()) : undefined;
  const ca = connection.ca === undefined ? undefined : present(connection.ca.secret)?.[connection.ca.key];
  const port = String(connection.port ?? 5432);
  // The database that the Secret names stays, even if the role is declared in one before it later.
  const first = user.databases.find(({ name }) => name === kept?.['database']) ?? user.databases[0];
  return user.databases.map((database) => ({
    name: database === first ? user.secret : database.secret,
    type: 'servicebinding.io/postgresql',
    annotations: { 'citus-databases/database': database.name, 'citus-databases/user': user.role },
    data: {
      type: 'postgresql',
      host: connection.host,
      port,
      database: database.name,
      username: user.role,
      sslmode: connection.sslmode,
      PGHOST: connection.host,
      PGPORT: port,
      PGDATABASE: database.name,
      PGUSER: user.role,
      PGSSLMODE: withoutFile(connection.sslmode),
      ...(ca === undefined ? {} : { 'ca.crt': ca }),
      ...(password === undefined
        ? {}
        : {
            password,
            PGPASSWORD: password,
            uri: uri(user.role, password, `${connection.host}:${port}`, database.name),
          }),
    },
  }));
}

/** As an environment variable it cannot come with the file that libpq would verify with. */
function withoutFile(sslmode: string): string {
  return sslmode.startsWith('verify-') ? 'require' : sslmode;
}

function uri(role: string, password: string, host: string, database: string): string {
  return `postgresql://${part(role)}:${part(password)}@${host}/${part(database)}`;
}

/** RFC 3986, 2.3: encodeURIComponent leaves some reserved characters alone. */
function part(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
