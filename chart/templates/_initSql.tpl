{{/* initSQLFrom: SQL in ConfigMaps and Secrets, which Jobs mount. */}}

{{/*
The files of an entry, as JSON {spec, sources}: what the program reads, and where it comes from as {kind, name, key}. Takes {entry, path}.
*/}}
{{- define "citus-cluster.entryScripts" -}}
{{- $spec := list -}}
{{- $sources := list -}}
{{- range $index, $declared := .entry.initSQLFrom | default list -}}
  {{- $path := printf "%s.initSQLFrom[%d]" $.path $index -}}
  {{- if eq (empty $declared.configMap) (empty $declared.secret) -}}
    {{- fail (printf "%s: name either a configMap or a secret." $path) -}}
  {{- end -}}
  {{- $kind := empty $declared.secret | ternary "configMap" "secret" -}}
  {{- $source := dict "kind" $kind "name" (get $declared $kind) "key" $declared.key -}}
  {{- if has $source $sources -}}
    {{- fail (printf "%s: key %q of %s %q is listed twice." $path $source.key $kind $source.name) -}}
  {{- end -}}
  {{- $sources = append $sources $source -}}
  {{- $spec = append $spec (dict "file" (printf "/etc/citus-databases/sql/%s" (include "citus-cluster.scriptPath" $source)) "secret" (eq $kind "secret")) -}}
{{- end -}}
{{- dict "spec" $spec "sources" $sources | toRawJson -}}
{{- end -}}

{{- define "citus-cluster.scriptPath" -}}
{{- printf "%s/%s/%s" (lower .kind) .name .key -}}
{{- end -}}

{{/*
Sources of a projected volume. Optional: what is missing is said by the program, with exit code 2, instead of a pod that waits for ever.
*/}}
{{- define "citus-cluster.scriptSources" -}}
{{- range uniq . }}
- {{ .kind }}:
    name: {{ .name }}
    optional: true
    items: [{ key: {{ .key | quote }}, path: {{ include "citus-cluster.scriptPath" . | quote }} }]
{{- end -}}
{{- end -}}

{{/*
What is known of their content, as JSON, for {root, sources}: annotations are no secrets, so of a Secret it is the version that
Kubernetes counts. What the release itself brings is in extraObjects, and not in the cluster yet.
*/}}
{{- define "citus-cluster.scriptVersions" -}}
{{- $versions := list -}}
{{- range .sources -}}
  {{- if eq .kind "secret" -}}
    {{- $metadata := (lookup "v1" "Secret" $.root.Release.Namespace .name).metadata | default dict -}}
    {{- $versions = append $versions (list $metadata.uid $metadata.resourceVersion) -}}
  {{- else -}}
    {{- $found := lookup "v1" "ConfigMap" $.root.Release.Namespace .name -}}
    {{- $versions = append $versions (list (get ($found.data | default dict) .key) (get ($found.binaryData | default dict) .key)) -}}
  {{- end -}}
{{- end -}}
{{- if .sources -}}{{- $versions = append $versions .root.Values.extraObjects -}}{{- end -}}
{{- toRawJson $versions -}}
{{- end -}}
