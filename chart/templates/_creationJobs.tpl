{{/* The Jobs that create databases: which there are, for how long they may go on, and which need not run again. */}}

{{/*
The Jobs that make the databases so, as a JSON list of {name, databases, args, roles, scripts, spec, deadline, backoffLimit, inputs, skipped}:
one for each entry, or one for all (jobs.mode). The Secret with the spec has the Job's name.
*/}}
{{- define "citus-cluster.creationJobs" -}}
{{- $jobs := list -}}
{{- $databases := include "citus-cluster.databases" . | fromJsonArray -}}
{{- if eq .Values.jobs.mode "single" -}}
  {{- if $databases -}}
    {{- $entries := list -}}
    {{- $scripts := list -}}
    {{- range $databases -}}
      {{- $entries = append $entries .entry -}}
      {{- $scripts = concat $scripts .scripts -}}
    {{- end -}}
    {{- $roles := include "citus-cluster.roles" (dict "root" . "databases" $databases) | fromJsonArray -}}
    {{- $atOnce := int .Values.jobs.databasesAtOnce -}}
    {{- $name := printf "%s-create-databases" (include "citus-cluster.name" .) -}}
    {{- $jobs = append $jobs (dict "name" $name "entries" $entries "roles" $roles "scripts" $scripts "atOnce" $atOnce "args" (list "--databases-at-once" (toString $atOnce))) -}}
  {{- end -}}
{{- else -}}
  {{- range $databases -}}
    {{- $jobs = append $jobs (dict "name" .job "entries" (list .entry) "roles" .users "scripts" .scripts "atOnce" 1 "args" list) -}}
  {{- end -}}
{{- end -}}
{{- $result := list -}}
{{- range $jobs -}}
  {{- $names := list -}}
  {{- range .entries -}}{{- $names = append $names .name -}}{{- end -}}
  {{- $spec := include "citus-cluster.spec" (dict "root" $ "databases" .entries) -}}
  {{- $roles := concat .roles (include "citus-cluster.exporterRole" $ | fromJsonArray) -}}
  {{- $inputs := include "citus-cluster.inputs" (dict "root" $ "spec" $spec "args" .args "roles" $roles "scripts" .scripts "entries" .entries) -}}
  {{- $skipped := include "citus-cluster.unchanged" (dict "root" $ "job" .name "secret" .name "inputs" $inputs) -}}
  {{- $result = append $result (dict
    "name" .name
    "databases" $names
    "args" (concat .args (list "--attempts" (include "citus-cluster.backoffLimit" .entries | int | add1 | toString)))
    "roles" $roles
    "scripts" .scripts
    "spec" $spec
    "deadline" (include "citus-cluster.deadline" . | int)
    "backoffLimit" (include "citus-cluster.backoffLimit" .entries | int)
    "inputs" $inputs
    "skipped" (not (empty $skipped))) -}}
{{- end -}}
{{- toRawJson $result -}}
{{- end -}}

{{/*
A hash of all that decides what a Job does, for {root, spec, args, roles, scripts}: the spec with the topology in it, the images of program and
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
{{- $scripts := include "citus-cluster.scriptVersions" (dict "root" $root "sources" .scripts) | fromJsonArray -}}
{{- if $scripts -}}{{- $versions = append $versions $scripts -}}{{- end -}}
{{- $text := list .spec .args $root.Values.jobs.extraArgs $images $root.Chart.Version $versions | toRawJson -}}
{{- if include "citus-cluster.mayHoldPassword" .entries -}}
  {{- $superuser := include "citus-cluster.superuser" $root | fromJson -}}
  {{- $key := "" -}}
  {{- if $superuser.secret -}}
    {{- $key = index ((lookup "v1" "Secret" $root.Release.Namespace $superuser.secret).data | default dict) $superuser.key | default "" -}}
  {{- end -}}
  {{- if $key -}}{{- printf "%s %s" $key $text | sha256sum -}}{{- end -}}
{{- else -}}
  {{- sha256sum $text -}}
{{- end -}}
{{- end -}}

{{/*
Not empty where initSQL of one of the entries may hold a password. Whoever may read a Job could try passwords against a plain hash of it:
the superuser's password is hashed along, and where that is not known there is no hash.
*/}}
{{- define "citus-cluster.mayHoldPassword" -}}
{{- range . -}}
  {{- if regexMatch "(?i)passw|passphrase|secret|token|credential|api_?key|crypt|scram-sha-256|md5|://[^ /@]*:[^ @]*@" (.initSQL | default "" | toString) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Not empty when jobs.unchanged is "skip" and the Job {job} that is there has succeeded with the same {inputs}. Its {secret} has to be
there too: a Job without it is left from before jobs.mode was changed, and another one may have made changes since.
*/}}
{{- define "citus-cluster.unchanged" -}}
{{- if and (eq .root.Values.jobs.unchanged "skip") .root.Release.IsUpgrade -}}
{{- $job := lookup "batch/v1" "Job" .root.Release.Namespace .job -}}
{{- if and $job (lookup "v1" "Secret" .root.Release.Namespace .secret) -}}
{{- $before := index ($job.metadata.annotations | default dict) "citus-databases/inputs" | default "" -}}
{{- if and .inputs (eq $before .inputs) (ge (($job.status | default dict).succeeded | default 0 | int) 1) -}}true{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* How often work on these entries is begun again: as often as the most patient of them wants. */}}
{{- define "citus-cluster.backoffLimit" -}}
{{- $limit := 0 -}}
{{- range . -}}
  {{- $limit = max $limit (include "citus-cluster.number" (dict "entry" . "key" "backoffLimit" "default" 3) | int) -}}
{{- end -}}
{{- $limit -}}
{{- end -}}

{{/*
Seconds that cover all attempts of a Job for {entries, atOnce}, in one pod or in several: each may wait for nodes maxAttempts × retryDelaySeconds, by the most
patient entry, and work for 10 minutes on each of as many entries one after the other as there are turns; between attempts there
are 10 s, 20 s, 40 s ... up to 360 s.
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
