import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { describe, expect, vi } from 'vitest';
import { firstValue, list } from '../support/catalog.ts';
import { connect, nodeOf, query, withCitus } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';

/** States that others leave behind, and what the program says of them: before it makes or closes anything. */

const test = clusterTest({ workers: 1, serverSettings: { wal_level: 'logical' } })
  .extend(
    'run',
    { scope: 'file' },
    ({ cluster }) =>
      async (command: string, document: Document, more: Document = {}): Promise<Ran> => {
        const spec = specOf(cluster, [{ maxAttempts: 2, retryDelaySeconds: 1, ...document }], { cluster: more });
        const { code, log } = await runProgram(cluster, [command], spec);
        return { code, log };
      },
  )
  .extend('drop', { scope: 'file' }, ({ cluster }) => async (name: string): Promise<Ran> => {
    const { code, log } = await runProgram(
      cluster,
      ['drop', name, '--confirm', name],
      specOf(cluster, [{ name: 'other' }]),
    );
    return { code, log };
  })
  .extend(
    'exists',
    { scope: 'file' },
    ({ cluster }) =>
      (name: string) =>
        list(cluster, 0, 'postgres', `SELECT 1 FROM pg_database WHERE datname = '${name}'`),
  );

test.beforeAll(async ({ cluster }) => {
  console.log(`Citus: ${cluster.description}`);
});

interface Ran {
  readonly code: number;
  readonly log: string;
}

const READY = { code: 0, log: expect.stringContaining('is ready!') };

function ending(code: number, ...texts: readonly string[]): unknown {
  return { code, log: expect.toSatisfy((log: string) => texts.every((text) => log.includes(text)), texts.join(' … ')) };
}

describe('drop checks everything before it closes the database', () => {
  test('a template', async ({ cluster, run, drop, exists }) => {
    expect(await run('apply', { name: 'pattern' })).toEqual(READY);
    await query(cluster, 1, 'postgres', 'ALTER DATABASE pattern WITH IS_TEMPLATE true');
    expect(await drop('pattern')).toEqual(
      ending(
        3,
        'is a template (IS_TEMPLATE)',
        'node1',
        'ALTER DATABASE "pattern" WITH IS_TEMPLATE false',
        'Nothing was changed',
      ),
    );
    expect(await run('plan', { name: 'pattern' })).toMatchObject({ code: 0 });
    await query(cluster, 1, 'postgres', 'ALTER DATABASE pattern WITH IS_TEMPLATE false');
    expect(await drop('pattern')).toMatchObject({ code: 0 });
    expect(await exists('pattern')).toEqual([]);
  });

  test('a subscription', async ({ cluster, run, drop }) => {
    expect(await run('apply', { name: 'subscriber' })).toEqual(READY);
    const create = `CREATE SUBSCRIPTION feed CONNECTION 'host=nowhere.invalid' PUBLICATION p WITH (connect = false)`;
    await query(cluster, 0, 'subscriber', create);
    expect(await drop('subscriber')).toEqual(
      ending(
        3,
        "has the subscription 'feed'",
        'ALTER SUBSCRIPTION "feed" SET (slot_name = NONE)',
        'Nothing was changed',
      ),
    );
    expect(await run('plan', { name: 'subscriber' })).toMatchObject({ code: 0 });
    for (const statement of ['DISABLE', 'SET (slot_name = NONE)']) {
      await query(cluster, 0, 'subscriber', `ALTER SUBSCRIPTION feed ${statement}`);
    }
    await query(cluster, 0, 'subscriber', 'DROP SUBSCRIPTION feed');
    expect(await drop('subscriber')).toMatchObject({ code: 0 });
  });

  test('a prepared transaction, a slot and a session go with it', async ({ cluster, run, drop, exists }) => {
    expect(await run('apply', { name: 'crowded' })).toEqual(READY);
    await query(cluster, 0, 'crowded', "SELECT pg_create_logical_replication_slot('theirs', 'pgoutput')");
    await query(cluster, 0, 'crowded', "BEGIN; CREATE TABLE t (a int); PREPARE TRANSACTION 'theirs'");
    const session = await connect(cluster, 0, 'crowded');
    session.on('error', () => undefined);
    expect(await drop('crowded')).toMatchObject({ code: 0 });
    expect(await exists('crowded')).toEqual([]);
  });
});

test('a schema that an extension brings along belongs to the declared owner, from the first run on', async ({
  cluster,
  run,
}) => {
  for (const { group } of cluster.nodes) await query(cluster, group, 'postgres', 'CREATE ROLE app_owner LOGIN');
  const document = {
    name: 'brought',
    schemas: [{ name: 'ext', owner: 'app_owner' }],
    extensions: [{ name: 'hstore', schema: 'ext' }],
  };
  expect(await run('apply', document)).toEqual(READY);
  for (const { group } of cluster.nodes) {
    const owner = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'ext'";
    expect(await firstValue(cluster, group, 'brought', owner)).toBe('app_owner');
  }
  expect(await run('plan', document)).toEqual({ code: 0, log: expect.any(String) });
});

test('a database made by hand whose nodes are called localhost: their new names, and nothing about dropping it', async ({
  cluster,
  run,
}) => {
  if (cluster.kind !== 'real') return;
  await withCitus(cluster, 'by_hand');
  // After citus_update_node() the maintenance daemon syncs that node, and until then Citus refuses the next such statement.
  const onceInSync = (statement: string) =>
    vi.waitFor(() => query(cluster, 0, 'by_hand', statement), { timeout: 90_000, interval: 500 });
  const setUp = [
    'CREATE TABLE held (id bigint)',
    "SELECT create_distributed_table('held', 'id', shard_count => 2)",
    'INSERT INTO held SELECT generate_series(1, 100)',
    "SELECT citus_update_node(nodeid, 'localhost', nodeport) FROM pg_dist_node WHERE groupid = 1",
    "SELECT citus_set_coordinator_host('localhost', nodeport) FROM pg_dist_node WHERE groupid = 0",
  ];
  for (const statement of setUp) await onceInSync(statement);
  const advised: string[] = [];
  for (const command of ['plan', 'apply']) {
    const refused = await run(command, { name: 'by_hand' });
    expect(refused).toEqual(ending(3, 'Group 1 is registered as'));
    // Other tests' databases, which this spec leaves out.
    const said = refused.log.replaceAll(/^! Not in this spec.*$/gm, '');
    expect(said).not.toMatch(/\bdrop\b/i);
    advised.push(...[...refused.log.matchAll(/SELECT citus_\w+\([^)]*\)/g)].map(([statement]) => statement));
  }
  expect(advised.length).toBeGreaterThan(0);
  for (const statement of new Set(advised)) {
    // The log of a test has names in the place of addresses.
    const address = (_: string, group: string) => `'127.0.0.1', ${nodeOf(cluster, Number(group)).port}`;
    await onceInSync(statement.replaceAll(/'node(\d)'/g, address));
  }
  expect(await run('apply', { name: 'by_hand' })).toEqual(READY);
  expect(await firstValue(cluster, 0, 'by_hand', 'SELECT count(*)::int FROM held')).toBe(100);
});

test('an older version of an extension is refused', async ({ cluster, run }) => {
  expect(await run('apply', { name: 'downgrade', extensions: ['hstore'] })).toEqual(READY);
  const version = await firstValue(
    cluster,
    0,
    'downgrade',
    "SELECT extversion FROM pg_extension WHERE extname = 'hstore'",
  );
  const extensions = [{ name: 'hstore', version: '1.4' }];
  for (const command of ['plan', 'apply']) {
    expect(await run(command, { name: 'downgrade', extensions })).toEqual(
      ending(3, `Extension hstore is at version ${version} and cannot go to 1.4`, `Declare version: ${version}`),
    );
  }
});

test('a function in the way of an extension: the advice does not speak of packages', async ({ cluster, run }) => {
  expect(await run('apply', { name: 'occupied' })).toEqual(READY);
  const taken = "CREATE FUNCTION public.soundex(text) RETURNS text LANGUAGE sql AS 'SELECT $1'";
  await query(cluster, 0, 'occupied', taken);
  const { code, log } = await run('apply', { name: 'occupied', extensions: ['fuzzystrmatch'] });
  const error = log.slice(log.indexOf('ERROR'));
  expect({ code, error }).toEqual({ code: 1, error: expect.stringContaining('(SQLSTATE 42723)') });
  expect(error).toMatch(/Next: \w+/);
  expect(error).not.toMatch(/package/i);
});

test('a name with other capitals', async ({ run, exists }) => {
  expect(await run('apply', { name: 'capitals', extensions: ['HStore'] })).toEqual(
    ending(2, "Extension 'HStore' is called 'hstore'"),
  );
  expect(await exists('capitals')).toEqual([]);
});

test('an unknown locale or encoding, before anything is made', async ({ cluster, run, exists }) => {
  expect(await run('apply', { name: 'unknown', locale: 'xx_YY.UTF-8', encoding: 'UTF9' })).toEqual(
    ending(
      2,
      "Locale 'xx_YY.UTF-8' (databases[0].locale) is unknown",
      "Encoding 'UTF9' (databases[0].encoding) is unknown",
    ),
  );
  expect(await exists('unknown')).toEqual([]);
  expect(
    await list(cluster, 0, 'postgres', "SELECT 1 FROM pg_tables WHERE tablename = 'managed_database'"),
  ).toHaveLength(1);
  expect(
    await list(cluster, 0, 'postgres', "SELECT 1 FROM citus_databases.managed_database WHERE name = 'unknown'"),
  ).toEqual([]);
  expect(await run('apply', { name: 'known', locale: 'C', encoding: 'UTF8' })).toEqual(READY);
});

describe('unknown to a server, before anything is made', () => {
  const icu = { localeProvider: 'icu' };
  test.for<readonly [string, Document, string]>([
    ['language of an ICU locale', { ...icu, icuLocale: 'xx-YY' }, "ICU locale 'xx-YY' (databases[0].icuLocale)"],
    [
      'builtin locale',
      { localeProvider: 'builtin', builtinLocale: 'de-DE' },
      "Builtin locale 'de-DE' (databases[0].builtinLocale)",
    ],
    ['template', { template: 'nowhere' }, "Template database 'nowhere' (databases[0].template)"],
    [
      'tablespace',
      { parameters: { default_tablespace: 'fast' } },
      "Tablespace 'fast' (databases[0].parameters.default_tablespace) does not exist",
    ],
    [
      'tablespaces for what is temporary',
      { parameters: { temp_tablespaces: 'pg_default, Slow' } },
      "Tablespace 'slow' (databases[0].parameters.temp_tablespaces) does not exist",
    ],
  ])('%s', async ([_, document, says], { cluster, run, exists }) => {
    const users = [{ name: 'not_made', access: 'readWrite', login: false }];
    const named = { name: 'unknown', users, ...document };
    for (const command of ['plan', 'apply']) expect(await run(command, named)).toEqual(ending(2, says, 'node1'));
    expect(await exists('unknown')).toEqual([]);
    for (const { group } of cluster.nodes) {
      expect(await list(cluster, group, 'postgres', "SELECT 1 FROM pg_roles WHERE rolname = 'not_made'")).toEqual([]);
    }
  });

  test.for(['deu', 'de-u-co-phonebk', 'und-u-kn-true'])('known as ICU writes it: %s', async (icuLocale, { run }) => {
    expect((await run('plan', { name: 'unknown', ...icu, icuLocale })).code).toBe(10);
  });

  test('a tablespace that one node alone lacks', async ({ cluster, run }) => {
    await query(cluster, 0, 'postgres', 'ALTER ROLE postgres SET allow_in_place_tablespaces = on');
    await query(cluster, 0, 'postgres', "CREATE TABLESPACE here LOCATION ''");
    await query(cluster, 0, 'postgres', 'ALTER ROLE postgres RESET allow_in_place_tablespaces');
    const { code, log } = await run('plan', { name: 'unknown', parameters: { default_tablespace: 'here' } });
    expect(code).toBe(2);
    expect(log).toContain(
      "Tablespace 'here' (databases[0].parameters.default_tablespace) does not exist (node node1, database unknown)",
    );
  });
});

test('a role whose password has expired', async ({ folder, cluster, run, exists }) => {
  const passwordFile = path.join(folder, 'gone.password');
  await writeFile(passwordFile, 'secret of gone', { mode: 0o600 });
  await query(cluster, 1, 'postgres', "CREATE ROLE gone LOGIN VALID UNTIL '2020-01-01'");
  const document = { name: 'expired', users: [{ name: 'gone', passwordFile, access: 'readWrite' }] };
  expect(await run('apply', document)).toEqual(
    ending(3, "Role 'gone' has expired (VALID UNTIL)", 'node1', `ALTER ROLE "gone" VALID UNTIL 'infinity'`),
  );
  expect(await exists('expired')).toEqual([]);
  await query(cluster, 1, 'postgres', "ALTER ROLE gone VALID UNTIL 'infinity'");
  expect(await run('apply', document)).toEqual(READY);
});

test('a role that a user takes on at login', async ({ folder, cluster, run }) => {
  const user = async (name: string, more: Document = {}) => {
    const passwordFile = path.join(folder, `${name}.password`);
    await writeFile(passwordFile, `secret of ${name}`, { mode: 0o600 });
    return { name, passwordFile, access: 'readWrite', ...more };
  };
  const member = await user('member', { memberOf: ['team'], parameters: { role: 'team' } });
  const apply = (users: readonly Document[]) => run('apply', { name: 'roles', users });
  if (cluster.kind === 'real') {
    expect(await apply([member])).toEqual(ending(2, "Parameter 'role' of user 'member' names 'team'"));
  }
  const users = [await user('team'), member];
  expect(await apply(users)).toEqual(READY);
  const session = await connect(cluster, 0, 'roles', { name: 'member', password: 'secret of member' });
  expect((await session.query('SELECT current_user AS name')).rows).toEqual([{ name: 'team' }]);
  await session.end();
  expect(await run('plan', { name: 'roles', users })).toMatchObject({ code: 0 });
  expect(await run('verify', { name: 'roles', users })).toMatchObject({ code: 0 });
});

test('an event trigger that refuses DDL', async ({ cluster, run }) => {
  expect(await run('apply', { name: 'frozen' })).toEqual(READY);
  await query(
    cluster,
    0,
    'frozen',
    `CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql
       AS $$ BEGIN RAISE EXCEPTION 'no DDL here' USING ERRCODE = '42501'; END $$;
     CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION public.refuse()`,
  );
  const { code, log } = await run('verify', { name: 'frozen' });
  expect({ code, log }).toEqual(
    ending(1, "the event trigger 'no_ddl' does not let", 'no DDL here', 'ALTER EVENT TRIGGER "no_ddl" DISABLE'),
  );
  expect(await run('apply', { name: 'frozen' })).toEqual(READY);
});

describe('a template', () => {
  test('with another version of its collation', async ({ cluster, run }) => {
    if (cluster.kind !== 'real') return;
    for (const { group } of cluster.nodes) {
      const icu = "LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C' TEMPLATE template0";
      await query(cluster, group, 'postgres', `CREATE DATABASE sorting ${icu}`);
    }
    await query(cluster, 1, 'postgres', "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'sorting'");
    const document = { name: 'sorted', template: 'sorting' };
    const { code, log } = await run('apply', document);
    expect({ code, log }).toEqual(
      ending(1, "Template database 'sorting' was made with version 1.0 of its collation", 'REINDEX DATABASE "sorting"'),
    );
    const next = /In that database: (.*)$/m.exec(log)?.[1] ?? '';
    for (const statement of next.replace('. Nothing was changed', '').split('; ')) {
      await query(cluster, 1, 'sorting', statement);
    }
    expect(await run('apply', document)).toEqual(READY);
  });

  test('with citus in it, whose daemon keeps it in use', async ({ cluster, run, exists }) => {
    if (cluster.kind !== 'real') return;
    await query(cluster, 0, 'template1', 'CREATE EXTENSION citus');
    // The next session there starts it.
    await query(cluster, 0, 'template1', 'SELECT count(*) FROM pg_dist_node');
    const daemon =
      "SELECT 1 FROM pg_stat_activity WHERE datname = 'template1' AND backend_type LIKE 'Citus Maintenance%'";
    await expect.poll(() => list(cluster, 0, 'postgres', daemon), { timeout: 30_000 }).toHaveLength(1);
    const started = performance.now();
    expect(await run('apply', { name: 'copied' })).toEqual(
      ending(
        3,
        "Template database 'template1' has the extension citus, whose daemon keeps it in use",
        'template: template0',
      ),
    );
    expect(performance.now() - started).toBeLessThan(30_000);
    expect(await exists('copied')).toEqual([]);
    expect(await run('apply', { name: 'copied', template: 'template0' })).toEqual(READY);
    await query(cluster, 0, 'template1', 'DROP EXTENSION citus');
    await expect.poll(() => list(cluster, 0, 'postgres', daemon), { timeout: 30_000 }).toEqual([]);
    expect(await run('apply', { name: 'again' })).toEqual(READY);
  });
});

describe('addresses', () => {
  test('brackets around an IPv6 address', async ({ cluster }) => {
    const spec = specOf(cluster, [{ name: 'other' }], {
      cluster: { coordinator: { group: 0, host: '[::1]', port: 5432 } },
    });
    const { code, stdout } = await runProgram(cluster, ['apply'], spec);
    expect({ code, log: stdout }).toEqual(ending(2, 'cluster.coordinator.host', 'stands here without them (::1)'));
  });

  test('PgBouncer in front', async ({ run }) => {
    // What it answers to a startup message that has a parameter it does not know (PgBouncer: src/client.c).
    const words = ['SFATAL', 'C08P01', 'Munsupported startup parameter: options'].map((field) => `${field}\0`).join('');
    const pooler = net.createServer((client) => {
      client.on('error', () => undefined);
      client.on('data', (message) => {
        // The request for TLS, which is 8 bytes long.
        if (message.length === 8) return client.write('N');
        const head = Buffer.alloc(5, 'E');
        head.writeInt32BE(words.length + 5, 1);
        return client.end(Buffer.concat([head, Buffer.from(`${words}\0`)]));
      });
    });
    pooler.listen(0, '127.0.0.1');
    await once(pooler, 'listening');
    const listening = pooler.address();
    const port = listening !== null && typeof listening === 'object' ? listening.port : 0;
    const coordinator = { group: 0, host: '127.0.0.1', port };
    const started = performance.now();
    expect(await run('apply', { name: 'pooled', maxAttempts: 60, retryDelaySeconds: 1 }, { coordinator })).toEqual(
      ending(2, 'A connection pooler answers there', 'host and port of the server itself'),
    );
    expect(performance.now() - started).toBeLessThan(20_000);
    pooler.close();
  });
});
