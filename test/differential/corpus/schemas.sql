CREATE ROLE {db}_more NOLOGIN;

CREATE ROLE {db}_login LOGIN PASSWORD 'it''s; a secret' CONNECTION LIMIT 5 VALID UNTIL '2030-01-01';

ALTER ROLE {db}_login CREATEDB;

ALTER ROLE {db}_login SET work_mem = '5MB';

ALTER ROLE {db}_login IN DATABASE {db} SET search_path = one, public;

ALTER ROLE {db}_login RESET work_mem;

GRANT {db}_more TO {db}_login WITH ADMIN OPTION;

REVOKE ADMIN OPTION FOR {db}_more FROM {db}_login;

COMMENT ON ROLE {db}_more IS 'more';

CREATE USER {db}_user;

CREATE GROUP {db}_group WITH USER {db}_user;

ALTER GROUP {db}_group DROP USER {db}_user;

DROP ROLE {db}_group;

CREATE SCHEMA one;

CREATE SCHEMA IF NOT EXISTS one;

CREATE SCHEMA AUTHORIZATION {db}_owner;

CREATE SCHEMA filled
  CREATE TABLE inside (x int PRIMARY KEY)
  CREATE VIEW seen AS SELECT x FROM inside
  GRANT SELECT ON seen TO {db}_reader;

ALTER SCHEMA one RENAME TO first;

ALTER SCHEMA first OWNER TO {db}_owner;

GRANT USAGE, CREATE ON SCHEMA first TO {db}_reader WITH GRANT OPTION;

REVOKE GRANT OPTION FOR CREATE ON SCHEMA first FROM {db}_reader CASCADE;

COMMENT ON SCHEMA first IS 'the first; schema';

ALTER DEFAULT PRIVILEGES IN SCHEMA first GRANT SELECT ON TABLES TO {db}_reader;

ALTER DEFAULT PRIVILEGES FOR ROLE {db}_owner GRANT EXECUTE ON FUNCTIONS TO {db}_reader;

ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE first.t (id int PRIMARY KEY);

SELECT create_distributed_table('first.t', 'id');

CREATE TABLE first.u (id int REFERENCES first.t ON DELETE CASCADE, n int, PRIMARY KEY (id, n));

SELECT create_distributed_table('first.u', 'id', colocate_with => 'first.t');

ALTER TABLE first.u ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES first.t (id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE first.u DROP CONSTRAINT fk;

ALTER TABLE first.u SET SCHEMA filled;

GRANT ALL ON ALL TABLES IN SCHEMA first TO {db}_reader;

REVOKE ALL ON ALL TABLES IN SCHEMA first FROM {db}_reader;

GRANT SELECT ON ALL SEQUENCES IN SCHEMA first TO {db}_reader;

SET search_path = first, public;

CREATE TABLE in_first (x int);

RESET search_path;

SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;

SHOW search_path;

SET ROLE {db}_owner;

CREATE TABLE first.of_owner (x int);

RESET ROLE;

REASSIGN OWNED BY {db}_more TO {db}_owner;

DROP OWNED BY {db}_more;

ALTER DATABASE {db} SET work_mem = '6MB';

ALTER DATABASE {db} SET timezone TO 'Europe/Berlin';

ALTER DATABASE {db} RESET work_mem;

COMMENT ON DATABASE {db} IS 'of the corpus';

GRANT CONNECT, TEMPORARY ON DATABASE {db} TO {db}_reader;

REVOKE TEMPORARY ON DATABASE {db} FROM PUBLIC;

ALTER DATABASE {db} CONNECTION LIMIT 50;

CREATE EXTENSION hstore;

CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA first;

ALTER EXTENSION pg_trgm SET SCHEMA public;

ALTER EXTENSION hstore UPDATE;

COMMENT ON EXTENSION hstore IS 'pairs';

CREATE TABLE keyed (id int, h hstore);

SELECT create_distributed_table('keyed', 'id');

CREATE INDEX keyed_h ON keyed USING gin (h);

DROP EXTENSION pg_trgm;

CREATE EXTENSION nothing_such;

CREATE EXTENSION postgres_fdw;

CREATE FOREIGN DATA WRAPPER dummy;

CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'localhost', dbname 'x');

ALTER SERVER elsewhere OPTIONS (SET dbname 'y');

CREATE USER MAPPING FOR {db}_reader SERVER elsewhere OPTIONS (user 'a', password 'b; c');

ALTER USER MAPPING FOR {db}_reader SERVER elsewhere OPTIONS (SET user 'c');

CREATE FOREIGN TABLE far (x int OPTIONS (column_name 'y')) SERVER elsewhere OPTIONS (table_name 't');

ALTER FOREIGN TABLE far ADD COLUMN z int;

SELECT citus_add_local_table_to_metadata('far');

GRANT USAGE ON FOREIGN SERVER elsewhere TO {db}_reader;

DROP USER MAPPING FOR {db}_reader SERVER elsewhere;

DROP FOREIGN TABLE far;

DROP SERVER elsewhere CASCADE;

DROP FOREIGN DATA WRAPPER dummy;

CREATE PUBLICATION pub FOR TABLE first.t;

ALTER PUBLICATION pub ADD TABLE first.in_first;

ALTER PUBLICATION pub SET (publish = 'insert');

CREATE PUBLICATION all_of_them FOR ALL TABLES;

CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA first;

ALTER PUBLICATION pub RENAME TO pub2;

DROP PUBLICATION all_of_them;

CREATE SUBSCRIPTION {db}_sub CONNECTION 'host=localhost dbname=nowhere' PUBLICATION p WITH (connect = false);

ALTER SUBSCRIPTION {db}_sub SET (slot_name = NONE);

DROP SUBSCRIPTION {db}_sub;

SELECT lo_create(4711);

COMMENT ON LARGE OBJECT 4711 IS 'large';

GRANT SELECT ON LARGE OBJECT 4711 TO {db}_reader;

ALTER LARGE OBJECT 4711 OWNER TO {db}_owner;

SELECT lo_unlink(4711);

CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;

COMMENT ON ACCESS METHOD heap2 IS 'heap again';

CREATE TABLE with_heap2 (x int) USING heap2;

DROP ACCESS METHOD heap2 CASCADE;

CREATE TABLESPACE nowhere LOCATION '/nonexistent/place';

CREATE DATABASE {db}_second;

DROP DATABASE {db}_second;

ALTER SYSTEM SET log_min_duration_statement = -1;

ALTER SYSTEM RESET log_min_duration_statement;

IMPORT FOREIGN SCHEMA public FROM SERVER nowhere INTO first;

DROP SCHEMA {db}_owner;

DROP SCHEMA filled;

DROP SCHEMA filled CASCADE;

GRANT pg_read_all_data TO {db}_reader;

GRANT SET ON PARAMETER work_mem TO {db}_reader;

REVOKE SET ON PARAMETER work_mem FROM {db}_reader;

DROP ROLE {db}_user, {db}_login;

CREATE ROLE {db}_owner;

BEGIN;
CREATE TEMP TABLE staging (x int) ON COMMIT DROP;
INSERT INTO staging VALUES (1), (2);
CREATE TABLE from_staging AS SELECT * FROM staging;
COMMIT;

BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL search_path = first;
CREATE TABLE of_path (x int);
LOCK TABLE of_path IN EXCLUSIVE MODE;
SET CONSTRAINTS ALL DEFERRED;
DECLARE c CURSOR FOR SELECT 1;
FETCH 1 FROM c;
MOVE 1 FROM c;
CLOSE c;
COMMIT;
