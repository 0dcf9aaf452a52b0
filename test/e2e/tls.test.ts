/** TLS between nodes, from the Jobs and from clients, with certificates of scripts/generate-ssl-certs.sh. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { attempt, eventually, type Outcome, run } from './support/command.ts';
import { createRelease, type Release, repository } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

const directory = '/etc/ssl/certs/postgresql';
const client = { sslcert: `${directory}/server.crt`, sslkey: `${directory}/server.key` };

describe('TLS', () => {
  let release: Release;
  let files: string;

  beforeAll(async () => {
    release = await createRelease('tls');
    files = path.join(release.files, 'certs');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 180_000);

  /** psql in the first worker's pod, without a password, and without the settings that the pod's environment makes. */
  const psql = (conninfo: Readonly<Record<string, string>>, statement = 'SELECT current_user'): Promise<Outcome> => {
    const words = Object.entries({ dbname: 'shop', ...conninfo }).map(([key, value]) => `${key}=${value}`);
    const variables = ['PGUSER', 'PGPASSFILE', 'PGSSLROOTCERT', 'PGSSLCERT', 'PGSSLKEY'].flatMap((each) => [
      '-u',
      each,
    ]);
    return attempt('kubectl', [
      ...['-n', release.namespace, 'exec', 'citusdemo-1-0', '-c', 'postgresql', '--', 'env', ...variables],
      ...['psql', '-X', '-A', '-t', '-w', '-c', statement, words.join(' ')],
    ]);
  };
  const verified = { sslmode: 'verify-full', sslrootcert: `${directory}/ca.crt`, user: 'postgres', ...client };

  step('certificates from the script, given to the cluster with the command that it prints', 30, async () => {
    const printed = await run(path.join(repository, 'scripts', 'generate-ssl-certs.sh'), [
      ...['--namespace', release.namespace, '--groups', '0-2', '--out', files],
    ]);
    const command = printed.slice(printed.indexOf('kubectl create secret'));
    expect(await run('sh', ['-c', command])).toContain('secret/citusdemo-ssl-certs created');
  });

  step('install with verify-full: the database is ready, every link works', 300, async () => {
    const outcome = await release.helm('install', [], {
      ...smallCluster(),
      ssl: { enabled: true, mode: 'verify-full' },
      additionalDatabases: {
        shop: { initSQL: "CREATE TABLE t (id int);\nSELECT create_distributed_table('t', 'id');" },
      },
    });
    expect(outcome.code, outcome.stderr).toBe(0);
    expect(
      await release.sql(0, 'shop', 'SELECT count(*), bool_and(result) FROM citus_check_cluster_node_health()'),
    ).toBe('4|t');
    expect(await release.sql(0, 'shop', 'SHOW citus.node_conninfo')).toContain('sslmode=verify-full');
    expect(await release.sql(1, 'shop', 'SELECT count(*) FROM t')).toBe('0');
  });

  step('the superuser logs in with the certificate, by every name of leader and pods', 60, async () => {
    const services = [
      'citusdemo-0',
      `citusdemo-0.${release.namespace}`,
      `citusdemo-0.${release.namespace}.svc.cluster.local`,
    ];
    const pods = [
      'citusdemo-0-0.citusdemo-pods',
      `citusdemo-0-0.citusdemo-pods.${release.namespace}.svc.cluster.local`,
    ];
    for (const host of [...services, ...pods]) {
      const { stdout, stderr } = await psql({ ...verified, host });
      expect(stdout, `${host}: ${stderr}`).toBe('postgres\n');
    }
  });

  step('a name that is not in the certificate is refused by the client', 30, async () => {
    const address = await release.kubectl('get', 'service', 'citusdemo-0', '-o', 'jsonpath={.spec.clusterIP}');
    const { code, stderr } = await psql({ ...verified, host: address });
    expect(code).toBe(2);
    expect(stderr).toContain('does not match host name');
  });

  step('no superuser without its certificate, nobody without TLS', 30, async () => {
    const { sslmode, sslrootcert, user } = verified;
    const bare = await psql({
      host: 'citusdemo-0',
      sslmode,
      sslrootcert,
      user,
      sslcert: '/nowhere',
      sslkey: '/nowhere',
    });
    expect(bare.stderr).toContain('connection requires a valid client certificate');
    const plain = await psql({ host: 'citusdemo-0', user, sslmode: 'disable' });
    expect(plain.stderr).toContain('no pg_hba.conf entry');
    expect(plain.stderr).toContain('no encryption');
  });

  step('a certificate of the same authority with another name is no superuser', 60, async () => {
    const at = (name: string) => path.join(files, name);
    await run('openssl', [
      ...[
        'req',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-subj',
        '/CN=somebody',
        '-keyout',
        at('other.key'),
        '-out',
        at('other.csr'),
      ],
    ]);
    await run('openssl', [
      ...['x509', '-req', '-in', at('other.csr'), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'],
      ...['-days', '1', '-out', at('other.crt')],
    ]);
    for (const file of ['other.crt', 'other.key']) {
      await run(
        'kubectl',
        ['-n', release.namespace, 'exec', '-i', 'citusdemo-1-0', '--', 'sh', '-c', `umask 077; cat >/tmp/${file}`],
        {
          input: readFileSync(at(file), 'utf8'),
        },
      );
    }
    const { code, stderr } = await psql({
      ...verified,
      host: 'citusdemo-0',
      sslcert: '/tmp/other.crt',
      sslkey: '/tmp/other.key',
    });
    expect(code).toBe(2);
    expect(stderr).toContain('certificate authentication failed for user "postgres"');
  });

  step('the commands that run in the cluster log in with the certificate too', 60, async () => {
    const { code, stdout, stderr } = await release.script('run-in-cluster', ['citusdemo', 'verify']);
    expect(code, stdout + stderr).toBe(0);
  });

  step('a renewed certificate is taken over by a reload, without a restart', 300, async (note) => {
    for (const file of ['server.crt', 'server.key']) rmSync(path.join(files, file));
    await run(path.join(repository, 'scripts', 'generate-ssl-certs.sh'), [
      ...['--namespace', release.namespace, '--groups', '0-2', '--out', files],
    ]);
    const sources = ['ca.crt', 'server.crt', 'server.key'].map(
      (file) => `--from-file=${file}=${path.join(files, file)}`,
    );
    const renewed = await release.kubectl(
      ...['create', 'secret', 'generic', 'citusdemo-ssl-certs', '--dry-run=client', '-o', 'yaml', ...sources],
    );
    await run('kubectl', ['-n', release.namespace, 'apply', '-f', '-'], { input: renewed });
    const { serialNumber } = new X509Certificate(readFileSync(path.join(files, 'server.crt')));
    const start = performance.now();
    for (const group of [0, 1]) {
      await eventually(`the kubelet shows the new file to group ${group}`, 200_000, async () => {
        const file = await release.kubectl('exec', `citusdemo-${group}-0`, '--', 'cat', `${directory}/server.crt`);
        return new X509Certificate(file).serialNumber === serialNumber ? true : undefined;
      });
      await release.sql(group, 'postgres', 'SELECT pg_reload_conf()');
      await eventually(`group ${group} presents the new certificate`, 30_000, async () => {
        const served = await release.kubectl(
          ...['exec', `citusdemo-${group}-0`, '--', 'sh', '-c'],
          'openssl s_client -starttls postgres -connect localhost:5432 </dev/null 2>/dev/null',
        );
        return new X509Certificate(served).serialNumber === serialNumber ? true : undefined;
      });
    }
    note(`on both nodes ${((performance.now() - start) / 1000).toFixed(1)} s after the Secret changed`);
    const { code, stdout, stderr } = await release.script('run-in-cluster', ['citusdemo', 'verify']);
    expect(code, stdout + stderr).toBe(0);
    const restarts = 'jsonpath={range .items[*]}{.status.containerStatuses[0].restartCount} {end}';
    expect(await release.kubectl('get', 'pods', '-l', 'application=patroni', '-o', restarts)).toBe('0 0 ');
  });

  // The layout in which cert-manager keeps a certificate, and the weaker modes, each on the running cluster.
  for (const mode of ['verify-ca', 'require', 'prefer']) {
    step(`upgrade to ${mode}, with the Secret laid out as cert-manager does`, 300, async () => {
      if (mode === 'verify-ca') {
        const pairs = { 'ca.crt': 'ca.crt', 'tls.crt': 'server.crt', 'tls.key': 'server.key' };
        const sources = Object.entries(pairs).map(([key, file]) => `--from-file=${key}=${path.join(files, file)}`);
        await release.kubectl('create', 'secret', 'generic', 'issued', ...sources);
      }
      const outcome = await release.helm('upgrade', ['--reuse-values'], {
        ssl: { mode, secretName: 'issued', keys: { certificate: 'tls.crt', key: 'tls.key' } },
      });
      expect(outcome.code, outcome.stderr).toBe(0);
      for (const group of [0, 1])
        await release.kubectl('rollout', 'status', `statefulset/citusdemo-${group}`, '--timeout=180s');
      await release.ready({ 0: 1, 1: 1 });
      expect(await release.sql(0, 'shop', 'SHOW citus.node_conninfo')).toContain(`sslmode=${mode} `);
      const { code, stdout, stderr } = await release.script('run-in-cluster', ['citusdemo', 'verify']);
      expect(code, stdout + stderr).toBe(0);
      const plain = await psql({ host: 'citusdemo-0', user: 'postgres', sslmode: 'disable' });
      expect(plain.stderr).toContain(mode === 'prefer' ? 'no password supplied' : 'no pg_hba.conf entry');
    });
  }
});
