{{/*
The Secrets that the chart makes, and who makes them. No manifest holds a password or key: `citus-databases prepare` makes them inside
the cluster, once. So a rollback brings no old ones back, and tools that only render templates make no new ones.
*/}}

{{/* What `prepare` needs to know to find out whether this revision may take the place of the one that runs, as a map in JSON. */}}
{{- define "citus-cluster.guardDocument" -}}
{{- $groups := list -}}
{{- range include "citus-cluster.groups" . | fromJsonArray -}}
  {{- $groups = append $groups (dict "group" .group "replicas" .replicas) -}}
{{- end -}}
{{- $retired := list -}}
{{- range .Values.retiredWorkerGroups -}}{{- $retired = append $retired (int .) -}}{{- end -}}
{{- dict
  "release" .Release.Name
  "chart" .Chart.Name
  "cluster" (include "citus-cluster.name" .)
  "scope" (include "citus-cluster.scope" .)
  "groups" $groups
  "retired" $retired
  "tlsRequired" (include "citus-cluster.sslRequired" . | empty | not) | toRawJson -}}
{{- end -}}

{{/* The same, and the Secrets that there shall be (src/prepare/document.ts). */}}
{{- define "citus-cluster.prepareDocument" -}}
{{- $document := include "citus-cluster.guardDocument" . | fromJson -}}
{{- $secrets := dict
  "labels" (dict
    "app.kubernetes.io/name" .Chart.Name
    "app.kubernetes.io/instance" .Release.Name
    "app.kubernetes.io/managed-by" "citus-databases"
    "cluster-name" (include "citus-cluster.scope" .))
  "users" (include "citus-cluster.userSecrets" . | fromJsonArray) -}}
{{- if and .Values.secret.create (not (include "citus-cluster.external" .)) -}}
  {{- $_ := set $secrets "credentials" (dict "secret" (include "citus-cluster.credentialsSecret" .) "keys" (values .Values.secret.keys | uniq | sortAlpha)) -}}
{{- end -}}
{{- with include "citus-cluster.exporterRole" . | fromJsonArray -}}
  {{- $_ := set $secrets "exporter" (first .).secret -}}
{{- end -}}
{{- $connection := dict
  "host" (printf "%s-0.%s.svc" (include "citus-cluster.name" .) .Release.Namespace)
  "sslmode" (.Values.ssl.enabled | ternary .Values.ssl.mode "prefer") -}}
{{- if include "citus-cluster.external" . -}}
  {{- $_ := set $connection "host" .Values.cluster.coordinator.host -}}
  {{- $_ := set $connection "port" (int (.Values.cluster.coordinator.port | default 5432)) -}}
{{- end -}}
{{- if .Values.ssl.enabled -}}
  {{- $_ := set $connection "ca" (dict "secret" (include "citus-cluster.sslSecret" .) "key" .Values.ssl.keys.ca) -}}
{{- end -}}
{{- $_ := set $secrets "connection" $connection -}}
{{- if include "citus-cluster.sslCreated" . -}}
  {{- $_ := set $secrets "certificates" (dict
    "secret" (include "citus-cluster.sslSecret" .)
    "authoritySecret" (include "citus-cluster.authoritySecret" .)
    "keys" .Values.ssl.keys
    "names" (append (include "citus-cluster.certificateNames" . | fromJsonArray) "127.0.0.1")
    "days" (int .Values.ssl.validityDays)
    "acceptOthers" (kindIs "invalid" .Values.ssl.createSecret)) -}}
{{- end -}}
{{- $_ := set $document "secrets" $secrets -}}
{{- toRawJson $document -}}
{{- end -}}

{{/*
The users that get Secrets to connect with, as a JSON list of {role, secret, generate, databases}. A role without a login whose password is
generated has its Secret too: there has to be a place for the password.
*/}}
{{- define "citus-cluster.userSecrets" -}}
{{- $cluster := include "citus-cluster.name" . -}}
{{- $users := list -}}
{{- $databases := include "citus-cluster.databases" . | fromJsonArray -}}
{{- range $role := include "citus-cluster.roles" (dict "root" . "databases" $databases) | fromJsonArray -}}
  {{- if or (eq $role.source "generate") (and (eq $role.source "existing") $role.login) -}}
    {{- $secrets := list -}}
    {{- range $role.databases -}}
      {{- $secrets = append $secrets (dict "name" . "secret" (include "citus-cluster.userSecret" (dict "cluster" $cluster "name" $role.name "database" .))) -}}
    {{- end -}}
    {{- $users = append $users (dict "role" $role.name "secret" $role.connection "generate" (eq $role.source "generate") "databases" $secrets "namespaces" $role.namespaces) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $users -}}
{{- end -}}

{{/* Which Secrets `prepare` copies into which other namespace, as a map in JSON: namespace to names. */}}
{{- define "citus-cluster.copiedSecrets" -}}
{{- $copied := dict -}}
{{- range $user := include "citus-cluster.userSecrets" . | fromJsonArray -}}
  {{- $names := list $user.secret -}}
  {{- range $user.databases -}}{{- $names = append $names .secret -}}{{- end -}}
  {{- range $user.namespaces -}}
    {{- if ne . $.Release.Namespace -}}
      {{- $_ := set $copied . (concat (get $copied . | default list) $names | uniq) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $copied -}}
{{- end -}}

{{/* Names of all Secrets that `prepare` makes, as a JSON list. */}}
{{- define "citus-cluster.preparedSecrets" -}}
{{- $secrets := (include "citus-cluster.prepareDocument" . | fromJson).secrets -}}
{{- $names := list -}}
{{- with $secrets.exporter -}}{{- $names = append $names . -}}{{- end -}}
{{- with $secrets.credentials -}}{{- $names = append $names .secret -}}{{- end -}}
{{- with $secrets.certificates -}}{{- $names = concat $names (list .secret .authoritySecret) -}}{{- end -}}
{{- range $secrets.users -}}
  {{- $names = append $names .secret -}}
  {{- range .databases -}}{{- $names = append $names .secret -}}{{- end -}}
{{- end -}}
{{- toRawJson ($names | uniq) -}}
{{- end -}}

{{- define "citus-cluster.prepareAccount" -}}
{{- .Values.jobs.serviceAccounts.prepare | default (printf "%s-prepare" (include "citus-cluster.name" .)) -}}
{{- end -}}

{{/* `prepare` has one attempt; with exit code 1 Kubernetes begins again. */}}
{{- define "citus-cluster.preparePolicy" -}}
rules:
  - action: FailJob
    onExitCodes: { containerName: citus-databases, operator: In, values: [2, 3] }
  - action: Ignore
    onPodConditions: [{ type: DisruptionTarget, status: "True" }]
{{- end -}}

{{/* The pod that runs `prepare` with the document of a ConfigMap, for {root, configMap}. */}}
{{- define "citus-cluster.preparePod" -}}
{{- $values := .root.Values -}}
restartPolicy: Never
serviceAccountName: {{ include "citus-cluster.prepareAccount" .root }}
enableServiceLinks: false
{{- include "citus-cluster.jobPlacement" .root }}
containers:
  - name: citus-databases
    image: {{ include "citus-cluster.image" (dict "image" $values.jobs.image "root" .root) | quote }}
    imagePullPolicy: {{ $values.jobs.image.pullPolicy }}
    args: [prepare]
    terminationMessagePolicy: FallbackToLogsOnError
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: { drop: [ALL] }
    resources:
      {{- toYaml $values.jobs.resources | nindent 6 }}
    volumeMounts:
      - { name: document, mountPath: /etc/citus-databases, readOnly: true }
volumes:
  - name: document
    configMap: { name: {{ .configMap }} }
{{- end -}}

{{/*
Secrets that an earlier version of this chart had in its manifest would be deleted when they leave it, unless they say that they shall stay.
*/}}
{{- define "citus-cluster.guardOwnedSecrets" -}}
{{- $owned := list -}}
{{- range include "citus-cluster.preparedSecrets" . | fromJsonArray -}}
  {{- $metadata := (lookup "v1" "Secret" $.Release.Namespace .).metadata | default dict -}}
  {{- $labels := $metadata.labels | default dict -}}
  {{- $annotations := $metadata.annotations | default dict -}}
  {{- if and (eq (index $labels "app.kubernetes.io/managed-by" | default "") "Helm") (ne (index $annotations "helm.sh/resource-policy" | default "") "keep") -}}
    {{- $owned = append $owned . -}}
  {{- end -}}
{{- end -}}
{{- if and $owned .Release.IsUpgrade -}}
  {{- fail (printf "Secrets of the release belong to Helm, which would delete them now that the chart makes them inside the cluster. Let them stay first: kubectl -n %s annotate secret %s helm.sh/resource-policy=keep" .Release.Namespace (join " " $owned)) -}}
{{- end -}}
{{- end -}}
