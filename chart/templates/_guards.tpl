{{/*
What an install or upgrade would do to a cluster that is there already. `lookup` finds nothing where templates are only rendered
(`helm template`, Argo CD): guards only ever add a refusal, nothing rendered depends on them.
*/}}

{{- define "citus-cluster.guards" -}}
{{- $present := include "citus-cluster.presentStatefulSets" . | fromJsonArray -}}
{{- $volumes := include "citus-cluster.presentVolumes" . | fromJsonArray -}}
{{- include "citus-cluster.guardIdentity" (dict "root" . "present" $present "volumes" $volumes) -}}
{{- include "citus-cluster.guardWorkers" (dict "root" . "present" $present) -}}
{{- include "citus-cluster.guardVolumes" (dict "root" . "present" $present) -}}
{{- include "citus-cluster.guardCredentials" (dict "root" . "present" $present "volumes" $volumes) -}}
{{- include "citus-cluster.guardReplicas" (dict "root" . "present" $present "volumes" $volumes) -}}
{{- include "citus-cluster.guardTls" (dict "root" . "present" $present) -}}
{{- include "citus-cluster.guardOwnedSecrets" . -}}
{{- end -}}

{{/* The StatefulSets of this release, as a JSON list of {name, cluster, group, scope, env, image, claim}. */}}
{{- define "citus-cluster.presentStatefulSets" -}}
{{- $found := list -}}
{{- range (lookup "apps/v1" "StatefulSet" .Release.Namespace "").items | default list -}}
  {{- $labels := .metadata.labels | default dict -}}
  {{- if and (eq (index $labels "app.kubernetes.io/name" | default "") $.Chart.Name) (eq (index $labels "app.kubernetes.io/instance" | default "") $.Release.Name) (index $labels "citus-group") -}}
    {{- $group := index $labels "citus-group" -}}
    {{- $env := dict -}}
    {{- $image := "" -}}
    {{- range .spec.template.spec.containers -}}
      {{- if eq .name "postgresql" -}}
        {{- $image = .image -}}
        {{- range .env -}}{{- $_ := set $env .name (.value | default "") -}}{{- end -}}
      {{- end -}}
    {{- end -}}
    {{- $found = append $found (dict
      "name" .metadata.name
      "cluster" (trimSuffix (printf "-%s" $group) .metadata.name)
      "group" $group
      "scope" (index .spec.selector.matchLabels "cluster-name")
      "env" $env
      "image" $image
      "claim" (first .spec.volumeClaimTemplates).spec) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $found -}}
{{- end -}}

{{/* The volumes of this cluster's pods, those that an earlier release left behind included, as a JSON list of {name, group, ordinal, scope}. */}}
{{- define "citus-cluster.presentVolumes" -}}
{{- $pattern := printf "^data-%s-[0-9]+-[0-9]+$" (include "citus-cluster.name" .) -}}
{{- $found := list -}}
{{- range (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "").items | default list -}}
  {{- if regexMatch $pattern .metadata.name -}}
    {{- $parts := splitList "-" .metadata.name | reverse -}}
    {{- $found = append $found (dict "name" .metadata.name "group" (index $parts 1) "ordinal" (index $parts 0) "scope" (index (.metadata.labels | default dict) "cluster-name" | default "")) -}}
  {{- end -}}
{{- end -}}
{{- toRawJson $found -}}
{{- end -}}

{{/* What names the cluster and its own roles cannot be changed: the old cluster would go, or not know what it is asked for. */}}
{{- define "citus-cluster.guardIdentity" -}}
{{- $values := .root.Values -}}
{{- $cluster := include "citus-cluster.name" .root -}}
{{- $scope := include "citus-cluster.scope" .root -}}
{{- $fixed := dict
  "PATRONI_SUPERUSER_USERNAME" (list "patroni.superuser.username" $values.patroni.superuser.username)
  "PATRONI_REPLICATION_USERNAME" (list "patroni.replication.username" $values.patroni.replication.username)
  "PATRONI_CITUS_DATABASE" (list "patroni.database" $values.patroni.database) -}}
{{- range .present -}}
  {{- if ne .cluster $cluster -}}
    {{- fail (printf "clusterName: the values say %q, but release %s runs the cluster %q (StatefulSet %s). Helm would delete that cluster and start an empty one. Set clusterName: %s." $cluster $.root.Release.Name .cluster .name .cluster) -}}
  {{- end -}}
  {{- if ne .scope $scope -}}
    {{- fail (printf "patroni.scope: the values say %q, but the cluster runs as %q, which cannot be changed: Patroni would not find its record of the data. Set patroni.scope: %s." $scope .scope .scope) -}}
  {{- end -}}
  {{- $env := .env -}}
  {{- range $variable, $value := $fixed -}}
    {{- $before := get $env $variable -}}
    {{- if and $before (ne $before (index $value 1)) -}}
      {{- fail (printf "%s: the values say %q, but the cluster was made with %q, which cannot be changed. Set %s: %s." (index $value 0) (index $value 1) $before (index $value 0) $before) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range .volumes -}}
  {{- if and .scope (ne .scope $scope) -}}
    {{- fail (printf "patroni.scope: the values say %q, but the volume %s holds data of the scope %q, whose record Patroni would not find. Set patroni.scope: %s." $scope .name .scope .scope) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* A new standby that demands TLS of a leader without it never gets ready, and the rollout stops there. */}}
{{- define "citus-cluster.guardTls" -}}
{{- if include "citus-cluster.sslRequired" .root -}}
{{- $mode := .root.Values.ssl.mode -}}
{{- range .present -}}
  {{- if eq (index .env "SSL_ENABLED" | default "") "false" -}}
    {{- fail (printf "ssl.mode: is %s, but the servers of %s run without TLS, and new ones could not reach them while pods are replaced. Upgrade with ssl.mode: prefer first; when all pods are new (kubectl -n %s rollout status statefulset/%s), upgrade with ssl.mode: %s. To leave TLS off, set ssl.enabled: false." $mode .name $.root.Release.Namespace .name $mode) -}}
  {{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A worker group goes only when the values say that it may: its shards go with it, and afterwards nobody can drain it any more. */}}
{{- define "citus-cluster.guardWorkers" -}}
{{- $declared := list -}}
{{- range include "citus-cluster.groups" .root | fromJsonArray -}}
  {{- $declared = append $declared (include "citus-cluster.scalar" .group) -}}
{{- end -}}
{{- $retired := list -}}
{{- range .root.Values.retiredWorkerGroups -}}
  {{- $group := include "citus-cluster.scalar" . -}}
  {{- if has $group $declared -}}
    {{- fail (printf "retiredWorkerGroups: group %s is in `workers` too. Take it out of one of them." $group) -}}
  {{- end -}}
  {{- $retired = append $retired $group -}}
{{- end -}}
{{- range .present -}}
  {{- if and (not (has .group $declared)) (not (has .group $retired)) -}}
    {{- fail (printf "workers: group %s is not in the list, but its StatefulSet %s runs: Helm would delete it, and queries would miss its shards. Put the group back. To remove it: move its shards away and unregister it in every database (scripts/run-in-cluster %s drain %s), then take it out of the list and set retiredWorkerGroups: [%s]." .group .name $.root.Release.Name .group .group) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Kubernetes does not change a StatefulSet's volume claims, and says only "Forbidden" where it is asked to. */}}
{{- define "citus-cluster.guardVolumes" -}}
{{- $groups := dict -}}
{{- range include "citus-cluster.groups" .root | fromJsonArray -}}
  {{- $_ := set $groups (include "citus-cluster.scalar" .group) . -}}
{{- end -}}
{{- range $set := .present -}}
  {{- $group := get $groups $set.group -}}
  {{- if $group -}}
    {{- $path := eq $set.group "0" | ternary "coordinator.storage or storage" (printf "storage of worker group %s, or storage" $set.group) -}}
    {{- $size := include "citus-cluster.scalar" $group.storage.size -}}
    {{- $before := $set.claim.resources.requests.storage | toString -}}
    {{- if ne $size $before -}}
      {{- fail (printf "%s: size is %s, but the StatefulSet %s was made with %s, and Kubernetes does not let it change. Set it back to %s; to grow the volumes, see \"Grow the volumes\" in docs/DATABASE_MANAGEMENT.md." $path $size $set.name $before $before) -}}
    {{- end -}}
    {{- if ne ($group.storage.storageClassName | default "") ($set.claim.storageClassName | default "") -}}
      {{- fail (printf "%s: storageClassName is %q, but the StatefulSet %s was made with %q, and Kubernetes does not let it change. Set it back." $path $group.storage.storageClassName $set.name ($set.claim.storageClassName | default "")) -}}
    {{- end -}}
    {{- if ne (toJson $group.storage.accessModes) (toJson $set.claim.accessModes) -}}
      {{- fail (printf "%s: accessModes is %s, but the StatefulSet %s was made with %s, and Kubernetes does not let it change. Set it back." $path (toJson $group.storage.accessModes) $set.name (toJson $set.claim.accessModes)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Passwords belong to the data: without the Secret, new ones would be made that no server knows. Patroni's ConfigMap of a group is there
from the moment on when the group has been initialized; volumes alone count where no StatefulSet of this release can have just made them.
*/}}
{{- define "citus-cluster.guardCredentials" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- $name := include "citus-cluster.credentialsSecret" .root -}}
{{- if and .root.Values.secret.create (not (lookup "v1" "Secret" $namespace $name)) -}}
  {{- $data := "" -}}
  {{- range include "citus-cluster.groups" .root | fromJsonArray -}}
    {{- $record := printf "%s-%d-config" (include "citus-cluster.scope" $.root) (int .group) -}}
    {{- if and (not $data) (lookup "v1" "ConfigMap" $namespace $record) -}}{{- $data = printf "ConfigMap %s" $record -}}{{- end -}}
  {{- end -}}
  {{- if and (not $data) .volumes (not .present) -}}{{- $data = printf "PersistentVolumeClaim %s" (first .volumes).name -}}{{- end -}}
  {{- if $data -}}
    {{- fail (printf "secret: the cluster has data (%s), but the Secret %s with its passwords is gone. New passwords would lock everybody out. Restore the Secret from a backup, or make it with the passwords that the servers have; to start empty instead, delete the cluster's PersistentVolumeClaims and ConfigMaps first (kubectl -n %s delete pvc,configmap -l cluster-name=%s)." $data $name $namespace (include "citus-cluster.scope" .root)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
A group that is started again over its volumes needs the pod that led it last, and the synchronous standbys Patroni recorded: with
fewer pods nobody may become leader (or, without a record, an outdated standby would). Scaling down a group that runs is another
matter: Patroni hands over first.
*/}}
{{- define "citus-cluster.guardReplicas" -}}
{{- $running := list -}}
{{- range .present -}}{{- $running = append $running .group -}}{{- end -}}
{{- $volumes := .volumes -}}
{{- range $group := include "citus-cluster.groups" .root | fromJsonArray -}}
  {{- $number := include "citus-cluster.scalar" $group.group -}}
  {{- if not (has $number $running) -}}
    {{- $needed := list -}}
    {{- $recorded := false -}}
    {{- range $record := list "leader" "sync" -}}
      {{- $state := lookup "v1" "ConfigMap" $.root.Release.Namespace (printf "%s-%s-%s" (include "citus-cluster.scope" $.root) $number $record) -}}
      {{- $leader := index (($state.metadata | default dict).annotations | default dict) "leader" | default "" -}}
      {{- if hasPrefix (printf "%s-" $group.name) $leader -}}
        {{- $recorded = true -}}
        {{- $needed = append $needed (trimPrefix (printf "%s-" $group.name) $leader | int) -}}
      {{- end -}}
    {{- end -}}
    {{- if not $recorded -}}
      {{- range $volumes -}}
        {{- if eq .group $number -}}{{- $needed = append $needed (int .ordinal) -}}{{- end -}}
      {{- end -}}
    {{- end -}}
    {{- range $needed -}}
      {{- if ge . (int $group.replicas) -}}
        {{- fail (printf "%s: replicas is %d, but the volumes that are kept are from a group in which %s-%d %s. Start with replicas: %d, and scale down once all run." (eq $number "0" | ternary "coordinator" (printf "workers, group %s" $number)) (int $group.replicas) $group.name . ($recorded | ternary "was the leader" "had a volume, and which of them led is not recorded") (add . 1)) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
