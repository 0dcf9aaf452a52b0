CREATE INDEX {n}_a ON {t} (a);

CREATE INDEX ON {t} (b);

CREATE INDEX IF NOT EXISTS {n}_a ON {t} (a);

CREATE INDEX {n}_ab ON {t} USING btree (a DESC NULLS LAST, b) INCLUDE (note);

CREATE INDEX {n}_part ON {t} (b) WHERE b > 10;

CREATE INDEX {n}_expr ON {t} ((lower(note)));

CREATE INDEX {n}_hash ON {t} USING hash (b);

CREATE INDEX {n}_gin ON {t} USING gin (doc jsonb_path_ops);

CREATE INDEX {n}_brin ON {t} USING brin (at) WITH (pages_per_range = 32);

CREATE UNIQUE INDEX {n}_once ON {t} (k, b);

CREATE INDEX CONCURRENTLY {n}_conc ON {t} (b, a);

ALTER INDEX {s}{n}_a RENAME TO {n}_a2;

ALTER INDEX {s}{n}_b_idx SET (fillfactor = 80);

ALTER INDEX {s}{n}_b_idx RESET (fillfactor);

ALTER INDEX {s}{n}_expr ALTER COLUMN 1 SET STATISTICS 200;

REINDEX INDEX {s}{n}_a2;

REINDEX TABLE {t};

REINDEX INDEX CONCURRENTLY {s}{n}_a2;

DROP INDEX {s}{n}_part;

DROP INDEX IF EXISTS {s}{n}_part;

DROP INDEX CONCURRENTLY {s}{n}_conc;

COMMENT ON INDEX {s}{n}_ab IS 'two columns';

ALTER TABLE {t} ADD COLUMN c1 int;

ALTER TABLE {t} ADD COLUMN IF NOT EXISTS c1 int;

ALTER TABLE {t} ADD COLUMN c2 text DEFAULT 'x' NOT NULL;

ALTER TABLE {t} ADD COLUMN c3 numeric(10,2) DEFAULT 0.5, ADD COLUMN c4 date;

ALTER TABLE {t} ADD COLUMN c5 int GENERATED ALWAYS AS (a * 2) STORED;

ALTER TABLE {t} ADD COLUMN c6 text COLLATE "C";

ALTER TABLE {t} ADD COLUMN c7 int[] DEFAULT '{1,2}';

ALTER TABLE {t} ALTER COLUMN c1 TYPE bigint;

ALTER TABLE {t} ALTER COLUMN c1 TYPE text USING c1::text || '!';

ALTER TABLE {t} ALTER COLUMN c1 SET DEFAULT 'd';

ALTER TABLE {t} ALTER COLUMN c1 DROP DEFAULT;

ALTER TABLE {t} ALTER COLUMN c4 SET NOT NULL;

ALTER TABLE {t} ALTER COLUMN c4 DROP NOT NULL;

ALTER TABLE {t} ALTER COLUMN note SET STORAGE EXTERNAL;

ALTER TABLE {t} ALTER COLUMN note SET COMPRESSION pglz;

ALTER TABLE {t} ALTER COLUMN b SET STATISTICS 500;

ALTER TABLE {t} ALTER COLUMN b SET (n_distinct = 5);

ALTER TABLE {t} ALTER COLUMN c5 DROP EXPRESSION;

ALTER TABLE {t} RENAME COLUMN c2 TO c2b;

ALTER TABLE {t} DROP COLUMN c3;

ALTER TABLE {t} DROP COLUMN IF EXISTS c3;

ALTER TABLE {t} ADD CONSTRAINT {n}_positive CHECK (a >= 0);

ALTER TABLE {t} ADD CHECK (b < 1000000);

ALTER TABLE {t} ADD CONSTRAINT {n}_later CHECK (a < 1000000) NOT VALID;

ALTER TABLE {t} VALIDATE CONSTRAINT {n}_later;

ALTER TABLE {t} RENAME CONSTRAINT {n}_later TO {n}_renamed;

ALTER TABLE {t} DROP CONSTRAINT {n}_positive;

ALTER TABLE {t} ADD CONSTRAINT {n}_uniq UNIQUE (k, a);

ALTER TABLE {t} ADD CONSTRAINT {n}_using UNIQUE USING INDEX {n}_once;

ALTER TABLE {t} ADD CONSTRAINT {n}_excl EXCLUDE USING btree (k WITH =);

ALTER TABLE {t} DROP CONSTRAINT {n}_uniq CASCADE;

ALTER TABLE {t} OWNER TO {db}_owner;

GRANT SELECT, INSERT ON {t} TO {db}_reader;

GRANT UPDATE (a, b) ON {t} TO {db}_reader;

REVOKE INSERT ON {t} FROM {db}_reader;

ALTER TABLE {t} ENABLE ROW LEVEL SECURITY;

ALTER TABLE {t} FORCE ROW LEVEL SECURITY;

CREATE POLICY {n}_own ON {t} FOR SELECT TO {db}_reader USING (a > 0);

ALTER POLICY {n}_own ON {t} USING (a > 1);

DROP POLICY {n}_own ON {t};

ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY;

ALTER TABLE {t} SET (fillfactor = 70);

ALTER TABLE {t} SET (autovacuum_enabled = false, toast.autovacuum_enabled = false);

ALTER TABLE {t} RESET (autovacuum_enabled);

ALTER TABLE {t} REPLICA IDENTITY FULL;

ALTER TABLE {t} CLUSTER ON {n}_ab;

CLUSTER {t} USING {n}_ab;

CREATE FUNCTION {s}{n}_touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'touched'; RETURN NEW; END $$;

CREATE TRIGGER {n}_touch BEFORE UPDATE ON {t} FOR EACH ROW EXECUTE FUNCTION {s}{n}_touch();

ALTER TABLE {t} DISABLE TRIGGER USER;

CREATE STATISTICS {s}{n}_stat (dependencies, ndistinct) ON a, b FROM {t};

ALTER STATISTICS {s}{n}_stat SET STATISTICS 100;

ALTER STATISTICS {s}{n}_stat RENAME TO {n}_stat2;

DROP STATISTICS {s}{n}_stat2;

CREATE VIEW {s}{n}_view AS SELECT k, a FROM {t} WHERE a > 3;

CREATE OR REPLACE VIEW {s}{n}_view AS SELECT k, a, b FROM {t} WHERE a > 3;

ALTER VIEW {s}{n}_view SET (security_barrier = true);

CREATE MATERIALIZED VIEW {s}{n}_mat AS SELECT count(*) AS n FROM {t};

REFRESH MATERIALIZED VIEW {s}{n}_mat;

CREATE RULE {n}_rule AS ON DELETE TO {s}{n}_view DO INSTEAD NOTHING;

COMMENT ON TABLE {t} IS 'of the corpus';

COMMENT ON COLUMN {t}.a IS 'it''s a; column';

INSERT INTO {t} (k, a, b) VALUES (1, 2, 3), (2, 3, 4);

INSERT INTO {t} (k, a, b) SELECT i, i, i FROM generate_series(10, 20) i;

INSERT INTO {t} (k, a, b) VALUES (3, 2, 3) RETURNING k;

WITH chosen AS (SELECT k FROM {t} WHERE a = 2) SELECT count(*) FROM chosen;

UPDATE {t} SET b = b + 1 WHERE k = 1;

DELETE FROM {t} WHERE k = 2;

SELECT count(*) FROM {t};

BEGIN;
ALTER TABLE {t} ADD COLUMN of_block int;
CREATE INDEX {n}_of_block ON {t} (of_block);
UPDATE {t} SET of_block = 1;
COMMIT;

BEGIN;
INSERT INTO {t} (k, a, b) VALUES (77, 1, 1);
SAVEPOINT s;
INSERT INTO {t} (k, a, b) VALUES (78, 1, 1);
ROLLBACK TO SAVEPOINT s;
COMMIT;

ANALYZE {t};

VACUUM {t};

VACUUM (ANALYZE, FREEZE) {t};

TRUNCATE {t};

ALTER TABLE {t} RENAME TO {n}_renamed_table;

ALTER TABLE {s}{n}_renamed_table RENAME TO {n};

DO $$ BEGIN EXECUTE 'ALTER TABLE {t} ADD COLUMN of_do int'; END $$;

CREATE TABLE {s}{n}_like (LIKE {t} INCLUDING ALL);

CREATE TABLE {s}{n}_as AS SELECT k, a FROM {t};

DROP TABLE {s}{n}_as;

DROP TABLE IF EXISTS {s}{n}_as, {s}{n}_like;

ALTER TABLE IF EXISTS {s}{n}_nowhere ADD COLUMN x int;

ALTER TABLE {t} SET UNLOGGED;

ALTER TABLE {t} SET LOGGED;

ALTER TABLE {t} SET WITHOUT CLUSTER;

ALTER TABLE {t} SET WITHOUT OIDS;

ALTER TABLE {t} SET TABLESPACE pg_default;

ALTER TABLE {t} ALTER COLUMN a SET (n_distinct = 10);

ALTER TABLE {t} ALTER COLUMN a RESET (n_distinct);

CREATE UNIQUE INDEX {n}_own ON {t} (k, b);

ALTER TABLE {t} ADD CONSTRAINT {n}_own_key UNIQUE USING INDEX {n}_own;

ALTER TABLE {t} ENABLE TRIGGER ALL;

ALTER TABLE {t} DISABLE TRIGGER ALL;

ALTER TABLE {t} ENABLE TRIGGER USER;

ALTER TABLE {t} ENABLE ROW LEVEL SECURITY;

ALTER TABLE {t} DISABLE ROW LEVEL SECURITY;

CREATE TABLE {s}{n}_child () INHERITS ({t});

CREATE TABLE {s}{n}_parent (k bigint NOT NULL);

ALTER TABLE {t} INHERIT {s}{n}_parent;

ALTER TABLE {t} NO INHERIT {s}{n}_parent;

CREATE TYPE {s}{n}_row AS (k bigint);

ALTER TABLE {s}{n}_parent OF {s}{n}_row;

ALTER TABLE {s}{n}_parent NOT OF;

ALTER TABLE {s}{n}_parent ALTER COLUMN k ADD GENERATED BY DEFAULT AS IDENTITY;

ALTER TABLE {s}{n}_parent ALTER COLUMN k DROP IDENTITY;

COPY {t} TO PROGRAM 'cat > /dev/null';

COPY (SELECT 1) TO PROGRAM 'cat > /dev/null' WITH (FORMAT csv);

COPY {s}{n}_parent FROM PROGRAM 'echo 7';

COPY {t} FROM '/nonexistent/file';
