-- Which nodes there are.

CREATE FUNCTION citus_internal.ensure_coordinator() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF citus_internal.local_group() <> 0 THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'operation is not allowed on this node',
      HINT = 'Connect to the coordinator and run it again.';
  END IF;
END $$;

CREATE FUNCTION citus_internal.ensure_superuser() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'operation is not allowed', HINT = 'Run the command with a superuser.';
  END IF;
END $$;

CREATE FUNCTION citus_internal.find_node(nodename text, nodeport int) RETURNS pg_catalog.pg_dist_node LANGUAGE plpgsql AS $$
DECLARE node pg_catalog.pg_dist_node;
BEGIN
  SELECT * INTO node FROM pg_catalog.pg_dist_node n
  WHERE n.nodename = find_node.nodename AND n.nodeport = find_node.nodeport;
  IF node.nodeid IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = pg_catalog.format('node at "%s:%s" does not exist', nodename, nodeport);
  END IF;
  RETURN node;
END $$;

-- The whole of a worker, when the transaction commits; whether it can be reached shows at once.
CREATE FUNCTION citus_internal.sync_node(node pg_catalog.pg_dist_node) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF node.groupid = 0 THEN
    PERFORM citus_internal.enqueue('command', citus_internal.node_command(node));
  ELSE
    PERFORM citus_internal.try_link(node.nodename, node.nodeport, citus_internal.owner());
    PERFORM citus_internal.enqueue('command', citus_internal.node_command(node));
    PERFORM citus_internal.enqueue('sync', NULL, node.nodeid);
  END IF;
END $$;

-- A node that is there already is left as it is, even when its own database knows nothing (that takes citus_activate_node).
CREATE FUNCTION pg_catalog.citus_add_node(
  nodename text, nodeport int, groupid int DEFAULT -1,
  noderole pg_catalog.noderole DEFAULT 'primary', nodecluster name DEFAULT 'default')
RETURNS int LANGUAGE plpgsql STRICT AS $$
DECLARE
  node pg_catalog.pg_dist_node;
  wanted_group int := groupid;
BEGIN
  PERFORM citus_internal.ensure_superuser();
  PERFORM citus_internal.ensure_coordinator();
  LOCK TABLE pg_catalog.pg_dist_node IN EXCLUSIVE MODE;
  SELECT * INTO node FROM pg_catalog.pg_dist_node n
  WHERE n.nodename = citus_add_node.nodename AND n.nodeport = citus_add_node.nodeport;
  IF node.nodeid IS NOT NULL THEN
    RETURN node.nodeid;
  END IF;
  IF wanted_group <> 0 AND nodename <> 'localhost' AND EXISTS (
    SELECT FROM pg_catalog.pg_dist_node n WHERE n.groupid = 0 AND n.noderole = 'primary' AND n.nodename = 'localhost')
  THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000',
      MESSAGE = 'cannot add a worker node when the coordinator hostname is set to localhost',
      DETAIL = 'Worker nodes need to be able to connect to the coordinator to transfer data.',
      HINT = 'Use SELECT citus_set_coordinator_host(''<hostname>'') to configure the coordinator hostname';
  END IF;
  IF wanted_group = -1 THEN
    wanted_group := pg_catalog.nextval('pg_catalog.pg_dist_groupid_seq');
  END IF;
  IF noderole = 'primary' AND EXISTS (
    SELECT FROM pg_catalog.pg_dist_node n WHERE n.groupid = wanted_group AND n.noderole = 'primary')
  THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000',
      MESSAGE = pg_catalog.format('group %s already has a primary node', wanted_group);
  END IF;
  INSERT INTO pg_catalog.pg_dist_node AS n
    (groupid, nodename, nodeport, noderole, nodecluster, hasmetadata, metadatasynced, shouldhaveshards)
  VALUES (wanted_group, nodename, nodeport, noderole, nodecluster, true, true, wanted_group <> 0)
  RETURNING n.* INTO node;
  PERFORM citus_internal.sync_node(node);
  RETURN node.nodeid;
END $$;

CREATE FUNCTION pg_catalog.master_add_node(
  nodename text, nodeport int, groupid int DEFAULT -1,
  noderole pg_catalog.noderole DEFAULT 'primary', nodecluster name DEFAULT 'default')
RETURNS int LANGUAGE sql STRICT AS 'SELECT pg_catalog.citus_add_node($1, $2, $3, $4, $5)';

CREATE FUNCTION pg_catalog.citus_set_coordinator_host(
  host text, port int DEFAULT pg_catalog.current_setting('port')::int,
  node_role pg_catalog.noderole DEFAULT 'primary', node_cluster name DEFAULT 'default')
RETURNS void LANGUAGE plpgsql STRICT AS $$
DECLARE node pg_catalog.pg_dist_node;
BEGIN
  PERFORM citus_internal.ensure_superuser();
  PERFORM citus_internal.ensure_coordinator();
  LOCK TABLE pg_catalog.pg_dist_node IN EXCLUSIVE MODE;
  UPDATE pg_catalog.pg_dist_node n SET nodename = host, nodeport = port
  WHERE n.groupid = 0 AND n.noderole = 'primary' RETURNING n.* INTO node;
  IF node.nodeid IS NULL THEN
    INSERT INTO pg_catalog.pg_dist_node AS n
      (groupid, nodename, nodeport, noderole, nodecluster, hasmetadata, metadatasynced, shouldhaveshards)
    VALUES (0, host, port, node_role, node_cluster, true, true, false) RETURNING n.* INTO node;
  END IF;
  PERFORM citus_internal.sync_node(node);
END $$;

CREATE FUNCTION pg_catalog.citus_activate_node(nodename text, nodeport int) RETURNS int LANGUAGE plpgsql STRICT AS $$
DECLARE node pg_catalog.pg_dist_node;
BEGIN
  PERFORM citus_internal.ensure_superuser();
  PERFORM citus_internal.ensure_coordinator();
  LOCK TABLE pg_catalog.pg_dist_node IN EXCLUSIVE MODE;
  node := citus_internal.find_node(nodename, nodeport);
  UPDATE pg_catalog.pg_dist_node n SET isactive = true, hasmetadata = true, metadatasynced = true
  WHERE n.nodeid = node.nodeid RETURNING n.* INTO node;
  PERFORM citus_internal.sync_node(node);
  RETURN node.nodeid;
END $$;

CREATE FUNCTION pg_catalog.citus_update_node(
  node_id int, new_node_name text, new_node_port int, force bool DEFAULT false, lock_cooldown int DEFAULT 10000)
RETURNS void LANGUAGE plpgsql STRICT AS $$
DECLARE node pg_catalog.pg_dist_node;
BEGIN
  PERFORM citus_internal.ensure_superuser();
  PERFORM citus_internal.ensure_coordinator();
  LOCK TABLE pg_catalog.pg_dist_node IN EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM pg_catalog.pg_dist_node n
             WHERE n.nodename = new_node_name AND n.nodeport = new_node_port AND n.nodeid <> node_id)
  THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = 'there is already another node with the specified hostname and port';
  END IF;
  UPDATE pg_catalog.pg_dist_node n SET nodename = new_node_name, nodeport = new_node_port
  WHERE n.nodeid = node_id RETURNING n.* INTO node;
  IF node.nodeid IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = pg_catalog.format('node %s not found', node_id);
  END IF;
  PERFORM citus_internal.enqueue('command', citus_internal.node_command(node));
END $$;

-- The removed worker keeps what it knew, as with Citus.
CREATE FUNCTION pg_catalog.citus_remove_node(nodename text, nodeport int) RETURNS void LANGUAGE plpgsql STRICT AS $$
DECLARE
  node pg_catalog.pg_dist_node;
  kept record;
BEGIN
  PERFORM citus_internal.ensure_superuser();
  PERFORM citus_internal.ensure_coordinator();
  LOCK TABLE pg_catalog.pg_dist_node IN EXCLUSIVE MODE;
  node := citus_internal.find_node(nodename, nodeport);
  SELECT s.shardid, s.logicalrelid INTO kept
  FROM pg_catalog.pg_dist_placement p JOIN pg_catalog.pg_dist_shard s USING (shardid)
  JOIN pg_catalog.pg_dist_partition t ON t.logicalrelid = s.logicalrelid AND t.partmethod = 'h'
  WHERE p.groupid = node.groupid ORDER BY s.shardid LIMIT 1;
  IF kept.shardid IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000',
      MESSAGE = pg_catalog.format('cannot remove or disable the node %s:%s because because it contains the only shard placement for shard %s',
                                  nodename, nodeport, kept.shardid),
      DETAIL = pg_catalog.format('One of the table(s) that prevents the operation complete successfully is %s', (
        SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = kept.logicalrelid)),
      HINT = 'To proceed, either drop the tables or use undistribute_table() function to convert them to local tables';
  END IF;
  DELETE FROM pg_catalog.pg_dist_placement p WHERE p.groupid = node.groupid;
  DELETE FROM pg_catalog.pg_dist_node n WHERE n.nodeid = node.nodeid;
  PERFORM citus_internal.enqueue('command', pg_catalog.format('DELETE FROM pg_catalog.pg_dist_node WHERE nodeid = %s', node.nodeid));
END $$;

REVOKE EXECUTE ON FUNCTION
  pg_catalog.citus_add_node, pg_catalog.master_add_node, pg_catalog.citus_set_coordinator_host, pg_catalog.citus_activate_node,
  pg_catalog.citus_update_node, pg_catalog.citus_remove_node
FROM PUBLIC;
