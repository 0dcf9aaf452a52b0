{{/* Server parameters: as they seed a group's first start, and as `configure` keeps them afterwards. */}}

{{/*
The variables from which scripts/entrypoint.sh seeds Patroni's configuration, for a map of parameters. Names of environment variables
hold no dot: two underscores stand for it. Takes {parameters, preload}; with "preload" the libraries are there in any case.
*/}}
{{- define "citus-cluster.parameterVariables" -}}
{{- $libraries := list "citus" -}}
{{- $preload := .preload -}}
{{- range $name, $value := .parameters -}}
{{- if not (kindIs "invalid" $value) -}}
{{- if eq (lower $name) "shared_preload_libraries" -}}
  {{- $preload = true -}}
  {{- range splitList "," (toString $value) -}}
    {{- $libraries = append $libraries (trim .) -}}
  {{- end -}}
{{- else }}
PATRONI_POSTGRESQL_{{ $name | upper | replace "." "__" }}: {{ include "citus-cluster.scalar" $value | quote }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $preload }}
PATRONI_POSTGRESQL_SHARED_PRELOAD_LIBRARIES: {{ without ($libraries | uniq) "" | join "," | quote }}
{{- end -}}
{{- end -}}

{{/* A map of parameters with its values as text, without those that are null; as JSON. */}}
{{- define "citus-cluster.parameterTexts" -}}
{{- $texts := dict -}}
{{- range $name, $value := . -}}
  {{- if not (kindIs "invalid" $value) -}}
    {{- $_ := set $texts $name (include "citus-cluster.scalar" $value) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $texts -}}
{{- end -}}

{{/*
The section `patroni` of the spec, as JSON. It names no parameters of releases before: Patroni's own record holds those, from the first
start on, so that neither a rollback nor a tool that only renders templates loses any.
*/}}
{{- define "citus-cluster.patroniSpec" -}}
{{- $postgresql := .Values.patroni.postgresql -}}
{{- $pods := include "citus-cluster.headlessService" . -}}
{{- $groups := list -}}
{{- range $group := include "citus-cluster.groups" . | fromJsonArray -}}
  {{- $members := list -}}
  {{- range until (int .replicas) -}}
    {{- $members = append $members (dict "host" (printf "%s-%d.%s" $group.name . $pods) "port" 5432 "restPort" 8008) -}}
  {{- end -}}
  {{- $entry := dict "group" .group "members" $members "parameters" (include "citus-cluster.parameterTexts" .parameters | fromJson) -}}
  {{- $limit := (.resources.limits | default dict).memory -}}
  {{- if $limit -}}
    {{- $_ := set $entry "memoryLimit" (include "citus-cluster.scalar" $limit) -}}
  {{- else if eq $postgresql.profile "auto" -}}
    {{- fail (printf "patroni.postgresql.profile: auto derives sizes from the memory limit, and group %v has none. Set resources.limits.memory." .group) -}}
  {{- end -}}
  {{- $groups = append $groups $entry -}}
{{- end -}}
{{- $patroni := dict
  "scope" (include "citus-cluster.scope" .)
  "patronictl" (printf "kubectl -n %s exec -it %s-0-0 -- patronictl" .Release.Namespace (include "citus-cluster.name" .))
  "credentials" (dict "username" .Values.patroni.restApi.username "passwordFile" "/etc/citus-databases/restapi/password")
  "parameters" (include "citus-cluster.parameterTexts" $postgresql.parameters | fromJson)
  "profile" $postgresql.profile
  "restart" $postgresql.restart
  "allowInterruption" $postgresql.allowInterruption
  "groups" $groups -}}
{{- toRawJson $patroni -}}
{{- end -}}
