import { expect } from 'vitest';
import { specOf } from '../support/program.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY } from './support/laboratory.ts';

/** An owner, or anybody with a login, who fills catalogs: the program is not to hold what it does not compare. */

const test = laboratoryTest;

/** Characters; the chart's Jobs have 384 MiB for everything. */
const MUCH = 12_000_000;

/** As mallory; `%L` in each statement is a text of many megabytes. */
function filling(statements: readonly string[]): string {
  const each = statements.map((sql) => `EXECUTE pg_catalog.format($sql$${sql}$sql$, pg_catalog.repeat('x', ${MUCH}));`);
  return `DO $fill$ BEGIN ${each.join(' ')} END $fill$`;
}

async function withLittleMemory(body: () => Promise<void>): Promise<void> {
  const before = process.env['NODE_OPTIONS'];
  process.env['NODE_OPTIONS'] = '--max-old-space-size=40';
  try {
    await body();
  } finally {
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
  }
}

test('texts of many megabytes: plan says the same, with 40 MB for what it holds', { timeout: 300_000 }, async ({
  laboratory: { cluster, scene },
  program,
}) => {
  const parameters = { work_mem: '6MB' };
  const { asMallory, user } = await scene('heap', { more: { comment: 'of mallory', parameters } });
  await asMallory(
    0,
    filling([
      `ALTER ROLE ${MALLORY} IN DATABASE heap SET application_name = %L`,
      `ALTER ROLE ${MALLORY} IN DATABASE heap SET search_path = %L`,
      'COMMENT ON DATABASE heap IS %L',
    ]),
  );
  const spec = specOf(cluster, [{ name: 'heap', users: [user], comment: 'of mallory', parameters }]);
  await withLittleMemory(async () => {
    const { code, log, stderr } = await program.run(cluster, ['plan'], spec);
    // The workers would get a search_path that was cut off.
    expect(`${code} ${log}${stderr}`).toMatch(
      /^3 [\s\S]*Setting 'search_path' of role "mallory" in database "heap" [\s\S]*longer than 8,192/,
    );
    expect(log.length).toBeLessThan(50_000);
    expect(log).not.toContain('work_mem');
    // Where the server reports search_path at login, nobody gets in with this one, though it speaks PostgreSQL's protocol.
    const verified = await program.run(cluster, ['verify'], spec);
    const text = verified.log + verified.stderr;
    expect(text).not.toContain("does not speak PostgreSQL's protocol");
    if (text.includes('cannot log in')) {
      expect(text).toContain('has let this user in, and what it says then cannot be read');
    }
  });
});

test('the name of a library of many megabytes: it is missing, in few words', { timeout: 300_000 }, async ({
  skip,
  laboratory: { cluster, scene },
  program,
}) => {
  skip(cluster.kind !== 'real', 'the servers of the stand-in look for libraries elsewhere, so that none is judged');
  const { asMallory, user } = await scene('library');
  await asMallory(0, filling(['ALTER DATABASE library SET local_preload_libraries = %L']));
  await withLittleMemory(async () => {
    const spec = specOf(cluster, [{ name: 'library', users: [user] }]);
    const { code, log, stderr } = await program.run(cluster, ['plan'], spec);
    expect(`${code} ${log}${stderr}`).toMatch(
      /^3 [\s\S]*Setting 'local_preload_libraries' of database 'library' is longer than 8,192/,
    );
    expect(log.length).toBeLessThan(50_000);
  });
});
