{{/* TLS as nodes and clients inside the cluster use it; libpq's sslmode has the meaning that PostgreSQL's "SSL Support" gives it. */}}

{{- define "citus-cluster.sslDirectory" -}}/etc/ssl/certs/postgresql{{- end -}}

{{/* "true" when the Job `prepare` makes the certificates. A Secret that has a name of its own is somebody else's. */}}
{{- define "citus-cluster.sslCreated" -}}
{{- $create := .Values.ssl.createSecret -}}
{{- if kindIs "invalid" $create -}}{{- $create = not .Values.ssl.secretName -}}{{- end -}}
{{- if and .Values.ssl.enabled $create (not (include "citus-cluster.external" .)) -}}true{{- end -}}
{{- end -}}

{{/* "true" when servers refuse connections without TLS. */}}
{{- define "citus-cluster.sslRequired" -}}
{{- if and .Values.ssl.enabled (has .Values.ssl.mode (list "require" "verify-ca" "verify-full")) -}}true{{- end -}}
{{- end -}}

{{/* "true" when peers' certificates are verified. */}}
{{- define "citus-cluster.sslVerified" -}}
{{- if and .Values.ssl.enabled (has .Values.ssl.mode (list "verify-ca" "verify-full")) -}}true{{- end -}}
{{- end -}}

{{/*
citus.node_conninfo. Without certificates it must not be Citus' default, sslmode=require. sslrootcert only where verification
is wanted: libpq verifies with `require` too as soon as it finds a root certificate.
*/}}
{{- define "citus-cluster.nodeConninfo" -}}
{{- $directory := include "citus-cluster.sslDirectory" . -}}
{{- if not .Values.ssl.enabled -}}
sslmode=prefer
{{- else -}}
sslmode={{ .Values.ssl.mode }}
{{- if include "citus-cluster.sslVerified" . }} sslrootcert={{ $directory }}/ca.crt{{ end }} sslcert={{ $directory }}/server.crt sslkey={{ $directory }}/server.key
{{- end -}}
{{- end -}}

{{/* The Secret's keys under fixed file names, so that other layouts (cert-manager's tls.crt) look the same in pods. */}}
{{- define "citus-cluster.sslItems" -}}
- { key: {{ .Values.ssl.keys.ca | quote }}, path: ca.crt }
- { key: {{ .Values.ssl.keys.certificate | quote }}, path: server.crt }
- { key: {{ .Values.ssl.keys.key | quote }}, path: server.key }
{{- end -}}

{{/*
Names in the server certificate: what verify-full compares is the name a client connected to, which is a leader Service
(short or full), a pod behind the headless Service, or localhost.
*/}}
{{- define "citus-cluster.certificateNames" -}}
{{- $names := list "localhost" -}}
{{- $hosts := list (printf "*.%s" (include "citus-cluster.headlessService" .)) -}}
{{- range include "citus-cluster.groups" . | fromJsonArray -}}
  {{- $hosts = append $hosts .name -}}
{{- end -}}
{{- if .Values.service.readOnly -}}
  {{- $hosts = append $hosts (include "citus-cluster.readService" .) -}}
{{- end -}}
{{- range $host := $hosts -}}
  {{- $namespaced := printf "%s.%s" $host $.Release.Namespace -}}
  {{- $names = concat $names (list $host $namespaced (printf "%s.svc" $namespaced) (printf "%s.svc.%s" $namespaced $.Values.ssl.clusterDomain)) -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* pg_hba.conf. The first line that matches decides, so the user's lines come first, but for the exporter's own way in (PostgreSQL, "The pg_hba.conf File"). */}}
{{- define "citus-cluster.pgHba" -}}
{{- $superuser := .Values.patroni.superuser.username -}}
{{- $replication := .Values.patroni.replication.username -}}
{{- $host := "host" -}}
{{- if include "citus-cluster.sslRequired" . -}}{{- $host = "hostssl" -}}{{- end -}}
{{- $exporter := include "citus-cluster.exporter" . | fromJson -}}
{{- with $exporter }}
{{- /* In its own pod, where nothing travels on a network, and in the one database it asks in: before the user's lines, for one of them may turn everybody else away. */}}
host postgres "{{ .username }}" 127.0.0.1/32 scram-sha-256
{{ end -}}
{{- range .Values.patroni.postgresql.pgHba -}}
{{ . }}
{{ end -}}
{{- with $exporter }}
host all "{{ .username }}" all reject
local all "{{ .username }}" reject
{{ end -}}
local all "{{ $superuser }}" peer map=citus
local replication "{{ $replication }}" scram-sha-256
local all all scram-sha-256
{{- if include "citus-cluster.sslVerified" . }}
hostssl all "{{ $superuser }}" all cert map=citus
{{- end }}
{{ $host }} replication "{{ $replication }}" all scram-sha-256
{{ $host }} all all all scram-sha-256
{{- end -}}

{{/*
pg_ident.conf: the operating system's user postgres (peer) and the certificate of CN=postgres (cert) are the superuser.
Nothing else maps: with a pattern here, every certificate of the CA would be one.
*/}}
{{- define "citus-cluster.pgIdent" -}}
citus postgres "{{ .Values.patroni.superuser.username }}"
{{- end -}}
