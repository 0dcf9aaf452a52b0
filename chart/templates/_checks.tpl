{{/* What the schema cannot say, or cannot say in words that help. Rendered by checks.yaml. */}}

{{/* Keys that people know from other charts or from drafts of this one, with their names here. */}}
{{- define "citus-cluster.renamedKeys" -}}
{{- $renamed := dict
  "databases" "additionalDatabases"
  "postgresql" "patroni.postgresql (parameters) or postgresqlContainer (extraEnv, extraVolumeMounts)"
  "existingSecret" "secret.name with secret.create: false"
  "persistence" "storage"
  "tls" "ssl" -}}
{{- range $old, $new := $renamed -}}
  {{- if hasKey $.Values $old -}}
    {{- fail (printf "%s: this key is named %s here." $old $new) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Parameters that cannot be set here, each with the reason: what follows from other values would contradict them (scripts/entrypoint.sh
puts it into Patroni's local file, which outweighs the configuration of the group), and Patroni fixes the rest itself
(src/spec/patroniContradictions.ts has the same; a test compares them). As JSON.
*/}}
{{- define "citus-cluster.ownParameters" -}}
{{- $port := "Services, probes and pods agree on port 5432 and on every address" -}}
{{- $standby := "Patroni sets it for each standby" -}}
{{- $file := "Patroni and the chart's mounts decide where files are" -}}
{{- toJson (dict
  "citus.local_hostname" "Patroni sets it to the address that it connects to itself"
  "citus.node_conninfo" "the chart derives it from ssl"
  "ssl" "the chart sets it from ssl.enabled"
  "ssl_ca_file" "the chart sets it from ssl"
  "ssl_cert_file" "the chart sets it from ssl"
  "ssl_key_file" "the chart sets it from ssl"
  "listen_addresses" $port
  "port" $port
  "unix_socket_directories" "Patroni and psql use /var/run/postgresql, which the chart mounts"
  "password_encryption" "pg_hba.conf asks for scram-sha-256"
  "output_plugin_libraries" "patroni.postgresql.outputPlugins is the list, to which citus is added"
  "cluster_name" "Patroni sets it to patroni.scope"
  "hot_standby" "Patroni keeps it on"
  "primary_conninfo" $standby
  "primary_slot_name" $standby
  "synchronous_standby_names" "Patroni sets it from its synchronous_mode"
  "data_directory" $file
  "config_file" $file
  "hba_file" "patroni.postgresql.pgHba adds lines to it"
  "ident_file" $file
) -}}
{{- end -}}

{{- define "citus-cluster.checkParameters" -}}
{{- $own := include "citus-cluster.ownParameters" . | fromJson -}}
{{- $places := dict "patroni.postgresql.parameters" .Values.patroni.postgresql.parameters "coordinator.parameters" (.Values.coordinator.parameters | default dict) -}}
{{- range $index, $worker := .Values.workers -}}
  {{- $_ := set $places (printf "workers[%d].parameters" $index) ($worker.parameters | default dict) -}}
{{- end -}}
{{- range $place, $parameters := $places -}}
{{- $spellings := dict -}}
{{- range $name, $value := $parameters -}}
{{- if not (kindIs "invalid" $value) -}}
  {{- $reason := get $own (lower $name) -}}
  {{- if hasPrefix "recovery_target" (lower $name) -}}
    {{- $reason = "Patroni recovers standbys itself" -}}
  {{- else if and (eq (lower $name) "wal_level") (ne (lower (toString $value)) "logical") -}}
    {{- $reason = "under Patroni with Citus it is always logical" -}}
  {{- end -}}
  {{- if $reason -}}
    {{- fail (printf "%s.%s: cannot be set here: %s." $place $name $reason) -}}
  {{- end -}}
  {{- if or (not (regexMatch "^[A-Za-z][A-Za-z0-9_]*(\\.[A-Za-z][A-Za-z0-9_]*)?$" $name)) (contains "__" $name) -}}
    {{- fail (printf "%s.%s: this is no name of a parameter." $place $name) -}}
  {{- end -}}
  {{- if hasKey $spellings (lower $name) -}}
    {{- fail (printf "%s.%s: this is the parameter %s, which is there too." $place $name (get $spellings (lower $name))) -}}
  {{- end -}}
  {{- $_ := set $spellings (lower $name) $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "citus-cluster.contradictions" -}}
{{- range $label, $_ := .Values.commonLabels -}}
  {{- if or (has $label (list "application" "cluster-name" "citus-group" "citus-type" "job-type" "role")) (hasPrefix "app.kubernetes.io/" $label) (eq $label "helm.sh/chart") -}}
    {{- fail (printf "commonLabels.%s: Services, Patroni, Helm and the documentation select by this label; the chart sets it." $label) -}}
  {{- end -}}
{{- end -}}
{{- $jobs := .Values.jobs.labels -}}
{{- range list "application" "cluster-name" "citus-group" "job-type" -}}
  {{- if hasKey $jobs . -}}
    {{- fail (printf "jobs.labels.%s: Services, Patroni and the documentation select by this label; the chart sets it." .) -}}
  {{- end -}}
{{- end -}}
{{- if and (not .Values.workers) (not (include "citus-cluster.external" .)) (include "citus-cluster.databases" . | fromJsonArray) -}}
  {{- fail "workers: the list is empty, yet additionalDatabases declares databases, which need at least one worker group." -}}
{{- end -}}
{{- if and .Values.ssl.createSecret (not .Values.ssl.enabled) -}}
  {{- fail "ssl.createSecret: true has no effect while ssl.enabled is false. Set both, or neither." -}}
{{- end -}}
{{- end -}}
