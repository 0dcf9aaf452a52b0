import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type pg from 'pg';
import { afterAll, expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { connect, query } from '../support/cluster.ts';
import { clusterTest } from '../support/fixtures.ts';
import { type Document, runProgram, specOf } from '../support/program.ts';
import { assignment, type Setting, settingsOf, type Value } from './support/settings.ts';

/**
 * Every setting that the server lets a database or a role have, with other values than its own: what the program makes
 * and says stays the same, or it refuses before it makes anything. Many are set at once; a group that changes something
 * is halved until the culprit is found. What settings do to a cluster only Citus itself can tell.
 */

/** Refused before anything is made, where they are set on a database or on the superuser: all their values, or these. */
const REFUSED: ReadonlyMap<string, 'all' | readonly string[]> = new Map<string, 'all' | readonly string[]>([
  ['citus.enable_metadata_sync', 'all'],
  ['citus.hide_citus_dependent_objects', 'all'],
  ['citus.node_connection_timeout', ['10']],
  ['default_transaction_read_only', 'all'],
  ['event_triggers', 'all'],
  ['extension_control_path', 'all'],
  ['extension_destdir', 'all'],
  ['idle_in_transaction_session_timeout', ['1']],
  ['idle_session_timeout', ['1']],
  ['local_preload_libraries', 'all'],
  ['session_preload_libraries', 'all'],
  ['statement_timeout', ['1']],
  ['transaction_timeout', ['1']],
]);

/** Holds for the session of initSQL on purpose: there the statements fail as they fail in psql. */
const FAILS_IN_PSQL: ReadonlyMap<string, string> = new Map([['citus.shard_replication_factor', 'there is one worker']]);

/** Of these, what a user of the database has does not concern Citus. */
const OF_SUPERUSER: ReadonlySet<string> = new Set([
  ...['citus.enable_metadata_sync', 'citus.hide_citus_dependent_objects'],
  ...['extension_control_path', 'extension_destdir'],
]);

/** In a round of its own: together with citus.use_citus_managed_tables, it keeps psql from distributing a table as well. */
const APART = 'citus.enable_router_execution';

const test = clusterTest({ workers: 1 })
  .extend('passwordFile', { scope: 'file' }, ({ folder }) => (): string => {
    return path.join(folder, 'app.password');
  })
  /** A new extension, schema and script in each run. */
  .extend(
    'documentOf',
    { scope: 'file' },
    ({ passwordFile }) =>
      (parameters: Document = {}, user: Document = {}): Document => {
        const table = `public.made_${runs}`;
        return {
          name: database,
          ...{ maxAttempts: 1, retryDelaySeconds: 1 },
          users: [{ name: 'app', passwordFile: passwordFile(), access: 'readWrite', ...user }],
          extensions: ['citus_columnar', 'hstore'],
          schemas: [`schema_${runs}`],
          initSQL: `CREATE TABLE ${table} (id bigint PRIMARY KEY, note text) USING heap;
SELECT pg_catalog.create_distributed_table('${table}', 'id', shard_count => 2);
CREATE INDEX note_${runs} ON ${table} (note);`,
          parameters,
        };
      },
  )
  .extend('madeOn', { scope: 'file' }, ({ cluster }) => async (group: number): Promise<string> => {
    const method = (name: string) =>
      `(SELECT amname FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.oid = '${name}'::regclass)`;
    const table = `public.made_${runs}`;
    const ofCoordinator = `
    'ledger', ${method('citus_databases.init_sql')},
    (SELECT count(*) FROM citus_databases.init_sql WHERE statement ~ '(made|note)_${runs}\\y') || ',',
    'table', ${method(table)}, (SELECT count(*) FROM pg_index WHERE indrelid = '${table}'::regclass),
    (SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = '${table}'::regclass) || ','`;
    return String(
      await firstValue(
        cluster,
        group,
        database,
        `SELECT concat_ws(' ', ${group === 0 ? ofCoordinator : 'NULL'},
        'extension', (SELECT count(*) FROM pg_extension WHERE extname = 'hstore') || ',',
        'schema', (SELECT count(*) FROM pg_namespace WHERE nspname = 'schema_${runs}'))`,
      ),
    );
  })
  .extend(
    'outcomeOf',
    { scope: 'file' },
    ({ cluster, documentOf, madeOn }) =>
      async (reset: () => Promise<void> = async () => undefined): Promise<Made> => {
        runs += 1;
        const spec = specOf(cluster, [documentOf()]);
        const codes: number[] = [];
        let log = '';
        for (const command of ['apply', 'verify', 'plan']) {
          const { code, log: printed, stderr } = await runProgram(cluster, [command], spec);
          codes.push(code);
          if (code === 0) continue;
          log = `${command}: ${printed}${stderr}`;
          break;
        }
        await reset();
        const made = codes[0] === 0 ? [await madeOn(0), await madeOn(1)].join('; ') : '';
        if (codes[0] === 0) await query(cluster, 0, database, 'DROP EXTENSION hstore');
        return { codes, made, log };
      },
  )
  /** What changes the outcome, by itself. */
  .extend('culprits', { scope: 'file' }, ({ outcomeOf }) => {
    async function culprits(targets: readonly Target[], values: readonly Value[]): Promise<readonly string[]> {
      if (values.length === 0) return [];
      const taken = await setAll(targets, values);
      const outcome = await outcomeOf(() => resetAll(targets));
      if (JSON.stringify(outcome) === JSON.stringify(UNDISTURBED)) return [];
      database = `settings_${runs}`;
      expect(await outcomeOf()).toEqual(UNDISTURBED);
      const [first] = taken;
      if (first === undefined || taken.length === 1) {
        return [`${first?.name} = ${first?.value}: ${JSON.stringify(outcome, undefined, 1)}`];
      }
      console.log(
        `${taken.length} settings from ${first.name} on: ${outcome.codes} ${outcome.made} ${outcome.log.slice(-400)}`,
      );
      const half = Math.ceil(taken.length / 2);
      const found = [
        ...(await culprits(targets, taken.slice(0, half))),
        ...(await culprits(targets, taken.slice(half))),
      ];
      return found.length > 0 ? found : [`only together: ${taken.map(({ name }) => name).join()}: ${outcome.log}`];
    }
    return culprits;
  });

/** Opened before anything is set, so that no setting keeps them out. */
let clients: readonly pg.Client[] = [];
let settings: readonly Setting[] = [];
let runs = 0;
/** A database that a setting has spoilt is left behind. */
let database = 'settings_0';
/** That the server refused for a database or a role, with its reason. */
const notTaken = new Map<string, string>();

test.beforeAll(async ({ cluster, passwordFile, outcomeOf }) => {
  console.log(`Citus: ${cluster.description}`);
  if (cluster.kind !== 'real') return;
  await writeFile(passwordFile(), 'secret of app', { mode: 0o600 });
  clients = await Promise.all(cluster.nodes.map(({ group }) => connect(cluster, group, 'postgres')));
  expect(await outcomeOf()).toEqual(UNDISTURBED);
  const inside = await connect(cluster, 0, database);
  settings = await settingsOf(inside);
  await inside.end();
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
});

interface Made {
  /** Exit codes of apply, verify and plan, as far as they were run. */
  readonly codes: readonly number[];
  readonly made: string;
  readonly log: string;
}

const UNDISTURBED: Made = {
  codes: [0, 0, 0],
  made: 'ledger heap 3, table heap 2 2, extension 1, schema 1; extension 1, schema 1',
  log: '',
};

type Target = 'DATABASE' | 'ROLE postgres' | 'ROLE app';

function named(target: Target): string {
  return target === 'DATABASE' ? `DATABASE ${database}` : target;
}

/** Those that the server takes. */
async function setAll(targets: readonly Target[], values: readonly Value[]): Promise<readonly Value[]> {
  const taken: Value[] = [];
  for (const value of values) {
    const set = targets.map((target) => `ALTER ${named(target)} ${assignment(value)}`).join(';');
    const done = await Promise.allSettled(clients.map((client) => client.query(set)));
    const failed = done.find(({ status }) => status === 'rejected');
    if (failed === undefined) taken.push(value);
    else notTaken.set(`${value.name} = ${value.value}`, String(failed.status === 'rejected' ? failed.reason : ''));
  }
  return taken;
}

async function resetAll(targets: readonly Target[]): Promise<void> {
  const reset = targets.map((target) => `ALTER ${named(target)} RESET ALL`).join(';');
  await Promise.all(clients.map((client) => client.query(reset)));
}

function isRefused({ name, value }: Value): boolean {
  const refused = REFUSED.get(name.toLowerCase());
  return refused === 'all' || refused?.includes(value) === true;
}

/** One for each value of the setting that has most of them. */
function rounds(): number {
  return Math.max(...settings.map(({ values }) => values.length));
}

function valuesOf(round: number): readonly Value[] {
  return settings.flatMap(({ name, values }) => {
    const harmless = values.filter((value) => !isRefused({ name, value }) && !FAILS_IN_PSQL.has(name));
    const value = harmless[name === APART ? round - rounds() + 1 : round];
    return value === undefined ? [] : [{ name, value }];
  });
}

test.for<readonly Target[]>([['DATABASE'], ['ROLE postgres', 'ROLE app']])(
  'each value of each setting, on %s',
  { timeout: 900_000 },
  async (targets, { cluster, culprits, skip }) => {
    if (cluster.kind !== 'real') return skip();
    // As many as PostgreSQL 15 with Citus 13.2 has, and a few less: 295.
    expect(settings.length).toBeGreaterThan(280);
    const found: string[] = [];
    let count = 0;
    for (let round = 0; round < rounds(); round += 1) {
      const values = valuesOf(round);
      count += values.length;
      found.push(...(await culprits(targets, values)));
    }
    console.log(`${count} values of ${settings.length} settings on ${targets.join(' and ')}, in ${rounds()} rounds`);
    expect(found).toEqual([]);
    expect([...notTaken]).toEqual([]);
  },
);

/** All values that are refused there, of those settings that this server has. */
function refusedValues(): readonly Value[] {
  return settings.flatMap(({ name, values }) =>
    values.map((value) => ({ name, value })).filter((value) => isRefused(value)),
  );
}

test.for(['DATABASE', 'ROLE postgres', 'ROLE app'] as const)(
  'what breaks the connections between the nodes is refused on %s before anything is made',
  async (target, { cluster, outcomeOf, skip }) => {
    if (cluster.kind !== 'real') return skip();
    const values = refusedValues().filter(({ name }) => target !== 'ROLE app' || !OF_SUPERUSER.has(name));
    expect(values.length).toBeGreaterThan(target === 'ROLE app' ? 5 : 7);
    const taken = await setAll([target], values);
    expect(taken.length).toBeGreaterThan(5);
    const { codes, log } = await outcomeOf(() => resetAll([target]));
    expect({ codes, log }).toEqual({ codes: [3], log: expect.any(String) });
    for (const { name } of taken) expect(log).toContain(`Setting '${name}' of`);
    expect(log).toContain('Nothing was changed');
  },
);

test('the same where the spec declares it', async ({ cluster, documentOf, skip }) => {
  if (cluster.kind !== 'real') return skip();
  const values = refusedValues();
  const parameters = Object.fromEntries(values.map(({ name, value }) => [name, value]));
  const own = values.filter(({ name }) => !OF_SUPERUSER.has(name) && name !== 'default_transaction_read_only');
  for (const [declared, expected] of [
    [documentOf(parameters), values],
    [documentOf({}, { parameters: Object.fromEntries(own.map(({ name, value }) => [name, value])) }), own],
  ] as const) {
    const { code, log } = await runProgram(cluster, ['apply'], specOf(cluster, [{ ...declared, name: 'declared' }]));
    expect({ code, log }).toEqual({ code: 2, log: expect.stringContaining('Nothing was changed') });
    for (const { name } of expected) expect(log).toContain(`Parameter '${name}'`);
  }
});

/** The database's settings hold for the session of initSQL: psql is the measure of what becomes of its statements. */
test.for([...FAILS_IN_PSQL])(
  'initSQL fails as psql does with %s',
  async ([name, reason], { cluster, outcomeOf, skip }) => {
    if (cluster.kind !== 'real') return skip();
    const value = settings.find((setting) => setting.name === name)?.values[0] ?? '';
    await setAll(['DATABASE'], [{ name, value }]);
    const client = await connect(cluster, 0, database);
    const { rejects } = expect(
      client.query("CREATE TABLE public.by_psql (id bigint); SELECT create_distributed_table('by_psql', 'id')"),
      reason,
    );
    await rejects.toMatchObject({ code: '22023' });
    await client.end();
    const { codes, log } = await outcomeOf(() => resetAll(['DATABASE']));
    expect(codes).toEqual([2]);
    expect(log).toContain('(SQLSTATE 22023)');
  },
);
