/**
 * The leader of each group deleted at each step of a running Job: the Job, or its retry, ends ready. Statements that an
 * event trigger can slow down are slowed down, so that the leader goes while they run; the other steps take milliseconds,
 * and what the log had come to when the leader went is printed.
 */
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { eventually } from './support/command.ts';
import { createRelease, type Release } from './support/release.ts';
import { smallCluster } from './support/smallCluster.ts';
import { step } from './support/step.ts';

const STEPS = [1, 2, 3, 4, 5, 6, 7, 8];
const GROUPS = [0, 1];

/** New databases are copies of template1, this trigger included. */
const HOLD = `
  CREATE FUNCTION public.hold() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); END $$;
  CREATE EVENT TRIGGER hold ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION', 'CREATE SCHEMA')
    EXECUTE FUNCTION public.hold();`;

const values = {
  ...smallCluster({ replicas: [2, 2] }),
  patroni: { postgresql: { parameters: { max_connections: 100, max_worker_processes: 40, shared_buffers: '32MB' } } },
};

const initSQL = [
  "CREATE TABLE app.events (id bigint PRIMARY KEY, source text DEFAULT 'initSQL');",
  "SELECT create_distributed_table('app.events', 'id');",
  'INSERT INTO app.events VALUES (1);',
  'SELECT pg_sleep(2);',
  'INSERT INTO app.events VALUES (2);',
].join('\n');

describe('a leader deleted at each step of a running Job', () => {
  let release: Release;

  beforeAll(async () => {
    release = await createRelease('failover');
  }, 60_000);
  afterAll(async () => {
    await release.destroy();
  }, 300_000);

  step('install: two pods in each group, and no database yet', 300, async () => {
    const outcome = await release.helm('install', [], values);
    expect(outcome.code, outcome.stderr).toBe(0);
    await release.ready({ 0: 2, 1: 2 });
    for (const group of GROUPS) await release.sql(group, 'template1', HOLD);
  });

  for (const group of GROUPS) {
    for (const number of STEPS) {
      step(`the leader of group ${group} at step ${number}`, 420, async (note) => {
        const name = `step_${number}_group_${group}`;
        const entry = {
          backoffLimit: 5,
          extensions: ['hstore'],
          schemas: [{ name: 'app' }],
          parameters: { work_mem: '5MB' },
          initSQL,
        };
        // Where workers are quick, the log waits for the coordinator in the steps behind the first.
        await release.sql(1, 'template1', `ALTER EVENT TRIGGER hold ${number === 1 ? 'ENABLE' : 'DISABLE'}`);
        const victim = await release.leader(group);
        const start = performance.now();
        // the databases before it stay, and their Jobs are not run again
        const upgrading = release.helm('upgrade', [], { ...values, additionalDatabases: { [name]: entry } });
        const seen = await eventually(
          `step ${number} in the log`,
          120_000,
          async () => {
            const log = await release.jobLog(name);
            return log.includes(`Step ${number}:`) ? log : undefined;
          },
          100,
        );
        await release.kubectl('delete', 'pod', victim, '--grace-period=0', '--force');
        const outcome = await upgrading;
        expect(outcome.code, outcome.stderr).toBe(0);

        const log = await release.jobLog(name);
        expect(log).toContain(`Database '${name}' is ready!`);
        expect(await release.sql(0, name, 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM app.events')).toBe(
          '1 2',
        );
        const seconds = ((performance.now() - start) / 1000).toFixed(0);
        note(`${victim} went when the log stood at ${/Step \d/.exec(seen.split('\n').findLast(isTitle) ?? '')?.[0]}`);
        note(`${seconds} s from helm upgrade to ready, ${await pods(name)} pods of the Job`);
        await release.ready({ 0: 2, 1: 2 });
      });
    }
  }

  step('after all of it nothing needs repair: plan is empty, verify proves every database', 300, async () => {
    const names = GROUPS.flatMap((group) => STEPS.map((number) => `step_${number}_group_${group}`));
    for (const name of names) {
      expect(
        await release.sql(0, name, "SELECT string_agg(groupid || ':' || nodename, ' ' ORDER BY 1) FROM pg_dist_node"),
      ).toBe('0:citusdemo-0 1:citusdemo-1');
    }
    for (const command of ['plan', 'verify']) {
      const outcome = await release.script('run-in-cluster', ['citusdemo', command]);
      expect(outcome.code, outcome.stdout + outcome.stderr).toBe(0);
    }
  });

  async function pods(name: string): Promise<number> {
    const found = await release.kubectl(
      ...['get', 'pods', '-l', 'job-type=database-creation', '-o'],
      `jsonpath={range .items[?(@.metadata.annotations.citus-databases/database=="${name}")]}{.metadata.name} {end}`,
    );
    return found.trim().split(' ').length;
  }
});

function isTitle(line: string): boolean {
  return /^\s*Step \d:/.test(line);
}
