{{/* The Job that makes the running servers have the parameters of the values, for {root, hook}. */}}
{{- define "citus-cluster.configureJob" -}}
{{- $root := .root -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "citus-cluster.name" $root }}-configure
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "citus-cluster.jobLabels" $root | nindent 4 }}
    job-type: configuration
  annotations:
    {{- include "citus-cluster.hookAnnotations" .hook | nindent 4 }}
    citus-databases/inputs: {{ include "citus-cluster.configureInputs" $root | quote }}
    {{- with $root.Values.jobs.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  backoffLimit: 3
  {{- /* Restarts go group by group and member by member; each may take minutes. */}}
  activeDeadlineSeconds: {{ $root.Values.jobs.activeDeadlineSeconds | default 3600 | int }}
  {{- if not (kindIs "invalid" $root.Values.jobs.ttlSecondsAfterFinished) }}
  ttlSecondsAfterFinished: {{ int $root.Values.jobs.ttlSecondsAfterFinished }}
  {{- end }}
  podFailurePolicy:
    {{- include "citus-cluster.podFailurePolicy" $root | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "citus-cluster.jobLabels" $root | nindent 8 }}
        job-type: configuration
      {{- with $root.Values.jobs.annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "citus-cluster.jobPod" (dict "root" $root "command" "configure" "args" (list "--attempts" "4") "secret" (printf "%s-databases" (include "citus-cluster.name" $root)) "restApi" true) | nindent 6 }}
{{- end -}}

{{/* A hash of all that decides what `configure` does; jobs.unchanged compares it. */}}
{{- define "citus-cluster.configureInputs" -}}
{{- $spec := include "citus-cluster.spec" (dict "root" . "databases" list "patroni" (include "citus-cluster.patroniSpec" . | fromJson)) -}}
{{- include "citus-cluster.inputs" (dict "root" . "spec" $spec "args" list "roles" list "scripts" list "entries" list) -}}
{{- end -}}
