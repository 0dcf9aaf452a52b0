-- Connections between nodes. They are dblink's, so that real libpq and real servers decide who may log in where.

CREATE FUNCTION citus_internal.dblink_connect(text, text) RETURNS text AS '$libdir/dblink', 'dblink_connect' LANGUAGE C STRICT;
CREATE FUNCTION citus_internal.dblink_disconnect(text) RETURNS text AS '$libdir/dblink', 'dblink_disconnect' LANGUAGE C STRICT;
CREATE FUNCTION citus_internal.dblink_exec(text, text) RETURNS text AS '$libdir/dblink', 'dblink_exec' LANGUAGE C STRICT;
CREATE FUNCTION citus_internal.dblink_send_query(text, text) RETURNS int AS '$libdir/dblink', 'dblink_send_query' LANGUAGE C STRICT;
CREATE FUNCTION citus_internal.dblink_get_result(text) RETURNS SETOF record AS '$libdir/dblink', 'dblink_get_result' LANGUAGE C STRICT;
CREATE FUNCTION citus_internal.dblink(text, text) RETURNS SETOF record AS '$libdir/dblink', 'dblink_record' LANGUAGE C STRICT;

CREATE FUNCTION citus_internal.owner() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT pg_catalog.pg_get_userbyid(extowner)::text FROM pg_catalog.pg_extension WHERE extname = 'citus'
$$;

CREATE FUNCTION citus_internal.local_group() RETURNS int LANGUAGE sql STABLE AS 'SELECT groupid FROM pg_catalog.pg_dist_local_group';

-- What a node tells libpq: citus.node_conninfo for all links, then the role's row in this node's own pg_dist_authinfo,
-- which wins. The row of the node itself comes before the row for every node (0); -1 is this node as localhost.
CREATE FUNCTION citus_internal.conninfo(host text, port int, role text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  node int := CASE WHEN host = 'localhost' AND port = pg_catalog.current_setting('port')::int THEN -1
                   ELSE (SELECT n.nodeid FROM pg_catalog.pg_dist_node n WHERE n.nodename = host AND n.nodeport = port) END;
  auth text := (SELECT a.authinfo FROM pg_catalog.pg_dist_authinfo a
                WHERE a.rolename = role AND a.nodeid IN (0, coalesce(node, 0)) ORDER BY a.nodeid = 0 LIMIT 1);
BEGIN
  RETURN pg_catalog.format(
    'host=''%s'' port=%s dbname=''%s'' user=''%s'' application_name=citus_internal connect_timeout=30 %s %s',
    citus_internal.escape(host), port, citus_internal.escape(pg_catalog.current_database()), citus_internal.escape(role),
    coalesce(pg_catalog.current_setting('citus.node_conninfo', true), ''), coalesce(auth, ''));
END $$;

-- The inside of a quoted value of a connection string (libpq documentation, "Keyword/Value Connection Strings").
CREATE FUNCTION citus_internal.escape(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT pg_catalog.replace(pg_catalog.replace(value, '\', '\\'), '''', '\''')
$$;

-- Opens the connection `name`; its failure has the words and the SQLSTATE that Citus gives it.
CREATE FUNCTION citus_internal.open_link(name text, host text, port int, role text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE reason text;
BEGIN
  PERFORM citus_internal.dblink_connect(name, citus_internal.conninfo(host, port, role));
EXCEPTION WHEN sqlclient_unable_to_establish_sqlconnection THEN
  GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
  RAISE EXCEPTION USING ERRCODE = 'connection_failure', MESSAGE = pg_catalog.format(
    'connection to the remote node %s@%s:%s failed with the following error: %s', role, host, port,
    pg_catalog.regexp_replace(reason, '^connection to server at "[^"]*"( \([^)]*\))?, port \d+ failed: ', ''));
END $$;

CREATE FUNCTION citus_internal.close_link(name text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM citus_internal.dblink_disconnect(name);
EXCEPTION WHEN OTHERS THEN
  NULL;
END $$;

-- Only whether the node can be reached and logged in to.
CREATE FUNCTION citus_internal.try_link(host text, port int, role text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM citus_internal.open_link('citus_try', host, port, role);
  PERFORM citus_internal.close_link('citus_try');
END $$;

-- The one value of the one row of a query, or the command tag of another statement.
CREATE FUNCTION citus_internal.remote_value(host text, port int, role text, command text)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE answers text[];
BEGIN
  PERFORM citus_internal.open_link('citus_value', host, port, role);
  BEGIN
    PERFORM citus_internal.dblink_send_query('citus_value', command);
    SELECT pg_catalog.array_agg(coalesce(r.value, '')) INTO answers
    FROM citus_internal.dblink_get_result('citus_value') AS r (value text);
  EXCEPTION WHEN OTHERS THEN
    PERFORM citus_internal.close_link('citus_value');
    RAISE;
  END;
  PERFORM citus_internal.close_link('citus_value');
  IF pg_catalog.cardinality(answers) > 1 THEN
    RAISE EXCEPTION USING ERRCODE = 'cardinality_violation', MESSAGE = 'expected a single row in query result';
  END IF;
  RETURN coalesce(answers[1], '');
END $$;

CREATE FUNCTION pg_catalog.citus_check_connection_to_node(nodename text, nodeport int DEFAULT 5432)
RETURNS bool LANGUAGE plpgsql STRICT AS $$
BEGIN
  PERFORM citus_internal.try_link(nodename, nodeport, current_user);
  RETURN true;
EXCEPTION WHEN connection_failure THEN
  RAISE WARNING USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;
  RETURN false;
END $$;

-- From each node to each node; NULL where the first of the two cannot be asked.
CREATE FUNCTION pg_catalog.citus_check_cluster_node_health(
  OUT from_nodename text, OUT from_nodeport int, OUT to_nodename text, OUT to_nodeport int, OUT result bool)
RETURNS SETOF record LANGUAGE plpgsql STRICT AS $$
BEGIN
  FOR from_nodename, from_nodeport, to_nodename, to_nodeport IN
    SELECT f.nodename, f.nodeport, t.nodename, t.nodeport
    FROM pg_catalog.pg_dist_node f, pg_catalog.pg_dist_node t WHERE f.isactive AND t.isactive ORDER BY f.nodeid, t.nodeid
  LOOP
    BEGIN
      result := citus_internal.remote_value(from_nodename, from_nodeport, current_user, pg_catalog.format(
        'SELECT citus_check_connection_to_node(%L, %s)', to_nodename, to_nodeport))::bool;
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;
      result := NULL;
    END;
    RETURN NEXT;
  END LOOP;
END $$;

CREATE FUNCTION citus_internal.run_command(command text, host text, port int, OUT success bool, OUT result text)
LANGUAGE plpgsql AS $$
BEGIN
  result := citus_internal.remote_value(host, port, current_user, command);
  success := true;
EXCEPTION
  WHEN connection_failure THEN
    success := false;
    result := pg_catalog.format('failed to connect to %s:%s', host, port);
  WHEN cardinality_violation THEN
    success := false;
    result := SQLERRM;
  WHEN datatype_mismatch THEN
    success := false;
    result := 'expected a single column in query target';
  WHEN OTHERS THEN
    success := false;
    result := 'ERROR:  ' || SQLERRM;
END $$;

CREATE FUNCTION pg_catalog.run_command_on_all_nodes(
  command text, parallel bool DEFAULT true, give_warning_for_connection_errors bool DEFAULT false,
  OUT nodeid int, OUT success bool, OUT result text)
RETURNS SETOF record LANGUAGE sql AS $$
  SELECT n.nodeid, r.success, r.result
  FROM pg_catalog.pg_dist_node n, citus_internal.run_command($1, n.nodename, n.nodeport) r
  WHERE n.isactive AND n.noderole = 'primary' ORDER BY n.nodeid
$$;
CREATE FUNCTION pg_catalog.run_command_on_workers(
  command text, parallel bool DEFAULT true, OUT nodename text, OUT nodeport int, OUT success bool, OUT result text)
RETURNS SETOF record LANGUAGE sql AS $$
  SELECT n.nodename, n.nodeport, r.success, r.result
  FROM pg_catalog.pg_dist_node n, citus_internal.run_command($1, n.nodename, n.nodeport) r
  WHERE n.isactive AND n.noderole = 'primary' AND n.groupid <> 0 ORDER BY n.nodeid
$$;
CREATE FUNCTION pg_catalog.run_command_on_coordinator(
  command text, give_warning_for_connection_errors bool DEFAULT false, OUT nodeid int, OUT success bool, OUT result text)
RETURNS SETOF record LANGUAGE sql AS $$
  SELECT n.nodeid, r.success, r.result
  FROM pg_catalog.pg_dist_node n, citus_internal.run_command($1, n.nodename, n.nodeport) r
  WHERE n.groupid = 0 AND n.noderole = 'primary'
$$;
CREATE FUNCTION pg_catalog.citus_get_active_worker_nodes(OUT node_name text, OUT node_port bigint)
RETURNS SETOF record LANGUAGE sql STRICT AS $$
  SELECT nodename, nodeport FROM pg_catalog.pg_dist_node
  WHERE isactive AND noderole = 'primary' AND shouldhaveshards ORDER BY nodeid
$$;
CREATE FUNCTION pg_catalog.citus_version() RETURNS text LANGUAGE sql STABLE STRICT AS $$
  SELECT 'Citus 13.2.0 (stand-in for tests) on ' || pg_catalog.version()
$$;
CREATE FUNCTION pg_catalog.citus_is_coordinator() RETURNS bool LANGUAGE sql STABLE STRICT AS $$
  SELECT citus_internal.local_group() = 0
$$;
