import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { at, named, render } from '../support/chart.ts';

const entrypoint = fileURLToPath(new URL('../../scripts/entrypoint.sh', import.meta.url));
const superuserPassword = 'p:a\\ss "w\'ö$(rm)';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'entrypoint-'));
  for (const name of ['bin', 'run', 'credentials', 'access']) mkdirSync(join(folder, name));
  // Stands for Patroni: says what it was started with.
  writeFileSync(join(folder, 'bin', 'patroni'), '#!/bin/sh\necho "patroni $*"\nenv | sort\n');
  chmodSync(join(folder, 'bin', 'patroni'), 0o755);
  writeFileSync(join(folder, 'credentials', 'superuser'), `${superuserPassword}\n`);
  writeFileSync(join(folder, 'credentials', 'replication'), 'r3pl-secret');
  writeFileSync(join(folder, 'credentials', 'restapi'), 'rest');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(environment: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(entrypoint, [], {
    encoding: 'utf8',
    env: {
      PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      RUNTIME_DIRECTORY: join(folder, 'run'),
      CREDENTIALS_DIRECTORY: join(folder, 'credentials'),
      ACCESS_DIRECTORY: join(folder, 'access'),
      ...environment,
    },
  });
  return { status, stdout, stderr };
}

function configuration(environment: Readonly<Record<string, string>> = {}): unknown {
  const { status, stderr } = run(environment);
  if (status !== 0) throw new Error(stderr);
  return parse(readFileSync(join(folder, 'run', 'patroni.yml'), 'utf8'));
}

describe('scripts/entrypoint.sh', () => {
  test('starts Patroni with the file, which only its user reads', () => {
    expect(run().stdout).toContain(`patroni ${join(folder, 'run', 'patroni.yml')}\n`);
    expect(statSync(join(folder, 'run', 'patroni.yml')).mode & 0o777).toBe(0o600);
  });

  /** A server of this version, which knows these parameters. */
  function server(version: string, ...parameters: readonly string[]): void {
    const file = join(folder, 'bin', 'postgres');
    const described = parameters.map((name) => `${name}\tuserset\tgroup\tSTRING`).join('\n');
    writeFileSync(
      file,
      `#!/bin/sh\ncase $1 in --version) echo 'postgres (PostgreSQL) ${version}' ;; *) cat <<'END'\n${described}\nEND\n;; esac\n`,
    );
    chmodSync(file, 0o755);
  }

  test('lets Citus split shards where the server restricts output plugins', () => {
    const plugins = (environment: Readonly<Record<string, string>> = {}) =>
      at(configuration(environment), 'postgresql.parameters.output_plugin_libraries');
    server('17.10 (Debian 17.10-1)', 'max_connections');
    expect(plugins()).toBeUndefined();
    server('17.11 (Debian 17.11-1)', 'max_connections', 'output_plugin_libraries');
    expect(plugins()).toBe('pgoutput, test_decoding, citus');
    expect(plugins({ OUTPUT_PLUGINS: 'pgoutput, wal2json' })).toBe('pgoutput, wal2json, citus');
  });

  test("does not start one version's server on another version's data, and says so in one sentence", () => {
    const data = join(folder, 'data');
    mkdirSync(data);
    const environment = { PATRONI_POSTGRESQL_DATA_DIR: data };
    server('18.1 (Debian 18.1-1.pgdg12+2)');
    expect(run(environment).status).toBe(0);
    writeFileSync(join(data, 'PG_VERSION'), '18\n');
    expect(run(environment).status).toBe(0);
    writeFileSync(join(data, 'PG_VERSION'), '17\n');
    const { status, stdout, stderr } = run(environment);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('the volume holds data of PostgreSQL 17, and this image is PostgreSQL 18. Go back to');
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  test('keeps passwords as they are, whatever they hold', () => {
    const authentication = at(configuration(), 'postgresql.authentication');
    expect(authentication).toEqual({
      superuser: { username: 'postgres', password: superuserPassword },
      replication: { username: 'replicator', password: 'r3pl-secret' },
    });
    expect(at(configuration(), 'restapi.authentication')).toEqual({ username: 'patroni', password: 'rest' });
  });

  test('seeds parameters from the environment, once, and leaves Patroni its own variables', () => {
    const environment = {
      PATRONI_POSTGRESQL_MAX_CONNECTIONS: '100',
      PATRONI_POSTGRESQL_WORK_MEM: '4MB',
      PATRONI_POSTGRESQL_RANDOM_PAGE_COST: '1.1',
      PATRONI_POSTGRESQL_CITUS__MAX_INTERMEDIATE_RESULT_SIZE: '1GB',
      PATRONI_POSTGRESQL_ARCHIVE_COMMAND: 'cp "%p" /a\\b/%f',
      PATRONI_POSTGRESQL_CONNECT_ADDRESS: 'citusdemo-0:5432',
      PATRONI_POSTGRESQL_BIN_DIR: '/usr/bin',
      PATRONI_DCS_TTL: '45',
      PATRONI_NAME: 'citusdemo-0-0',
    };
    expect(at(configuration(environment), 'bootstrap.dcs')).toEqual({
      ttl: 45,
      loop_wait: 10,
      retry_timeout: 10,
      ignore_slots: [
        { type: 'logical', plugin: 'pgoutput' },
        { type: 'logical', plugin: 'citus' },
      ],
      postgresql: {
        use_pg_rewind: true,
        parameters: {
          max_connections: 100,
          work_mem: '4MB',
          random_page_cost: '1.1',
          'citus.max_intermediate_result_size': '1GB',
          archive_command: 'cp "%p" /a\\b/%f',
          shared_preload_libraries: 'citus',
        },
      },
      // As `configure` itself records it, so that its first run finds nothing to do.
      citus_databases: {
        managed: [
          'archive_command',
          'citus.max_intermediate_result_size',
          'max_connections',
          'random_page_cost',
          'shared_preload_libraries',
          'work_mem',
        ],
      },
    });
    expect(
      run(environment)
        .stdout.split('\n')
        .filter((line) => line.startsWith('PATRONI_')),
    ).toEqual([
      'PATRONI_NAME=citusdemo-0-0',
      'PATRONI_POSTGRESQL_BIN_DIR=/usr/bin',
      'PATRONI_POSTGRESQL_CONNECT_ADDRESS=citusdemo-0:5432',
    ]);
  });

  test.each([
    ['pg_partman_bgw', 'citus,pg_partman_bgw'],
    ['pg_stat_statements,citus, pg_partman_bgw', 'citus,pg_stat_statements,pg_partman_bgw'],
    ['', 'citus'],
  ])('puts citus before the libraries %j', (given, expected) => {
    const written = configuration({ PATRONI_POSTGRESQL_SHARED_PRELOAD_LIBRARIES: given });
    expect(at(written, 'bootstrap.dcs.postgresql.parameters.shared_preload_libraries')).toBe(expected);
  });

  test.each([
    ['prefer', undefined],
    ['require', undefined],
    ['verify-ca', '/tls/ca.crt'],
    ['verify-full', '/tls/ca.crt'],
  ])('verifies with a root certificate only where the mode %s means it', (mode, root) => {
    const environment = {
      SSL_ENABLED: 'true',
      SSL_MODE: mode,
      SSL_DIRECTORY: '/tls',
      CITUS_NODE_CONNINFO: 'sslmode=x',
    };
    const postgresql = at(configuration(environment), 'postgresql');
    expect(at(postgresql, 'authentication.superuser')).toMatchObject({
      sslmode: mode,
      sslcert: '/tls/server.crt',
      sslkey: '/tls/server.key',
    });
    expect(at(postgresql, 'authentication.superuser.sslrootcert')).toBe(root);
    expect(at(postgresql, 'authentication.replication.sslrootcert')).toBe(root);
    expect(at(postgresql, 'parameters')).toMatchObject({
      ssl: 'on',
      ssl_ca_file: '/tls/ca.crt',
      ssl_cert_file: '/tls/server.crt',
      ssl_key_file: '/tls/server.key',
      'citus.node_conninfo': 'sslmode=x',
    });
  });

  test('keeps Citus from turning TLS on where there are no certificates', () => {
    const parameters = at(configuration(), 'postgresql.parameters');
    expect(parameters).toMatchObject({ 'citus.node_conninfo': 'sslmode=prefer' });
    expect(parameters).not.toHaveProperty('ssl');
  });

  test('takes the access rules of the chart', () => {
    const { data } = named(render({ values: { ssl: { enabled: true } } }), 'ConfigMap', 'citusdemo-access');
    for (const [name, text] of Object.entries(data ?? {}))
      writeFileSync(join(folder, 'access', name), `# a comment\n\n${text}`);
    const postgresql = at(configuration(), 'postgresql');
    expect(at(postgresql, 'pg_hba')).toEqual((data?.['pg_hba.conf'] ?? '').trim().split('\n'));
    expect(at(postgresql, 'pg_ident')).toEqual(['citus postgres "postgres"']);
  });

  test('writes the password file, escaped, only when asked', () => {
    const file = join(folder, 'run', 'nodes.pgpass');
    expect(run().status).toBe(0);
    expect(existsSync(file)).toBe(false);
    expect(run({ PGPASS_ENABLED: 'true' }).status).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(`*:*:*:postgres:p\\:a\\\\ss "w'ö$(rm)\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test.each(['superuser', 'replication', 'restapi'])('stops where the password of %s is empty', (name) => {
    writeFileSync(join(folder, 'credentials', name), '');
    const { status, stdout, stderr } = run();
    expect(status).toBe(2);
    expect(stderr).toContain(`credentials/${name} is missing or empty`);
    expect(stdout).not.toContain('patroni');
  });

  test('shows no password to whoever looks at processes or the environment', () => {
    const { stdout, stderr } = run({ PGPASS_ENABLED: 'true' });
    expect(stdout).toContain('CREDENTIALS_DIRECTORY=');
    for (const password of [superuserPassword, 'r3pl-secret']) expect(stdout + stderr).not.toContain(password);
  });
});
