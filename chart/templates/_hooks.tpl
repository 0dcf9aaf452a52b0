{{/*
Helm waits 3 to 4 seconds for each hook, however short it is, and runs hooks one after the other. A hook may be a `kind: List`, though:
its Jobs run at the same time and cost one hook together (docs/PERFORMANCE.md, "Hooks"). Helm reads the annotations of the List, tools
that take Lists apart (Argo CD) those of each Job.
*/}}

{{/*
"true" where Helm prints the log of a hook's Job line by line, as 3.18 and later do. Helm 4 makes one message of its own log of it:
a single line, in which \n stands for the ends of lines (pkg/cmd/root.go, hookOutputWriter, in 4.0 to 4.2). Its error names the Job.
*/}}
{{- define "citus-cluster.helmPrintsLogs" -}}
{{- if semverCompare "<4.0.0-0" .Capabilities.HelmVersion.Version -}}true{{- end -}}
{{- end -}}

{{/* For {events, weight, logs}; "logs" where Helm can print the log of a Job that failed: it knows Jobs for that, not Lists. */}}
{{- define "citus-cluster.hookAnnotations" -}}
helm.sh/hook: {{ .events }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: before-hook-creation
{{- if .logs }}
helm.sh/hook-output-log-policy: hook-failed
{{- end }}
{{- end -}}

{{- define "citus-cluster.jobEvents" -}}post-install,post-upgrade,post-rollback{{- end -}}

{{/* A hash of all that `configure` goes by; an annotation of the ConfigMap with the parameters has that of the last release. */}}
{{- define "citus-cluster.configuration" -}}
{{- include "citus-cluster.patroniSpec" . | sha256sum -}}
{{- end -}}

{{/*
When `configure` runs: "absent" where something else runs the servers, "never" after an install with the chart's own parameters, "before" the databases' Jobs where there may be something
to configure, "beside" them where nothing changed since the last release: then it only proves and mends, and with jobs.unchanged: skip
"unchanged" leaves it to rollbacks.
*/}}
{{- define "citus-cluster.configureRuns" -}}
{{- if include "citus-cluster.external" . -}}
absent
{{- else -}}
{{- $seeded := lookup "v1" "ConfigMap" .Release.Namespace (printf "%s-parameters" (include "citus-cluster.name" .)) -}}
{{- $before := index (($seeded.metadata | default dict).annotations | default dict) "citus-databases/configuration" | default "" -}}
{{- if .Release.IsInstall -}}
{{- include "citus-cluster.parametersChosen" . | empty | ternary "never" "beside" -}}
{{- else -}}
{{- $job := printf "%s-configure" (include "citus-cluster.name" .) -}}
{{- $secret := printf "%s-databases" (include "citus-cluster.name" .) -}}
{{- if ne $before (include "citus-cluster.configuration" .) -}}
before
{{- else if include "citus-cluster.unchanged" (dict "root" . "job" $job "secret" $secret "inputs" (include "citus-cluster.configureInputs" .)) -}}
unchanged
{{- else -}}
beside
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
