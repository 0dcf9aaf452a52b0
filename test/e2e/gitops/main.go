// Synchronizes rendered manifests with the engine of Argo CD, as Argo CD's controller does: items of Lists one by one, hooks by their
// annotations, with pruning, and with a new observation of the cluster for each turn. Prints a line for each resource and hook.
//
//	go run -mod=mod . KUBECONFIG NAMESPACE MANIFESTS.yaml
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/argoproj/gitops-engine/pkg/cache"
	"github.com/argoproj/gitops-engine/pkg/sync"
	"github.com/argoproj/gitops-engine/pkg/sync/common"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
)

// Marks what belongs to the application, as Argo CD's tracking annotation does.
const mark = "citus-databases.test/synchronized"

type info struct{ marked bool }

func main() {
	if err := synchronize(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func synchronize(kubeconfig, namespace, file string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 100, 200
	target, err := read(file)
	if err != nil {
		return err
	}
	kubectl := &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
	clusterCache := cache.NewClusterCache(config,
		cache.SetNamespaces([]string{namespace}),
		cache.SetLogr(logr.Discard()),
		cache.SetPopulateResourceInfoHandler(func(un *unstructured.Unstructured, _ bool) (interface{}, bool) {
			marked := un.GetAnnotations()[mark] != ""
			return &info{marked}, marked
		}))
	if err := clusterCache.EnsureSynced(); err != nil {
		return err
	}
	phase, message := common.OperationRunning, ""
	var results []common.ResourceSyncResult
	started := metav1.Now()
	for deadline := time.Now().Add(6 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		live, err := clusterCache.GetManagedLiveObjs(target, func(r *cache.Resource) bool { return r.Info.(*info).marked })
		if err != nil {
			return err
		}
		copies := make([]*unstructured.Unstructured, len(target))
		for i := range target {
			copies[i] = target[i].DeepCopy()
		}
		reconciled := sync.Reconcile(copies, live, namespace, clusterCache)
		context, cleanup, err := sync.NewSyncContext("revision", reconciled, config, config, kubectl, namespace,
			clusterCache.GetOpenAPISchema(), sync.WithPrune(true), sync.WithLogr(logr.Discard()),
			sync.WithInitialState(phase, message, results, started))
		if err != nil {
			return err
		}
		context.Sync()
		phase, message, results = context.GetState()
		cleanup()
		if phase.Completed() {
			break
		}
	}
	for _, result := range results {
		fmt.Printf("%s/%s hook=%s phase=%s %q\n", result.ResourceKey.Kind, result.ResourceKey.Name, result.HookType, result.HookPhase, result.Message)
	}
	fmt.Println(phase, message)
	if !phase.Successful() {
		return fmt.Errorf("not synchronized: %s", phase)
	}
	return nil
}

func read(file string) ([]*unstructured.Unstructured, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	documents, err := kube.SplitYAML(data)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, document := range documents {
		if !document.IsList() {
			objects = append(objects, document)
			continue
		}
		err := document.EachListItem(func(item runtime.Object) error {
			objects = append(objects, item.(*unstructured.Unstructured))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, object := range objects {
		annotations := object.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[mark] = "yes"
		object.SetAnnotations(annotations)
	}
	return objects, nil
}
