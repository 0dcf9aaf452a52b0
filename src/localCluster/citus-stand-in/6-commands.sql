-- Commands that Citus takes to the workers, or refuses on them: extensions, schemas, and what concerns distributed tables.
-- Event triggers do not see roles and databases, so CREATE ROLE reaches the workers with the next of these commands only,
-- and ALTER DATABASE SET never does.

CREATE FUNCTION citus_internal.propagating() RETURNS bool LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(pg_catalog.current_setting('citus.enable_ddl_propagation', true), ''), 'on')::bool
$$;

CREATE FUNCTION citus_internal.before_command() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  -- An event trigger learns the name of an extension only after the fact; citus itself may be named anywhere.
  IF citus_internal.propagating() AND citus_internal.local_group() <> 0
     AND pg_catalog.current_query() !~* 'extension\s+(if\s+not\s+exists\s+)?"?citus"?' THEN
    PERFORM citus_internal.ensure_coordinator();
  END IF;
END $$;

-- Citus tells the workers at once: so a worker that cannot be reached makes the command itself fail.
CREATE FUNCTION citus_internal.announce() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE node record;
BEGIN
  FOR node IN
    SELECT n.* FROM pg_catalog.pg_dist_node n WHERE n.isactive AND n.noderole = 'primary' AND n.groupid <> 0 ORDER BY n.nodeid
  LOOP
    PERFORM citus_internal.try_link(node.nodename, node.nodeport, citus_internal.owner());
  END LOOP;
  PERFORM citus_internal.enqueue('objects');
END $$;

CREATE FUNCTION citus_internal.mark(class oid, object oid) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  INSERT INTO pg_catalog.pg_dist_object (classid, objid, objsubid) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING
$$;

CREATE FUNCTION citus_internal.after_command() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
  changed record;
  relevant bool := TG_TAG IN ('GRANT', 'REVOKE');
BEGIN
  IF NOT citus_internal.propagating() OR citus_internal.local_group() <> 0 THEN
    RETURN;
  END IF;
  FOR changed IN SELECT * FROM pg_catalog.pg_event_trigger_ddl_commands() LOOP
    IF changed.command_tag IN ('CREATE EXTENSION', 'CREATE SCHEMA') AND changed.object_type IN ('extension', 'schema')
       AND changed.object_identity <> 'citus' AND NOT changed.in_extension THEN
      PERFORM citus_internal.mark(changed.classid, changed.objid);
      relevant := true;
    ELSIF EXISTS (SELECT FROM pg_catalog.pg_dist_object o WHERE o.classid = changed.classid AND o.objid = changed.objid)
       OR EXISTS (SELECT FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = changed.objid) THEN
      relevant := true;
    END IF;
  END LOOP;
  IF relevant THEN
    PERFORM citus_internal.announce();
  END IF;
END $$;

CREATE FUNCTION citus_internal.forget(class oid, object oid) RETURNS bool LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  DELETE FROM pg_catalog.pg_dist_object o WHERE o.classid = class AND o.objid = object;
  IF FOUND THEN
    RETURN true;
  END IF;
  DELETE FROM pg_catalog.pg_dist_placement p USING pg_catalog.pg_dist_shard s
  WHERE s.shardid = p.shardid AND s.logicalrelid = object::regclass;
  DELETE FROM pg_catalog.pg_dist_shard s WHERE s.logicalrelid = object::regclass;
  DELETE FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = object::regclass;
  RETURN FOUND;
END $$;

CREATE FUNCTION citus_internal.after_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE dropped record;
BEGIN
  IF citus_internal.local_group() <> 0 THEN
    RETURN;
  END IF;
  FOR dropped IN
    SELECT * FROM pg_catalog.pg_event_trigger_dropped_objects()
    WHERE object_type IN ('extension', 'schema', 'table') AND NOT is_temporary AND object_identity <> 'citus'
  LOOP
    IF citus_internal.forget(dropped.classid, dropped.objid) AND citus_internal.propagating() THEN
      PERFORM citus_internal.announce();
      PERFORM citus_internal.enqueue('command', CASE dropped.object_type
        WHEN 'table' THEN 'DROP VIEW IF EXISTS ' || dropped.object_identity
        ELSE pg_catalog.format('DROP %s IF EXISTS %s CASCADE', dropped.object_type, dropped.object_identity) END);
    END IF;
  END LOOP;
END $$;

CREATE EVENT TRIGGER citus_before ON ddl_command_start
  WHEN TAG IN ('CREATE EXTENSION', 'ALTER EXTENSION', 'DROP EXTENSION', 'CREATE SCHEMA', 'ALTER SCHEMA', 'DROP SCHEMA')
  EXECUTE FUNCTION citus_internal.before_command();
CREATE EVENT TRIGGER citus_after ON ddl_command_end
  WHEN TAG IN ('CREATE EXTENSION', 'ALTER EXTENSION', 'CREATE SCHEMA', 'ALTER SCHEMA', 'GRANT', 'REVOKE', 'ALTER TABLE')
  EXECUTE FUNCTION citus_internal.after_command();
CREATE EVENT TRIGGER citus_drop ON sql_drop
  WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP TABLE', 'DROP OWNED')
  EXECUTE FUNCTION citus_internal.after_drop();

-- Brings the distributed schema to the extension's version, on the coordinator, after all nodes were updated. Here there is
-- nothing to bring.
CREATE PROCEDURE pg_catalog.citus_finish_citus_upgrade() LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  last_upgrade_version_string text;
  last_upgrade_major_version int;
BEGIN
  SELECT coalesce(metadata->>'last_upgrade_version', '8.0-1') INTO last_upgrade_version_string FROM pg_dist_node_metadata;
  last_upgrade_major_version := split_part(last_upgrade_version_string, '.', 1)::int;
  IF last_upgrade_major_version < 11 THEN
    UPDATE pg_dist_node_metadata SET metadata = jsonb_set(metadata, '{last_upgrade_version}',
      to_jsonb((SELECT extversion FROM pg_extension WHERE extname = 'citus')));
    RETURN;
  END IF;
  RAISE NOTICE 'already at the latest distributed schema version (%)', last_upgrade_version_string;
END;
$$;
