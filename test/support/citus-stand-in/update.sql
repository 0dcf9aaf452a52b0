-- From one version to the next, so that tests can update the extension.
ALTER TABLE pg_catalog.pg_dist_node ALTER COLUMN nodeisclone SET DEFAULT false;
