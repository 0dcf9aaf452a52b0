{{/* Merges values into a pod's specification, in place: maps merge, other values replace; containers, initContainers and volumes are added. */}}
{{- define "citus-cluster.mergePod" -}}
{{- $into := .into -}}
{{- include "citus-cluster.mergeInto" (dict "into" $into "from" (omit .from "containers" "initContainers" "volumes")) -}}
{{- range $key, $items := pick .from "containers" "initContainers" "volumes" -}}
  {{- $_ := set $into $key (concat (get $into $key | default list) ($items | default list)) -}}
{{- end -}}
{{- end -}}

{{/* The specification of a group's pods before `podSpec` is merged over it, for {root, group}. */}}
{{- define "citus-cluster.pod" -}}
{{- $values := .root.Values -}}
{{- $ssl := include "citus-cluster.sslDirectory" .root -}}
serviceAccountName: {{ include "citus-cluster.serviceAccount" .root }}
enableServiceLinks: false
# A leader that ends in time writes a checkpoint and hands over; PostgreSQL is killed when this is over.
terminationGracePeriodSeconds: 120
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 999
  runAsGroup: 999
  fsGroup: 999
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- if ne $values.podAntiAffinity.type "none" }}
affinity:
  podAntiAffinity:
    {{- if eq $values.podAntiAffinity.type "required" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - labelSelector:
          matchLabels:
            {{- include "citus-cluster.selectorLabels" .root | nindent 12 }}
            citus-group: {{ .group.group | quote }}
        topologyKey: {{ $values.podAntiAffinity.topologyKey }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          labelSelector:
            matchLabels:
              {{- include "citus-cluster.selectorLabels" .root | nindent 14 }}
              citus-group: {{ .group.group | quote }}
          topologyKey: {{ $values.podAntiAffinity.topologyKey }}
    {{- end }}
{{- end }}
containers:
  - name: postgresql
    image: {{ include "citus-cluster.image" (dict "image" $values.image "root" .root) | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    ports:
      - { name: postgresql, containerPort: 5432 }
      - { name: patroni, containerPort: 8008 }
      {{- with $values.postgresqlContainer.extraPorts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    envFrom:
      - configMapRef: { name: {{ include "citus-cluster.name" .root }}-parameters }
      # Of this group alone. Optional, so that the first parameter of a group does not roll its pods.
      - configMapRef: { name: {{ .group.name }}-parameters, optional: true }
      {{- with $values.postgresqlContainer.extraEnvFrom }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    env:
      {{- include "citus-cluster.podEnvironment" . | nindent 6 }}
      {{- with $values.postgresqlContainer.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with $values.postgresqlContainer.lifecycle }}
    lifecycle:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    readinessProbe:
      httpGet: { path: /readiness, port: patroni }
      periodSeconds: 5
      timeoutSeconds: 5
      failureThreshold: 3
    livenessProbe:
      httpGet: { path: /liveness, port: patroni }
      initialDelaySeconds: 10
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: { drop: [ALL] }
    resources:
      {{- toYaml .group.resources | nindent 6 }}
    volumeMounts:
      # Exactly the path that PostgreSQL's images declare as a volume: an empty one would be put there otherwise.
      - { name: data, mountPath: /var/lib/postgresql/data }
      - { name: credentials, mountPath: /etc/citus-cluster/credentials, readOnly: true }
      - { name: access, mountPath: /etc/citus-cluster/access, readOnly: true }
      {{- if $values.ssl.enabled }}
      - { name: ssl, mountPath: {{ $ssl }}, readOnly: true }
      {{- end }}
      - { name: patroni, mountPath: /run/patroni }
      - { name: socket, mountPath: /var/run/postgresql }
      - { name: shm, mountPath: /dev/shm }
      - { name: tmp, mountPath: /tmp }
      # What images of PostgreSQL 18 and later declare as a volume.
      - { name: home, mountPath: /var/lib/postgresql }
      {{- with $values.postgresqlContainer.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  {{- include "citus-cluster.exporterContainer" .root | nindent 2 }}
volumes:
  {{- include "citus-cluster.exporterVolume" .root | nindent 2 }}
  - name: credentials
    secret:
      secretName: {{ include "citus-cluster.credentialsSecret" .root }}
      defaultMode: 0440
      items:
        - { key: {{ $values.secret.keys.superuserPassword | quote }}, path: superuser }
        - { key: {{ $values.secret.keys.replicationPassword | quote }}, path: replication }
        - { key: {{ $values.secret.keys.restApiPassword | quote }}, path: restapi }
  - name: access
    configMap: { name: {{ include "citus-cluster.name" .root }}-access }
  {{- if $values.ssl.enabled }}
  - name: ssl
    secret:
      secretName: {{ include "citus-cluster.sslSecret" .root }}
      # PostgreSQL takes a key that root owns and its group may read (PostgreSQL, "Secure TCP/IP Connections with SSL").
      defaultMode: 0640
      items:
        {{- include "citus-cluster.sslItems" .root | nindent 8 }}
  {{- end }}
  # In memory: Patroni's configuration holds passwords.
  - name: patroni
    emptyDir: { medium: Memory, sizeLimit: 16Mi }
  - name: socket
    emptyDir: {}
  # Parallel queries share memory here; the runtime's default is 64 MB.
  - name: shm
    emptyDir: { medium: Memory }
  - name: tmp
    emptyDir: {}
  - name: home
    emptyDir: {}
{{- end -}}

{{/* Ports that values add to the servers' pods, in their container or in others beside it, as a JSON list of {port, protocol}. */}}
{{- define "citus-cluster.addedPorts" -}}
{{- $containers := list (dict "ports" .Values.postgresqlContainer.extraPorts) -}}
{{- $containers = concat $containers (.Values.podSpec.containers | default list) -}}
{{- range include "citus-cluster.groups" . | fromJsonArray -}}
  {{- $containers = concat $containers (.podSpec.containers | default list) -}}
{{- end -}}
{{- $ports := list -}}
{{- range $containers -}}
  {{- range .ports -}}
    {{- $ports = append $ports (dict "port" .containerPort "protocol" (.protocol | default "TCP")) -}}
  {{- end -}}
{{- end -}}
{{- $ports | uniq | toRawJson -}}
{{- end -}}

{{/* What scripts/entrypoint.sh, Patroni and libpq read. */}}
{{- define "citus-cluster.podEnvironment" -}}
{{- $values := .root.Values -}}
{{- $ssl := include "citus-cluster.sslDirectory" .root -}}
- name: PATRONI_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- name: PATRONI_KUBERNETES_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- { name: PATRONI_SCOPE, value: {{ include "citus-cluster.scope" .root | quote }} }
- { name: PATRONI_CITUS_GROUP, value: {{ .group.group | quote }} }
- { name: PATRONI_CITUS_DATABASE, value: {{ $values.patroni.database | quote }} }
# The leader Service, not the pod: Patroni's own database then has the same rows in pg_dist_node whoever leads.
- { name: PATRONI_POSTGRESQL_CONNECT_ADDRESS, value: {{ printf "%s:5432" .group.name | quote }} }
- { name: PATRONI_POSTGRESQL_DATA_DIR, value: /var/lib/postgresql/data/pgdata }
- { name: PATRONI_RESTAPI_CONNECT_ADDRESS, value: "$(POD_IP):8008" }
- { name: PATRONI_RESTAPI_USERNAME, value: {{ $values.patroni.restApi.username | quote }} }
- { name: PATRONI_SUPERUSER_USERNAME, value: {{ $values.patroni.superuser.username | quote }} }
- { name: PATRONI_REPLICATION_USERNAME, value: {{ $values.patroni.replication.username | quote }} }
- { name: INITDB_ENCODING, value: {{ $values.patroni.initdb.encoding | quote }} }
- { name: INITDB_LOCALE, value: {{ $values.patroni.initdb.locale | quote }} }
- { name: CITUS_NODE_CONNINFO, value: {{ include "citus-cluster.nodeConninfo" .root | quote }} }
- { name: SSL_ENABLED, value: {{ $values.ssl.enabled | quote }} }
- { name: SSL_MODE, value: {{ $values.ssl.enabled | ternary $values.ssl.mode "prefer" | quote }} }
- { name: SSL_DIRECTORY, value: {{ $ssl | quote }} }
- { name: OUTPUT_PLUGINS, value: {{ join ", " $values.patroni.postgresql.outputPlugins | quote }} }
- { name: PGPASS_ENABLED, value: {{ $values.pgpass.enabled | quote }} }
{{- if $values.pgpass.enabled }}
- { name: PGPASSFILE, value: /run/patroni/nodes.pgpass }
{{- end }}
- { name: PGUSER, value: {{ $values.patroni.superuser.username | quote }} }
# Images may preset these to certificates of their own, which libpq would then present to other nodes.
- { name: PGSSLCERT, value: "" }
- { name: PGSSLKEY, value: "" }
- { name: PGSSLROOTCERT, value: {{ include "citus-cluster.sslVerified" .root | empty | ternary "" (printf "%s/ca.crt" $ssl) | quote }} }
- { name: PATRONICTL_CONFIG_FILE, value: /run/patroni/patroni.yml }
{{- end -}}
