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
Adds to the map "parameters" each entry of "defaults" that it does not name, whatever the spelling: PostgreSQL does not tell case apart.
As JSON, with values as text.
*/}}
{{- define "citus-cluster.withDefaults" -}}
{{- $texts := include "citus-cluster.parameterTexts" .parameters | fromJson -}}
{{- $named := dict -}}
{{- range $name := concat (keys $texts) (.named | default list) -}}
  {{- $_ := set $named (lower $name) true -}}
{{- end -}}
{{- range $name, $value := .defaults -}}
  {{- if not (hasKey $named $name) -}}
    {{- $_ := set $texts $name $value -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $texts -}}
{{- end -}}

{{/*
The parameters of all groups. Sizes have their defaults here and not in values.yaml, because there nobody could tell them from sizes that
somebody chose, which win over the profile.
*/}}
{{- define "citus-cluster.parametersOfAll" -}}
{{- $sizes := dict "shared_buffers" "128MB" "work_mem" "8MB" -}}
{{- if eq .Values.patroni.postgresql.profile "auto" -}}{{- $sizes = dict -}}{{- end -}}
{{- include "citus-cluster.withDefaults" (dict "parameters" .Values.patroni.postgresql.parameters "defaults" $sizes) -}}
{{- end -}}

{{/* What {root, group} has besides: its own, and with the profile the sizes that nobody names. */}}
{{- define "citus-cluster.parametersOfGroup" -}}
{{- $sizes := dict -}}
{{- if eq .root.Values.patroni.postgresql.profile "auto" -}}
  {{- $sizes = include "citus-cluster.profile" .group | fromJson -}}
{{- end -}}
{{- $named := include "citus-cluster.parametersOfAll" .root | fromJson | keys -}}
{{- include "citus-cluster.withDefaults" (dict "parameters" .group.parameters "defaults" $sizes "named" $named) -}}
{{- end -}}

{{/* A group's memory limit in bytes; fails where it has none. */}}
{{- define "citus-cluster.memoryLimit" -}}
{{- $limit := (.resources.limits | default dict).memory -}}
{{- if not $limit -}}
  {{- fail (printf "patroni.postgresql.profile: auto derives sizes from the memory limit, and group %v has none. Set resources.limits.memory." .group) -}}
{{- end -}}
{{- $text := include "citus-cluster.scalar" $limit -}}
{{- $number := regexFind "^[0-9]+([.][0-9]*)?([eE][+]?[0-9]+)?" $text -}}
{{- $suffix := trimPrefix $number $text -}}
{{- $factors := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if or (not $number) (not (hasKey $factors $suffix)) -}}
  {{- fail (printf "patroni.postgresql.profile: the memory limit of group %v, %s, is no quantity of memory such as 2Gi." .group $text) -}}
{{- end -}}
{{- mulf (float64 $number) (float64 (get $factors $suffix)) | floor | printf "%.0f" -}}
{{- end -}}

{{/* The sizes that a group's memory limit suggests, as src/patroni/profile.ts has them (a test compares the two); as JSON. */}}
{{- define "citus-cluster.profile" -}}
{{- $megabytes := divf (include "citus-cluster.memoryLimit" . | float64) 1048576 -}}
{{- $sizes := dict
  "shared_buffers" (divf $megabytes 4 | floor | int64 | max 1)
  "effective_cache_size" (divf (mulf $megabytes 3) 4 | floor | int64 | max 1)
  "work_mem" (divf $megabytes 256 | floor | int64 | max 1 | min 128)
  "maintenance_work_mem" (divf $megabytes 16 | floor | int64 | max 16 | min 2048)
  "wal_buffers" (divf $megabytes 64 | floor | int64 | max 1 | min 16) -}}
{{- $texts := dict -}}
{{- range $name, $size := $sizes -}}
  {{- $_ := set $texts $name (eq (mod $size 1024) 0 | ternary (printf "%dGB" (div $size 1024)) (printf "%dMB" $size)) -}}
{{- end -}}
{{- toRawJson $texts -}}
{{- end -}}

{{/*
Not empty where somebody chose parameters. A first start is seeded with all of them, so that `configure` has nothing to change after an
install. It checks them, though: Patroni leaves out a parameter that it does not know, and only says so in its log. The chart's own
parameters (values.yaml; a test compares them) need no check, which saves the seconds that each hook takes.
*/}}
{{- define "citus-cluster.parametersChosen" -}}
{{- $own := dict "max_connections" "200" "max_locks_per_transaction" "512" "max_worker_processes" "32" "shared_preload_libraries" "pg_partman_bgw" -}}
{{- if ne (include "citus-cluster.parameterTexts" .Values.patroni.postgresql.parameters | fromJson | toJson) (toJson $own) -}}
chosen
{{- end -}}
{{- range include "citus-cluster.groups" . | fromJsonArray -}}
  {{- if .parameters -}}chosen{{- end -}}
{{- end -}}
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
  {{- end -}}
  {{- $groups = append $groups $entry -}}
{{- end -}}
{{- $patroni := dict
  "scope" (include "citus-cluster.scope" .)
  "patronictl" (printf "kubectl -n %s exec -it %s-0-0 -- patronictl" .Release.Namespace (include "citus-cluster.name" .))
  "credentials" (dict "username" .Values.patroni.restApi.username "passwordFile" "/etc/citus-databases/restapi/password")
  "parameters" (include "citus-cluster.parametersOfAll" . | fromJson)
  "profile" $postgresql.profile
  "restart" $postgresql.restart
  "allowInterruption" $postgresql.allowInterruption
  "groups" $groups -}}
{{- toRawJson $patroni -}}
{{- end -}}
