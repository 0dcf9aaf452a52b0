-- From 13.1 to 13.2, so that tests can update the extension. A coordinator of 13.2 cannot add a worker of 13.1, because
-- these columns are missing there.
ALTER TABLE pg_catalog.pg_dist_node
  ADD COLUMN nodeisclone bool NOT NULL DEFAULT false,
  ADD COLUMN nodeprimarynodeid int NOT NULL DEFAULT 0;
