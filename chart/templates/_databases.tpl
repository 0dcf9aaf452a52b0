{{/* Entries of additionalDatabases: from values to what Jobs need. */}}

{{/*
A name for Kubernetes, for {prefix, name}. A database's or role's name may be anything; Kubernetes takes 63 lower-case letters,
digits and hyphens. A name that had to change gets a hash of the whole name, so that MyApp and my_app stay apart.
*/}}
{{- define "citus-cluster.validName" -}}
{{- $plain := regexReplaceAll "[^a-z0-9-]+" (lower .name) "-" | trimAll "-" -}}
{{- if and (eq $plain .name) (le (add (len .prefix) (len $plain)) 63) -}}
{{- printf "%s%s" .prefix $plain -}}
{{- else -}}
{{- $room := sub 54 (len .prefix) | int -}}
{{- $hash := sha256sum .name | trunc 8 -}}
{{- $kept := $plain | trunc $room | trimAll "-" -}}
{{- if $kept -}}{{- printf "%s%s-%s" .prefix $kept $hash -}}{{- else -}}{{- printf "%s%s" .prefix $hash -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of an entry's Job and Secret, for {cluster, name}. */}}
{{- define "citus-cluster.jobName" -}}
{{- include "citus-cluster.validName" (dict "prefix" (printf "%s-create-db-" .cluster) "name" .name) -}}
{{- end -}}

{{/* The entry's number under "key", or "default" when it is absent. `default` of the template language would replace 0. */}}
{{- define "citus-cluster.number" -}}
{{- $value := index .entry .key -}}
{{- if kindIs "invalid" $value -}}{{- .default -}}{{- else -}}{{- int $value -}}{{- end -}}
{{- end -}}

{{/* Where an entry stands in the values, for messages. */}}
{{- define "citus-cluster.entryPath" -}}
{{- if kindIs "string" .key -}}additionalDatabases.{{ .key }}{{- else -}}additionalDatabases[{{ .key }}]{{- end -}}
{{- end -}}

{{/*
The entry as the spec has it, parameters as strings; fails where it cannot be right, before Helm touches the cluster. Takes
{entry, key, workerGroups, mainDatabase, external}. The program checks all of it again, and more.
*/}}
{{- define "citus-cluster.entry" -}}
{{- $entry := deepCopy .entry -}}
{{- $path := include "citus-cluster.entryPath" . -}}
{{- $name := $entry.name | toString -}}
{{- if gt (len $name) 63 -}}
  {{- fail (printf "%s: the name %q has %d bytes; PostgreSQL keeps 63." $path $name (len $name)) -}}
{{- end -}}
{{- if and (kindIs "string" .key) (ne $name .key) -}}
  {{- fail (printf "%s.name: %q differs from the key above it." $path $name) -}}
{{- end -}}
{{- if has $name (list "postgres" "template0" "template1") -}}
  {{- fail (printf "%s: %q belongs to PostgreSQL itself and cannot be declared." $path $name) -}}
{{- end -}}
{{- if eq $name .mainDatabase -}}
  {{- if .external -}}
    {{- fail (printf "%s: %q is cluster.database, which is there already and belongs to whoever runs the cluster." $path $name) -}}
  {{- end -}}
  {{- fail (printf "%s: %q is patroni.database, which Patroni makes and manages." $path $name) -}}
{{- end -}}
{{- if hasPrefix "pg_" (toString $entry.owner) -}}
  {{- fail (printf "%s.owner: %q is a reserved role name." $path $entry.owner) -}}
{{- end -}}
{{- range $list := list "extensions" "schemas" -}}
  {{- $seen := list -}}
  {{- range get $entry $list | default list -}}
    {{- $listed := . -}}
    {{- if kindIs "map" . -}}{{- $listed = .name -}}{{- end -}}
    {{- if has $listed $seen -}}
      {{- fail (printf "%s.%s: %q is listed twice." $path $list $listed) -}}
    {{- end -}}
    {{- $seen = append $seen $listed -}}
  {{- end -}}
{{- end -}}
{{- if hasKey $entry "workerGroups" -}}
  {{- if kindIs "invalid" $entry.workerGroups -}}
    {{- $_ := unset $entry "workerGroups" -}}
  {{- else -}}
    {{- $wanted := list -}}
    {{- range $index, $group := $entry.workerGroups -}}
      {{- $group = include "citus-cluster.scalar" $group -}}
      {{- if and (not (has $group $.workerGroups)) (or $.workerGroups (not $.external)) -}}
        {{- fail (printf "%s.workerGroups[%d]: there is no worker group %s. `%s` declares: %s." $path $index $group ($.external | empty | ternary "workers" "cluster.workers") (join ", " $.workerGroups | default "none")) -}}
      {{- end -}}
      {{- $wanted = append $wanted $group -}}
    {{- end -}}
    {{- if not $wanted -}}
      {{- fail (printf "%s.workerGroups: the list is empty. Leave it out to use all workers." $path) -}}
    {{- end -}}
    {{- $_ := set $entry "workerGroups" $wanted -}}
  {{- end -}}
{{- end -}}
{{- if $entry.parameters -}}
  {{- $parameters := dict -}}
  {{- range $key, $value := $entry.parameters -}}
    {{- $_ := set $parameters $key (include "citus-cluster.scalar" $value) -}}
  {{- end -}}
  {{- $_ := set $entry "parameters" $parameters -}}
{{- end -}}
{{- range $key, $value := $entry -}}
  {{- if kindIs "invalid" $value -}}{{- $_ := unset $entry $key -}}{{- end -}}
{{- end -}}
{{- toRawJson $entry -}}
{{- end -}}

{{/*
All entries as a JSON list of {job, entry, users, scripts}, in the order of the list or of the map's keys. A map's
entry that is null counts as absent: a values file further on can take one away (with --reuse-values Helm keeps it all the same).
*/}}
{{- define "citus-cluster.databases" -}}
{{- $cluster := include "citus-cluster.name" . -}}
{{- $workerGroups := include "citus-cluster.workerGroups" . | fromJsonArray -}}
{{- $result := list -}}
{{- $pathOfName := dict -}}
{{- $nameOfJob := dict -}}
{{- range $key, $declared := .Values.additionalDatabases | default list -}}
  {{- if not (kindIs "invalid" $declared) -}}
    {{- $path := include "citus-cluster.entryPath" (dict "key" $key) -}}
    {{- if and (kindIs "string" $key) (kindIs "invalid" $declared.name) -}}
      {{- $declared = set (deepCopy $declared) "name" $key -}}
    {{- end -}}
    {{- $entry := include "citus-cluster.entry" (dict "entry" $declared "key" $key "workerGroups" $workerGroups "mainDatabase" (include "citus-cluster.reservedDatabase" $) "external" (include "citus-cluster.external" $)) | fromJson -}}
    {{- if hasKey $pathOfName $entry.name -}}
      {{- fail (printf "%s: database %q is declared twice, first in %s." $path $entry.name (get $pathOfName $entry.name)) -}}
    {{- end -}}
    {{- $_ := set $pathOfName $entry.name $path -}}
    {{- $job := include "citus-cluster.jobName" (dict "cluster" $cluster "name" $entry.name) -}}
    {{- if hasKey $nameOfJob $job -}}
      {{- fail (printf "%s: the Jobs of the databases %q and %q would both be named %s." $path $entry.name (get $nameOfJob $job) $job) -}}
    {{- end -}}
    {{- $_ := set $nameOfJob $job $entry.name -}}
    {{- $users := include "citus-cluster.entryUsers" (dict "entry" $entry "path" $path "root" $) | fromJson -}}
    {{- if $users.spec -}}{{- $_ := set $entry "users" $users.spec -}}{{- end -}}
    {{- $scripts := include "citus-cluster.entryScripts" (dict "entry" $entry "path" $path) | fromJson -}}
    {{- if $scripts.spec -}}{{- $_ := set $entry "initSQLFrom" $scripts.spec -}}{{- end -}}
    {{- $result = append $result (dict "job" $job "entry" $entry "users" $users.roles "scripts" $scripts.sources) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $result -}}
{{- end -}}

{{/*
The document that the program reads, for the entries in "databases", and with "patroni" as that section. As JSON, which is YAML too: no string can turn into a number
or a date on the way.
*/}}
{{- define "citus-cluster.spec" -}}
{{- $root := .root -}}
{{- $nodes := include "citus-cluster.nodes" $root | fromJson -}}
{{- $superuser := include "citus-cluster.superuser" $root | fromJson -}}
{{- $external := include "citus-cluster.external" $root -}}
{{- $cluster := dict
  "name" (include "citus-cluster.name" $root)
  "citus" true
  "user" $superuser.username
  "database" (include "citus-cluster.mainDatabase" $root)
  "coordinator" $nodes.coordinator -}}
{{- if $superuser.secret -}}{{- $_ := set $cluster "passwordFile" "/etc/citus-databases/superuser/password" -}}{{- end -}}
{{- /* Without workers the program discovers them. */ -}}
{{- if or $nodes.workers (not $external) -}}{{- $_ := set $cluster "workers" $nodes.workers -}}{{- end -}}
{{- /* Jobs wait until every pod has it, where there are pods of the chart's. */ -}}
{{- if not $external -}}{{- $_ := set $cluster "image" (include "citus-cluster.image" (dict "image" $root.Values.image "root" $root)) -}}{{- end -}}
{{- if $root.Values.acceptUndeclaredNodes -}}{{- $_ := set $cluster "acceptUndeclaredNodes" true -}}{{- end -}}
{{- range include "citus-cluster.exporterRole" $root | fromJsonArray -}}
  {{- $_ := set $cluster "exporter" (dict "name" .name "passwordFile" (printf "/etc/citus-databases/users/%s/password" .directory)) -}}
{{- end -}}
{{- if and $external $root.Values.cluster.withoutSuperuser -}}{{- $_ := set $cluster "withoutSuperuser" true -}}{{- end -}}
{{- $ssl := dict
  "enabled" $root.Values.ssl.enabled
  "mode" $root.Values.ssl.mode
  "directory" "/etc/citus-databases/ssl"
  "ca" "ca.crt"
  "certificate" "server.crt"
  "key" "server.key"
  "nodeDirectory" ($external | empty | ternary (include "citus-cluster.sslDirectory" $root) (($root.Values.cluster | default dict).nodeSslDirectory | default (include "citus-cluster.sslDirectory" $root))) -}}
{{- $spec := dict "cluster" $cluster "ssl" $ssl "databases" .databases -}}
{{- with .patroni -}}{{- $_ := set $spec "patroni" . -}}{{- end -}}
{{- toPrettyJson $spec -}}
{{- end -}}
