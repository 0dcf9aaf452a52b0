import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { issue, makeAuthority } from '../../src/certificates/certificate.ts';
import { parseSpec } from '../../src/spec/parse.ts';
import { at, decoded, type Manifest, named, ofKind, render } from '../support/chart.ts';
import { prepared } from '../support/memoryKubernetes.ts';

const directory = '/etc/ssl/certs/postgresql';
const certificate = `sslcert=${directory}/server.crt sslkey=${directory}/server.key`;

function access(values: Readonly<Record<string, unknown>>): readonly string[] {
  const text = named(render({ values }), 'ConfigMap', 'citusdemo-access').data?.['pg_hba.conf'] ?? '';
  return text.trim().split('\n');
}

function conninfo(ssl: Readonly<Record<string, unknown>>): unknown {
  const environment = at(
    named(render({ values: { ssl } }), 'StatefulSet', 'citusdemo-1'),
    'spec.template.spec.containers.0.env',
  );
  if (!Array.isArray(environment)) throw new Error('no environment');
  return at(
    environment.find((variable) => at(variable, 'name') === 'CITUS_NODE_CONNINFO'),
    'value',
  );
}

const local = [
  'local all "postgres" peer map=citus',
  'local replication "replicator" scram-sha-256',
  'local all all scram-sha-256',
];

describe('pg_hba.conf', () => {
  const open = [...local, 'host replication "replicator" all scram-sha-256', 'host all all all scram-sha-256'];
  const encrypted = [
    ...local,
    'hostssl replication "replicator" all scram-sha-256',
    'hostssl all all all scram-sha-256',
  ];
  const certified = [...local, 'hostssl all "postgres" all cert map=citus', ...encrypted.slice(3)];

  test.each([
    [{ enabled: false }, open],
    [{ enabled: false, mode: 'verify-full' }, open],
    [{}, certified],
    [{ enabled: true, mode: 'disable' }, open],
    [{ enabled: true, mode: 'prefer' }, open],
    [{ enabled: true, mode: 'require' }, encrypted],
    [{ enabled: true, mode: 'verify-ca' }, certified],
    [{ enabled: true, mode: 'verify-full' }, certified],
  ])('for %j', (ssl, expected) => {
    expect(access({ ssl })).toEqual(expected);
  });

  test('asks the user first', () => {
    const pgHba = ['hostssl all dba 10.0.0.0/8 scram-sha-256'];
    expect(access({ patroni: { postgresql: { pgHba } } })).toEqual([...pgHba, ...certified]);
  });

  test('makes nobody but CN=postgres the superuser', () => {
    const ident = (values: Readonly<Record<string, unknown>>) =>
      named(render({ values }), 'ConfigMap', 'citusdemo-access').data?.['pg_ident.conf']?.trim();
    expect(ident({})).toBe('citus postgres "postgres"');
    expect(ident({ patroni: { superuser: { username: 'admin' } } })).toBe('citus postgres "admin"');
  });
});

describe('citus.node_conninfo', () => {
  test.each([
    [{ enabled: false }, 'sslmode=prefer'],
    [{ enabled: true, mode: 'prefer' }, `sslmode=prefer ${certificate}`],
    [{ enabled: true, mode: 'require' }, `sslmode=require ${certificate}`],
    [{ enabled: true, mode: 'verify-ca' }, `sslmode=verify-ca sslrootcert=${directory}/ca.crt ${certificate}`],
    [{ enabled: true, mode: 'verify-full' }, `sslmode=verify-full sslrootcert=${directory}/ca.crt ${certificate}`],
  ])('for %j', (ssl, expected) => {
    expect(conninfo(ssl)).toBe(expected);
  });
});

describe('certificates', () => {
  test('are mounted under the same names whatever the Secret calls them', () => {
    const ssl = { enabled: true, secretName: 'from-cert-manager', keys: { certificate: 'tls.crt', key: 'tls.key' } };
    const objects = render({ values: { ssl, additionalDatabases: [{ name: 'orders' }] } });
    const items = [
      { key: 'ca.crt', path: 'ca.crt' },
      { key: 'tls.crt', path: 'server.crt' },
      { key: 'tls.key', path: 'server.key' },
    ];
    const pod = at(named(objects, 'StatefulSet', 'citusdemo-0'), 'spec.template.spec');
    expect(at(pod, 'volumes.2')).toEqual({
      name: 'ssl',
      secret: { secretName: 'from-cert-manager', defaultMode: 0o640, items },
    });
    expect(at(pod, 'containers.0.volumeMounts.3')).toEqual({ name: 'ssl', mountPath: directory, readOnly: true });
    const job = at(named(objects, 'Job', 'citusdemo-create-db-orders'), 'spec.template.spec');
    expect(at(job, 'volumes.2')).toEqual({
      name: 'ssl',
      secret: { secretName: 'from-cert-manager', defaultMode: 0o440, items },
    });
    expect(at(job, 'containers.0.volumeMounts.2')).toEqual({
      name: 'ssl',
      mountPath: '/etc/citus-databases/ssl',
      readOnly: true,
    });
    const spec = parseSpec(decoded(named(objects, 'Secret', 'citusdemo-create-db-orders'), 'spec.yaml'), 'spec');
    expect(spec.ssl).toEqual({
      enabled: true,
      mode: 'verify-ca',
      directory: '/etc/citus-databases/ssl',
      ca: 'ca.crt',
      certificate: 'server.crt',
      key: 'server.key',
      nodeDirectory: directory,
    });
  });

  test('are not looked for where TLS is off', () => {
    const objects = render({ values: { ssl: { enabled: false }, additionalDatabases: [{ name: 'orders' }] } });
    expect(JSON.stringify(objects)).not.toContain('ssl-certs');
    expect(parseSpec(decoded(named(objects, 'Secret', 'citusdemo-databases'), 'spec.yaml'), 'spec').ssl.enabled).toBe(
      false,
    );
  });

  const created = { enabled: true, mode: 'verify-full', createSecret: true, clusterDomain: 'k8s.local' };
  const secretsOf = (objects: readonly Manifest[]) => ofKind(objects, 'Secret');
  const serverOf = (objects: readonly Manifest[]) =>
    new X509Certificate(decoded(named(objects, 'Secret', 'citusdemo-ssl-certs'), 'server.crt'));

  test('made for the chart name every Service and pod, and serve on both sides', async () => {
    const objects = await prepared(render({ values: { ssl: created } }));
    const secret = named(objects, 'Secret', 'citusdemo-ssl-certs');
    const server = serverOf(objects);
    const ca = new X509Certificate(decoded(secret, 'ca.crt'));
    expect(server.verify(ca.publicKey)).toBe(true);
    expect(server.subject).toBe('CN=postgres');
    expect(server.keyUsage).toEqual(expect.arrayContaining(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']));
    expect(Object.keys(secret.data ?? {}).sort()).toEqual(['ca.crt', 'server.crt', 'server.key']);
    for (const host of [
      'citusdemo-0',
      'citusdemo-2.shop.svc',
      'citusdemo-2.shop.svc.k8s.local',
      'citusdemo-1-0.citusdemo-pods.shop',
      'citusdemo-1-0.citusdemo-pods.shop.svc.k8s.local',
      'localhost',
    ]) {
      expect.soft(server.checkHost(host), host).not.toBeUndefined();
    }
    expect(server.checkHost('citusdemo-3')).toBeUndefined();
    expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
  });

  test('leave the key of the CA where no pod mounts it, and all keys out of every manifest', async () => {
    const rendered = render({ values: { ssl: created } });
    const objects = await prepared(rendered);
    expect(decoded(named(objects, 'Secret', 'citusdemo-ssl-ca'), 'ca.key')).toContain('PRIVATE KEY');
    expect(JSON.stringify(ofKind(objects, 'StatefulSet'))).not.toContain('ssl-ca');
    const secrets = ofKind(rendered, 'Secret');
    expect(secrets.map(({ metadata }) => metadata.name)).toEqual(['citusdemo-databases', 'citusdemo-guard-image']);
    for (const secret of secrets) expect(Object.keys(at(secret, 'data') ?? {})).toEqual(['spec.yaml']);
  });

  test('stay as they are over upgrades; a group that is added gets a new certificate of the same authority', async () => {
    const rendered = render({ values: { ssl: created } });
    const before = await prepared(rendered);
    const again = await prepared(rendered, secretsOf(before).slice(1));
    expect(serverOf(again).raw).toEqual(serverOf(before).raw);
    const workers = [{ citusGroup: '1' }, { citusGroup: '2' }, { citusGroup: '3' }];
    const more = await prepared(render({ values: { ssl: created, workers } }), secretsOf(before).slice(1));
    expect(serverOf(more).checkHost('citusdemo-3')).toBe('citusdemo-3');
    const authority = decoded(named(before, 'Secret', 'citusdemo-ssl-ca'), 'ca.crt');
    expect(decoded(named(more, 'Secret', 'citusdemo-ssl-certs'), 'ca.crt')).toBe(authority);
    expect(serverOf(more).verify(new X509Certificate(authority).publicKey)).toBe(true);
  });

  test('are renewed in their last 30 days', async () => {
    const short = render({ values: { ssl: { ...created, validityDays: 20 } } });
    const before = await prepared(short);
    const after = await prepared(render({ values: { ssl: created } }), secretsOf(before).slice(1));
    expect(serverOf(after).raw).not.toEqual(serverOf(before).raw);
    expect(decoded(named(after, 'Secret', 'citusdemo-ssl-certs'), 'ca.crt')).toBe(
      decoded(named(before, 'Secret', 'citusdemo-ssl-certs'), 'ca.crt'),
    );
  });

  test('are made unless values say otherwise, or name a Secret of somebody else', async () => {
    expect(serverOf(await prepared(render())).subject).toBe('CN=postgres');
    for (const ssl of [{ enabled: false }, { createSecret: false }, { secretName: 'issued' }]) {
      expect(ofKind(await prepared(render({ values: { ssl } })), 'Secret')).not.toContainEqual(
        expect.objectContaining({ metadata: expect.objectContaining({ name: expect.stringMatching(/ssl|issued/) }) }),
      );
    }
  });

  test('that somebody else made stay, whatever they name', async () => {
    const foreign = issue(
      { commonName: 'postgres', names: ['citusdemo-0'], days: 20 },
      makeAuthority('another', 20, new Date()),
      new Date(),
    );
    const data = { 'ca.crt': foreign.certificate, 'server.crt': foreign.certificate, 'server.key': foreign.key };
    const present: Manifest = {
      kind: 'Secret',
      metadata: { name: 'citusdemo-ssl-certs', labels: {}, annotations: {} },
      data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
    };
    const objects = await prepared(render(), [present]);
    expect(named(objects, 'Secret', 'citusdemo-ssl-certs')).toEqual(present);
    expect(ofKind(objects, 'Secret').map(({ metadata }) => metadata.name)).not.toContain('citusdemo-ssl-ca');
  });

  test('are refused a new authority behind the back of those who know the old one', async () => {
    const before = await prepared(render({ values: { ssl: created } }));
    const present = secretsOf(before)
      .filter(({ metadata }) => metadata.name !== 'citusdemo-ssl-ca')
      .slice(1);
    await prepared(render({ values: { ssl: created } }), present);
    const workers = [{ citusGroup: '7' }];
    await expect(prepared(render({ values: { ssl: created, workers } }), present)).rejects.toThrow(
      /does not name citusdemo-7.*, and the authority's key in the Secret citusdemo-ssl-ca is gone/,
    );
  });
});
