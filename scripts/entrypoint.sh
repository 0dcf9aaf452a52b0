#!/usr/bin/env bash
# Writes Patroni's configuration from the environment and mounted files, then becomes Patroni.
#
# What Patroni reads from the environment by itself (PATRONI_NAME, PATRONI_SCOPE, PATRONI_KUBERNETES_*, PATRONI_CITUS_*, ...) is
# left to it. This script adds what the environment cannot say or must not hold:
#   - PATRONI_POSTGRESQL_<PARAMETER>: server parameters for bootstrap.dcs. Two underscores stand for a dot:
#     PATRONI_POSTGRESQL_CITUS__MAX_INTERMEDIATE_RESULT_SIZE is citus.max_intermediate_result_size.
#   - PATRONI_DCS_TTL, PATRONI_DCS_LOOP_WAIT, PATRONI_DCS_RETRY_TIMEOUT: likewise for bootstrap.dcs.
#   - passwords, from files in CREDENTIALS_DIRECTORY: superuser, replication and, if there is one, restapi.
#   - pg_hba.conf and pg_ident.conf from ACCESS_DIRECTORY.
#   - TLS: SSL_ENABLED, SSL_MODE (libpq's sslmode), SSL_DIRECTORY (ca.crt, server.crt, server.key), CITUS_NODE_CONNINFO.
#   - OUTPUT_PLUGINS: the output plugins that logical replication may use, where the server restricts them; citus is added.
#   - PGPASS_ENABLED=true: the superuser's password file at PGPASSFILE.
# Arguments, if any, are run instead of Patroni, after the configuration is written.
set -euo pipefail
umask 077

runtime_directory=${RUNTIME_DIRECTORY:-/run/patroni}
configuration=$runtime_directory/patroni.yml
credentials=${CREDENTIALS_DIRECTORY:-/etc/citus-cluster/credentials}
access=${ACCESS_DIRECTORY:-/etc/citus-cluster/access}
ssl_directory=${SSL_DIRECTORY:-/etc/ssl/certs/postgresql}
data_directory=${PATRONI_POSTGRESQL_DATA_DIR:-/var/lib/postgresql/data/pgdata}
superuser=${PATRONI_SUPERUSER_USERNAME:-postgres}
replication=${PATRONI_REPLICATION_USERNAME:-replicator}

fail() {
  printf 'entrypoint: %s\n' "$1" >&2
  exit 2
}

# A string as JSON has it, which is YAML too.
quote() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  text=${text//$'\r'/\\r}
  text=${text//$'\t'/\\t}
  printf '"%s"' "$text"
}

read_password() {
  local file=$credentials/$1
  [[ -s $file ]] || fail "$file is missing or empty. Mount the Secret with the passwords at $credentials."
  printf '%s' "$(<"$file")"
}

# The lines of a configuration file as a YAML list, indented by four; comments and empty lines left out.
list_lines() {
  local line
  while IFS= read -r line || [[ -n $line ]]; do
    [[ $line =~ ^[[:space:]]*(#|$) ]] && continue
    printf '    - %s\n' "$(quote "$line")"
  done <"$1"
}

# Whole numbers stay numbers: Patroni's Citus support computes with max_connections.
parameter_value() {
  if [[ $1 =~ ^-?(0|[1-9][0-9]*)$ ]]; then
    printf '%s' "$1"
  else
    quote "$1"
  fi
}

# citus has to be first of the libraries (Citus refuses to load otherwise); the others keep their order.
with_citus_first() {
  local library libraries result=citus
  IFS=', ' read -r -a libraries <<<"$1"
  for library in "${libraries[@]}"; do
    [[ -z $library || $library == citus ]] || result+=",$library"
  done
  printf '%s' "$result"
}

# Patroni's own variables of this prefix (Patroni, "Environment Configuration Settings").
is_patronis_own() {
  [[ $1 =~ ^(LISTEN|CONNECT_ADDRESS|PROXY_ADDRESS|DATA_DIR|CONFIG_DIR|PGPASS|BIN_DIR|BIN_.*)$ ]]
}

bootstrap_parameters() {
  local variable suffix name preload=''
  managed=(shared_preload_libraries)
  for variable in $(compgen -e PATRONI_POSTGRESQL_ | sort); do
    suffix=${variable#PATRONI_POSTGRESQL_}
    is_patronis_own "$suffix" && continue
    name=${suffix,,}
    name=${name//__/.}
    if [[ $name == shared_preload_libraries ]]; then
      preload=${!variable}
    else
      printf '        %s: %s\n' "$(quote "$name")" "$(parameter_value "${!variable}")"
      managed+=("$name")
    fi
    unset "$variable"
  done
  printf '        "shared_preload_libraries": %s\n' "$(quote "$(with_citus_first "$preload")")"
}

# The record of citus-databases configure (src/patroni/difference.ts), beside Patroni's own keys: what the values named at the first
# start returns to its default when they no longer do.
managed_parameters() {
  local name
  printf '    citus_databases:\n'
  printf '      managed:\n'
  while read -r name; do
    printf '        - %s\n' "$(quote "$name")"
  done < <(printf '%s\n' "${managed[@]}" | LC_ALL=C sort)
}

# How Patroni connects to other members, for pg_basebackup and pg_rewind. libpq verifies with `require` too when it has a root
# certificate, so only the modes that mean it get one.
client_tls() {
  [[ ${SSL_ENABLED:-false} == true ]] || return 0
  printf '      sslmode: %s\n' "$(quote "${SSL_MODE:-prefer}")"
  case ${SSL_MODE:-prefer} in
    verify-ca | verify-full)
      printf '      sslrootcert: %s\n' "$(quote "$ssl_directory/ca.crt")"
      ;;
  esac
}

server_tls() {
  if [[ ${SSL_ENABLED:-false} == true ]]; then
    printf '    ssl: "on"\n'
    printf '    ssl_ca_file: %s\n' "$(quote "$ssl_directory/ca.crt")"
    printf '    ssl_cert_file: %s\n' "$(quote "$ssl_directory/server.crt")"
    printf '    ssl_key_file: %s\n' "$(quote "$ssl_directory/server.key")"
  fi
  printf '    citus.node_conninfo: %s\n' "$(quote "${CITUS_NODE_CONNINFO:-sslmode=prefer}")"
}

# PostgreSQL 15.19, 17.11 and 18.6 let logical replication use the plugins of this list only; Citus splits shards online with
# one of its own. Servers that do not know the parameter would not start with it.
output_plugins() {
  command -v postgres >/dev/null || return 0
  local described
  # Not in a pipe: grep ends at the first match, and postgres, still writing, would end it with SIGPIPE.
  described=$(postgres --describe-config 2>/dev/null) || return 0
  [[ $'\n'$described == *$'\n'output_plugin_libraries[[:space:]]* ]] || return 0
  printf '    output_plugin_libraries: %s\n' "$(quote "${OUTPUT_PLUGINS:-pgoutput, test_decoding}, citus")"
}

# A data directory belongs to one major version. Patroni would only try to start it, again and again.
check_data_version() {
  local held have
  [[ -s $data_directory/PG_VERSION ]] && command -v postgres >/dev/null || return 0
  held=$(<"$data_directory/PG_VERSION")
  have=$(postgres --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
  [[ $held == "$have" ]] || fail "the volume holds data of PostgreSQL $held, and this image is PostgreSQL $have. Go back to an\
 image of PostgreSQL $held: a new major version is not a change of the image (docs/DATABASE_MANAGEMENT.md, \"A new major version\")."
}

access_rules() {
  if [[ -s $access/pg_hba.conf ]]; then
    printf '  pg_hba:\n'
    list_lines "$access/pg_hba.conf"
  else
    printf '  pg_hba:\n'
    printf '    - %s\n' "$(quote "local all \"$superuser\" peer map=citus")"
    printf '    - "local all all scram-sha-256"\n'
    printf '    - %s\n' "$(quote "host replication \"$replication\" all scram-sha-256")"
    printf '    - "host all all all scram-sha-256"\n'
  fi
  printf '  pg_ident:\n'
  if [[ -s $access/pg_ident.conf ]]; then
    list_lines "$access/pg_ident.conf"
  else
    printf '    - %s\n' "$(quote "citus postgres \"$superuser\"")"
  fi
}

write_configuration() {
  local superuser_password replication_password restapi_password
  superuser_password=$(read_password superuser)
  replication_password=$(read_password replication)
  printf 'kubernetes:\n'
  printf '  use_endpoints: false\n'
  printf '  scope_label: cluster-name\n'
  printf '  role_label: role\n'
  printf '  labels: {application: patroni}\n'
  printf 'restapi:\n'
  printf '  listen: 0.0.0.0:8008\n'
  if [[ -e $credentials/restapi ]]; then
    restapi_password=$(read_password restapi)
    printf '  authentication:\n'
    printf '    username: %s\n' "$(quote "${PATRONI_RESTAPI_USERNAME:-patroni}")"
    printf '    password: %s\n' "$(quote "$restapi_password")"
  fi
  printf 'bootstrap:\n'
  printf '  dcs:\n'
  printf '    ttl: %s\n' "${PATRONI_DCS_TTL:-30}"
  printf '    loop_wait: %s\n' "${PATRONI_DCS_LOOP_WAIT:-10}"
  printf '    retry_timeout: %s\n' "${PATRONI_DCS_RETRY_TIMEOUT:-10}"
  # Citus moves shards through logical slots. Patroni drops slots that it does not know, in every database but its own.
  printf '    ignore_slots:\n'
  printf '      - {type: logical, plugin: pgoutput}\n'
  printf '      - {type: logical, plugin: citus}\n'
  printf '    postgresql:\n'
  printf '      use_pg_rewind: true\n'
  printf '      parameters:\n'
  bootstrap_parameters
  managed_parameters
  printf '  initdb:\n'
  printf '    - encoding: %s\n' "$(quote "${INITDB_ENCODING:-UTF8}")"
  printf '    - locale: %s\n' "$(quote "${INITDB_LOCALE:-C.UTF-8}")"
  printf '    - data-checksums\n'
  printf '    - auth-local: peer\n'
  printf '    - auth-host: scram-sha-256\n'
  printf 'postgresql:\n'
  printf '  listen: 0.0.0.0:5432\n'
  printf '  data_dir: %s\n' "$(quote "$data_directory")"
  printf '  pgpass: %s\n' "$(quote "$runtime_directory/patroni.pgpass")"
  # Without it a standby waits for the leader's next regular checkpoint, which takes minutes.
  printf '  basebackup:\n'
  printf '    - checkpoint: fast\n'
  printf '  use_unix_socket: true\n'
  printf '  use_unix_socket_repl: true\n'
  printf '  authentication:\n'
  printf '    superuser:\n'
  printf '      username: %s\n' "$(quote "$superuser")"
  printf '      password: %s\n' "$(quote "$superuser_password")"
  client_tls
  if [[ ${SSL_ENABLED:-false} == true ]]; then
    printf '      sslcert: %s\n' "$(quote "$ssl_directory/server.crt")"
    printf '      sslkey: %s\n' "$(quote "$ssl_directory/server.key")"
  fi
  printf '    replication:\n'
  printf '      username: %s\n' "$(quote "$replication")"
  printf '      password: %s\n' "$(quote "$replication_password")"
  client_tls
  printf '  parameters:\n'
  printf '    unix_socket_directories: /var/run/postgresql\n'
  printf '    password_encryption: scram-sha-256\n'
  output_plugins
  server_tls
  access_rules
}

# libpq's password file: backslashes and colons are escaped (PostgreSQL, "The Password File").
write_pgpass() {
  local password name=$superuser
  password=$(read_password superuser)
  password=${password//\\/\\\\}
  password=${password//:/\\:}
  name=${name//\\/\\\\}
  name=${name//:/\\:}
  printf '*:*:*:%s:%s\n' "$name" "$password" >"${PGPASSFILE:-$runtime_directory/nodes.pgpass}"
}

check_data_version

# A variable of PATRONI_POSTGRESQL_ that stays in Patroni's environment is Patroni's own: the functions above run in this shell, not
# in a pipe, so that what they unset is gone.
write_configuration >"$configuration"
unset PATRONI_DCS_TTL PATRONI_DCS_LOOP_WAIT PATRONI_DCS_RETRY_TIMEOUT
if [[ ${PGPASS_ENABLED:-false} == true ]]; then
  write_pgpass
fi

export LANG=${LANG:-C.UTF-8}
if [[ $# -gt 0 ]]; then
  exec "$@"
fi
exec patroni "$configuration"
