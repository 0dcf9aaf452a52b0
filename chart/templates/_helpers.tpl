{{/* Names, labels and images. Every helper takes the root context unless it says otherwise. */}}

{{- define "citus-cluster.name" -}}
{{- $name := .Values.clusterName | default .Release.Name -}}
{{- if or (gt (len $name) 40) (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name)) -}}
{{- fail (printf "clusterName: %q cannot name Services. Use at most 40 lower-case letters, digits and hyphens, beginning with a letter (when clusterName is empty, the release's name is used)." $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "citus-cluster.scope" -}}
{{- .Values.patroni.scope | default (include "citus-cluster.name" .) -}}
{{- end -}}

{{/* The headless Service that gives every pod a name of its own. */}}
{{- define "citus-cluster.headlessService" -}}
{{- include "citus-cluster.name" . }}-pods
{{- end -}}

{{/* The Service that leads to the coordinator's standbys. */}}
{{- define "citus-cluster.readService" -}}
{{- include "citus-cluster.name" . }}-0-read
{{- end -}}

{{- define "citus-cluster.credentialsSecret" -}}
{{- .Values.secret.name | default (printf "%s-credentials" (include "citus-cluster.name" .)) -}}
{{- end -}}

{{- define "citus-cluster.sslSecret" -}}
{{- .Values.ssl.secretName | default (printf "%s-ssl-certs" (include "citus-cluster.name" .)) -}}
{{- end -}}

{{/* The Secret with the key of the authority that signs what ssl.createSecret makes; no pod mounts it. */}}
{{- define "citus-cluster.authoritySecret" -}}
{{- include "citus-cluster.name" . }}-ssl-ca
{{- end -}}

{{- define "citus-cluster.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "citus-cluster.name" .) -}}
{{- end -}}

{{/* Takes an image's values and the root as "root". As in Docker's names, a first part with a dot or a colon is a registry. */}}
{{- define "citus-cluster.image" -}}
{{- $name := .image.repository -}}
{{- $own := regexMatch "^(localhost|[^/]*[.:][^/]*)/" $name | ternary "" (.image.registry | default "") -}}
{{- $registry := (.root.Values.global | default dict).imageRegistry | default $own | trimSuffix "/" -}}
{{- if $registry -}}{{- $name = printf "%s/%s" $registry $name -}}{{- end -}}
{{- printf "%s:%s" $name (.image.tag | default .root.Chart.AppVersion) -}}
{{- with .image.digest -}}@{{ . }}{{- end -}}
{{- end -}}

{{/* Labels by which Patroni, Services and StatefulSets find pods: they never change during a release's life. */}}
{{- define "citus-cluster.selectorLabels" -}}
application: patroni
cluster-name: {{ include "citus-cluster.scope" . }}
{{- end -}}

{{/* Labels of pods: nothing in them changes with the chart's version, so that a new chart does not roll pods by itself. */}}
{{- define "citus-cluster.stableLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "citus-cluster.labels" -}}
{{ include "citus-cluster.stableLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
cluster-name: {{ include "citus-cluster.scope" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The groups as a JSON list of {group, type, replicas, resources, parameters, storage, name}, coordinator first, workers by group. None where
something else runs the cluster.
*/}}
{{- define "citus-cluster.groups" -}}
{{- if include "citus-cluster.external" . -}}
[]
{{- else -}}
{{- include "citus-cluster.ownGroups" . -}}
{{- end -}}
{{- end -}}

{{- define "citus-cluster.ownGroups" -}}
{{- $name := include "citus-cluster.name" . -}}
{{- $groups := list (dict "group" 0 "type" "coordinator" "values" .Values.coordinator) -}}
{{- $byGroup := dict -}}
{{- range $index, $worker := .Values.workers -}}
  {{- $group := int $worker.citusGroup -}}
  {{- if lt $group 1 -}}
    {{- fail (printf "workers[%d].citusGroup: %v is not a worker group. Group 0 is the coordinator's; workers count from 1." $index $worker.citusGroup) -}}
  {{- end -}}
  {{- $key := printf "%09d" $group -}}
  {{- if hasKey $byGroup $key -}}
    {{- fail (printf "workers[%d].citusGroup: group %d is declared twice." $index $group) -}}
  {{- end -}}
  {{- $_ := set $byGroup $key (dict "group" $group "type" "worker" "values" $worker) -}}
{{- end -}}
{{- range $key := keys $byGroup | sortAlpha -}}
  {{- $groups = append $groups (get $byGroup $key) -}}
{{- end -}}
{{- $result := list -}}
{{- range $groups -}}
  {{- $replicas := 2 -}}
  {{- if hasKey .values "replicas" -}}{{- $replicas = int .values.replicas -}}{{- end -}}
  {{- $storage := merge (dict) (.values.storage | default dict) $.Values.storage -}}
  {{- $result = append $result (dict "group" .group "type" .type "name" (printf "%s-%d" $name .group) "replicas" $replicas "resources" (.values.resources | default dict) "parameters" (.values.parameters | default dict) "storage" $storage "podSpec" (.values.podSpec | default dict)) -}}
{{- end -}}
{{- toJson $result -}}
{{- end -}}

{{/* A scalar as PostgreSQL reads it: Helm holds numbers of values files as floats, and 1073741824 must not become 1.073741824e+09. */}}
{{- define "citus-cluster.scalar" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* Merges the map "from" into the map "into", in place: maps merge, other values (false, 0 and null too) replace. */}}
{{- define "citus-cluster.mergeInto" -}}
{{- $into := .into -}}
{{- range $key, $value := .from -}}
  {{- if and (kindIs "map" $value) (kindIs "map" (get $into $key)) -}}
    {{- include "citus-cluster.mergeInto" (dict "into" (get $into $key) "from" $value) -}}
  {{- else -}}
    {{- $_ := set $into $key $value -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The ConfigMaps in which Patroni keeps its state, as a JSON list of names. */}}
{{- define "citus-cluster.patroniRecords" -}}
{{- $records := list -}}
{{- range $group := include "citus-cluster.groups" . | fromJsonArray -}}
  {{- range list "config" "leader" "sync" "failover" -}}
    {{- $records = append $records (printf "%s-%d-%s" (include "citus-cluster.scope" $) (int $group.group) .) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $records -}}
{{- end -}}
