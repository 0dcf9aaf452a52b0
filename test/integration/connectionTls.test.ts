import { execFile } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect } from 'vitest';
import { connect } from '../../src/postgres/connection.ts';
import { classify } from '../../src/postgres/sqlstate.ts';
import { Failure } from '../../src/report/errors.ts';
import { type Access, loadAccess } from '../../src/secrets/credentials.ts';
import type { NodeSpec, SslMode, SslSpec } from '../../src/spec/types.ts';
import { createAuthority, type Identity } from '../support/certificates.ts';
import { clusterSpec, nodeOf, query } from '../support/cluster.ts';
import { tlsClusterTest } from '../support/fixtures.ts';

const run = promisify(execFile);
const MODES: readonly SslMode[] = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

type Outcome = 'plain' | 'tls' | 'refused';
type Outcomes = readonly [Outcome, Outcome, Outcome, Outcome, Outcome, Outcome];

const authority = createAuthority('Authority of these tests');
const stranger = createAuthority('Some other authority');
const names = { commonName: 'postgres', dns: ['localhost'], ip: ['127.0.0.1'] };
const yesterday = new Date(Date.now() - 86_400_000);
const longAgo = new Date(Date.now() - 30 * 86_400_000);

const SERVERS = {
  good: authority.issue(names),
  'for another host': authority.issue({ commonName: 'localhost', dns: ['elsewhere.example', '*.localhost'] }),
  'by another authority': stranger.issue(names),
  expired: authority.issue({ ...names, validFrom: longAgo, validTo: yesterday }),
  'named by common name only': authority.issue({ commonName: 'LocalHost' }),
} satisfies Record<string, Identity>;

const test = tlsClusterTest({ server: SERVERS.good, authority }, { workers: 0, citus: 'none' })
  .extend(
    'serve',
    { scope: 'file' },
    ({ cluster }) =>
      async (server: Identity | undefined, hba: readonly string[], settings: readonly string[] = []) => {
        const node = nodeOf(cluster, 0);
        if (server !== undefined) {
          await writeFile(join(cluster.sslDirectory, 'server.crt'), server.certificate);
          await writeFile(join(cluster.sslDirectory, 'server.key'), server.key);
        }
        await writeFile(join(node.dataDirectory, 'pg_hba.conf'), hba.map((line) => `${line}\n`).join(''));
        const ssl = `ssl = ${server === undefined ? 'off' : 'on'}\n`;
        await writeFile(
          join(node.dataDirectory, 'postgresql.auto.conf'),
          ssl + settings.map((line) => `${line}\n`).join(''),
        );
        await node.restart();
      },
  )
  .extend('filesOf', { scope: 'file' }, ({ folder }) => async ({ mode, ca, identity }: Client): Promise<SslSpec> => {
    directories += 1;
    const directory = join(folder, `client${directories}`);
    await mkdir(directory);
    if (ca !== undefined) await writeFile(join(directory, 'ca.crt'), ca);
    if (identity !== undefined) {
      await writeFile(join(directory, 'server.crt'), identity.certificate);
      await writeFile(join(directory, 'server.key'), identity.key);
      await chmod(join(directory, 'server.key'), 0o600);
    }
    const paths = { ca: 'ca.crt', certificate: 'server.crt', key: 'server.key', nodeDirectory: '/unused' };
    return { enabled: true, mode, directory, ...paths };
  })
  .extend('accessOf', { scope: 'file' }, ({ cluster, filesOf }) => async (client: Client): Promise<Access> => {
    return loadAccess({ cluster: clusterSpec(cluster), ssl: await filesOf(client) });
  })
  .extend('nodeAt', { scope: 'file' }, ({ cluster }) => (host: string, port = nodeOf(cluster, 0).port): NodeSpec => {
    return { group: 0, host, port, nodeName: host, nodePort: port };
  })
  .extend('ours', { scope: 'file' }, ({ nodeAt, accessOf }) => async (client: Client): Promise<Outcome> => {
    try {
      const session = await connect(
        { node: nodeAt(client.host, client.port), database: 'postgres' },
        await accessOf(client),
      );
      try {
        const { rows } = await session.query<{ ssl: boolean }>(IN_USE);
        expect(rows).toEqual([{ ssl: session.encrypted }]);
        return session.encrypted ? 'tls' : 'plain';
      } finally {
        await session.close();
      }
    } catch {
      return 'refused';
    }
  })
  .extend('libpqs', { scope: 'file' }, ({ filesOf, cluster, folder }) => async (client: Client): Promise<Outcome> => {
    const ssl = await filesOf(client);
    const parameters = {
      host: client.host,
      port: String(client.port ?? nodeOf(cluster, 0).port),
      user: 'postgres',
      dbname: 'postgres',
      sslmode: client.mode,
      sslrootcert: join(ssl.directory, ssl.ca),
      sslcert: join(ssl.directory, ssl.certificate),
      sslkey: join(ssl.directory, ssl.key),
    };
    const conninfo = Object.entries(parameters).map(([key, value]) => `${key}='${value}'`);
    const env = { PATH: process.env['PATH'], HOME: folder, PGPASSWORD: cluster.password, PGCONNECT_TIMEOUT: '10' };
    try {
      const { stdout } = await run('psql', [conninfo.join(' '), '-XAtc', IN_USE], { env });
      return stdout.trim() === 't' ? 'tls' : 'plain';
    } catch {
      return 'refused';
    }
  })
  .extend(
    'expectOutcomes',
    { scope: 'file' },
    ({ ours, libpqs }) =>
      async (client: Omit<Client, 'mode'>, expected: Outcomes): Promise<void> => {
        const table = Object.fromEntries(MODES.map((mode, at) => [mode, expected[at]]));
        expect(await outcomes(ours, client)).toEqual(table);
        if (psql) expect(await outcomes(libpqs, client), 'the table itself, by psql').toEqual(table);
      },
  )
  .extend('failureOf', { scope: 'file' }, ({ accessOf, nodeAt }) => async (client: Client): Promise<Failure> => {
    const access = await accessOf(client);
    const error = await connect({ node: nodeAt(client.host), database: 'postgres' }, access).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof Failure)) throw new Error(`Not a Failure: ${error}`);
    expect(classify(error)).toBe('hopeless');
    return error;
  })
  .extend('stable', { scope: 'file' }, ({ cluster }) => (error: Failure): string => {
    return error.message.replaceAll(String(nodeOf(cluster, 0).port), 'PORT').replaceAll(/\/\S*\/client\d+/g, '/ssl');
  });

let psql: boolean;

beforeAll(async () => {
  psql = await run('psql', ['--version']).then(
    () => true,
    () => false,
  );
  console.log(psql ? 'Compared with psql' : 'psql is not here: compared with the table alone');
});

let directories = 0;

interface Client {
  readonly mode: SslMode;
  readonly host: string;
  readonly ca: string | undefined;
  readonly identity?: Identity | undefined;
  /** Of somebody in between; else the server's. */
  readonly port?: number;
}

const IN_USE = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';

async function outcomes(each: (client: Client) => Promise<Outcome>, client: Omit<Client, 'mode'>) {
  const found: Record<string, Outcome> = {};
  for (const mode of MODES) found[mode] = await each({ ...client, mode });
  return found;
}

const ANY = ['host all all all scram-sha-256'];
const GOOD: Outcomes = ['plain', 'plain', 'tls', 'tls', 'tls', 'tls'];
const WRONG_NAME: Outcomes = ['plain', 'plain', 'tls', 'tls', 'tls', 'refused'];
const UNVERIFIED: Outcomes = ['plain', 'plain', 'plain', 'refused', 'refused', 'refused'];
const NO_AUTHORITY: Outcomes = ['plain', 'plain', 'tls', 'tls', 'refused', 'refused'];

describe('modes and certificates, with the authority at hand and without', () => {
  const known = { host: 'localhost', ca: authority.certificate };
  const unknown = { host: 'localhost', ca: undefined };
  test.for<[keyof typeof SERVERS, Outcomes]>([
    ['good', GOOD],
    ['for another host', WRONG_NAME],
    ['by another authority', UNVERIFIED],
    ['expired', UNVERIFIED],
    ['named by common name only', GOOD],
  ])('a server certificate %s', async ([server, expected], { serve, expectOutcomes }) => {
    await serve(SERVERS[server], ANY);
    await expectOutcomes(known, expected);
    await expectOutcomes(unknown, NO_AUTHORITY);
  });

  test('a server without TLS', async ({ serve, expectOutcomes }) => {
    await serve(undefined, ANY);
    await expectOutcomes(known, ['plain', 'plain', 'plain', 'refused', 'refused', 'refused']);
  });

  test('the address instead of the name', async ({ serve, expectOutcomes }) => {
    await serve(SERVERS.good, ANY);
    await expectOutcomes({ ...known, host: '127.0.0.1' }, GOOD);
    await serve(SERVERS['named by common name only'], ANY);
    await expectOutcomes({ ...known, host: '127.0.0.1' }, WRONG_NAME);
  });
});

describe('somebody in between who answers in the place of a server that speaks TLS', () => {
  // The server does not mind connections without TLS: it is up to the client.
  const cases: readonly (readonly [string, string, Outcomes])[] = [
    ['that there is no TLS', 'N', ['plain', 'plain', 'plain', 'refused', 'refused', 'refused']],
    // CVE-2021-23222: what follows was not encrypted, and would be read as if it had been.
    ['with words slipped in behind', 'SR\0\0\0', ['plain', 'plain', 'refused', 'refused', 'refused', 'refused']],
  ];
  test.for(cases)('%s', async ([_, answer, expected], { cluster, serve, expectOutcomes }) => {
    await serve(SERVERS.good, ANY);
    const between = net.createServer((client) => {
      const server = net.connect(nodeOf(cluster, 0).port, '127.0.0.1');
      for (const socket of [client, server]) {
        socket.on('error', () => undefined);
        socket.on('close', () => (socket === client ? server : client).destroy());
      }
      client.once('data', (first) => {
        // Protocol documentation, "Message Formats": SSLRequest is 8 bytes, the last four of them 80877103.
        if (first.length === 8 && first.readInt32BE(4) === 80877103) client.write(answer);
        else server.write(first);
        client.pipe(server);
        server.pipe(client);
      });
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    try {
      const address = between.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      await expectOutcomes({ host: 'localhost', ca: authority.certificate, port: address.port }, expected);
    } finally {
      between.close();
    }
  });
});

describe('what pg_hba.conf allows', () => {
  const client = { host: 'localhost', ca: authority.certificate };

  test('connections with TLS only', async ({ serve, expectOutcomes }) => {
    await serve(SERVERS.good, ['hostssl all all all scram-sha-256']);
    await expectOutcomes(client, ['refused', 'tls', 'tls', 'tls', 'tls', 'tls']);
  });

  test('connections without TLS only', async ({ serve, expectOutcomes }) => {
    await serve(SERVERS.good, ['hostnossl all all all scram-sha-256']);
    await expectOutcomes(client, ['plain', 'plain', 'plain', 'refused', 'refused', 'refused']);
  });

  test('client certificates', async ({ serve, expectOutcomes }) => {
    await serve(SERVERS.good, ['hostssl all all all cert']);
    const shown: Outcomes = ['refused', 'tls', 'tls', 'tls', 'tls', 'tls'];
    const none: Outcomes = ['refused', 'refused', 'refused', 'refused', 'refused', 'refused'];
    await expectOutcomes({ ...client, identity: authority.issue({ commonName: 'postgres' }) }, shown);
    await expectOutcomes({ ...client, identity: authority.issue({ commonName: 'somebody' }) }, none);
    await expectOutcomes({ ...client, identity: stranger.issue({ commonName: 'postgres' }) }, none);
    await expectOutcomes(client, none);
  });
});

describe('what the errors say', () => {
  const client = { mode: 'verify-full', host: 'localhost', ca: authority.certificate } as const;

  test('expired', async ({ serve, failureOf, stable }) => {
    await serve(SERVERS.expired, ANY);
    expect(stable(await failureOf(client))).toMatchInlineSnapshot(`
      "The certificate of the server does not verify (node localhost:PORT)
        Cause: certificate has expired (CERT_HAS_EXPIRED), checked against /ssl/ca.crt
        Next: Renew the certificate of the server (or of its authority) and reload PostgreSQL"
    `);
  });

  test('by another authority', async ({ serve, failureOf, stable }) => {
    await serve(SERVERS['by another authority'], ANY);
    expect(stable(await failureOf(client))).toMatchInlineSnapshot(`
      "The certificate of the server does not verify (node localhost:PORT)
        Cause: unable to verify the first certificate (UNABLE_TO_VERIFY_LEAF_SIGNATURE), checked against /ssl/ca.crt
        Next: Compare /ssl/ca.crt with the authority that signed the certificate of this server"
    `);
  });

  test('for another host', async ({ serve, failureOf, stable }) => {
    await serve(SERVERS['for another host'], ANY);
    expect(stable(await failureOf(client))).toMatchInlineSnapshot(`
      "The certificate of the server does not verify (node localhost:PORT)
        Cause: the certificate is for DNS:elsewhere.example, DNS:*.localhost, not for localhost (ERR_TLS_CERT_ALTNAME_INVALID), checked against /ssl/ca.crt
        Next: Sign a certificate whose subjectAltName has this host, connect by a name that it has, or use sslmode verify-ca"
    `);
  });

  test('no TLS', async ({ serve, failureOf, stable }) => {
    await serve(undefined, ANY);
    expect(stable(await failureOf(client))).toMatchInlineSnapshot(`
      "The server does not speak TLS, and sslmode verify-full requires it (node localhost:PORT)
        Next: Turn ssl on at that server (ssl, ssl_cert_file, ssl_key_file), or choose sslmode prefer or disable"
    `);
  });

  test('a client certificate that the server does not trust', async ({ serve, failureOf, stable }) => {
    await serve(SERVERS.good, ['hostssl all all all cert']);
    const identity = stranger.issue({ commonName: 'postgres' });
    expect(stable(await failureOf({ ...client, identity }))).toMatchInlineSnapshot(`
      "The server ended the TLS handshake (node localhost:PORT)
        Cause: alert unknown ca (ERR_SSL_TLSV1_ALERT_UNKNOWN_CA)
        Next: Look into the log of that server for the reason. Most often it does not trust the authority that signed the certificate which this program shows (ssl.certificate), or it asks for a certificate and none is there"
    `);
  });
});

test('a statement over TLS is cancelled over TLS', async ({ cluster, serve, accessOf, nodeAt }) => {
  await serve(SERVERS.good, ['hostssl all all all scram-sha-256']);
  const client = { mode: 'verify-full', host: 'localhost', ca: authority.certificate } as const;
  const target = { node: nodeAt('localhost'), database: 'postgres' };
  const access = await accessOf(client);
  const [session, other] = await Promise.all([connect(target, access), connect(target, access)]);
  try {
    const sleeping = expect(session.query('SELECT pg_sleep(60)')).rejects.toMatchObject({ code: '57014' });
    // a request that comes before the statement has begun finds nothing to cancel
    const asleep = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
    await expect.poll(async () => (await other.query(asleep, [session.backendPid])).rows).toHaveLength(1);
    await session.cancel();
    await sleeping;
    expect(session.isAlive).toBe(true);
    expect(await query(cluster, 0, 'postgres', 'SELECT 1 AS one').catch(() => 'plain is refused')).toBe(
      'plain is refused',
    );
  } finally {
    await Promise.all([session.close(), other.close()]);
  }
});
