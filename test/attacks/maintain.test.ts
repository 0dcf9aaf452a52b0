import { expect } from 'vitest';
import { firstValue } from '../support/catalog.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY, type Scene } from './support/laboratory.ts';

/** PostgreSQL 17 and later: whoever may MAINTAIN a superuser's materialized view has its query run as the superuser. */

const test = laboratoryTest;
let scene: Scene;
let exists: boolean;
let maintains: (relation: string) => Promise<unknown>;

test.beforeAll(async ({ laboratory }) => {
  const { cluster } = laboratory;
  const version = await firstValue(cluster, 0, 'postgres', "SELECT current_setting('server_version_num')");
  exists = Number(version) >= 170_000;
  scene = await laboratory.scene('shop', {
    access: 'all',
    more: {
      initSQL: `CREATE SCHEMA core; CREATE TABLE public.items (id int, name text);
        CREATE MATERIALIZED VIEW core.stats AS SELECT count(*) FROM public.items; ALTER TABLE public.items OWNER TO ${MALLORY};`,
    },
  });
  maintains = async (relation) =>
    await firstValue(cluster, 0, 'shop', `SELECT has_table_privilege('${MALLORY}', '${relation}', 'MAINTAIN')::text`);
});

const REFRESH = 'REFRESH MATERIALIZED VIEW core.stats';

test("a materialized view of the superuser's that reads her table: not hers to refresh", async () => {
  await scene.asMallory(0, `CREATE INDEX ev ON public.items ((id > 0 AND ${scene.trap('refresh')}))`);
  await scene.asMallory(0, "INSERT INTO public.items VALUES (1, 'a')");
  const outcome = await scene.asMallory(0, REFRESH).then(
    () => 'refreshed',
    (error: unknown) => String(error),
  );
  expect(await scene.sprung()).toEqual([]);
  // Before PostgreSQL 17 only the owner refreshes.
  expect(outcome).toContain(exists ? 'permission denied' : 'must be owner of materialized view');
});

test('what an earlier version granted is taken back, also for what comes later', async () => {
  if (!exists) {
    expect((await scene.run(['plan'])).stdout).not.toContain('MAINTAIN');
    return;
  }
  await scene.provoke(0, `GRANT MAINTAIN ON core.stats TO ${MALLORY}`);
  await scene.provoke(0, `ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT MAINTAIN ON TABLES TO ${MALLORY}`);
  // Another superuser's, too.
  await scene.provoke(
    0,
    'CREATE ROLE admin SUPERUSER; CREATE TABLE core.kept (a int); ALTER TABLE core.kept OWNER TO admin',
  );
  await scene.provoke(0, `GRANT MAINTAIN ON core.kept TO ${MALLORY}`);
  const planned = await scene.run(['plan']);
  expect(planned.stdout).toContain('take MAINTAIN on tables and views of superusers');
  expect(planned.stdout).toContain('take MAINTAIN on new tables of superusers');
  const applied = await scene.run(['apply']);
  expect({ code: applied.code, text: applied.stdout + applied.stderr }).toEqual({ code: 0, text: expect.any(String) });
  await scene.provoke(0, 'CREATE MATERIALIZED VIEW core.later AS SELECT count(*) FROM public.items WITH NO DATA');
  for (const relation of ['core.stats', 'core.kept', 'core.later']) expect(await maintains(relation)).toBe('false');
  // Her own stays hers.
  expect(await maintains('public.items')).toBe('true');
  expect((await scene.run(['plan'])).stdout).toContain('Nothing to do');
  await expect(scene.asMallory(0, REFRESH)).rejects.toThrow('permission denied');
  // The trap itself works.
  await scene.provoke(0, 'REFRESH MATERIALIZED VIEW core.later');
  expect(await scene.sprung()).toEqual(['refresh']);
});
