{{/* The Job of one or several entries, for {root, job, hook}: job as "citus-cluster.creationJobs" has it, hook as "citus-cluster.hookAnnotations" takes it. */}}
{{- define "citus-cluster.creationJob" -}}
{{- $root := .root -}}
{{- $job := .job -}}
{{- $name := join ", " $job.databases -}}
# Makes {{ len $job.databases | eq 1 | ternary "the database" "the databases" }} {{ toJson $name }} so, after each install, upgrade and rollback.
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $job.name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "citus-cluster.jobLabels" $root | nindent 4 }}
    job-type: database-creation
  annotations:
    {{- include "citus-cluster.hookAnnotations" .hook | nindent 4 }}
    citus-databases/database: {{ $name | quote }}
    # What decides what it does; jobs.unchanged compares it.
    citus-databases/inputs: {{ $job.inputs | quote }}
    {{- with $root.Values.jobs.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  backoffLimit: {{ $job.backoffLimit }}
  {{- if kindIs "invalid" $root.Values.jobs.activeDeadlineSeconds }}
  activeDeadlineSeconds: {{ $job.deadline }}
  {{- else }}
  activeDeadlineSeconds: {{ int $root.Values.jobs.activeDeadlineSeconds }}
  {{- end }}
  {{- if not (kindIs "invalid" $root.Values.jobs.ttlSecondsAfterFinished) }}
  ttlSecondsAfterFinished: {{ int $root.Values.jobs.ttlSecondsAfterFinished }}
  {{- end }}
  podFailurePolicy:
    {{- include "citus-cluster.podFailurePolicy" $root | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "citus-cluster.jobLabels" $root | nindent 8 }}
        job-type: database-creation
      annotations:
        citus-databases/database: {{ $name | quote }}
        {{- with $root.Values.jobs.annotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "citus-cluster.jobPod" (dict "root" $root "command" "apply" "args" $job.args "secret" $job.name "roles" $job.roles "scripts" $job.scripts) | nindent 6 }}
{{- end -}}
