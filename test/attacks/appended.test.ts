import { expect } from 'vitest';
import { laboratoryTest } from './support/fixtures.ts';

/** What Citus does behind an appended statement that names nothing of an owner's. */

const test = laboratoryTest;

test('DROP TABLE: Citus copies no table of hers behind it', async ({ skip, laboratory }) => {
  skip(laboratory.cluster.kind !== 'real', 'the stand-in converts no tables');
  const first = `CREATE SCHEMA core; CREATE TABLE core.r1 (id int PRIMARY KEY); SELECT create_reference_table('core.r1');
    CREATE TABLE core.r2 (id int PRIMARY KEY); SELECT create_reference_table('core.r2')`;
  const scene = await laboratory.scene('undone', { more: { initSQL: first } });
  for (const statement of [
    'CREATE TABLE refx (id int PRIMARY KEY)',
    "SELECT create_reference_table('refx')",
    'INSERT INTO refx VALUES (1)',
    `CREATE TABLE loc (id int REFERENCES refx, c int CHECK (${scene.trap('loc')}))`,
    'INSERT INTO loc VALUES (1, 1)',
  ]) {
    await scene.asClient(statement);
  }
  const alone = `SET citus.enable_local_reference_table_foreign_keys = off; SET citus.enable_manual_changes_to_shards = on;`;
  await scene.onAllNodes(`${alone} ALTER TABLE loc DROP CONSTRAINT loc_id_fkey`);
  await scene.asMallory(
    0,
    `${alone} DO $do$ DECLARE shard text; BEGIN
      SELECT shard_name(logicalrelid, shardid) INTO shard FROM pg_dist_shard WHERE logicalrelid = 'loc'::regclass;
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', shard, 'loc_id_fkey_' || substring(shard, '[0-9]+$'));
    END $do$`,
  );
  expect(await scene.run(['plan'])).toMatchObject({ code: 0 });
  const { code, stdout, stderr } = await scene.run(['apply'], { initSQL: `${first}; DROP TABLE core.r2` });
  expect({ code, text: stdout + stderr }).toEqual({ code: 0, text: expect.stringContaining('DROP TABLE core.r2') });
  expect(await scene.sprung()).toEqual([]);
  // Citus itself does.
  await scene.provoke(0, 'DROP TABLE core.r1');
  expect(await scene.sprung()).toEqual(['loc']);
});
