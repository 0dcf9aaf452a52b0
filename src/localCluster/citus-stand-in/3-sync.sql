-- What the coordinator tells the workers. It goes out when the transaction commits, from a queue that a rollback empties:
-- so the workers never see what was rolled back. (Citus uses two-phase commit instead.)

CREATE TABLE citus_internal.outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- command: run `command` on every worker; objects: bring the workers' objects up to date; sync: all of node `target`.
  kind text NOT NULL,
  command text,
  target int
);

CREATE FUNCTION citus_internal.enqueue(kind text, command text DEFAULT NULL, target int DEFAULT NULL)
RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO citus_internal.outbox (kind, command, target) VALUES ($1, $2, $3)
$$;

-- Citus marks what it manages in pg_dist_object. Roles fire no event trigger, so the stand-in takes those for managed that
-- came after the extension and own something, or may do something, in this database; and the bootstrap superuser, whom
-- Citus manages from the start.
CREATE FUNCTION citus_internal.distributed_roles() RETURNS SETOF pg_catalog.pg_authid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT r.* FROM pg_catalog.pg_authid r
  WHERE r.oid = 10 OR (
    r.oid > (SELECT f.oid FROM citus_internal.first_role f) AND EXISTS (
      SELECT FROM pg_catalog.pg_shdepend d JOIN pg_catalog.pg_database b ON b.oid = d.dbid
      WHERE b.datname = pg_catalog.current_database() AND d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = r.oid))
  ORDER BY r.oid
$$;

-- Roles that exist keep their password, unless the whole node is synchronised: then it becomes the coordinator's.
CREATE FUNCTION citus_internal.role_commands(whole bool) RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE
  r record;
  options text;
BEGIN
  FOR r IN SELECT * FROM citus_internal.distributed_roles() LOOP
    options := pg_catalog.concat_ws(' ',
      CASE WHEN r.rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END,
      CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
      CASE WHEN r.rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
      CASE WHEN r.rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
      CASE WHEN r.rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
      CASE WHEN r.rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
      CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END,
      pg_catalog.format('CONNECTION LIMIT %s PASSWORD %L', r.rolconnlimit, r.rolpassword));
    RETURN NEXT pg_catalog.format('DO %L', pg_catalog.format(
      'BEGIN IF NOT pg_catalog.role_exists(%L) THEN CREATE ROLE %I %s; END IF;
       EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END', r.rolname, r.rolname, options));
    IF whole THEN
      RETURN NEXT pg_catalog.format('ALTER ROLE %I %s', r.rolname, options);
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION citus_internal.node_command(node pg_catalog.pg_dist_node) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT pg_catalog.format('DELETE FROM pg_catalog.pg_dist_node WHERE nodeid = %1$s;
    INSERT INTO pg_catalog.pg_dist_node (%2$s)
    SELECT %2$s FROM pg_catalog.jsonb_populate_record(NULL::pg_catalog.pg_dist_node, %3$L)',
    node.nodeid, pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', '), pg_catalog.to_jsonb(node))
  FROM pg_catalog.pg_attribute a
  WHERE a.attrelid = 'pg_catalog.pg_dist_node'::regclass AND a.attnum > 0 AND NOT a.attisdropped
$$;

CREATE FUNCTION citus_internal.grant_commands(kind text, target text, acl aclitem[]) RETURNS SETOF text LANGUAGE sql STABLE AS $$
  SELECT pg_catalog.format('GRANT %s ON %s %s TO %s', a.privilege_type, kind, target,
                           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
  FROM pg_catalog.aclexplode(acl) a
$$;

CREATE FUNCTION citus_internal.schema_commands() RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE s record;
BEGIN
  FOR s IN
    SELECT n.* FROM pg_catalog.pg_dist_object o JOIN pg_catalog.pg_namespace n ON n.oid = o.objid
    WHERE o.classid = 'pg_catalog.pg_namespace'::regclass
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                      WHERE d.classid = o.classid AND d.objid = n.oid AND d.deptype = 'e')
    ORDER BY n.oid
  LOOP
    IF s.nspname <> 'public' THEN
      RETURN NEXT pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', s.nspname);
      RETURN NEXT pg_catalog.format('ALTER SCHEMA %I OWNER TO %s', s.nspname, s.nspowner::regrole);
    END IF;
    RETURN QUERY SELECT citus_internal.grant_commands('SCHEMA', pg_catalog.quote_ident(s.nspname), s.nspacl);
  END LOOP;
END $$;

CREATE FUNCTION citus_internal.extension_commands() RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE e record;
BEGIN
  FOR e IN
    SELECT x.extname, x.extversion, x.extnamespace::regnamespace::text AS schema
    FROM pg_catalog.pg_dist_object o JOIN pg_catalog.pg_extension x ON x.oid = o.objid
    WHERE o.classid = 'pg_catalog.pg_extension'::regclass ORDER BY x.oid
  LOOP
    RETURN NEXT pg_catalog.format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA %s VERSION %L CASCADE',
                                  e.extname, e.schema, e.extversion);
    RETURN NEXT pg_catalog.format('DO %L', pg_catalog.format(
      'DECLARE e record;
       BEGIN
         SELECT extversion AS version, extnamespace::regnamespace::text AS schema INTO e FROM pg_extension WHERE extname = %1$L;
         IF e.version <> %2$L THEN ALTER EXTENSION %1$I UPDATE TO %2$L; END IF;
         IF e.schema <> %3$L THEN ALTER EXTENSION %1$I SET SCHEMA %3$s; END IF;
       END', e.extname, e.extversion, e.schema));
  END LOOP;
END $$;

-- Sends a script to one worker, in one transaction of its own.
CREATE FUNCTION citus_internal.send(host text, port int, script text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM citus_internal.open_link('citus_sync', host, port, citus_internal.owner());
  BEGIN
    PERFORM citus_internal.dblink_exec('citus_sync', 'SET citus.enable_ddl_propagation = off');
    PERFORM citus_internal.dblink_exec('citus_sync', 'SET client_min_messages = warning');
    PERFORM citus_internal.dblink_exec('citus_sync', script);
  EXCEPTION WHEN OTHERS THEN
    PERFORM citus_internal.close_link('citus_sync');
    RAISE;
  END;
  PERFORM citus_internal.close_link('citus_sync');
END $$;

CREATE FUNCTION citus_internal.script(whole bool, own_group int, commands text[], with_tables bool)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT pg_catalog.string_agg(c.command, E';\n')
  FROM (
    SELECT * FROM citus_internal.role_commands(whole)
    -- Citus takes longer over a node; with roles changed all that time, two databases get in each other's way.
    UNION ALL SELECT 'DO ''BEGIN PERFORM pg_catalog.pg_sleep(0.02); END''' WHERE whole
    UNION ALL SELECT 'DELETE FROM pg_catalog.pg_dist_node' WHERE whole
    UNION ALL SELECT citus_internal.node_command(n) FROM pg_catalog.pg_dist_node n WHERE whole
    UNION ALL SELECT pg_catalog.format('UPDATE pg_catalog.pg_dist_local_group SET groupid = %s', own_group) WHERE whole
    UNION ALL SELECT * FROM pg_catalog.unnest(commands)
    UNION ALL SELECT * FROM citus_internal.schema_commands()
    UNION ALL SELECT * FROM citus_internal.extension_commands()
    UNION ALL SELECT t.* FROM citus_internal.table_commands() t WHERE with_tables
  ) c (command)
$$;

CREATE FUNCTION citus_internal.flush() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  commands text[];
  targets int[];
  worker pg_catalog.pg_dist_node;
  whole bool;
  known text;
BEGIN
  WITH taken AS (DELETE FROM citus_internal.outbox RETURNING *)
  SELECT pg_catalog.array_agg(command ORDER BY id) FILTER (WHERE command IS NOT NULL), pg_catalog.array_agg(target)
  INTO commands, targets FROM taken;
  -- One queue, one delivery: the rows that fire this trigger later in the same commit find it empty.
  IF targets IS NULL THEN
    RETURN NULL;
  END IF;
  FOR worker IN
    SELECT * FROM pg_catalog.pg_dist_node WHERE isactive AND noderole = 'primary' AND groupid <> 0 ORDER BY nodeid
  LOOP
    whole := worker.nodeid = ANY (targets);
    IF whole THEN
      BEGIN
        PERFORM citus_internal.send(worker.nodename, worker.nodeport, citus_internal.script(true, worker.groupid, commands, true));
      EXCEPTION WHEN OTHERS THEN
        RAISE WARNING USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;
        RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = pg_catalog.format(
          'failure on connection marked as essential: %s:%s', worker.nodename, worker.nodeport);
      END;
    ELSE
      -- A worker that was made again knows nothing, and is told nothing of tables, until somebody activates it.
      known := citus_internal.remote_value(worker.nodename, worker.nodeport, citus_internal.owner(),
                                           'SELECT groupid FROM pg_catalog.pg_dist_local_group');
      PERFORM citus_internal.send(worker.nodename, worker.nodeport,
                                  citus_internal.script(false, NULL, commands, known = worker.groupid::text));
    END IF;
  END LOOP;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER flush AFTER INSERT ON citus_internal.outbox
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION citus_internal.flush();
