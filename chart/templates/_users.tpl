{{/* Users of the declared databases: where their passwords come from, and the Secrets that applications connect with. */}}

{{/*
Directory of a user's password below /etc/citus-databases/users: the role's name where it is a legal one, else a hash of it, which
begins with a character that no name used as such begins with.
*/}}
{{- define "citus-cluster.userDirectory" -}}
{{- if and (regexMatch "^[A-Za-z0-9][-._A-Za-z0-9]*$" .) (not (contains ".." .)) -}}
{{- . -}}
{{- else -}}
{{- printf "_%s" (sha256sum . | trunc 32) -}}
{{- end -}}
{{- end -}}

{{/*
A user as the program reads it, and the Secret its password is in: {spec, role}, as JSON. Takes {user, path, superuser, replication,
cluster}. role is {name, path, source, secret, key, directory, same}; source is generate, existing or none; "same" is what has to
agree wherever the role is declared.
*/}}
{{- define "citus-cluster.user" -}}
{{- $user := deepCopy .user -}}
{{- $path := .path -}}
{{- range $key, $value := $user -}}
  {{- if kindIs "invalid" $value -}}{{- $_ := unset $user $key -}}{{- end -}}
{{- end -}}
{{- $name := $user.name | toString -}}
{{- if gt (len $name) 63 -}}
  {{- fail (printf "%s.name: %q has %d bytes; PostgreSQL keeps 63." $path $name (len $name)) -}}
{{- end -}}
{{- if or (hasPrefix "pg_" $name) (has $name (list "public" "none")) -}}
  {{- fail (printf "%s.name: %q is a reserved role name." $path $name) -}}
{{- end -}}
{{- if eq $name .superuser -}}
  {{- fail (printf "%s.name: %q is patroni.superuser.username, whose password is in the credentials' Secret." $path $name) -}}
{{- end -}}
{{- if eq $name .replication -}}
  {{- fail (printf "%s.name: %q is patroni.replication.username, whose password is in the credentials' Secret." $path $name) -}}
{{- end -}}
{{- $existing := $user.existingSecret -}}
{{- if and $user.generate $existing -}}
  {{- fail (printf "%s: generate and existingSecret exclude each other." $path) -}}
{{- end -}}
{{- $source := "none" -}}
{{- $secret := "" -}}
{{- $key := "" -}}
{{- if $user.generate -}}
  {{- $source = "generate" -}}
  {{- $secret = include "citus-cluster.userSecret" (dict "cluster" .cluster "name" $name) -}}
  {{- $key = "password" -}}
{{- else if $existing -}}
  {{- $source = "existing" -}}
  {{- $secret = $existing.name -}}
  {{- $key = $existing.key | default "password" -}}
{{- end -}}
{{- $directory := include "citus-cluster.userDirectory" $name -}}
{{- $namespaces := $user.secretNamespaces | default list | uniq | sortAlpha -}}
{{- if and $namespaces (eq $source "none") -}}
  {{- fail (printf "%s.secretNamespaces: without generate and existingSecret there is no Secret to copy." $path) -}}
{{- end -}}
{{- $spec := omit $user "generate" "existingSecret" "secretNamespaces" -}}
{{- if ne $source "none" -}}
  {{- $_ := set $spec "passwordFile" (printf "/etc/citus-databases/users/%s/password" $directory) -}}
{{- end -}}
{{- $parameters := dict -}}
{{- range $parameter, $value := $user.parameters | default dict -}}
  {{- $_ := set $parameters $parameter (include "citus-cluster.scalar" $value) -}}
{{- end -}}
{{- if $parameters -}}{{- $_ := set $spec "parameters" $parameters -}}{{- end -}}
{{- $login := true -}}
{{- if hasKey $user "login" -}}{{- $login = $user.login -}}{{- end -}}
{{- $same := dict
  "password" (list $source $secret $key)
  "login" $login
  "connectionLimit" ($user.connectionLimit | toString)
  "memberOf" ($user.memberOf | default list | uniq | sortAlpha)
  "secretNamespaces" $namespaces -}}
{{- $role := dict "namespaces" $namespaces "name" $name "path" $path "source" $source "secret" $secret "key" $key "directory" $directory "login" $login "same" $same -}}
{{- dict "spec" $spec "role" $role | toRawJson -}}
{{- end -}}

{{/* The users of an entry, as JSON {spec, roles}: the list for the program, and what the chart needs. Takes {entry, path, root}. */}}
{{- define "citus-cluster.entryUsers" -}}
{{- $superuser := (include "citus-cluster.superuser" .root | fromJson).username -}}
{{- $replication := include "citus-cluster.external" .root | empty | ternary .root.Values.patroni.replication.username "" -}}
{{- $cluster := include "citus-cluster.name" .root -}}
{{- $specs := list -}}
{{- $roles := list -}}
{{- $seen := list -}}
{{- range $index, $declared := .entry.users | default list -}}
  {{- $path := printf "%s.users[%d]" $.path $index -}}
  {{- $user := include "citus-cluster.user" (dict "user" $declared "path" $path "superuser" $superuser "replication" $replication "cluster" $cluster) | fromJson -}}
  {{- if has $user.role.name $seen -}}
    {{- fail (printf "%s.name: %q is listed twice." $path $user.role.name) -}}
  {{- end -}}
  {{- if and (eq $user.spec.access "owner") (eq (toString $.entry.owner) $superuser) -}}
    {{- fail (printf "%s.access: is owner, but the database's owner is %q, the superuser. Name this user as owner, or leave owner out." $path $.entry.owner) -}}
  {{- end -}}
  {{- $seen = append $seen $user.role.name -}}
  {{- $specs = append $specs $user.spec -}}
  {{- $roles = append $roles $user.role -}}
{{- end -}}
{{- dict "spec" $specs "roles" $roles | toRawJson -}}
{{- end -}}

{{/* Name of a user's Secret, for {cluster, name}; with "database", of its further Secret for that database. */}}
{{- define "citus-cluster.userSecret" -}}
{{- $name := .name -}}
{{- /* As a list, so that user a-b of c and user a of b-c stay apart; it always gets a hash. */ -}}
{{- if hasKey . "database" -}}{{- $name = list .name .database | toRawJson -}}{{- end -}}
{{- include "citus-cluster.validName" (dict "prefix" (printf "%s-user-" .cluster) "name" $name) -}}
{{- end -}}

{{/*
All roles as a JSON list of {name, source, secret, key, directory, login, connection, databases}, in the order of their first
declaration; "connection" is the name of the role's own Secret. Takes the entries of "citus-cluster.databases" as "databases", and the
root. Fails where two entries declare one role differently: the role is one and the same on the servers.
*/}}
{{- define "citus-cluster.roles" -}}
{{- $cluster := include "citus-cluster.name" .root -}}
{{- $byName := dict -}}
{{- $names := list -}}
{{- $nameOfSecret := dict (include "citus-cluster.credentialsSecret" .root) "of patroni's own roles" -}}
{{- range $database := .databases -}}
  {{- range $role := .users -}}
    {{- $known := get $byName $role.name -}}
    {{- if $known -}}
      {{- range $field, $value := $role.same -}}
        {{- if ne (toRawJson $value) (get $known.same $field | toRawJson) -}}
          {{- fail (printf "%s: the role %q is declared with another %s than in %s. A role is one and the same in all databases." $role.path $role.name (eq $field "password" | ternary "source of its password" $field) $known.path) -}}
        {{- end -}}
      {{- end -}}
      {{- $_ := set $known "databases" (append $known.databases $database.entry.name) -}}
    {{- else -}}
      {{- $connection := include "citus-cluster.userSecret" (dict "cluster" $cluster "name" $role.name) -}}
      {{- if hasKey $nameOfSecret $connection -}}
        {{- fail (printf "%s.name: the Secret of role %q would be %s, which is the one %s." $role.path $role.name $connection (get $nameOfSecret $connection)) -}}
      {{- end -}}
      {{- if and (eq $role.source "existing") (eq $role.secret $connection) -}}
        {{- fail (printf "%s.existingSecret.name: the chart makes a Secret of the name %s itself, to connect with. Name the one with the password differently." $role.path $connection) -}}
      {{- end -}}
      {{- $_ := set $nameOfSecret $connection (printf "of role %q" $role.name) -}}
      {{- $_ := set $byName $role.name (merge (dict "connection" $connection "databases" (list $database.entry.name)) $role) -}}
      {{- $names = append $names $role.name -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $result := list -}}
{{- range $names -}}{{- $result = append $result (get $byName .) -}}{{- end -}}
{{- toRawJson $result -}}
{{- end -}}

{{/* The sources of the projected volume with the passwords of these roles; empty where none has one. */}}
{{- define "citus-cluster.userSources" -}}
{{- range . -}}
{{- if ne .source "none" }}
- secret:
    name: {{ .secret }}
    items: [{ key: {{ .key | quote }}, path: {{ printf "%s/password" .directory | quote }} }]
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A part of a URI: urlquery is made for forms and writes a space as +, which PostgreSQL would take literally. */}}
{{- define "citus-cluster.uriPart" -}}
{{- urlquery . | replace "+" "%20" -}}
{{- end -}}
