{{/*
The pod of a Job that runs the program, for {root, command, args, secret, roles, scripts, restApi}: the spec, the superuser's password, those of the
roles (see "citus-cluster.roles"; may be absent), with "restApi" that of Patroni's REST API, and the certificates as files; in the cluster
the right to see pods and Events, to leave an Event and to remember which cluster this is, nothing writable but /tmp.
*/}}
{{- define "citus-cluster.jobPod" -}}
{{- $pod := include "citus-cluster.jobPodItself" . | fromYaml -}}
{{- include "citus-cluster.mergePod" (dict "into" $pod "from" .root.Values.jobs.podSpec) -}}
{{- toYaml $pod -}}
{{- end -}}

{{- define "citus-cluster.jobPodItself" -}}
{{- /* Modes are decimal, because YAML 1.1 and 1.2 read 0440 differently: 288 is 0440. */ -}}
{{- $values := .root.Values -}}
{{- $users := include "citus-cluster.userSources" (.roles | default list) | trim -}}
{{- $superuser := include "citus-cluster.superuser" .root | fromJson -}}
{{- $restApi := and .restApi (empty (include "citus-cluster.external" .root)) -}}
restartPolicy: Never
serviceAccountName: {{ include "citus-cluster.jobsAccount" .root }}
enableServiceLinks: false
{{- include "citus-cluster.jobPlacement" .root }}
containers:
  - name: citus-databases
    image: {{ include "citus-cluster.image" (dict "image" $values.jobs.image "root" .root) | quote }}
    imagePullPolicy: {{ $values.jobs.image.pullPolicy }}
    args: {{ concat (list .command) (.args | default list) $values.jobs.extraArgs | toJson }}
    env:
      # An Event of the Job has the last message when it fails.
      - name: CITUS_DATABASES_JOB
        valueFrom: { fieldRef: { fieldPath: "metadata.labels['batch.kubernetes.io/job-name']" } }
      # The ConfigMap in which the program remembers which cluster the release runs.
      - { name: CITUS_DATABASES_IDENTITY, value: {{ include "citus-cluster.identityRecord" .root | quote }} }
    # The program writes its last message itself; a pod that died before it could shows the end of its log.
    terminationMessagePolicy: FallbackToLogsOnError
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: { drop: [ALL] }
    resources:
      {{- toYaml $values.jobs.resources | nindent 6 }}
    volumeMounts:
      - { name: spec, mountPath: /etc/citus-databases/spec.yaml, subPath: spec.yaml, readOnly: true }
      {{- if $superuser.secret }}
      - { name: superuser, mountPath: /etc/citus-databases/superuser, readOnly: true }
      {{- end }}
      {{- if $users }}
      - { name: users, mountPath: /etc/citus-databases/users, readOnly: true }
      {{- end }}
      {{- if .scripts }}
      - { name: sql, mountPath: /etc/citus-databases/sql, readOnly: true }
      {{- end }}
      {{- if $restApi }}
      - { name: restapi, mountPath: /etc/citus-databases/restapi, readOnly: true }
      {{- end }}
      {{- if $values.ssl.enabled }}
      - { name: ssl, mountPath: /etc/citus-databases/ssl, readOnly: true }
      {{- end }}
      - { name: tmp, mountPath: /tmp }
volumes:
  - name: spec
    secret: { secretName: {{ .secret }}, defaultMode: 288 }
  {{- if $superuser.secret }}
  - name: superuser
    secret:
      secretName: {{ $superuser.secret }}
      defaultMode: 288
      items: [{ key: {{ $superuser.key | quote }}, path: password }]
  {{- end }}
  {{- if $users }}
  - name: users
    projected:
      defaultMode: 288
      sources:
        {{- $users | nindent 8 }}
  {{- end }}
  {{- with .scripts }}
  - name: sql
    projected:
      defaultMode: 288
      sources:
        {{- include "citus-cluster.scriptSources" . | trim | nindent 8 }}
  {{- end }}
  {{- if $restApi }}
  - name: restapi
    secret:
      secretName: {{ include "citus-cluster.credentialsSecret" .root }}
      defaultMode: 288
      items: [{ key: {{ $values.secret.keys.restApiPassword | quote }}, path: password }]
  {{- end }}
  {{- if $values.ssl.enabled }}
  - name: ssl
    secret:
      secretName: {{ include "citus-cluster.sslSecret" .root }}
      defaultMode: 288
      items:
        {{- include "citus-cluster.sslItems" .root | nindent 8 }}
  {{- end }}
  - name: tmp
    emptyDir: {}
{{- end -}}

{{/* Named after the release, so that a changed clusterName finds it. */}}
{{- define "citus-cluster.identityRecord" -}}
{{- .Release.Name }}-citus-identity
{{- end -}}

{{- define "citus-cluster.jobsAccount" -}}
{{- .Values.jobs.serviceAccounts.databases | default (printf "%s-jobs" (include "citus-cluster.name" .)) -}}
{{- end -}}

{{/* Where Jobs' pods run and as whom; begins with a new line. */}}
{{- define "citus-cluster.jobPlacement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.jobs.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.jobs.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{/*
The program tries again by itself (--attempts), so that one pod has the log of all attempts and `kubectl logs job/NAME` shows it. What
it ends with is final therefore: 1 after all attempts, 2 and 3 at once. Kubernetes makes another pod where the program was killed
(backoffLimit); a pod that Kubernetes itself takes away does not count.
*/}}
{{- define "citus-cluster.podFailurePolicy" -}}
rules:
  - action: FailJob
    onExitCodes: { containerName: citus-databases, operator: In, values: [1, 2, 3] }
  - action: Ignore
    onPodConditions: [{ type: DisruptionTarget, status: "True" }]
{{- end -}}

{{- define "citus-cluster.jobLabels" -}}
{{ include "citus-cluster.labels" . }}
app.kubernetes.io/component: databases
{{- with .Values.jobs.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
