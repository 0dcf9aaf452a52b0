import { DATABASE, here, onWorkerOf, shardHas, shardOf, toShard } from './damagedDatabase.ts';

/** healed: `apply` sets it right; named: nobody but a person can (exit 3); warned: the database is ready all the same. */
export type Verdict = 'healed' | 'named' | 'warned';

/** Group, SQL, and another database than the damaged one. */
type On = readonly [group: number, text: string, database?: string];

/** One way to be wrong. */
export interface Damage {
  readonly name: string;
  readonly broken: readonly On[];
  readonly verdict: Verdict;
  /** Of the output of each command. */
  readonly says: RegExp;
  /** What a person does about it: the statements of the message itself, or what a backup brings back. */
  readonly mend?: 'follow' | 'restore' | readonly On[];
  /** What holds in the end: group, SQL, value. */
  readonly after?: readonly (readonly [group: number, text: string, value: unknown, database?: string])[];
}

const SHARDS_IN_SIGHT = 'SET citus.override_table_visibility = off;';
const withoutPlacements = (table: string, more = '') =>
  `DELETE FROM pg_dist_placement l USING pg_dist_shard s
    WHERE l.shardid = s.shardid AND s.logicalrelid = '${table}'::regclass ${more}`;
const rowsOf = (table: string) => `SELECT count(*) > 0 FROM ${table}`;

const GONE: readonly On[] = [
  [0, 'CREATE TABLE gone (id bigint PRIMARY KEY)'],
  [0, "SELECT create_distributed_table('gone', 'id', shard_count => 4, colocate_with => 'none')"],
];
/** As a backup does that is older than the table. */
const FORGOTTEN: On = [
  0,
  here(`${withoutPlacements('gone')}; DELETE FROM pg_dist_shard WHERE logicalrelid = 'gone'::regclass;
    DELETE FROM pg_dist_partition WHERE logicalrelid = 'gone'::regclass;
    DELETE FROM pg_dist_object WHERE objid = 'gone'::regclass; DROP TABLE gone`),
];
/** Tables of shards dropped behind the back of every node's metadata. */
const WITHOUT_SHARDS = `DO $do$ DECLARE shard text; BEGIN
    SET LOCAL citus.override_table_visibility = off;
    SET LOCAL citus.enable_manual_changes_to_shards = on;
    SET LOCAL citus.enable_ddl_propagation = off;
    FOR shard IN SELECT relname FROM pg_class WHERE relname ~ '^gone_[0-9]+$' AND relkind = 'r' LOOP
      EXECUTE 'DROP TABLE public.' || shard;
    END LOOP;
  END $do$`;

export const DAMAGES: readonly Damage[] = [
  {
    name: 'a shard dropped on a worker',
    broken: [[2, toShard('events', 'DROP TABLE %s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.events is gone \(public\.events_\d+\); no other node has a copy/,
    mend: 'follow',
    after: [[1, rowsOf('events'), true]],
  },
  {
    name: 'shards of several tables dropped on a worker',
    broken: [
      [1, toShard('docs', 'DROP TABLE %s')],
      [1, toShard('events', 'DROP TABLE %s')],
    ],
    verdict: 'named',
    says: /node1: 1 shard of public\.events is gone[\s\S]*node1: 1 shard of public\.docs is gone/,
    mend: 'follow',
  },
  {
    name: "a worker's database dropped",
    broken: [[2, `DROP DATABASE ${DATABASE} WITH (FORCE)`, 'postgres']],
    verdict: 'named',
    says: /node2: 2 shards of public\.events are gone \(public\.events_\d+, public\.events_\d+\); no other node has a copy/,
    mend: 'restore',
    after: [[2, rowsOf('events'), true]],
  },
  {
    name: "a worker's database dropped and made again, empty",
    broken: [
      [2, `DROP DATABASE ${DATABASE} WITH (FORCE)`, 'postgres'],
      [2, `CREATE DATABASE ${DATABASE}`, 'postgres'],
    ],
    verdict: 'named',
    says: /node2: 2 shards of public\.events are gone/,
    mend: 'restore',
    after: [[2, rowsOf('events'), true]],
  },
  {
    name: 'a view in the place of a shard',
    broken: [
      [1, toShard('counted', 'ALTER TABLE %1$s RENAME TO was_counted; CREATE VIEW %1$s AS SELECT * FROM was_counted')],
    ],
    verdict: 'named',
    says: /node1: 1 shard of public\.counted is gone/,
    mend: [[1, toShard('counted', 'DROP VIEW %1$s; ALTER TABLE was_counted RENAME TO %2$s')]],
  },
  {
    name: 'a shard renamed',
    broken: [[1, toShard('idents', 'ALTER TABLE %s RENAME TO elsewhere')]],
    verdict: 'named',
    says: /node1: 1 shard of public\.idents is gone/,
    // Its index keeps its name, so that no empty table could take the shard's place meanwhile.
    mend: [[1, toShard('idents', 'ALTER TABLE elsewhere RENAME TO %2$s')]],
  },
  {
    name: 'a shard of a partition',
    broken: [[2, toShard('log_2024', 'ALTER TABLE %s RENAME TO log_elsewhere')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.log_2024 is gone/,
    mend: [[2, toShard('log_2024', 'ALTER TABLE log_elsewhere RENAME TO %2$s')]],
  },
  {
    name: 'a shard of a columnar table',
    broken: [[2, toShard('facts', 'DROP TABLE %s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.facts is gone/,
    mend: 'follow',
  },
  {
    name: 'a shard whose name was shortened',
    broken: [[2, toShard('"a table with a very long name that is shortened, by Citus"', 'DROP TABLE %s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\."a table with a very long name that is shortened, by Citus" is gone/,
    mend: 'follow',
  },
  {
    name: 'the shard of a tenant schema',
    // tenants stand on one node each: whichever it is
    broken: [[0, onWorkerOf('tenant_a.items', 'ALTER TABLE %s RENAME TO items_elsewhere')]],
    verdict: 'named',
    says: /1 shard of tenant_a\.items is gone/,
    mend: [[0, onWorkerOf('tenant_a.items', 'ALTER TABLE tenant_a.items_elsewhere RENAME TO %2$s')]],
  },
  {
    name: 'the shard of a table without a distribution column',
    broken: [[0, onWorkerOf('single', 'DROP TABLE %s')]],
    verdict: 'named',
    says: /1 shard of public\.single is gone/,
    mend: 'follow',
  },
  {
    name: 'the shard of a local table of the coordinator',
    broken: [[0, toShard('local_table', 'DROP TABLE %s')]],
    verdict: 'named',
    says: /node0: 1 shard of public\.local_table is gone/,
    mend: 'follow',
  },
  {
    name: 'a shard dropped on a coordinator with shards',
    broken: [
      [
        0,
        "SELECT citus_set_node_property(nodename, nodeport, 'shouldhaveshards', true) FROM pg_dist_node WHERE groupid = 0",
      ],
      [0, 'CREATE TABLE everywhere (id bigint PRIMARY KEY)'],
      [0, "SELECT create_distributed_table('everywhere', 'id', shard_count => 6, colocate_with => 'none')"],
      [0, 'GRANT SELECT, INSERT, UPDATE, DELETE ON everywhere TO writer; GRANT SELECT ON everywhere TO reader'],
      [
        0,
        "SELECT citus_set_node_property(nodename, nodeport, 'shouldhaveshards', false) FROM pg_dist_node WHERE groupid = 0",
      ],
      [0, toShard('everywhere', 'DROP TABLE %s')],
    ],
    verdict: 'named',
    says: /node0: 1 shard of public\.everywhere is gone/,
    mend: 'follow',
  },
  {
    name: 'the only copy of reference tables on a worker',
    broken: [[1, toShard('kinds', 'DROP TABLE %s')]],
    verdict: 'healed',
    says: /copy reference tables to node1|Copying reference tables to node1/i,
    after: [[1, 'SELECT count(*)::int FROM kinds', 10]],
  },
  {
    name: 'the copy of reference tables on the coordinator',
    broken: [[0, toShard('kinds', 'DROP TABLE %s')]],
    verdict: 'healed',
    says: /copy reference tables to node0|Copying reference tables to node0/i,
    after: [[0, 'SELECT count(*)::int FROM kinds', 10]],
  },
  {
    name: 'one of two copies of reference tables on a worker',
    broken: [
      [0, 'CREATE TABLE colours (id int PRIMARY KEY)'],
      [0, "SELECT create_reference_table('colours')"],
      [0, 'INSERT INTO colours VALUES (1), (2)'],
      [0, 'GRANT SELECT, INSERT, UPDATE, DELETE ON colours TO writer; GRANT SELECT ON colours TO reader'],
      [2, toShard('colours', 'DROP TABLE %s')],
    ],
    verdict: 'named',
    says: /node2: 1 shard of public\.colours has no table on this node/,
    mend: 'follow',
    after: [[2, 'SELECT count(*)::int FROM colours', 2]],
  },
  {
    name: 'the placements of a table deleted on every node',
    broken: [0, 1, 2].map((group) => [group, withoutPlacements('events')] as const),
    verdict: 'named',
    says: /node0: 4 shards of public\.events are not placed on any node/,
    mend: 'follow',
    after: [[1, rowsOf('events'), true]],
  },
  {
    name: 'the placements of a table deleted on the coordinator, and known to workers',
    broken: [[0, withoutPlacements('"a table with a very long name that is shortened, by Citus"')]],
    verdict: 'named',
    says: /node0: 4 shards of public\."a table with a very long name that is shortened, by Citus" are not placed on any node/,
    mend: 'follow',
  },
  {
    name: 'a placement of one of two reference tables deleted on every node',
    broken: [
      [0, 'CREATE TABLE tints (id int PRIMARY KEY)'],
      [0, "SELECT create_reference_table('tints')"],
      [0, 'INSERT INTO tints VALUES (1), (2)'],
      [0, 'GRANT SELECT, INSERT, UPDATE, DELETE ON tints TO writer; GRANT SELECT ON tints TO reader'],
      ...[0, 1, 2].map((group) => [group, withoutPlacements('tints', 'AND l.groupid = 1')] as const),
    ],
    verdict: 'named',
    says: /node0: 1 shard of public\.tints is not placed on node1/,
    mend: 'follow',
    after: [[1, 'SELECT count(*)::int FROM tints', 2]],
  },
  {
    name: "rows of pg_dist_placement missing in a worker's metadata",
    broken: [[1, 'DELETE FROM pg_dist_placement WHERE groupid = 2']],
    verdict: 'healed',
    says: /sync metadata to node1|Repairing worker: node1 \(it knows other placements/,
    after: [[1, rowsOf('events'), true]],
  },
  {
    name: "a row of pg_dist_shard changed in a worker's metadata",
    broken: [[1, "UPDATE pg_dist_shard SET shardmaxvalue = '5' WHERE logicalrelid = 'events'::regclass"]],
    verdict: 'healed',
    says: /other shards \(pg_dist_shard\)/,
  },
  {
    name: "a row of pg_dist_partition changed in a worker's metadata",
    broken: [[2, "UPDATE pg_dist_partition SET colocationid = 999 WHERE logicalrelid = 'docs'::regclass"]],
    verdict: 'healed',
    says: /other distributed tables/,
  },
  {
    name: "a row of pg_dist_colocation missing in a worker's metadata",
    broken: [
      [1, 'DELETE FROM pg_dist_colocation WHERE colocationid = (SELECT max(colocationid) FROM pg_dist_colocation)'],
    ],
    verdict: 'healed',
    says: /other colocation groups/,
  },
  {
    name: "a tenant schema missing in a worker's metadata",
    broken: [[1, "DELETE FROM pg_dist_schema WHERE schemaid = 'tenant_a'::regnamespace"]],
    verdict: 'healed',
    says: /other tenant schemas/,
  },
  {
    name: "a distributed object missing in a worker's metadata",
    broken: [[2, "DELETE FROM pg_dist_object WHERE classid = 'pg_ts_config'::regclass"]],
    verdict: 'healed',
    says: /other distributed objects/,
  },
  {
    name: 'a distributed table that the coordinator has forgotten',
    broken: [...GONE, FORGOTTEN],
    verdict: 'named',
    says: /The coordinator does not know tables, or shards of them, that its workers know: public\.gone\./,
    mend: 'follow',
    after: [[1, "SELECT to_regclass('public.gone') IS NULL", true]],
  },
  {
    name: 'a distributed table that is known to workers alone, and has no shards left',
    broken: [...GONE, FORGOTTEN, [1, WITHOUT_SHARDS], [2, WITHOUT_SHARDS]],
    verdict: 'healed',
    says: /other distributed tables/,
    after: [[2, "SELECT to_regclass('public.gone') IS NULL", true]],
  },
  {
    name: 'a shard that the coordinator places elsewhere than where it is',
    broken: [
      [
        0,
        "UPDATE pg_dist_placement SET groupid = 3 - groupid WHERE shardid = (SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 'docs'::regclass)",
      ],
    ],
    verdict: 'named',
    says: /The coordinator places shards of public\.docs elsewhere than its workers do/,
    mend: 'follow',
    after: [[1, 'SELECT count(*)::int FROM docs', 0]],
  },
  {
    name: 'the rows of all nodes gone in a worker',
    broken: [[1, 'DELETE FROM pg_dist_node']],
    verdict: 'healed',
    says: /it knows other nodes|sync metadata/,
  },
  {
    name: "the database of one worker answers in another one's place",
    broken: [[1, 'UPDATE pg_dist_local_group SET groupid = 2']],
    verdict: 'named',
    says: /The database on this worker is that of group 2, not of group 1/,
    mend: [[1, 'UPDATE pg_dist_local_group SET groupid = 1']],
  },
  {
    name: 'metadata not marked as synced',
    broken: [[0, 'UPDATE pg_dist_node SET metadatasynced = false WHERE groupid = 1']],
    verdict: 'healed',
    says: /its metadata is not synced/,
  },
  {
    name: 'a distributed function replaced on a worker',
    broken: [[1, here("CREATE OR REPLACE FUNCTION twice(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 3 * a'")]],
    verdict: 'healed',
    says: /other definitions of distributed functions/,
    after: [[1, 'SELECT twice(2)', 4]],
  },
  {
    name: 'a distributed function dropped on a worker',
    broken: [[1, here('DROP FUNCTION twice(int)')]],
    verdict: 'healed',
    says: /other distributed objects/,
    after: [[1, 'SELECT twice(2)', 4]],
  },
  {
    name: 'a view dropped on a worker',
    broken: [[2, here('DROP VIEW sad_orders')]],
    verdict: 'healed',
    says: /other distributed objects/,
    after: [[2, 'SELECT count(*)::int FROM sad_orders', 0]],
  },
  {
    name: 'a view replaced on a worker',
    broken: [[2, here("CREATE OR REPLACE VIEW sad_orders AS SELECT * FROM orders WHERE m = 'ok'")]],
    verdict: 'healed',
    says: /other definitions/,
  },
  {
    name: 'the owner of a distributed function changed on a worker',
    broken: [[2, here('ALTER FUNCTION twice(int) OWNER TO writer')]],
    verdict: 'healed',
    says: /other definitions/,
    after: [[2, "SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'twice'", 'postgres']],
  },
  {
    name: 'a distributed function that became SECURITY DEFINER on a worker',
    broken: [[1, here('ALTER FUNCTION twice(int) SECURITY DEFINER')]],
    verdict: 'healed',
    says: /other definitions/,
    after: [[1, "SELECT prosecdef FROM pg_proc WHERE proname = 'twice'", false]],
  },
  {
    name: 'a value added to an enum on a worker',
    broken: [[1, here("ALTER TYPE mood ADD VALUE 'by hand'")]],
    verdict: 'named',
    says: /node1: type public\.mood is another one than on the coordinator, so that its metadata cannot be synced/,
    mend: [[1, "DELETE FROM pg_enum WHERE enumlabel = 'by hand'"]],
  },
  {
    name: 'the check of a domain dropped on a worker',
    broken: [[2, here('ALTER DOMAIN positive DROP CONSTRAINT positive_check')]],
    verdict: 'named',
    says: /node2: type public\.positive is another one/,
    mend: [[2, here('ALTER DOMAIN positive ADD CONSTRAINT positive_check CHECK (VALUE > 0)')]],
  },
  {
    name: 'a text search configuration dropped on a worker',
    broken: [[1, here('DROP TEXT SEARCH CONFIGURATION plain')]],
    verdict: 'healed',
    says: /other distributed objects/,
    after: [[1, "SELECT to_tsvector('plain', 'x')::text", "'x':1"]],
  },
  {
    name: 'a sequence dropped on a worker',
    broken: [[2, here('DROP SEQUENCE numbers CASCADE')]],
    verdict: 'healed',
    says: /other distributed objects/,
    after: [[2, "SELECT nextval('numbers') > 0", true]],
  },
  {
    name: 'a distributed table dropped on a worker, its shards left',
    broken: [[1, here('DROP TABLE docs')]],
    verdict: 'healed',
    says: /other distributed tables|other distributed objects|sync metadata to node1/,
    after: [[1, 'SELECT count(*)::int FROM docs', 0]],
  },
  {
    name: 'a column added to a distributed table on a worker',
    broken: [[1, here('ALTER TABLE events ADD COLUMN by_hand int')]],
    verdict: 'healed',
    says: /other columns of distributed tables/,
  },
  {
    name: 'a column dropped from a distributed table on a worker',
    broken: [[2, here('ALTER TABLE events DROP COLUMN body')]],
    verdict: 'healed',
    says: /other columns of distributed tables/,
  },
  {
    name: "a user's rights on a shard revoked",
    broken: [[1, toShard('events', 'REVOKE ALL ON %s FROM writer')]],
    verdict: 'healed',
    says: /shards of public\.events/,
    after: [[1, shardHas('events', 'writer', 'INSERT'), true]],
  },
  {
    name: "a user's role dropped on a worker",
    broken: [
      [2, here('DROP OWNED BY writer')],
      [2, 'DROP OWNED BY writer', 'postgres'],
      [2, 'DROP ROLE writer', 'postgres'],
    ],
    verdict: 'healed',
    says: /create role "writer"|Creating role "writer"/i,
    after: [[2, shardHas('events', 'writer', 'INSERT'), true]],
  },
  {
    name: 'the owner of a shard changed',
    broken: [[1, toShard('counted', 'ALTER TABLE %s OWNER TO writer')]],
    verdict: 'healed',
    says: /shards of public\.counted/,
    after: [
      [
        1,
        `${SHARDS_IN_SIGHT} SELECT relowner::regrole::text FROM pg_class WHERE oid = (${shardOf('counted')})`,
        'postgres',
      ],
    ],
  },
  {
    name: 'row security off on a shard',
    broken: [[2, toShard('notes', 'ALTER TABLE %s DISABLE ROW LEVEL SECURITY')]],
    verdict: 'healed',
    says: /shards of public\.notes/,
    after: [[2, `${SHARDS_IN_SIGHT} SELECT relrowsecurity FROM pg_class WHERE oid = (${shardOf('notes')})`, true]],
  },
  {
    name: 'a policy renamed on a shard',
    broken: [[2, toShard('notes', 'ALTER POLICY mine ON %s RENAME TO other')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.notes \(public\.notes_\d+\) differs from its table in policies other, mine/,
    mend: 'follow',
  },
  {
    name: 'a policy of a shard that lets everybody in',
    broken: [[1, toShard('notes', 'ALTER POLICY mine ON %s USING (true)')]],
    verdict: 'named',
    says: /node1: 1 shard of public\.notes/,
    mend: 'follow',
  },
  {
    name: 'a column dropped on a shard',
    broken: [[1, toShard('counted', 'ALTER TABLE %s DROP COLUMN v')]],
    verdict: 'named',
    says: /node1: 1 shard of public\.counted .* differs from its table in column v\n.*Restore node1 from a backup/,
    mend: 'follow',
  },
  {
    name: 'the type of a column changed on a shard',
    broken: [[2, toShard('counted', 'ALTER TABLE %s ALTER COLUMN v TYPE text')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.counted .* column v/,
    mend: 'follow',
  },
  {
    name: 'a column that only a shard has',
    broken: [[2, toShard('counted', 'ALTER TABLE %s ADD COLUMN by_hand int')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.counted .* has column by_hand, which the table lacks/,
    mend: 'follow',
  },
  {
    name: 'a check dropped on a shard',
    broken: [[1, toShard('orders', 'ALTER TABLE %s DROP CONSTRAINT orders_customer_check')]],
    verdict: 'named',
    says: /node1: 1 shard of public\.orders .* constraint orders_customer_check/,
    mend: 'follow',
  },
  {
    name: 'the primary key dropped on a shard',
    broken: [[2, toShard('docs', 'ALTER TABLE %s DROP CONSTRAINT docs_pkey_%3$s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.docs .* constraint docs_pkey/,
    mend: 'follow',
  },
  {
    name: 'a foreign key to a reference table dropped on a shard',
    broken: [
      [0, 'CREATE TABLE coloured (id bigint PRIMARY KEY, colour int REFERENCES colours (id))'],
      [0, "SELECT create_distributed_table('coloured', 'id', shard_count => 4)"],
      [0, 'GRANT SELECT, INSERT, UPDATE, DELETE ON coloured TO writer; GRANT SELECT ON coloured TO reader'],
      [1, toShard('coloured', 'ALTER TABLE %s DROP CONSTRAINT coloured_colour_fkey_%3$s')],
    ],
    verdict: 'named',
    says: /node1: 1 shard of public\.coloured .* constraint coloured_colour_fkey/,
    mend: 'follow',
  },
  {
    name: 'a foreign key between distributed tables dropped on a shard',
    broken: [[2, toShard('lines', 'ALTER TABLE %s DROP CONSTRAINT lines_parent_fkey_%3$s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.lines .* constraint lines_parent_fkey/,
    mend: 'follow',
  },
  {
    name: 'a check that only a shard has',
    broken: [[1, toShard('orders', 'ALTER TABLE %s ADD CONSTRAINT by_hand CHECK (kind < 100)')]],
    verdict: 'named',
    says: /node1: 1 shard of public\.orders .* constraint by_hand/,
    mend: 'follow',
  },
  {
    name: 'a unique index dropped on a shard',
    broken: [[1, toShard('lines', 'DROP INDEX lines_once_%3$s')]],
    verdict: 'named',
    says: /node1: 1 shard of public\.lines .* index lines_once/,
    mend: 'follow',
  },
  {
    name: 'an index dropped on a shard',
    broken: [[1, toShard('orders', 'DROP INDEX orders_kind_%3$s')]],
    verdict: 'warned',
    says: /node1: 1 shard of public\.orders .* index orders_kind\. Next: /,
    mend: 'follow',
    after: [[1, `${SHARDS_IN_SIGHT} SELECT count(*)::int FROM pg_class WHERE relname ~ '^orders_kind_[0-9]+$'`, 2]],
  },
  {
    name: 'an index of a partition dropped on a shard',
    broken: [[2, toShard('log_2025', 'DROP INDEX only_2025_%3$s')]],
    verdict: 'warned',
    says: /node2: 1 shard of public\.log_2025 .* index only_2025/,
    mend: 'follow',
  },
  {
    name: 'an index that only a shard has',
    broken: [[2, toShard('orders', 'CREATE INDEX by_hand ON %s (extra)')]],
    verdict: 'warned',
    says: /node2: 1 shard of public\.orders .* index by_hand/,
    mend: 'follow',
    after: [[2, `${SHARDS_IN_SIGHT} SELECT count(*)::int FROM pg_class WHERE relname = 'by_hand'`, 0]],
  },
  {
    name: 'an invalid index of a shard',
    broken: [
      [
        1,
        `${SHARDS_IN_SIGHT} UPDATE pg_index SET indisvalid = false WHERE indexrelid = (SELECT min(oid) FROM pg_class WHERE relname ~ '^orders_kind_[0-9]+$')`,
      ],
    ],
    verdict: 'warned',
    says: /node1: 1 index is invalid, .*public\.orders_kind_\d+ of public\.orders_\d+/,
    mend: 'follow',
    after: [[1, `${SHARDS_IN_SIGHT} SELECT count(*)::int FROM pg_index WHERE NOT indisvalid`, 0]],
  },
  {
    name: 'an invalid index of a distributed table on the coordinator',
    broken: [[0, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'docs_t'::regclass"]],
    verdict: 'warned',
    says: /node0: 1 index is invalid, .*public\.docs_t of public\.docs/,
    mend: 'follow',
    after: [[0, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'docs_t'::regclass", true]],
  },
  {
    name: 'an invalid index of a local table, left by REINDEX CONCURRENTLY',
    broken: [
      [0, 'CREATE INDEX plain_local_id_ccnew ON plain_local (id)'],
      [0, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'plain_local_id_ccnew'::regclass"],
    ],
    verdict: 'warned',
    says: /node0: 1 index is invalid, .*public\.plain_local_id_ccnew of public\.plain_local/,
    mend: 'follow',
    after: [[0, "SELECT to_regclass('plain_local_id_ccnew') IS NULL", true]],
  },
  {
    name: 'an index that a worker lacks, its shards have it',
    broken: [[1, here('DROP INDEX orders_kind')]],
    verdict: 'healed',
    says: /other constraints, indexes, policies or triggers of distributed tables/,
    after: [[1, "SELECT to_regclass('orders_kind') IS NOT NULL", true]],
  },
  {
    name: 'a constraint that a worker lacks, its shards have it',
    broken: [[2, here('ALTER TABLE orders DROP CONSTRAINT orders_customer_check')]],
    verdict: 'healed',
    says: /other constraints, indexes, policies or triggers of distributed tables/,
  },
  {
    name: 'a trigger dropped on a shard',
    broken: [[1, toShard('lines', 'DROP TRIGGER stamp_%3$s ON %1$s')]],
    verdict: 'named',
    says: /node1: 1 shard of public\.lines .* trigger stamp/,
    mend: 'follow',
  },
  {
    name: 'a trigger disabled on a shard',
    broken: [[2, toShard('lines', 'ALTER TABLE %s DISABLE TRIGGER stamp_%3$s')]],
    verdict: 'named',
    says: /node2: 1 shard of public\.lines .* trigger stamp/,
    mend: 'follow',
    after: [
      [2, `${SHARDS_IN_SIGHT} SELECT count(*)::int FROM pg_trigger WHERE tgname ~ '^stamp' AND tgenabled = 'D'`, 0],
    ],
  },
  {
    name: 'what a failed move of a shard left',
    // Citus' daemon would have it away within seconds.
    broken: [
      [0, 'ALTER SYSTEM SET citus.defer_shard_delete_interval = -1', 'postgres'],
      [0, 'SELECT pg_reload_conf()', 'postgres'],
      [
        0,
        "INSERT INTO pg_dist_cleanup VALUES (nextval('pg_dist_cleanup_recordid_seq'), nextval('pg_dist_operationid_seq'), 1, 'public.events_999', 2, 1)",
      ],
    ],
    verdict: 'warned',
    says: /node2: 1 object of moves or splits of shards that failed is still there \(pg_dist_cleanup: public\.events_999\)/,
    mend: 'follow',
    after: [[0, 'SELECT count(*)::int FROM pg_dist_cleanup', 0]],
  },
  {
    name: 'a database that is read only on a worker',
    broken: [[1, `ALTER DATABASE ${DATABASE} SET default_transaction_read_only = on`, 'postgres']],
    verdict: 'healed',
    says: /reset(ting)? default_transaction_read_only of database/i,
    after: [[1, 'SHOW default_transaction_read_only', 'off']],
  },
  {
    name: 'a user who is read only on a worker',
    broken: [[2, 'ALTER ROLE writer SET default_transaction_read_only = on', 'postgres']],
    verdict: 'healed',
    says: /reset(ting)? default_transaction_read_only of role "writer"/i,
  },
  {
    name: 'a statement_timeout of a user in the database on a worker',
    broken: [[2, `ALTER ROLE writer IN DATABASE ${DATABASE} SET statement_timeout = 1`, 'postgres']],
    verdict: 'healed',
    says: /reset(ting)? statement_timeout of role "writer" in database/i,
  },
  {
    name: 'a search_path of the database on a worker',
    broken: [[1, `ALTER DATABASE ${DATABASE} SET search_path = nowhere`, 'postgres']],
    verdict: 'healed',
    says: /reset(ting)? search_path of database/i,
  },
  {
    name: 'a connection limit of 0 on a worker',
    broken: [[2, `ALTER DATABASE ${DATABASE} CONNECTION LIMIT 0`, 'postgres']],
    verdict: 'healed',
    says: /connection limit of database .* to -1/,
    after: [[2, `SELECT datconnlimit FROM pg_database WHERE datname = '${DATABASE}'`, -1, 'postgres']],
  },
  {
    name: 'a declared parameter reset on a worker',
    broken: [[2, `ALTER DATABASE ${DATABASE} RESET work_mem`, 'postgres']],
    verdict: 'healed',
    says: /work_mem/,
    after: [[2, 'SHOW work_mem', '8MB']],
  },
  {
    name: 'another owner of the database on a worker',
    broken: [[2, `ALTER DATABASE ${DATABASE} OWNER TO writer`, 'postgres']],
    verdict: 'healed',
    says: /owner of database/,
  },
  {
    name: 'no right to connect on a worker',
    broken: [[1, `REVOKE CONNECT ON DATABASE ${DATABASE} FROM writer`, 'postgres']],
    verdict: 'healed',
    says: /CONNECT/,
  },
  {
    name: "a user's password changed on a worker",
    broken: [[1, "ALTER ROLE writer PASSWORD 'another one entirely'", 'postgres']],
    verdict: 'healed',
    says: /password of role "writer"/i,
  },
  {
    name: 'a user who may not log in on a worker',
    broken: [[1, 'ALTER ROLE reader NOLOGIN', 'postgres']],
    verdict: 'healed',
    says: /alter(ing)? role "reader"/i,
  },
  {
    name: "a user's row of pg_dist_authinfo gone on a worker",
    broken: [[2, "DELETE FROM pg_dist_authinfo WHERE rolename = 'writer'"]],
    verdict: 'healed',
    says: /pg_dist_authinfo|Written on node2/,
    after: [[2, "SELECT count(*)::int FROM pg_dist_authinfo WHERE rolename = 'writer'", 1]],
  },
  {
    name: 'a declared schema dropped on a worker',
    broken: [[1, here('DROP SCHEMA declared')]],
    verdict: 'healed',
    says: /other distributed objects/,
    after: [[1, "SELECT count(*)::int FROM pg_namespace WHERE nspname = 'declared'", 1]],
  },
];
