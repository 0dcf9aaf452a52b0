{{/* monitoring.exporter: postgres_exporter beside each server, its role and its password. */}}

{{/* The values of the exporter as a map in JSON, empty where there is none. Releases made before there were these values do not have them (--reuse-values). */}}
{{- define "citus-cluster.exporter" -}}
{{- $exporter := (.Values.monitoring | default dict).exporter | default dict -}}
{{- if or (not $exporter.enabled) (include "citus-cluster.external" .) -}}{{- $exporter = dict -}}{{- end -}}
{{- toRawJson $exporter -}}
{{- end -}}

{{/* Its role as "citus-cluster.roles" has roles, in a JSON list: for the Jobs, which mount the password. */}}
{{- define "citus-cluster.exporterRole" -}}
{{- $roles := list -}}
{{- with include "citus-cluster.exporter" . | fromJson -}}
  {{- $roles = append $roles (dict
    "name" .username
    "source" "generate"
    "secret" (printf "%s-exporter" (include "citus-cluster.name" $))
    "key" "password"
    "directory" (include "citus-cluster.userDirectory" .username)) -}}
{{- end -}}
{{- toRawJson $roles -}}
{{- end -}}

{{- define "citus-cluster.exporterContainer" -}}
{{- with include "citus-cluster.exporter" . | fromJson -}}
- name: exporter
  image: {{ include "citus-cluster.image" (dict "image" .image "root" $) | quote }}
  imagePullPolicy: {{ .image.pullPolicy }}
  {{- with .extraArgs }}
  args: {{ toJson . }}
  {{- end }}
  ports:
    - { name: exporter, containerPort: 9187 }
  env:
    - { name: DATA_SOURCE_URI, value: "127.0.0.1:5432/postgres?sslmode=disable" }
    - { name: DATA_SOURCE_USER, value: {{ .username | quote }} }
    - { name: DATA_SOURCE_PASS_FILE, value: /etc/exporter/password }
  securityContext:
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: { drop: [ALL] }
  resources:
    {{- toYaml .resources | nindent 4 }}
  volumeMounts:
    - { name: exporter, mountPath: /etc/exporter, readOnly: true }
    # Over the token of the pod's service account, which Patroni alone needs.
    - { name: no-account, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
{{- end -}}
{{- end -}}

{{- define "citus-cluster.exporterVolume" -}}
{{- with include "citus-cluster.exporterRole" . | fromJsonArray | first -}}
- name: exporter
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items: [{ key: {{ .key }}, path: password }]
- name: no-account
  emptyDir: {}
{{- end -}}
{{- end -}}

{{/* The Jobs of declared databases make the role, and its name is nobody else's. */}}
{{- define "citus-cluster.checkExporter" -}}
{{- $exporter := (.Values.monitoring | default dict).exporter | default dict -}}
{{- if $exporter.enabled -}}
  {{- if include "citus-cluster.external" . -}}
    {{- fail "monitoring.exporter.enabled: with cluster.create: false there are no servers here to put the exporter beside. Whoever runs the cluster runs its exporter." -}}
  {{- end -}}
  {{- $databases := include "citus-cluster.databases" . | fromJsonArray -}}
  {{- if not $databases -}}
    {{- fail "monitoring.exporter.enabled: the Jobs of additionalDatabases make the exporter's role, and no database is declared. Declare one, or leave the exporter out." -}}
  {{- end -}}
  {{- $taken := dict .Values.patroni.superuser.username "patroni.superuser.username" .Values.patroni.replication.username "patroni.replication.username" -}}
  {{- range $databases -}}
    {{- if .entry.owner -}}{{- $_ := set $taken .entry.owner (printf "the owner of database %q" .entry.name) -}}{{- end -}}
    {{- range .users -}}{{- $_ := set $taken .name .path -}}{{- end -}}
  {{- end -}}
  {{- with get $taken $exporter.username -}}
    {{- fail (printf "monitoring.exporter.username: %q is %s too. The exporter's role has pg_monitor and nothing else; give it a name of its own." $exporter.username .) -}}
  {{- end -}}
{{- end -}}
{{- end -}}
