{{/* A cluster that something else runs (cluster.create: false): where it is, and how the Jobs get in. */}}

{{/* "true" where the chart runs no cluster. Releases made before there was `cluster` have no such value (--reuse-values). */}}
{{- define "citus-cluster.external" -}}
{{- $cluster := .Values.cluster | default dict -}}
{{- if hasKey $cluster "create" -}}{{- if not $cluster.create -}}true{{- end -}}{{- end -}}
{{- end -}}

{{/* The superuser, as JSON {username, secret, key}; without a secret it logs in with its certificate. */}}
{{- define "citus-cluster.superuser" -}}
{{- if include "citus-cluster.external" . -}}
{{- $superuser := .Values.cluster.superuser -}}
{{- dict "username" $superuser.username "secret" $superuser.secretName "key" $superuser.key | toRawJson -}}
{{- else -}}
{{- dict "username" .Values.patroni.superuser.username "secret" (include "citus-cluster.credentialsSecret" .) "key" .Values.secret.keys.superuserPassword | toRawJson -}}
{{- end -}}
{{- end -}}

{{/* The Citus database that is there already. */}}
{{- define "citus-cluster.mainDatabase" -}}
{{- if include "citus-cluster.external" . -}}{{- .Values.cluster.database -}}{{- else -}}{{- .Values.patroni.database -}}{{- end -}}
{{- end -}}

{{/* The name that no entry may have: without a superuser the service's own database is declared as any other. */}}
{{- define "citus-cluster.reservedDatabase" -}}
{{- if not (and (include "citus-cluster.external" .) .Values.cluster.withoutSuperuser) -}}{{- include "citus-cluster.mainDatabase" . -}}{{- end -}}
{{- end -}}

{{/* The nodes as the program reads them, as JSON {coordinator, workers}; no workers: they are discovered. */}}
{{- define "citus-cluster.nodes" -}}
{{- $coordinator := dict -}}
{{- $workers := list -}}
{{- if include "citus-cluster.external" . -}}
  {{- $coordinator = include "citus-cluster.externalNode" (dict "group" 0 "node" .Values.cluster.coordinator) | fromJson -}}
  {{- $seen := list -}}
  {{- range $index, $worker := .Values.cluster.workers -}}
    {{- $group := int .citusGroup -}}
    {{- if lt $group 1 -}}
      {{- fail (printf "cluster.workers[%d].citusGroup: %v is not a worker group. Group 0 is the coordinator's; workers count from 1." $index .citusGroup) -}}
    {{- end -}}
    {{- if has $group $seen -}}
      {{- fail (printf "cluster.workers[%d].citusGroup: group %d is declared twice." $index $group) -}}
    {{- end -}}
    {{- $seen = append $seen $group -}}
    {{- $workers = append $workers (include "citus-cluster.externalNode" (dict "group" $group "node" .) | fromJson) -}}
  {{- end -}}
{{- else -}}
  {{- range include "citus-cluster.groups" . | fromJsonArray -}}
    {{- $node := dict "group" .group "host" .name "port" 5432 -}}
    {{- if eq .type "coordinator" -}}{{- $coordinator = $node -}}{{- else -}}{{- $workers = append $workers $node -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- dict "coordinator" $coordinator "workers" $workers | toRawJson -}}
{{- end -}}

{{- define "citus-cluster.externalNode" -}}
{{- $node := dict "group" .group "host" .node.host "port" (int (.node.port | default 5432)) -}}
{{- with .node.nodeName -}}{{- $_ := set $node "nodeName" . -}}{{- end -}}
{{- with .node.nodePort -}}{{- $_ := set $node "nodePort" (int .) -}}{{- end -}}
{{- toRawJson $node -}}
{{- end -}}

{{/* Worker groups that entries may name, as a JSON list of texts; none: they are not known here. */}}
{{- define "citus-cluster.workerGroups" -}}
{{- $groups := list -}}
{{- range (include "citus-cluster.nodes" . | fromJson).workers -}}
  {{- $groups = append $groups (include "citus-cluster.scalar" .group) -}}
{{- end -}}
{{- toRawJson $groups -}}
{{- end -}}

{{- define "citus-cluster.checkExternal" -}}
{{- if and (.Values.cluster | default dict).withoutSuperuser (not (include "citus-cluster.external" .)) -}}
  {{- fail "cluster.withoutSuperuser: is for clusters that something else runs (cluster.create: false); the chart's own has a superuser, and the Jobs work as it." -}}
{{- end -}}
{{- if include "citus-cluster.external" . -}}
{{- $cluster := .Values.cluster -}}
{{- range include "citus-cluster.presentStatefulSets" . | fromJsonArray -}}
  {{- fail (printf "cluster.create: is false, but release %s runs the cluster %q (StatefulSet %s), which Helm would delete. Declare databases on it from here, or in a release of their own." $.Release.Name .cluster .name) -}}
{{- end -}}
{{- if not $cluster.coordinator.host -}}
  {{- fail "cluster.coordinator.host: with cluster.create: false, name the coordinator of the cluster that is there." -}}
{{- end -}}
{{- if and .Values.ssl.enabled (not .Values.ssl.secretName) -}}
  {{- fail "ssl.secretName: with cluster.create: false, name the Secret with the certificates of the cluster that is there, or set ssl.enabled: false (ssl.mode: require still demands TLS)." -}}
{{- end -}}
{{- end -}}
{{- end -}}
