{{/*
A Job that refuses an image of the servers that could not work with the data that is there: another major version of PostgreSQL, or a
Citus that is older than the extension in a database. A container of that image says what it has (src/commands/guard.ts).
*/}}

{{/* When it runs, with the other guards: before each rollback, and before an upgrade that changes the image. */}}
{{- define "citus-cluster.guardEvents" -}}
{{- include "citus-cluster.imageChanges" . | empty | ternary "pre-rollback" "pre-rollback,pre-upgrade" -}}
{{- end -}}

{{/*
Not empty where servers run another image. With TLS switched on or off in the same upgrade the servers could not be asked, and the
certificates might not be there yet.
*/}}
{{- define "citus-cluster.imageChanges" -}}
{{- if .Release.IsUpgrade -}}
{{- $image := include "citus-cluster.image" (dict "image" .Values.image "root" .) -}}
{{- range include "citus-cluster.presentStatefulSets" . | fromJsonArray -}}
{{- if and (ne .image $image) (eq (index .env "SSL_ENABLED" | default "") ($.Values.ssl.enabled | toString)) -}}{{ .name }} {{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Job's Secret and the Job, as items of a List, for {root, events}. */}}
{{- define "citus-cluster.imageGuard" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $name := printf "%s-guard-image" (include "citus-cluster.name" $root) -}}
{{- $pod := include "citus-cluster.jobPod" (dict "root" $root "command" "guard" "args" (list "--image" "/image") "secret" $name) | fromYaml -}}
{{- $asked := dict
  "name" "image"
  "image" (include "citus-cluster.image" (dict "image" $values.image "root" $root))
  "imagePullPolicy" $values.image.pullPolicy
  "command" (list "sh" "-c" "cp \"$(pg_config --sharedir 2>/dev/null || echo \"/usr/share/postgresql/$PG_MAJOR\")/extension/citus.control\" /image/; postgres --version >/image/postgres-version; true")
  "securityContext" (first $pod.containers).securityContext
  "resources" $values.jobs.resources
  "volumeMounts" (list (dict "name" "image" "mountPath" "/image")) -}}
{{- $_ := set $pod "initContainers" (concat (list $asked) ($pod.initContainers | default list)) -}}
{{- $_ := set $pod "volumes" (append $pod.volumes (dict "name" "image" "emptyDir" dict)) -}}
{{- $program := first $pod.containers -}}
{{- $_ := set $program "volumeMounts" (append $program.volumeMounts (dict "name" "image" "mountPath" "/image" "readOnly" true)) -}}
- apiVersion: v1
  kind: Secret
  metadata:
    name: {{ $name }}
    namespace: {{ $root.Release.Namespace }}
    labels:
      {{- include "citus-cluster.labels" $root | nindent 6 }}
    annotations:
      helm.sh/hook: {{ .events }}
  data:
    spec.yaml: {{ include "citus-cluster.spec" (dict "root" $root "databases" list) | b64enc }}
- apiVersion: batch/v1
  kind: Job
  metadata:
    name: {{ $name }}
    namespace: {{ $root.Release.Namespace }}
    labels:
      {{- include "citus-cluster.jobLabels" $root | nindent 6 }}
      job-type: guard
    annotations:
      helm.sh/hook: {{ .events }}
  spec:
    backoffLimit: 3
    podFailurePolicy:
      {{- include "citus-cluster.podFailurePolicy" $root | nindent 6 }}
    template:
      metadata:
        labels:
          {{- include "citus-cluster.jobLabels" $root | nindent 10 }}
          job-type: guard
      spec:
        {{- toYaml $pod | nindent 8 }}
{{- end -}}
