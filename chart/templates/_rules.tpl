{{/*
The alerts of docs/RUNBOOK.md, each with a section there. test/chart/monitoring.test.ts runs them with series (promtool).
Patroni's metrics come through the PodMonitor, kube_job_* from kube-state-metrics, citus_databases_* through the Pushgateway.
*/}}
{{- define "citus-cluster.rules" -}}
{{- $name := include "citus-cluster.name" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $pods := printf "namespace=%q,cluster_name=%q" $namespace (include "citus-cluster.scope" .) -}}
{{- $cluster := printf "namespace=%q,cluster=%q" $namespace $name -}}
{{- $rules := list -}}
{{- $schedule := .Values.schedule | default dict -}}
{{- /* Of servers that something else runs there is no PodMonitor. */ -}}
{{- range include "citus-cluster.external" . | empty | ternary (include "citus-cluster.groups" . | fromJsonArray) list -}}
  {{- $group := printf "%s,citus_group=\"%d\"" $pods (int .group) -}}
  {{- $rules = append $rules (dict "alert" "CitusGroupWithoutPrimary" "for" "1m" "severity" "critical"
        "group" (toString .group)
        "expr" (printf "(sum(patroni_primary{%s}) or vector(0)) < 1" $group)
        "summary" (printf "Group %d of Citus cluster %s has no primary: its part of every table can be neither read nor written" (int .group) $name)) -}}
  {{- if gt (int .replicas) 1 -}}
  {{- $rules = append $rules (dict "alert" "CitusStandbyMissing" "for" "10m" "severity" "warning"
        "group" (toString .group)
        "expr" (printf "(sum(patroni_postgres_running{%s}) or vector(0)) < %d" $group (int .replicas))
        "summary" (printf "Group %d of Citus cluster %s has fewer running servers than %d" (int .group) $name (int .replicas))) -}}
  {{- end -}}
{{- end -}}
{{- range $command, $details := dict
      "verify" (list "CitusVerifyFailed" "critical" "was not proved")
      "plan" (list "CitusDrift" "warning" "is not as it is declared, or could not be compared") -}}
  {{- if (get $schedule $command | default dict).cron -}}
  {{- $jobs := printf "namespace=%q,job_name=~\"%s-%s-[0-9]+\"" $namespace $name $command -}}
  {{- /* The newest failed Job against the newest that succeeded: one that is still running changes nothing. */ -}}
  {{- $newest := "max(max by (job_name) (kube_job_created{%s}) and on (job_name) (max by (job_name) (kube_job_status_%s{%s}) > 0))" -}}
  {{- $rules = append $rules (dict "alert" (index $details 0) "for" "0m" "severity" (index $details 1)
        "expr" (printf "%s > (%s or vector(0))" (printf $newest $jobs "failed" $jobs) (printf $newest $jobs "succeeded" $jobs))
        "summary" (printf "Citus cluster %s %s: the last Job of %s failed" $name (index $details 2) $command)) -}}
  {{- end -}}
{{- end -}}
{{- if $schedule.pushgateway -}}
{{- $each := "{{ $labels.database }} of {{ $labels.cluster }}" -}}
{{- $node := printf "%s on {{ $labels.node }}" $each -}}
{{- $rules = concat $rules (list
      (dict "alert" "CitusDatabaseNotReady" "for" "1m" "severity" "critical"
        "expr" (printf "citus_databases_ready{%s} == 0" $cluster)
        "summary" (printf "Database %s is not ready" $each))
      (dict "alert" "CitusNodeDoesNotAcceptWrites" "for" "1m" "severity" "critical"
        "expr" (printf "citus_databases_node_accepts_writes{%s} == 0" $cluster)
        "summary" "Node {{ $labels.node }} of {{ $labels.cluster }} cannot be reached, or is a standby")
      (dict "alert" "CitusProofOld" "for" "5m" "severity" "warning"
        "expr" (printf "time() - citus_databases_last_proof_timestamp_seconds{%s} > 86400" $cluster)
        "summary" (printf "Database %s was not proved for a day" $each))
      (dict "alert" "CitusShardsMissing" "for" "0m" "severity" "critical"
        "expr" (printf "citus_databases_shards_missing{%s} > 0" $cluster)
        "summary" (printf "{{ $value }} shards of database %s are missing" $node))
      (dict "alert" "CitusMetadataDrift" "for" "15m" "severity" "warning"
        "expr" (printf "citus_databases_metadata_drift{%s} > 0" $cluster)
        "summary" (printf "The Citus metadata of database %s is not the coordinator's" $node))
      (dict "alert" "CitusWorkersNotJoined" "for" "15m" "severity" "warning"
        "expr" (printf "citus_databases_workers_not_joined{%s} > 0" $cluster)
        "summary" (printf "{{ $value }} workers have not joined database %s" $each))
      (dict "alert" "CitusPreparedTransactionsOld" "for" "10m" "severity" "warning"
        "expr" (printf "citus_databases_prepared_transactions{%s} > 0" $cluster)
        "summary" (printf "{{ $value }} prepared transactions of database %s keep their locks" $node))
      (dict "alert" "CitusMaintenanceDaemonStopped" "for" "10m" "severity" "warning"
        "expr" (printf "citus_databases_maintenance_daemon_running{%s} == 0" $cluster)
        "summary" (printf "Citus' maintenance daemon does not run for database %s" $node))
      (dict "alert" "CitusInitSqlPending" "for" "1h" "severity" "warning"
        "expr" (printf "citus_databases_init_sql_pending_statements{%s} > 0" $cluster)
        "summary" (printf "{{ $value }} statements of initSQL of database %s were not executed" $each))
      (dict "alert" "CitusCertificateEnds" "for" "1h" "severity" "warning"
        "expr" (printf "citus_databases_certificate_expiry_timestamp_seconds{%s} - time() < 21 * 86400" $cluster)
        "summary" "The servers' certificate of {{ $labels.cluster }} ends within 21 days")) -}}
{{- end -}}
groups:
  - name: {{ $name }}
    rules:
      {{- range $rules }}
      {{- $alert := .alert }}
      - alert: {{ .alert }}
        expr: {{ .expr | quote }}
        for: {{ .for }}
        labels:
          severity: {{ .severity }}
          namespace: {{ $namespace | quote }}
          cluster: {{ $name | quote }}
          {{- with .group }}
          citus_group: {{ . | quote }}
          {{- end }}
        annotations:
          summary: {{ .summary | quote }}
          {{- with $.Values.monitoring.prometheusRule.runbookUrl }}
          runbook_url: {{ printf "%s#%s" . (lower $alert) | quote }}
          {{- end }}
      {{- end }}
{{- end -}}
