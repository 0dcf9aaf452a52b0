#!/usr/bin/env bash
# Behaves as the entrypoint of citusdata/citus does, as far as compose.yaml and the demo depend on it: the password comes
# from POSTGRES_PASSWORD_FILE; while the data directory is made, a server runs that nobody can reach over the network; the
# database postgres gets the extension citus; everybody else needs a password (github.com/docker-library/postgres,
# github.com/citusdata/docker). Where that one leaves PGPASSWORD to the servers, which libpq would use between nodes without
# anybody having asked for it, this one does not: what works here does not work by accident.
set -euo pipefail

if [[ $(id -u) == 0 ]]; then
  POSTGRES_PASSWORD=$(cat "${POSTGRES_PASSWORD_FILE:?}")
  export POSTGRES_PASSWORD
  install -d -o postgres -g postgres -m 0700 "$PGDATA"
  # libpq looks for certificates in the home directory, and between nodes must not look into that of root.
  export HOME=/var/lib/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

if [[ ! -s $PGDATA/PG_VERSION ]]; then
  # shellcheck disable=SC2086 # several arguments
  initdb --username=postgres --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust --auth-host=trust \
    ${POSTGRES_INITDB_ARGS:-} >/dev/null
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  {
    echo "listen_addresses = '*'"
    echo "shared_preload_libraries = 'citus'"
    # What Citus' library would set or offer by itself.
    if [[ $CITUS == stand-in ]]; then
      echo "citus.version = '13.2.0'"
      echo "citus.node_conninfo = 'sslmode=prefer'"
      echo "citus.enable_ddl_propagation = 'on'"
      echo 'max_prepared_transactions = 200'
    fi
  } >>"$PGDATA/postgresql.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start >/dev/null
  psql --no-psqlrc --quiet --username=postgres --dbname=postgres --command='CREATE EXTENSION citus'
  pg_ctl --wait --mode=fast stop >/dev/null
  echo 'PostgreSQL init process complete; ready for start up.'
fi
unset POSTGRES_PASSWORD
exec "$@"
