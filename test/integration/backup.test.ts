import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { LEDGER_TABLE } from '../../src/initSql/ledgerTable.ts';
import { findRealCitus } from '../../src/localCluster/postgresInstall.ts';
import { serverUser } from '../../src/localCluster/systemUser.ts';
import { type LocalCluster, type LocalNode, query, startLocalCluster } from '../support/cluster.ts';
import { readDocument } from '../support/documents.ts';
import { runProgram, specOf } from '../support/program.ts';

/**
 * docs/BACKUP.md, "With pgBackRest": its configuration and its commands, with a local cluster in place of the pods. Where
 * pgBackRest (a Debian package) or Citus is not installed, the commands are parsed only.
 */

const { blocks } = readDocument('docs/BACKUP.md');
const block = (language: string, beginning: string) => {
  const found = blocks.filter((each) => each.language === language && each.code.startsWith(beginning));
  const [only] = found;
  if (only === undefined || found.length > 1) throw new Error(`${found.length} blocks begin with ${beginning}`);
  return only.code;
};
const CONFIGURATION = block('ini', '[global]');
const BACKUP = block('bash', 'for group in');
const RESTORE = block('bash', 'set -e\n[ ! -e "$PGDATA.restored" ]');
const AFTERWARDS = block('bash', 'citus-databases plan');

const installed = spawnSync('pgbackrest', ['version']).error === undefined;
const real = process.env['CITUS_DATABASES_TEST_CITUS'] === 'stand-in' ? undefined : await findRealCitus();
const folder = mkdtempSync(path.join(tmpdir(), 'citus-databases-backup-'));
let cluster: LocalCluster | undefined;

afterAll(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true });
});

test('the commands can be parsed by a shell', () => {
  for (const script of [BACKUP, RESTORE, AFTERWARDS]) {
    const { status, stderr } = spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
  }
});

test('every server is restored to one point: verify is content, and the ledger agrees', {
  timeout: 300_000,
}, async () => {
  if (!installed || real === undefined) {
    return console.log('Not tried here: it needs pgBackRest and Citus (apt-get install pgbackrest)');
  }
  const user = await serverUser();
  const own = (file: string) => user !== undefined && chownSync(file, user.uid, user.gid);
  for (const name of ['', 'repository', 'bin']) {
    mkdirSync(path.join(folder, name), { recursive: true });
    chmodSync(path.join(folder, name), 0o755);
    own(path.join(folder, name));
  }
  const configuration = path.join(folder, 'pgbackrest.conf');
  // Each server finds its stanza by its port.
  cluster = await startLocalCluster({
    workers: 2,
    citus: 'real',
    hba: ['local all all trust', 'host all all all scram-sha-256'],
    serverSettings: {
      unix_socket_directories: folder,
      archive_mode: 'on',
      archive_command: `pgbackrest --config=${configuration} --stanza="citusdemo-$(basename "$PWD" | tr -d a-z)" archive-push %p`,
    },
  });
  const { bin, nodes } = cluster;
  console.log(cluster.description);
  let stanzas = CONFIGURATION.replace('repo1-path=/var/lib/pgbackrest', `repo1-path=${folder}/repository`);
  for (const { group, port, dataDirectory } of nodes) {
    const section = `[citusdemo-${group}]\npg1-path=`;
    expect(stanzas).toContain(section);
    const here = `[citusdemo-${group}]\npg1-port=${port}\npg1-socket-path=${folder}\npg1-user=postgres\npg1-path=${dataDirectory}`;
    stanzas = stanzas.replace(`${section}/var/lib/postgresql/data/pgdata`, here);
  }
  writeFileSync(configuration, `${stanzas}\n[global:archive-push]\nlock-path=${folder}\n`);
  // The leader's pod of a group is its server here; what is executed in it runs as the servers' user.
  writeFileSync(
    path.join(folder, 'bin', 'kubectl'),
    `#!/bin/bash\nif [ "$1" = get ]; then echo pod/leader; exit; fi\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n`,
    { mode: 0o755 },
  );
  const shell = (script: string, env: Readonly<Record<string, string>> = {}) =>
    execFileSync('bash', ['-euc', script], {
      ...user,
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        PATH: [path.join(folder, 'bin'), bin, '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
        PGBACKREST_CONFIG: configuration,
        PGBACKREST_LOCK_PATH: folder,
      },
    });

  const initSQL = (table: string) => `CREATE TABLE ${table} (id bigint PRIMARY KEY, note text);
SELECT create_distributed_table('${table}', 'id', shard_count => 4);
INSERT INTO ${table} SELECT g, 'initSQL' FROM generate_series(1, 100) g;
`;
  const tables = { orders: 'lines', audit: 'entries' } as const;
  const spec = specOf(
    cluster,
    Object.entries(tables).map(([name, table]) => ({ name, initSQL: initSQL(table) })),
  );
  const program = async (...args: readonly string[]) => {
    const { code, log } = await runProgram(running(cluster), args, spec);
    return { code, log };
  };
  const insert = async (from: number, note: string) => {
    for (const [database, table] of Object.entries(tables)) {
      await query(
        running(cluster),
        0,
        database,
        `INSERT INTO ${table} SELECT g, '${note}' FROM generate_series(${from}, ${from + 99}) g`,
      );
    }
  };
  const rows = async () => {
    const found = [];
    for (const [database, table] of Object.entries(tables)) {
      const ledger = `SELECT count(*)::int AS ledger FROM ${LEDGER_TABLE}`;
      found.push({
        database,
        notes: await query(
          running(cluster),
          0,
          database,
          `SELECT note, count(*)::int FROM ${table} GROUP BY 1 ORDER BY 1`,
        ),
        ledger: await query(running(cluster), 0, database, ledger),
      });
    }
    return found;
  };

  expect(await program('apply')).toMatchObject({ code: 0 });
  // No archiving before there is a stanza: PostgreSQL tries again, as it does in the pods.
  try {
    shell(BACKUP);
  } catch (error) {
    if (!String(error).includes('VersionNotSupportedError')) throw error;
    return console.log(`Not tried here: this pgBackRest does not know the PostgreSQL of ${cluster.description}`);
  }
  await insert(1_001, 'before the point');
  const before = await rows();
  expect(before[0]?.notes).toHaveLength(2);
  expect(await program('restore-point', 'before_release')).toEqual({
    code: 0,
    log: expect.stringContaining('its WAL is archived on every node'),
  });
  await insert(2_001, 'after the point');

  await Promise.all(nodes.map((node) => node.stop()));
  for (const node of nodes) {
    execFileSync('bash', ['-c', `rm -rf ${node.dataDirectory}/*`]);
    shell(RESTORE, restoreEnvironment(node));
    await node.start();
  }
  for (const command of AFTERWARDS.trim().split('\n')) {
    const args = command.replace('citus-databases ', '').replace(' --spec spec.yaml', '');
    expect(await program(args)).toMatchObject({ code: 0 });
  }
  expect(await rows()).toEqual(before);

  function restoreEnvironment({ group, port, dataDirectory }: LocalNode) {
    return {
      STANZA: `citusdemo-${group}`,
      POINT: 'before_release',
      PGDATA: dataDirectory,
      PGHOST: folder,
      PGPORT: String(port),
      PGUSER: 'postgres',
    };
  }
});

function running(started: LocalCluster | undefined): LocalCluster {
  if (started === undefined) throw new Error('The cluster is not running');
  return started;
}
