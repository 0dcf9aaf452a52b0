import { expect } from 'vitest';
import { specOf } from '../support/program.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY } from './support/laboratory.ts';

/** An owner, or anybody with a login, who fills catalogs: the program is not to hold what it does not compare. */

const test = laboratoryTest;

/** Characters; the chart's Jobs have 384 MiB for everything. */
const MUCH = 12_000_000;

test('texts of many megabytes: plan says the same, with 40 MB for what it holds', async ({ laboratory, program }) => {
  const parameters = { work_mem: '6MB' };
  const scene = await laboratory.scene('heap', { more: { comment: 'of mallory', parameters } });
  const long = `pg_catalog.repeat('x', ${MUCH})`;
  const filling = [
    `EXECUTE format('ALTER ROLE ${MALLORY} IN DATABASE heap SET application_name = %L', ${long});`,
    `EXECUTE format('ALTER ROLE ${MALLORY} IN DATABASE heap SET search_path = %L', ${long});`,
    `EXECUTE format('COMMENT ON DATABASE heap IS %L', ${long});`,
  ];
  await scene.asMallory(0, `DO $fill$ BEGIN ${filling.join(' ')} END $fill$`);
  const before = process.env['NODE_OPTIONS'];
  process.env['NODE_OPTIONS'] = '--max-old-space-size=40';
  try {
    const database = { name: 'heap', users: [scene.user], comment: 'of mallory', parameters };
    const spec = specOf(laboratory.cluster, [database]);
    const first = await program.run(laboratory.cluster, ['plan'], spec);
    expect(`${first.code} ${first.log}${first.stderr}`).toMatch(/^10 [\s\S]*the comment of database "heap"/);
    expect(first.log).not.toContain('work_mem');
    // Where the server reports search_path at login, nobody gets in with this one, though it speaks PostgreSQL's protocol.
    const verified = await program.run(laboratory.cluster, ['verify'], spec);
    expect(verified.log + verified.stderr).not.toContain("does not speak PostgreSQL's protocol");
    if ((verified.log + verified.stderr).includes('cannot log in'))
      expect(verified.log + verified.stderr).toContain('has let this user in, and what it says then cannot be read');
    await scene.asMallory(
      0,
      `DO $fill$ BEGIN EXECUTE format('ALTER DATABASE heap SET local_preload_libraries = %L', ${long}); END $fill$`,
    );
    const second = await program.run(laboratory.cluster, ['plan'], spec);
    expect(`${second.code} ${second.log}${second.stderr}`).toMatch(/^3 [\s\S]*lets nobody log in/);
    expect(second.log.length).toBeLessThan(50_000);
  } finally {
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
  }
}, 300_000);
