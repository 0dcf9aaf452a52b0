-- The catalog of Citus, with its names, columns and constraints (Citus documentation, "Citus Tables and Views"), as far
-- as this project reads or writes it. Tables are made in a schema of their own and moved, because PostgreSQL does not
-- make tables in pg_catalog.

DO $$
BEGIN
  IF pg_catalog.current_setting('shared_preload_libraries') !~ '(^|,) *citus *(,|$)' THEN
    RAISE EXCEPTION USING ERRCODE = 'XX000',
      MESSAGE = 'Citus can only be loaded via shared_preload_libraries',
      HINT = 'Add citus to shared_preload_libraries configuration variable in postgresql.conf in master and workers. '
             'Note that citus should be at the beginning of shared_preload_libraries.';
  END IF;
END $$;

CREATE SCHEMA citus;
CREATE SCHEMA citus_internal;
GRANT USAGE ON SCHEMA citus, citus_internal TO PUBLIC;

CREATE TYPE pg_catalog.noderole AS ENUM ('primary', 'secondary', 'unavailable');
CREATE TYPE citus.distribution_type AS ENUM ('hash', 'range', 'append');

CREATE SEQUENCE citus.pg_dist_groupid_seq;
CREATE SEQUENCE citus.pg_dist_node_nodeid_seq;
CREATE SEQUENCE citus.pg_dist_shardid_seq START 102008;
CREATE SEQUENCE citus.pg_dist_placement_placementid_seq;
CREATE SEQUENCE citus.pg_dist_colocationid_seq;
ALTER SEQUENCE citus.pg_dist_groupid_seq SET SCHEMA pg_catalog;
ALTER SEQUENCE citus.pg_dist_node_nodeid_seq SET SCHEMA pg_catalog;
ALTER SEQUENCE citus.pg_dist_shardid_seq SET SCHEMA pg_catalog;
ALTER SEQUENCE citus.pg_dist_placement_placementid_seq SET SCHEMA pg_catalog;
ALTER SEQUENCE citus.pg_dist_colocationid_seq SET SCHEMA pg_catalog;

CREATE TABLE citus.pg_dist_node (
  nodeid int NOT NULL DEFAULT pg_catalog.nextval('pg_catalog.pg_dist_node_nodeid_seq') PRIMARY KEY,
  groupid int NOT NULL DEFAULT pg_catalog.nextval('pg_catalog.pg_dist_groupid_seq'),
  nodename text NOT NULL,
  nodeport int NOT NULL DEFAULT 5432,
  noderack text NOT NULL DEFAULT 'default',
  hasmetadata bool NOT NULL DEFAULT false,
  isactive bool NOT NULL DEFAULT true,
  noderole pg_catalog.noderole NOT NULL DEFAULT 'primary',
  nodecluster name NOT NULL DEFAULT 'default',
  metadatasynced bool DEFAULT false,
  shouldhaveshards bool NOT NULL DEFAULT true,
  UNIQUE (nodename, nodeport),
  CONSTRAINT primaries_are_only_allowed_in_the_default_cluster CHECK (nodecluster = 'default' OR noderole <> 'primary')
);
CREATE TABLE citus.pg_dist_local_group (groupid int NOT NULL PRIMARY KEY);
INSERT INTO citus.pg_dist_local_group VALUES (0);
CREATE TABLE citus.pg_dist_node_metadata (metadata jsonb NOT NULL);
INSERT INTO citus.pg_dist_node_metadata
  SELECT pg_catalog.jsonb_build_object('server_id', pg_catalog.gen_random_uuid(), 'last_upgrade_version', default_version)
  FROM pg_catalog.pg_available_extensions WHERE name = 'citus';
CREATE TABLE citus.pg_dist_partition (
  logicalrelid regclass NOT NULL UNIQUE,
  partmethod "char" NOT NULL,
  partkey text,
  colocationid int NOT NULL DEFAULT 0,
  repmodel "char" NOT NULL DEFAULT 'c',
  autoconverted bool DEFAULT false
);
CREATE TABLE citus.pg_dist_shard (
  logicalrelid regclass NOT NULL,
  shardid bigint NOT NULL PRIMARY KEY,
  shardstorage "char" NOT NULL,
  shardminvalue text,
  shardmaxvalue text
);
CREATE TABLE citus.pg_dist_placement (
  placementid bigint NOT NULL DEFAULT pg_catalog.nextval('pg_catalog.pg_dist_placement_placementid_seq') PRIMARY KEY,
  shardid bigint NOT NULL,
  shardstate int NOT NULL,
  shardlength bigint NOT NULL,
  groupid int NOT NULL
);
CREATE TABLE citus.pg_dist_object (
  classid oid NOT NULL,
  objid oid NOT NULL,
  objsubid int NOT NULL,
  type text,
  object_names text[],
  object_args text[],
  distribution_argument_index int,
  colocationid int,
  force_delegation bool,
  CONSTRAINT pg_dist_object_pkey PRIMARY KEY (classid, objid, objsubid)
);
INSERT INTO citus.pg_dist_object (classid, objid, objsubid)
VALUES ('pg_catalog.pg_authid'::regclass, 10, 0),
       ('pg_catalog.pg_database'::regclass, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()), 0),
       ('pg_catalog.pg_namespace'::regclass, 2200, 0);

-- What libpq would take as a connection string, with no keyword but the three that Citus allows.
CREATE FUNCTION pg_catalog.authinfo_valid(authinfo text) RETURNS bool LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT authinfo ~ '^\s*((password|sslcert|sslkey)\s*=\s*(''([^''\\]|\\.)*''|([^\s''\\]|\\.)*)(\s+|$))*$'
$$;
CREATE FUNCTION pg_catalog.role_exists(name) RETURNS bool LANGUAGE sql STABLE STRICT AS $$
  SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)
$$;
CREATE TABLE citus.pg_dist_authinfo (
  nodeid int NOT NULL,
  rolename name NOT NULL CONSTRAINT role_exists CHECK (pg_catalog.role_exists(rolename)),
  authinfo text NOT NULL CONSTRAINT authinfo_valid CHECK (pg_catalog.authinfo_valid(authinfo))
);
CREATE UNIQUE INDEX pg_dist_authinfo_identification_index ON citus.pg_dist_authinfo (rolename, nodeid DESC);

-- Roles of the stand-in's own knowledge: see citus_internal.distributed_roles.
CREATE TABLE citus_internal.first_role (oid oid NOT NULL);
INSERT INTO citus_internal.first_role SELECT pg_catalog.max(oid::bigint)::oid FROM pg_catalog.pg_authid;

DO $$
DECLARE relation text;
BEGIN
  FOREACH relation IN ARRAY ARRAY['pg_dist_node', 'pg_dist_local_group', 'pg_dist_node_metadata', 'pg_dist_partition',
                                  'pg_dist_shard', 'pg_dist_placement', 'pg_dist_object', 'pg_dist_authinfo'] LOOP
    EXECUTE pg_catalog.format('ALTER TABLE citus.%I SET SCHEMA pg_catalog', relation);
    IF relation <> 'pg_dist_authinfo' THEN
      EXECUTE pg_catalog.format('GRANT SELECT ON pg_catalog.%I TO PUBLIC', relation);
    END IF;
  END LOOP;
END $$;
