{{/* A Grafana dashboard, as YAML: what the alerts of _rules.tpl look at. */}}
{{- define "citus-cluster.dashboard" -}}
{{- $name := include "citus-cluster.name" . -}}
{{- $pods := printf "namespace=%q,cluster_name=%q" .Release.Namespace (include "citus-cluster.scope" .) -}}
{{- $cluster := printf "namespace=%q,cluster=%q" .Release.Namespace $name -}}
{{- $panels := list
  (dict "title" "Primaries of each group" "expr" (printf "sum by (citus_group) (patroni_primary{%s})" $pods) "legend" "group {{citus_group}}")
  (dict "title" "Running servers of each group" "expr" (printf "sum by (citus_group) (patroni_postgres_running{%s})" $pods) "legend" "group {{citus_group}}")
  (dict "title" "Written WAL, bytes a second" "expr" (printf "sum by (citus_group) (rate(patroni_xlog_location{%s}[5m]))" $pods) "legend" "group {{citus_group}}")
  (dict "title" "Replay behind the primary, bytes" "expr" (printf "max by (citus_group) (patroni_xlog_location{%s}) - on (citus_group) group_right () patroni_xlog_replayed_location{%s} > 0" $pods $pods) "legend" "{{pod}}")
  (dict "title" "Databases that are ready" "expr" (printf "citus_databases_ready{%s}" $cluster) "legend" "{{database}}")
  (dict "title" "Seconds since the last proof" "expr" (printf "time() - citus_databases_last_proof_timestamp_seconds{%s}" $cluster) "legend" "{{database}}")
  (dict "title" "Links between nodes that are missing" "expr" (printf "citus_databases_links_expected{%s} - citus_databases_links_proved{%s}" $cluster $cluster) "legend" "{{database}} on {{node}}")
  (dict "title" "Missing shards" "expr" (printf "citus_databases_shards_missing{%s}" $cluster) "legend" "{{database}} on {{node}}")
  (dict "title" "Drift of metadata" "expr" (printf "citus_databases_metadata_drift{%s}" $cluster) "legend" "{{database}} on {{node}}")
  (dict "title" "Old prepared transactions" "expr" (printf "citus_databases_prepared_transactions{%s}" $cluster) "legend" "{{database}} on {{node}}")
  (dict "title" "Changes that apply would make" "expr" (printf "citus_databases_changes_due{%s}" $cluster) "legend" "{{database}}")
  (dict "title" "Days until the certificate ends" "expr" (printf "(citus_databases_certificate_expiry_timestamp_seconds{%s} - time()) / 86400" $cluster) "legend" "{{cluster}}")
-}}
title: Citus cluster {{ $name }}
uid: {{ printf "%s/%s" .Release.Namespace $name | sha256sum | trunc 32 | quote }}
schemaVersion: 39
editable: true
refresh: 1m
time: { from: now-6h, to: now }
templating:
  list:
    - { name: datasource, label: Data source, type: datasource, query: prometheus }
panels:
  {{- range $index, $panel := $panels }}
  - id: {{ add1 $index }}
    title: {{ .title | quote }}
    type: timeseries
    datasource: { type: prometheus, uid: "${datasource}" }
    gridPos: { h: 7, w: 12, "x": {{ mul 12 (mod $index 2) }}, "y": {{ mul 7 (div $index 2) }} }
    targets:
      - { refId: A, datasource: { type: prometheus, uid: "${datasource}" }, expr: {{ .expr | quote }}, legendFormat: {{ .legend | quote }} }
  {{- end }}
{{- end -}}
