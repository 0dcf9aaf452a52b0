-- Distributed tables. Their rows stay on the coordinator, in the table that was distributed, so that every statement about
-- it keeps its PostgreSQL meaning; pg_dist_shard and pg_dist_placement only say how Citus would have spread them. On the
-- workers the table is a view that reads (and a trigger that writes) through the coordinator, and that first tries the
-- links to the other workers, because a query of Citus would need them.

-- The connection string to the coordinator, after all links that a distributed query needs have been tried.
CREATE FUNCTION citus_internal.coordinator() RETURNS text LANGUAGE plpgsql AS $$
DECLARE node record;
BEGIN
  FOR node IN
    SELECT * FROM pg_catalog.pg_dist_node n
    WHERE n.isactive AND n.noderole = 'primary' AND n.groupid <> citus_internal.local_group()
    ORDER BY n.groupid = 0, n.nodeid
  LOOP
    PERFORM citus_internal.try_link(node.nodename, node.nodeport, current_user);
  END LOOP;
  RETURN citus_internal.conninfo(node.nodename, node.nodeport, current_user);
END $$;

CREATE FUNCTION citus_internal.write_through() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  target text := pg_catalog.format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME);
  coordinator record;
  columns text;
  command text;
BEGIN
  IF TG_OP <> 'DELETE' THEN
    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(k), ', ') INTO columns
    FROM pg_catalog.jsonb_each(pg_catalog.to_jsonb(NEW)) AS e (k, v) WHERE TG_OP = 'UPDATE' OR v <> 'null';
  END IF;
  command := CASE TG_OP
    WHEN 'INSERT' THEN pg_catalog.format('INSERT INTO %1$s (%2$s) SELECT %2$s FROM pg_catalog.jsonb_populate_record(NULL::%1$s, %3$L)',
                                         target, columns, pg_catalog.to_jsonb(NEW))
    WHEN 'UPDATE' THEN pg_catalog.format('UPDATE %1$s t SET (%2$s) = (SELECT %2$s FROM pg_catalog.jsonb_populate_record(NULL::%1$s, %3$L))
                                          WHERE pg_catalog.to_jsonb(t) = %4$L',
                                         target, columns, pg_catalog.to_jsonb(NEW), pg_catalog.to_jsonb(OLD))
    ELSE pg_catalog.format('DELETE FROM %s t WHERE pg_catalog.to_jsonb(t) = %L', target, pg_catalog.to_jsonb(OLD))
  END;
  SELECT n.nodename, n.nodeport INTO coordinator FROM pg_catalog.pg_dist_node n WHERE n.groupid = 0;
  PERFORM citus_internal.coordinator();
  PERFORM citus_internal.remote_value(coordinator.nodename, coordinator.nodeport, current_user, command);
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;

-- The columns of a table as the view has them: types that only the coordinator has become text.
CREATE FUNCTION citus_internal.view_command(relation regclass, target text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT pg_catalog.format('CREATE VIEW %1$s AS SELECT * FROM citus_internal.dblink(citus_internal.coordinator(), %2$L) AS x (%3$s)',
    target,
    pg_catalog.format('SELECT %s FROM %s',
      pg_catalog.string_agg(pg_catalog.quote_ident(a.attname) || CASE WHEN known THEN '' ELSE '::pg_catalog.text' END, ', ' ORDER BY a.attnum),
      target),
    pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname,
      CASE WHEN known THEN pg_catalog.format_type(a.atttypid, a.atttypmod) ELSE 'pg_catalog.text' END), ', ' ORDER BY a.attnum))
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid,
  LATERAL (SELECT t.typnamespace = 'pg_catalog'::regnamespace OR EXISTS (
             SELECT FROM pg_catalog.pg_depend d
             WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')) k (known)
  WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$$;

CREATE FUNCTION citus_internal.table_commands() RETURNS SETOF text LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
  t record;
  target text;
BEGIN
  RETURN NEXT 'DELETE FROM pg_catalog.pg_dist_partition';
  RETURN NEXT 'DELETE FROM pg_catalog.pg_dist_shard';
  RETURN NEXT 'DELETE FROM pg_catalog.pg_dist_placement';
  FOR t IN
    SELECT p.*, c.relname, c.relacl, c.relowner, n.nspname
    FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY c.oid
  LOOP
    target := pg_catalog.format('%I.%I', t.nspname, t.relname);
    RETURN NEXT pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', t.nspname);
    RETURN NEXT pg_catalog.format('DROP VIEW IF EXISTS %s', target);
    RETURN NEXT citus_internal.view_command(t.logicalrelid, target);
    RETURN NEXT pg_catalog.format('ALTER VIEW %s OWNER TO %s', target, t.relowner::regrole);
    RETURN QUERY SELECT citus_internal.grant_commands('TABLE', target, t.relacl);
    RETURN NEXT pg_catalog.format('CREATE TRIGGER citus_write INSTEAD OF INSERT OR UPDATE OR DELETE ON %s
      FOR EACH ROW EXECUTE FUNCTION citus_internal.write_through()', target);
    RETURN NEXT pg_catalog.format(
      'INSERT INTO pg_catalog.pg_dist_partition VALUES (%L::regclass, %L, %L, %s, %L, %L)',
      target, t.partmethod, t.partkey, t.colocationid, t.repmodel, t.autoconverted);
    RETURN QUERY SELECT pg_catalog.format('INSERT INTO pg_catalog.pg_dist_shard VALUES (%L::regclass, %s, %L, %L, %L)',
      target, s.shardid, s.shardstorage, s.shardminvalue, s.shardmaxvalue)
      FROM pg_catalog.pg_dist_shard s WHERE s.logicalrelid = t.logicalrelid;
  END LOOP;
  RETURN QUERY SELECT pg_catalog.format('INSERT INTO pg_catalog.pg_dist_placement VALUES (%s, %s, %s, %s, %s)',
    p.placementid, p.shardid, p.shardstate, p.shardlength, p.groupid) FROM pg_catalog.pg_dist_placement p;
END $$;

CREATE FUNCTION citus_internal.record_table(relation regclass, method "char", key text, shards int)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  groups int[];
  shard bigint;
  colocation int := pg_catalog.nextval('pg_catalog.pg_dist_colocationid_seq');
  range bigint := 4294967296 / shards;
BEGIN
  SELECT pg_catalog.array_agg(n.groupid ORDER BY n.groupid) INTO groups FROM pg_catalog.pg_dist_node n
  WHERE n.isactive AND n.noderole = 'primary' AND (method = 'n' OR n.shouldhaveshards);
  INSERT INTO pg_catalog.pg_dist_partition VALUES (relation, method, key, colocation, CASE method WHEN 'n' THEN 't' ELSE 's' END, false);
  FOR i IN 0 .. shards - 1 LOOP
    shard := pg_catalog.nextval('pg_catalog.pg_dist_shardid_seq');
    INSERT INTO pg_catalog.pg_dist_shard VALUES (relation, shard, 't',
      CASE WHEN method = 'h' THEN -2147483648 + i * range END,
      CASE WHEN method = 'h' THEN CASE WHEN i = shards - 1 THEN 2147483647 ELSE -2147483648 + (i + 1) * range - 1 END END);
    INSERT INTO pg_catalog.pg_dist_placement (shardid, shardstate, shardlength, groupid)
    SELECT shard, 1, 0, g FROM pg_catalog.unnest(groups) WITH ORDINALITY AS u (g, n)
    WHERE method = 'n' OR n = i % pg_catalog.cardinality(groups) + 1;
  END LOOP;
  PERFORM citus_internal.enqueue('objects');
END $$;

-- A Citus database without nodes gets its own server as a node called localhost.
CREATE FUNCTION citus_internal.ensure_nodes() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO pg_catalog.pg_dist_node (groupid, nodename, nodeport, hasmetadata, metadatasynced)
  SELECT 0, 'localhost', pg_catalog.current_setting('port')::int, true, true WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_dist_node)
$$;

-- The refusals, in Citus' order; then every worker has to be reachable for the current role and know itself.
CREATE FUNCTION citus_internal.distribute(relation regclass, method "char", key text, shards int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  name text := (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = relation);
  node record;
BEGIN
  PERFORM citus_internal.ensure_coordinator();
  IF (SELECT c.relnamespace FROM pg_catalog.pg_class c WHERE c.oid = relation) = 'pg_catalog'::regnamespace THEN
    RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = 'cannot create a citus table from a catalog table';
  END IF;
  IF NOT pg_catalog.pg_has_role(current_user, (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = relation), 'USAGE') THEN
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = pg_catalog.format('must be owner of table %s', name);
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = relation) THEN
    RAISE EXCEPTION USING ERRCODE = 'invalid_table_definition', MESSAGE = pg_catalog.format('table "%s" is already distributed', name);
  END IF;
  IF method = 'h' AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = relation AND a.attname = key AND a.attnum > 0) THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_column', MESSAGE = pg_catalog.format('column "%s" of relation "%s" does not exist', key, name);
  END IF;
  PERFORM citus_internal.ensure_nodes();
  FOR node IN
    SELECT n.* FROM pg_catalog.pg_dist_node n WHERE n.isactive AND n.noderole = 'primary' AND n.groupid <> 0 ORDER BY n.nodeid DESC
  LOOP
    IF citus_internal.remote_value(node.nodename, node.nodeport, current_user,
         pg_catalog.format('SELECT pg_catalog.count(*) FROM pg_catalog.pg_dist_node WHERE groupid = %s', node.groupid)) = '0'
    THEN
      RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = pg_catalog.format(
        'Node with group id %s for shard placement %s does not exist',
        node.groupid, pg_catalog.nextval('pg_catalog.pg_dist_placement_placementid_seq'));
    END IF;
  END LOOP;
  PERFORM citus_internal.record_table(relation, method, key, shards);
END $$;

CREATE FUNCTION pg_catalog.create_distributed_table(
  table_name regclass, distribution_column text, distribution_type citus.distribution_type DEFAULT 'hash',
  colocate_with text DEFAULT 'default', shard_count int DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
  SELECT citus_internal.distribute(table_name, 'h', distribution_column,
    coalesce(shard_count, pg_catalog.current_setting('citus.shard_count', true)::int, 32))
$$;
CREATE FUNCTION pg_catalog.create_reference_table(table_name regclass) RETURNS void LANGUAGE sql STRICT AS $$
  SELECT citus_internal.distribute(table_name, 'n', NULL, 1)
$$;

CREATE VIEW citus.citus_tables AS
  SELECT p.logicalrelid AS table_name,
         CASE p.partmethod WHEN 'n' THEN 'reference' ELSE 'distributed' END AS citus_table_type,
         coalesce(p.partkey, '<none>') AS distribution_column,
         p.colocationid AS colocation_id,
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_dist_shard s WHERE s.logicalrelid = p.logicalrelid) AS shard_count,
         pg_catalog.pg_get_userbyid(c.relowner) AS table_owner
  FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid;
ALTER VIEW citus.citus_tables SET SCHEMA pg_catalog;
GRANT SELECT ON pg_catalog.citus_tables TO PUBLIC;
