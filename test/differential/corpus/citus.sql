CREATE TABLE dist (id bigint PRIMARY KEY, v text);

SELECT create_distributed_table('dist', 'id', shard_count => 6);

CREATE TABLE co (id bigint, w int);

SELECT create_distributed_table('co', 'id', colocate_with => 'dist');

CREATE TABLE single (id bigint);

SELECT create_distributed_table('single', NULL, colocate_with => 'none');

CREATE TABLE ref (code text PRIMARY KEY);

SELECT create_reference_table('ref');

CREATE TABLE appended (id bigint);

SELECT create_distributed_table('appended', 'id', 'append');

CREATE TABLE ranged (id bigint);

SELECT create_distributed_table('ranged', 'id', 'range');

CREATE TABLE conc (id bigint PRIMARY KEY, v int);

INSERT INTO conc SELECT i, i FROM generate_series(1, 100) i;

SELECT create_distributed_table_concurrently('conc', 'id');

SELECT alter_distributed_table('dist', shard_count => 4, cascade_to_colocated => true);

SELECT alter_distributed_table('co', distribution_column => 'w', colocate_with => 'none');

SELECT update_distributed_table_colocation('co', colocate_with => 'none');

SELECT undistribute_table('co');

SELECT create_distributed_table('co', 'id', colocate_with => 'dist');

ALTER TABLE co ADD CONSTRAINT to_dist FOREIGN KEY (id) REFERENCES dist (id);

CREATE TABLE local_one (code text REFERENCES ref);

SELECT citus_add_local_table_to_metadata('local_one', cascade_via_foreign_keys => true);

SELECT remove_local_tables_from_metadata();

CREATE TABLE parts (id bigint, at date) PARTITION BY RANGE (at);

SELECT create_distributed_table('parts', 'id');

SELECT create_time_partitions('parts', '1 month', '2026-06-01', '2026-01-01');

CALL drop_old_time_partitions('parts', '2026-03-01');

CREATE TABLE parts_x PARTITION OF parts FOR VALUES FROM ('2027-01-01') TO ('2027-02-01');

CREATE TABLE parts_default PARTITION OF parts DEFAULT;

ALTER TABLE parts DETACH PARTITION parts_x;

ALTER TABLE parts ATTACH PARTITION parts_x FOR VALUES FROM ('2027-01-01') TO ('2027-02-01');

ALTER TABLE parts DETACH PARTITION parts_x CONCURRENTLY;

DROP TABLE parts_x;

CREATE TABLE lists (id int, kind text) PARTITION BY LIST (kind);

CREATE TABLE lists_a PARTITION OF lists FOR VALUES IN ('a', 'b');

CREATE TABLE lists_rest PARTITION OF lists DEFAULT;

SELECT create_distributed_table('lists', 'id');

CREATE TABLE hashes (id int) PARTITION BY HASH (id);

CREATE TABLE hashes_0 PARTITION OF hashes FOR VALUES WITH (MODULUS 2, REMAINDER 0);

SELECT create_distributed_table('hashes', 'id');

CREATE TABLE sub (id int, at date, kind int) PARTITION BY RANGE (at);

CREATE TABLE sub_1 PARTITION OF sub FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (kind);

SELECT create_distributed_table('sub', 'id');

CREATE TABLE columns (id bigint, v text) USING columnar;

INSERT INTO columns SELECT i, 'v' FROM generate_series(1, 1000) i;

ALTER TABLE columns SET (columnar.compression = 'none', columnar.stripe_row_limit = 2000);

SELECT alter_table_set_access_method('columns', 'heap');

SELECT alter_table_set_access_method('columns', 'columnar');

SELECT create_distributed_table('columns', 'id');

CREATE INDEX columns_id ON columns (id);

UPDATE columns SET v = 'x';

VACUUM FULL columns;

CREATE SCHEMA tenant_a;

SELECT citus_schema_distribute('tenant_a');

CREATE TABLE tenant_a.items (id int PRIMARY KEY);

CREATE TABLE tenant_a.more (id int REFERENCES tenant_a.items);

CREATE SCHEMA tenant_b;

CREATE TABLE tenant_b.items (id int PRIMARY KEY);

SELECT citus_schema_distribute('tenant_b');

SELECT citus_schema_undistribute('tenant_b');

SET citus.enable_schema_based_sharding TO on;

CREATE SCHEMA tenant_c;

CREATE TABLE tenant_c.t (id int);

ALTER TABLE tenant_c.t SET SCHEMA public;

RESET citus.enable_schema_based_sharding;

SET citus.shard_count = 3;

CREATE TABLE three (id int);

SELECT create_distributed_table('three', 'id', colocate_with => 'none');

SET citus.multi_shard_modify_mode TO 'sequential';

CREATE INDEX three_id ON three (id);

RESET citus.multi_shard_modify_mode;

SELECT isolate_tenant_to_new_shard('conc', 5, shard_transfer_mode => 'block_writes');

SELECT citus_set_default_rebalance_strategy('by_shard_count');

SELECT rebalance_table_shards('three', shard_transfer_mode => 'block_writes');

SELECT truncate_local_data_after_distributing_table('conc');

SELECT run_command_on_workers('SELECT 1');

SELECT run_command_on_shards('dist', 'SELECT count(*) FROM %s');

SELECT citus_version() IS NOT NULL;

SELECT citus_table_size('dist') >= 0;

CREATE VIEW over_dist AS SELECT d.id, r.code FROM dist d CROSS JOIN ref r;

INSERT INTO dist SELECT i, 'x' FROM generate_series(1, 50) i;

INSERT INTO dist VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;

INSERT INTO ref VALUES ('a'), ('b');

UPDATE dist SET v = 'y' WHERE id < 10;

UPDATE dist SET id = 5;

DELETE FROM dist USING ref WHERE v = code;

SELECT count(*) FROM dist JOIN co USING (id);

SELECT d.id FROM dist d FOR UPDATE;

TRUNCATE dist CASCADE;

TRUNCATE ref, local_one;

DROP TABLE dist;

DROP TABLE dist CASCADE;

SELECT citus_drain_node('nowhere', 1);

SELECT create_distributed_table('nowhere', 'id');

SELECT create_distributed_table('ref', 'code');

ALTER TABLE conc ALTER COLUMN id TYPE text;

ALTER TABLE conc DROP COLUMN id;

BEGIN;
CREATE TABLE in_block (id int PRIMARY KEY, t text);
SELECT create_distributed_table('in_block', 'id');
CREATE INDEX in_block_t ON in_block (t);
INSERT INTO in_block VALUES (1, 'a'), (2, 'b');
ALTER TABLE in_block ADD COLUMN more int;
COMMIT;

BEGIN;
SET LOCAL citus.multi_shard_modify_mode TO 'sequential';
CREATE TABLE seq_ref (id int PRIMARY KEY);
SELECT create_reference_table('seq_ref');
CREATE TABLE seq_dist (id int PRIMARY KEY, r int REFERENCES seq_ref);
SELECT create_distributed_table('seq_dist', 'id');
COMMIT;

ALTER EXTENSION citus UPDATE;

GRANT SELECT ON conc TO {db}_reader;

SELECT citus_move_shard_placement(shardid, nodename, nodeport, nodename, nodeport) FROM citus_shards WHERE table_name = 'conc'::regclass LIMIT 1;

SELECT nextval('pg_catalog.pg_dist_shardid_seq') > 0;

SELECT master_get_active_worker_nodes() IS NOT NULL LIMIT 1;
