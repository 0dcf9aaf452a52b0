#!/usr/bin/env bash
# Makes a certificate authority and the one certificate that the chart needs. See --help and docs/SSL_SETUP.md.
# Runs with bash 3.2 and up, and with OpenSSL 1.1.1 and up or LibreSSL.
set -euo pipefail

usage() {
  cat <<'TEXT'
Makes ca.crt, ca.key, server.crt and server.key for a Citus cluster that the chart brings up.

  scripts/generate-ssl-certs.sh [options]

  --cluster NAME     the chart's clusterName                           (default citusdemo)
  --namespace NAME   the namespace that the release lives in           (default default)
  --groups LIST      Citus groups, such as 0-2 or 0,1,5                (default 0-9)
  --domain NAME      the cluster's DNS domain                          (default cluster.local)
  --days N           how long the server certificate lasts             (default 825)
  --out FOLDER       where the files go                                (default ./certs)

The server certificate names every leader Service and pod of these groups, so that verify-full works, and has
CN=postgres, so that it serves as the superuser's client certificate too. Nothing is ever overwritten. To renew,
move server.crt and server.key away and run this again: a certificate authority that is there is used again, and so are
the names of the last time, which the file settings in the same folder keeps, unless options say otherwise.
TEXT
}

fail() {
  printf 'generate-ssl-certs.sh: %s\n' "$1" >&2
  exit 1
}

cluster=citusdemo namespace=default groups=0-9 domain=cluster.local days=825 out=./certs
# --out says where the settings of the last time are, so it is looked for first.
previous=
for argument in "$@"; do
  [ "$previous" != --out ] || out=${argument%/}
  previous=$argument
done
if [ -e "$out/settings" ]; then
  while IFS='=' read -r name value; do
    case $name in
      cluster) cluster=$value ;;
      namespace) namespace=$value ;;
      groups) groups=$value ;;
      domain) domain=$value ;;
    esac
  done <"$out/settings"
fi
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --cluster | --namespace | --groups | --domain | --days | --out)
      [ -n "${2-}" ] || fail "$1 needs a value"
      case $1 in
        --cluster) cluster=$2 ;;
        --namespace) namespace=$2 ;;
        --groups) groups=$2 ;;
        --domain) domain=$2 ;;
        --days) days=$2 ;;
        --out) out=${2%/} ;;
      esac
      shift 2
      ;;
    *) fail "unknown option $1; --help lists them" ;;
  esac
done

label='^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'
[[ $cluster =~ $label ]] || fail "--cluster '$cluster' is no legal Service name (lower case, digits, hyphens)"
[[ $namespace =~ $label ]] || fail "--namespace '$namespace' is no legal namespace"
[[ $domain =~ ^[a-z0-9.-]+$ ]] || fail "--domain '$domain' is no DNS domain"
[[ $days =~ ^[1-9][0-9]{0,4}$ ]] || fail "--days '$days' is no number of days"
command -v openssl >/dev/null || fail 'openssl is not installed'

expand_groups() { # 0-2,5 -> 0 1 2 5, one a line
  local part group
  for part in ${1//,/ }; do
    if [[ $part =~ ^([0-9]{1,4})-([0-9]{1,4})$ ]]; then
      [ "$((10#${BASH_REMATCH[1]}))" -le "$((10#${BASH_REMATCH[2]}))" ] || return 1
      for ((group = 10#${BASH_REMATCH[1]}; group <= 10#${BASH_REMATCH[2]}; group++)); do echo "$group"; done
    elif [[ $part =~ ^[0-9]{1,4}$ ]]; then
      echo "$((10#$part))"
    else
      return 1
    fi
  done
}
numbers=$(expand_groups "$groups") || numbers=
[ -n "$numbers" ] || fail "--groups '$groups': expected something like 0-2 or 0,1,5"

# libpq and PostgreSQL compare the host name that was asked for with the names here and nothing else, so each form in
# which a Service or pod can be asked for has to be listed (PostgreSQL documentation, "SSL Support", Table 34.1).
host_forms() { # name
  printf '%s\n' "DNS:$1" "DNS:$1.$namespace" "DNS:$1.$namespace.svc" "DNS:$1.$namespace.svc.$domain"
}
subject_names() {
  local group
  printf '%s\n' DNS:localhost IP:127.0.0.1 IP:0:0:0:0:0:0:0:1
  host_forms "*.$cluster-pods" # every pod, through the headless Service
  for group in $numbers; do
    host_forms "$cluster-$group" # the group's leader
  done
}

umask 077
mkdir -p "$out"
for file in server.crt server.key; do
  [ ! -e "$out/$file" ] || fail "$out/$file is there already; move it away, or choose another folder with --out"
done
if [ -e "$out/ca.crt" ] && [ -e "$out/ca.key" ]; then
  old_ca=yes
elif [ -e "$out/ca.crt" ] || [ -e "$out/ca.key" ]; then
  fail "$out holds only one of ca.crt and ca.key; both are needed to sign with"
else
  old_ca=no
fi

# Everything is made beside its place and moved at the end, so that a failure leaves no half set.
work=$(mktemp -d "$out/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
cat >"$work/ca.cnf" <<TEXT
[req]
distinguished_name = name
prompt = no
x509_extensions = authority
[name]
CN = $cluster certificate authority
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
TEXT
cat >"$work/server.cnf" <<TEXT
[req]
distinguished_name = name
prompt = no
[name]
CN = postgres
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $(subject_names | paste -sd, -)
TEXT

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

if [ "$old_ca" = no ]; then
  new_key "$work/ca.key"
  openssl req -new -x509 -sha256 -days 3650 -config "$work/ca.cnf" -key "$work/ca.key" -out "$work/ca.crt"
  authority=$work
else
  authority=$out
fi
new_key "$work/server.key"
serial=$(openssl rand -hex 16)
openssl req -new -sha256 -config "$work/server.cnf" -key "$work/server.key" -out "$work/server.csr"
openssl x509 -req -sha256 -days "$days" -in "$work/server.csr" -CA "$authority/ca.crt" -CAkey "$authority/ca.key" \
  -set_serial "0x0${serial#?}" -extfile "$work/server.cnf" -extensions server -out "$work/server.crt" 2>"$work/errors" ||
  fail "openssl could not sign the server certificate: $(cat "$work/errors")"
openssl verify -CAfile "$authority/ca.crt" "$work/server.crt" >/dev/null || fail 'the new certificate does not verify'

printf '%s\n' "cluster=$cluster" "namespace=$namespace" "groups=$groups" "domain=$domain" >"$work/settings"
mv -f "$work/settings" "$out/settings"
for file in ca.key ca.crt server.key server.crt; do
  [ ! -e "$work/$file" ] || mv -n "$work/$file" "$out/$file"
done

[ "$old_ca" = no ] || echo "Signed by the certificate authority that was in $out."
cat <<TEXT
Made in $out: ca.crt and server.crt, with their keys ca.key and server.key. Keep ca.key away from the cluster.
The server certificate ends on $(openssl x509 -noout -enddate -in "$out/server.crt" | cut -d= -f2).

Next, give the cluster its three files:

kubectl create secret generic $cluster-ssl-certs \\
  --namespace $namespace \\
  --from-file=ca.crt=$out/ca.crt \\
  --from-file=server.crt=$out/server.crt \\
  --from-file=server.key=$out/server.key
TEXT
