import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { splitScript } from '../../../src/initSql/splitScript.ts';

/** What psql takes and initSQL does not, each with the words by which the documents name it. */
const BY_DESIGN: readonly (readonly [script: string, named: string])[] = [
  ['\\i file.sql', '`\\i`'],
  ["\\copy t FROM 'x'", '`\\copy`'],
  ['SELECT 1 \\gexec', '`\\gexec`'],
  ['CREATE TABLE :name (x int);', 'its variables'],
  ['COPY t FROM STDIN;', '`COPY … FROM STDIN`'],
  ['COPY t TO STDOUT;', '`COPY … TO STDOUT`'],
  ['CREATE TEMP TABLE t (x int);', 'temporary objects outside a transaction'],
  ['CREATE TEMP VIEW v AS SELECT 1;', 'temporary objects outside a transaction'],
  ['SELECT 1 AS x INTO TEMP t;', 'temporary objects outside a transaction'],
  ["CREATE TYPE pg_temp.mood AS ENUM ('a');", 'temporary objects outside a transaction'],
  ['SET LOCAL work_mem = 1;', '`SET LOCAL`'],
  ["SELECT set_config('work_mem', '1MB', true);", '`SET LOCAL`'],
  ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;', '`SET TRANSACTION`'],
  ['SET CONSTRAINTS ALL DEFERRED;', '`SET CONSTRAINTS`'],
  ['LOCK TABLE t;', '`LOCK TABLE`'],
  ['SAVEPOINT s;', '`SAVEPOINT`'],
  ['DECLARE c CURSOR FOR SELECT 1;', 'a cursor outside a transaction'],
  ['BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT;', '`WITH HOLD`'],
  ['BEGIN; SELECT 1; ROLLBACK;', '`ROLLBACK`'],
  ['BEGIN; SELECT 1; COMMIT AND CHAIN; COMMIT;', '`COMMIT AND CHAIN`'],
  ["BEGIN; SELECT 1; PREPARE TRANSACTION 'x';", '`PREPARE TRANSACTION`'],
  ["COMMIT PREPARED 'x';", '`COMMIT PREPARED`'],
  ["ROLLBACK PREPARED 'x';", '`ROLLBACK PREPARED`'],
  ['BEGIN READ ONLY; SELECT 1; COMMIT;', 'read-only transactions'],
  ['SET default_transaction_read_only = on;', 'read-only transactions'],
  ['SET SESSION AUTHORIZATION postgres;', '`SET SESSION AUTHORIZATION`'],
  ['SET standard_conforming_strings = off;', '`SET standard_conforming_strings = off`'],
  ['SET client_encoding = latin1;', '`SET client_encoding`'],
];

const documents = readFileSync(fileURLToPath(new URL('../../../docs/DATABASE_MANAGEMENT.md', import.meta.url)), 'utf8');

test.each(BY_DESIGN)('%s is refused before anything is done, and the documents name it', async (script, named) => {
  await expect(splitScript(script)).rejects.toMatchObject({ details: { kind: 'invalid' } });
  const rows = documents.split('\n').filter((line) => line.startsWith('| '));
  expect(rows.filter((row) => row.split('|')[1]?.includes(named))).not.toEqual([]);
});
