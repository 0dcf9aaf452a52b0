CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';

CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 1; SELECT 1';

CREATE FUNCTION atomic(a int DEFAULT 3) RETURNS int LANGUAGE sql BEGIN ATOMIC
  SELECT 1;
  SELECT CASE WHEN a > 1 THEN a ELSE 0 END;
END;

CREATE FUNCTION returns_expression(a int) RETURNS int LANGUAGE sql RETURN a + 1;

CREATE FUNCTION quoted() RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
  -- a comment; with a semicolon
  IF true THEN RETURN 'it''s; $x$ quoted'; END IF;
  RETURN $$nested; dollar$$;
END
$body$;

CREATE FUNCTION many(OUT a int, OUT b text) RETURNS SETOF record LANGUAGE sql ROWS 10 COST 5 AS $$ VALUES (1, 'a'), (2, 'b') $$;

CREATE FUNCTION tabled(VARIADIC v int[]) RETURNS TABLE (x int) LANGUAGE sql STABLE STRICT AS $$ SELECT unnest(v) $$;

CREATE FUNCTION secured() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT current_user::text $$;

CREATE FUNCTION with_settings() RETURNS void LANGUAGE plpgsql SET work_mem FROM CURRENT SET statement_timeout TO '10s' AS $$ BEGIN NULL; END $$;

ALTER FUNCTION one() RENAME TO uno;

ALTER FUNCTION uno() OWNER TO {db}_owner;

ALTER FUNCTION uno() VOLATILE;

ALTER FUNCTION uno() SET work_mem = '8MB';

ALTER FUNCTION uno() RESET ALL;

ALTER FUNCTION uno() DEPENDS ON EXTENSION plpgsql;

ALTER FUNCTION uno() NO DEPENDS ON EXTENSION plpgsql;

GRANT EXECUTE ON FUNCTION uno() TO {db}_reader;

REVOKE ALL ON FUNCTION uno() FROM PUBLIC;

COMMENT ON FUNCTION uno() IS 'the number one';

CREATE SCHEMA lib;

ALTER FUNCTION quoted() SET SCHEMA lib;

DROP FUNCTION many();

CREATE PROCEDURE load_some(n int) LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;

CALL load_some(3);

CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE from_procedure (x int); COMMIT; CREATE TABLE from_procedure2 (x int); END $$;

CALL commits();

ALTER PROCEDURE load_some(int) RENAME TO load_more;

ALTER ROUTINE load_more(int) SECURITY INVOKER;

DROP PROCEDURE load_more;

CREATE TABLE events (id bigint, tenant int, body jsonb);

SELECT create_distributed_table('events', 'tenant');

CREATE FUNCTION count_of(t int) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM events WHERE tenant = t $$;

SELECT create_distributed_function('count_of(int)', 't', colocate_with := 'events');

SELECT count_of(1);

CREATE PROCEDURE put(t int, b jsonb) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO events VALUES (1, t, b); END $$;

SELECT create_distributed_function('put(int, jsonb)', '$1', colocate_with := 'events');

CALL put(4, '{"a": "; --"}');

CREATE FUNCTION notify_of() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;

CREATE TABLE triggered (x int);

CREATE TRIGGER t1 AFTER INSERT OR UPDATE OF x ON triggered FOR EACH STATEMENT EXECUTE FUNCTION notify_of();

CREATE CONSTRAINT TRIGGER t2 AFTER INSERT ON triggered DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION notify_of();

ALTER TRIGGER t1 ON triggered RENAME TO t1b;

ALTER TABLE triggered DISABLE TRIGGER t1b;

COMMENT ON TRIGGER t1b ON triggered IS 'a trigger';

DROP TRIGGER t2 ON triggered;

CREATE RULE r AS ON INSERT TO triggered DO ALSO (SELECT 1; SELECT 2);

ALTER RULE r ON triggered RENAME TO r2;

COMMENT ON RULE r2 ON triggered IS 'a rule';

DROP RULE r2 ON triggered;

CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'ddl'; END $$;

CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE VIEW') EXECUTE FUNCTION on_ddl();

ALTER EVENT TRIGGER watch DISABLE;

DROP EVENT TRIGGER watch;

CREATE VIEW v AS SELECT 1 AS one;

CREATE RECURSIVE VIEW nums (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM nums WHERE n < 10;

CREATE VIEW checked AS SELECT * FROM triggered WHERE x > 1 WITH LOCAL CHECK OPTION;

ALTER VIEW checked RENAME TO checked2;

ALTER VIEW v ALTER COLUMN one SET DEFAULT 5;

ALTER VIEW v OWNER TO {db}_owner;

CREATE MATERIALIZED VIEW mv AS SELECT tenant, count(*) AS n FROM events GROUP BY tenant WITH NO DATA;

REFRESH MATERIALIZED VIEW mv;

CREATE UNIQUE INDEX mv_once ON mv (tenant);

REFRESH MATERIALIZED VIEW CONCURRENTLY mv;

ALTER MATERIALIZED VIEW mv RENAME COLUMN n TO total;

CREATE LANGUAGE plpgsql;

CREATE OR REPLACE TRUSTED LANGUAGE plpgsql;

COMMENT ON LANGUAGE plpgsql IS 'procedural';

CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal));

DROP TRANSFORM FOR int LANGUAGE sql;

DO LANGUAGE plpgsql 'BEGIN CREATE TABLE from_do (x int); END';

DO $$
DECLARE i int;
BEGIN
  FOR i IN 1..3 LOOP
    EXECUTE format('CREATE TABLE %I (x int)', 'part; ' || i);
  END LOOP;
END $$;

SELECT set_config('application_name', 'corpus', false);

PREPARE p AS SELECT $1::int;

EXECUTE p(1);

DEALLOCATE p;

SELECT 1 / 0;

SELECT nothing FROM nowhere;

SELEC 1;

EXPLAIN CREATE TABLE explained AS SELECT 1;

EXPLAIN ANALYZE INSERT INTO events VALUES (2, 2, '{}');

SELECT E'\'; \\' AS "a;b", U&'d\0061t\+000061', B'1010', X'1FF', $q$;$q$ /* ; */ -- ;
  , N'national';

VALUES (1, ';'), (2, $$'$$);

TABLE triggered;

MERGE INTO triggered t USING (VALUES (1), (2)) s (x) ON t.x = s.x WHEN NOT MATCHED THEN INSERT VALUES (s.x);

LISTEN channel;

NOTIFY channel, 'payload; here';

UNLISTEN *;

CHECKPOINT;

SECURITY LABEL FOR nobody ON TABLE triggered IS 'x';

LOAD 'plpgsql';
