import { expect } from 'vitest';
import { list } from '../support/catalog.ts';
import { query } from '../support/cluster.ts';
import { laboratoryTest } from './support/fixtures.ts';
import { MALLORY } from './support/laboratory.ts';

/**
 * The script of an extension runs as superuser, with the extension's schema in its path: what she made there under a name of
 * PostgreSQL's, with argument types that fit better.
 */

const test = laboratoryTest;

/** The script of pg_trgm has no such call, and is trusted; that of pageinspect neither, and it is not. */
const UNTRUSTED = 'pageinspect';

const overload = (schema: string, trap: string) =>
  `CREATE FUNCTION ${schema}.current_setting(varchar) RETURNS text LANGUAGE plpgsql AS
    $f$ BEGIN PERFORM ${trap}; RETURN pg_catalog.current_setting($1::text); END $f$`;

const installed = "SELECT extname || ' ' || extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1";

test('an extension that comes later, or is updated, where she overloads a name: refused by her function', async ({
  skip,
  laboratory,
}) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in carries no extensions');
  const old = { name: UNTRUSTED, version: '1.9' };
  const scene = await laboratory.scene('scripted', { more: { extensions: [old] } });
  const before = await list(cluster, 0, 'scripted', installed);
  for (const group of [0, 1]) {
    const asked = { extensions: [{ name: UNTRUSTED, version: '1.10' }, 'pg_buffercache'] };
    await scene.asMallory(group, overload('public', scene.trap('overload')));
    for (const command of ['plan', 'apply', 'verify']) {
      const { code, log } = await scene.run([command], asked);
      expect({ command, code, log }).toEqual({
        command,
        code: 3,
        log: expect.stringContaining(
          `The script of extension ${UNTRUSTED} would run as superuser where it may find public.current_setting(character varying) of ${MALLORY}`,
        ),
      });
      expect(log).toContain('The script of extension pg_buffercache would run');
    }
    await scene.asMallory(group, 'DROP FUNCTION public.current_setting(varchar)');
  }
  expect(await list(cluster, 0, 'scripted', installed)).toEqual(before);
  expect(await scene.sprung()).toEqual([]);

  // Functions of other names are no matter, nor is what is theirs elsewhere, nor a script that is trusted.
  await scene.asClient('CREATE FUNCTION public.total(int) RETURNS int LANGUAGE sql AS $$ SELECT $1 $$');
  await scene.asClient('CREATE SCHEMA hers');
  await scene.asMallory(0, overload('hers', 'true'));
  const updated = { extensions: [{ name: UNTRUSTED, version: '1.10' }, 'pg_buffercache'] };
  expect(await scene.run(['apply'], updated)).toMatchObject({ code: 0 });
  await scene.asMallory(0, overload('public', scene.trap('overload')));
  const more = { extensions: [...updated.extensions, 'hstore', { name: 'pg_visibility', schema: 'closed' }] };
  expect(await scene.run(['apply'], more)).toMatchObject({ code: 0 });
  expect(await scene.run(['plan'], more)).toMatchObject({ code: 0 });
  expect(await scene.sprung()).toEqual([]);
});

test('the way in, without the program: a script that names no schema', async ({ skip, laboratory }) => {
  const { cluster } = laboratory;
  skip(cluster.kind !== 'real', 'the stand-in carries no extensions');
  const scene = await laboratory.scene('bare');
  await scene.asMallory(0, overload('public', scene.trap('overload')));
  // What CREATE EXTENSION does for a script (PostgreSQL: extension.c, execute_extension_script()).
  await query(
    cluster,
    0,
    'bare',
    "BEGIN; SET LOCAL search_path = public, pg_temp; DO $$ BEGIN PERFORM current_setting('search_path'::varchar); END $$; ROLLBACK",
  );
  expect(await scene.sprung()).toEqual(['overload']);
});
