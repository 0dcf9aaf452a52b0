{{/* What the schema cannot say, or cannot say in words that help. Rendered by checks.yaml. */}}

{{/* Keys that people know from other charts or from drafts of this one, with their names here. */}}
{{- define "citus-cluster.renamedKeys" -}}
{{- $renamed := dict
  "databases" "additionalDatabases"
  "postgresql" "patroni.postgresql"
  "existingSecret" "secret.name with secret.create: false"
  "persistence" "storage"
  "tls" "ssl" -}}
{{- range $old, $new := $renamed -}}
  {{- if hasKey $.Values $old -}}
    {{- fail (printf "%s: this key is named %s here." $old $new) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Settings that follow from other values: set twice, they would contradict each other. */}}
{{- define "citus-cluster.ownParameters" -}}
{{- $own := dict
  "citus.node_conninfo" "ssl"
  "ssl" "ssl.enabled"
  "ssl_ca_file" "ssl"
  "ssl_cert_file" "ssl"
  "ssl_key_file" "ssl"
  "port" "nothing: Services and pods use 5432"
  "unix_socket_directories" "nothing: Patroni and psql use /var/run/postgresql"
  "password_encryption" "nothing: pg_hba.conf asks for scram-sha-256" -}}
{{- $places := dict "patroni.postgresql.parameters" .Values.patroni.postgresql.parameters "coordinator.parameters" (.Values.coordinator.parameters | default dict) -}}
{{- range $index, $worker := .Values.workers -}}
  {{- $_ := set $places (printf "workers[%d].parameters" $index) ($worker.parameters | default dict) -}}
{{- end -}}
{{- range $place, $parameters := $places -}}
{{- $spellings := dict -}}
{{- range $name, $value := $parameters -}}
{{- if not (kindIs "invalid" $value) -}}
  {{- if hasKey $own (lower $name) -}}
    {{- fail (printf "%s.%s: the chart sets this parameter from %s." $place $name (get $own (lower $name))) -}}
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
{{- $jobs := .Values.jobs.labels -}}
{{- range list "application" "cluster-name" "citus-group" "job-type" -}}
  {{- if hasKey $jobs . -}}
    {{- fail (printf "jobs.labels.%s: Services, Patroni and the documentation select by this label; the chart sets it." .) -}}
  {{- end -}}
{{- end -}}
{{- if and (not .Values.workers) (include "citus-cluster.databases" . | fromJsonArray) -}}
  {{- fail "workers: the list is empty, yet additionalDatabases declares databases, which need at least one worker group." -}}
{{- end -}}
{{- if and .Values.ssl.createSecret (not .Values.ssl.enabled) -}}
  {{- fail "ssl.createSecret: true has no effect while ssl.enabled is false. Set both, or neither." -}}
{{- end -}}
{{- end -}}
