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

{{/* How often Kubernetes starts a Job for these entries again: as often as the most patient of them wants. */}}
{{- define "citus-cluster.backoffLimit" -}}
{{- $limit := 0 -}}
{{- range . -}}
  {{- $limit = max $limit (include "citus-cluster.number" (dict "entry" . "key" "backoffLimit" "default" 3) | int) -}}
{{- end -}}
{{- $limit -}}
{{- end -}}

{{/*
Seconds that cover all attempts of a Job for {entries, atOnce}: each may wait for nodes maxAttempts × retryDelaySeconds, by the most
patient entry, and work for 10 minutes on each of as many entries one after the other as there are turns; between attempts Kubernetes
waits 10 s, 20 s, 40 s ... up to 360 s.
*/}}
{{- define "citus-cluster.deadline" -}}
{{- $waiting := 0 -}}
{{- range .entries -}}
  {{- $maxAttempts := include "citus-cluster.number" (dict "entry" . "key" "maxAttempts" "default" 60) | int -}}
  {{- $delay := 5 -}}
  {{- if not (kindIs "invalid" .retryDelaySeconds) -}}{{- $delay = .retryDelaySeconds -}}{{- end -}}
  {{- $waiting = max $waiting (mulf $maxAttempts $delay | ceil | int) -}}
{{- end -}}
{{- $turns := divf (len .entries) .atOnce | ceil | int -}}
{{- $retries := include "citus-cluster.backoffLimit" .entries | int -}}
{{- $pauses := 0 -}}
{{- $pause := 10 -}}
{{- range until $retries -}}
  {{- $pauses = add $pauses $pause -}}
  {{- $pause = min (mul $pause 2) 360 -}}
{{- end -}}
{{- add (mul (add $waiting (mul $turns 600)) (add $retries 1)) $pauses -}}
{{- end -}}

{{/* Where an entry stands in the values, for messages. */}}
{{- define "citus-cluster.entryPath" -}}
{{- if kindIs "string" .key -}}additionalDatabases.{{ .key }}{{- else -}}additionalDatabases[{{ .key }}]{{- end -}}
{{- end -}}

{{/*
The entry as the spec has it, parameters as strings; fails where it cannot be right, before Helm touches the cluster. Takes
{entry, key, workerGroups, patroniDatabase}. The program checks all of it again, and more.
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
{{- if eq $name .patroniDatabase -}}
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
      {{- if not (has $group $.workerGroups) -}}
        {{- fail (printf "%s.workerGroups[%d]: there is no worker group %s. `workers` declares: %s." $path $index $group (join ", " $.workerGroups | default "none")) -}}
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
All entries as a JSON list of {job, entry, users}, in the order of the list or of the map's keys. A map's
entry that is null counts as absent: that is how `--set additionalDatabases.orders=null` takes one away.
*/}}
{{- define "citus-cluster.databases" -}}
{{- $cluster := include "citus-cluster.name" . -}}
{{- $workerGroups := list -}}
{{- range include "citus-cluster.groups" . | fromJsonArray -}}
  {{- if eq .type "worker" -}}{{- $workerGroups = append $workerGroups (include "citus-cluster.scalar" .group) -}}{{- end -}}
{{- end -}}
{{- $result := list -}}
{{- $pathOfName := dict -}}
{{- $nameOfJob := dict -}}
{{- range $key, $declared := .Values.additionalDatabases | default list -}}
  {{- if not (kindIs "invalid" $declared) -}}
    {{- $path := include "citus-cluster.entryPath" (dict "key" $key) -}}
    {{- if and (kindIs "string" $key) (kindIs "invalid" $declared.name) -}}
      {{- $declared = set (deepCopy $declared) "name" $key -}}
    {{- end -}}
    {{- $entry := include "citus-cluster.entry" (dict "entry" $declared "key" $key "workerGroups" $workerGroups "patroniDatabase" $.Values.patroni.database) | fromJson -}}
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
    {{- $result = append $result (dict "job" $job "entry" $entry "users" $users.roles) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $result -}}
{{- end -}}

{{/*
The Jobs that make the databases so, as a JSON list of {name, databases, args, roles, spec, deadline, backoffLimit, inputs, skipped}:
one for each entry, or one for all (jobs.mode). The Secret with the spec has the Job's name.
*/}}
{{- define "citus-cluster.creationJobs" -}}
{{- $jobs := list -}}
{{- $databases := include "citus-cluster.databases" . | fromJsonArray -}}
{{- if eq .Values.jobs.mode "single" -}}
  {{- if $databases -}}
    {{- $entries := list -}}
    {{- range $databases -}}{{- $entries = append $entries .entry -}}{{- end -}}
    {{- $roles := include "citus-cluster.roles" (dict "root" . "databases" $databases) | fromJsonArray -}}
    {{- $atOnce := int .Values.jobs.databasesAtOnce -}}
    {{- $name := printf "%s-create-databases" (include "citus-cluster.name" .) -}}
    {{- $jobs = append $jobs (dict "name" $name "entries" $entries "roles" $roles "atOnce" $atOnce "args" (list "--databases-at-once" (toString $atOnce))) -}}
  {{- end -}}
{{- else -}}
  {{- range $databases -}}
    {{- $jobs = append $jobs (dict "name" .job "entries" (list .entry) "roles" .users "atOnce" 1 "args" list) -}}
  {{- end -}}
{{- end -}}
{{- $result := list -}}
{{- range $jobs -}}
  {{- $names := list -}}
  {{- range .entries -}}{{- $names = append $names .name -}}{{- end -}}
  {{- $spec := include "citus-cluster.spec" (dict "root" $ "databases" .entries) -}}
  {{- $inputs := include "citus-cluster.inputs" (dict "root" $ "spec" $spec "args" .args "roles" .roles) -}}
  {{- $skipped := include "citus-cluster.unchanged" (dict "root" $ "job" .name "inputs" $inputs) -}}
  {{- $result = append $result (dict
    "name" .name
    "databases" $names
    "args" .args
    "roles" .roles
    "spec" $spec
    "deadline" (include "citus-cluster.deadline" . | int)
    "backoffLimit" (include "citus-cluster.backoffLimit" .entries | int)
    "inputs" $inputs
    "skipped" (not (empty $skipped))) -}}
{{- end -}}
{{- toRawJson $result -}}
{{- end -}}

{{/*
A hash of all that decides what a Job does, for {root, spec, args, roles}: the spec with the topology in it, the images of program and
nodes (which bring Citus and extensions), the chart, and which state of the users' Secrets it reads. Of these the version that
Kubernetes counts is taken, not the password: annotations are no secrets.
*/}}
{{- define "citus-cluster.inputs" -}}
{{- $root := .root -}}
{{- $versions := list -}}
{{- range .roles -}}
  {{- if ne .source "none" -}}
    {{- $metadata := (lookup "v1" "Secret" $root.Release.Namespace .secret).metadata | default dict -}}
    {{- $versions = append $versions (list .secret .key $metadata.uid $metadata.resourceVersion) -}}
  {{- end -}}
{{- end -}}
{{- $images := list (include "citus-cluster.image" (dict "image" $root.Values.jobs.image "root" $root)) (include "citus-cluster.image" (dict "image" $root.Values.image "root" $root)) -}}
{{- list .spec .args $root.Values.jobs.extraArgs $images $root.Chart.Version $versions | toRawJson | sha256sum -}}
{{- end -}}

{{/*
Not empty when jobs.unchanged is "skip" and the Job {job} that is there has succeeded with the same {inputs}. Its Secret has to be
there too: a Job without it is left from before jobs.mode was changed, and another one may have made changes since.
*/}}
{{- define "citus-cluster.unchanged" -}}
{{- if and (eq .root.Values.jobs.unchanged "skip") .root.Release.IsUpgrade -}}
{{- $job := lookup "batch/v1" "Job" .root.Release.Namespace .job -}}
{{- if and $job (lookup "v1" "Secret" .root.Release.Namespace .job) -}}
{{- $before := index ($job.metadata.annotations | default dict) "citus-databases/inputs" | default "" -}}
{{- if and (eq $before .inputs) (ge (($job.status | default dict).succeeded | default 0 | int) 1) -}}true{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The document that the program reads, for the entries in "databases", and with "patroni" as that section. As JSON, which is YAML too: no string can turn into a number
or a date on the way.
*/}}
{{- define "citus-cluster.spec" -}}
{{- $root := .root -}}
{{- $coordinator := dict -}}
{{- $workers := list -}}
{{- range include "citus-cluster.groups" $root | fromJsonArray -}}
  {{- $node := dict "group" .group "host" .name "port" 5432 -}}
  {{- if eq .type "coordinator" -}}{{- $coordinator = $node -}}{{- else -}}{{- $workers = append $workers $node -}}{{- end -}}
{{- end -}}
{{- $cluster := dict
  "name" (include "citus-cluster.name" $root)
  "citus" true
  "user" $root.Values.patroni.superuser.username
  "passwordFile" "/etc/citus-databases/superuser/password"
  "database" $root.Values.patroni.database
  "coordinator" $coordinator
  "workers" $workers -}}
{{- $ssl := dict
  "enabled" $root.Values.ssl.enabled
  "mode" $root.Values.ssl.mode
  "directory" "/etc/citus-databases/ssl"
  "ca" "ca.crt"
  "certificate" "server.crt"
  "key" "server.key"
  "nodeDirectory" (include "citus-cluster.sslDirectory" $root) -}}
{{- $spec := dict "cluster" $cluster "ssl" $ssl "databases" .databases -}}
{{- with .patroni -}}{{- $_ := set $spec "patroni" . -}}{{- end -}}
{{- toPrettyJson $spec -}}
{{- end -}}
