import { expect, test } from 'vitest';
import { touchesRoles } from '../../../src/reconcile/asOwner/carriedRoles.ts';

test.each([
  'CREATE ROLE a',
  'create  user a password NULL',
  'ALTER ROLE a SET work_mem = 1',
  'DROP GROUP a',
  "COMMENT ON ROLE a IS 'x'",
  'GRANT a, b TO c',
  'REVOKE ADMIN OPTION FOR a FROM b',
  'DO $$ BEGIN CREATE ROLE a; END $$',
])('%s is of roles', (sql) => {
  expect(touchesRoles({ sql })).toBe(true);
});

test.each([
  'GRANT SELECT ON t TO a',
  'GRANT USAGE ON SCHEMA s TO a, b',
  'REVOKE ALL ON ALL TABLES IN SCHEMA s FROM PUBLIC',
  'CREATE TABLE roles (role text, "user" text)',
  'ALTER TABLE t OWNER TO a',
  "SELECT create_distributed_table('t', 'id')",
])('%s is not', (sql) => {
  expect(touchesRoles({ sql })).toBe(false);
});
