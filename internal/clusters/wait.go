package clusters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"slipway"
)

// NotReadyError says that manifests were applied and did not become ready.
type NotReadyError struct {
	Object  string        // "Deployment web"
	Cause   Cause         // CauseNone when nothing is known
	Status  string        // how far it came: "1 of 2 replicas are available"
	Timeout time.Duration // 0 when there was no use in waiting until then
}

func (e *NotReadyError) Error() string {
	text := e.Object + " is not ready"
	if e.Timeout > 0 {
		text += " after " + e.Timeout.String()
	}
	if e.Cause.Message != "" {
		text += ": " + e.Cause.Message
	} else if e.Status != "" {
		text += ": " + e.Status
	}
	if e.Cause.Log != "" {
		text += "\nIts last lines:\n" + e.Cause.Log
	}
	return text
}

// Unwrap makes it a Problem for the doors.
func (e *NotReadyError) Unwrap() error { return slipway.Unavailable("%s", e.Error()) }

// watch follows the applied objects and what belongs to them.
type watch struct {
	a        *application
	objects  []object
	indexers map[int]cache.Indexer // by index in objects; absent for what is not watched
	core     informers.SharedInformerFactory
	changed  chan struct{}
	told     map[int]string
	ready    map[int]bool
	causes   map[string]time.Time // when a cause was first seen
	crashes  map[string]*crashes  // by the cause's key
	judged   bool                 // at least once
	settling settling
}

// lookInterval bounds how long a cause without an event of its own, such as patience that ends, stays unseen.
const lookInterval = time.Second

// wait returns when every object is ready, or with a *NotReadyError.
func (a *application) wait(ctx context.Context, set applySet, objects []object, timeout time.Duration) error {
	w := &watch{a: a, objects: objects, indexers: map[int]cache.Indexer{}, changed: make(chan struct{}, 1),
		told: map[int]string{}, ready: map[int]bool{}, causes: map[string]time.Time{}, crashes: map[string]*crashes{}, settling: settling{}}
	watching, stop := context.WithCancel(ctx)
	end, err := w.start(watching, set)
	defer func() { stop(); end() }()
	if err != nil {
		return err
	}
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		waiting, err := w.look()
		if err != nil || waiting < 0 {
			return err
		}
		if ctx.Err() == nil {
			if hopeless := w.judge(w.failing(waiting)); hopeless != nil {
				return hopeless
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return w.timedOut(waiting, timeout)
			}
			return ctx.Err()
		case <-w.changed:
		case <-tick.C:
		}
	}
}

func (w *watch) poke() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *watch) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{AddFunc: func(any) { w.poke() }, UpdateFunc: func(any, any) { w.poke() }, DeleteFunc: func(any) { w.poke() }}
}

// start begins the watches and waits for their first lists. The function it returns waits for their end.
func (w *watch) start(ctx context.Context, set applySet) (end func(), err error) {
	namespace := w.a.target.Namespace
	if w.a.options.ClusterScope {
		namespace = metav1.NamespaceAll
	}
	c := w.a.cluster
	members := dynamicinformer.NewFilteredDynamicSharedInformerFactory(c.dynamic, 0, namespace, func(o *metav1.ListOptions) {
		o.LabelSelector = applySetPartOf + "=" + set.id()
	})
	w.core = informers.NewSharedInformerFactoryWithOptions(c.typed, 0, informers.WithNamespace(w.a.target.Namespace))
	end = func() { members.Shutdown(); w.core.Shutdown() }
	for i, o := range w.objects {
		m, err := c.mapping(o.GroupVersionKind())
		if err != nil {
			return end, err
		}
		if m.Scope.Name() != meta.RESTScopeNameNamespace && !w.a.options.ClusterScope {
			continue
		}
		informer := members.ForResource(m.Resource).Informer()
		if _, err := informer.AddEventHandler(w.handler()); err != nil {
			return end, fmt.Errorf("watch %s: %w", o.describe(), err)
		}
		w.indexers[i] = informer.GetIndexer()
	}
	for _, informer := range []cache.SharedIndexInformer{w.core.Core().V1().Pods().Informer(), w.core.Apps().V1().ReplicaSets().Informer(),
		w.core.Core().V1().PersistentVolumeClaims().Informer(), w.core.Core().V1().Events().Informer()} {
		if _, err := informer.AddEventHandler(w.handler()); err != nil {
			return end, fmt.Errorf("watch namespace %s: %w", w.a.target.Namespace, err)
		}
	}
	members.Start(ctx.Done())
	w.core.Start(ctx.Done())
	for resource, synced := range members.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return end, slipway.Unavailable("cluster %s does not let Slipway watch %s", c.name, resource.Resource)
		}
	}
	for kind, synced := range w.core.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return end, slipway.Unavailable("cluster %s does not let Slipway watch %s", c.name, kind)
		}
	}
	return end, nil
}

// look tells what has changed and returns the index of the first object that is not ready, -1 when all are.
func (w *watch) look() (waiting int, err error) {
	waiting = -1
	w.a.ready = 0
	for i := range w.objects {
		current, text, err := w.state(i)
		if err != nil {
			return i, err
		}
		if current {
			w.a.ready++
		} else if waiting < 0 {
			waiting = i
		}
		if text != "" && w.told[i] != text && (!current || w.told[i] != "") {
			w.a.tell("%s: %s", w.objects[i].describe(), text)
		}
		if text != "" {
			w.told[i] = text
		}
	}
	return waiting, nil
}

// state computes whether an object is ready, by kstatus, and how far it is.
func (w *watch) state(i int) (current bool, text string, err error) {
	o := w.objects[i]
	live := o.Unstructured
	if indexer := w.indexers[i]; indexer != nil {
		found, exists, err := indexer.GetByKey(keyOf(o))
		if err != nil {
			return false, "", fmt.Errorf("look at %s: %w", o.describe(), err)
		}
		if !exists {
			return false, "it is not there any more", nil
		}
		live = found.(*unstructured.Unstructured)
	}
	w.objects[i].Unstructured = live
	result, err := status.Compute(live)
	if err != nil {
		return false, "", fmt.Errorf("compute status of %s: %w", o.describe(), err)
	}
	switch {
	case result.Status == status.CurrentStatus && !w.settled(live):
		return false, "", nil
	case result.Status == status.CurrentStatus:
		return true, howFar(live, ""), nil
	case result.Status == status.FailedStatus:
		return false, howFar(live, result.Message), w.failed(live, result)
	case live.GetKind() == "PersistentVolumeClaim" && w.waitsForConsumer(live):
		return true, "", nil
	}
	return false, howFar(live, result.Message), nil
}

// settled reports that a workload that is ready stays so; pods of other namespaces are not watched.
func (w *watch) settled(live *unstructured.Unstructured) bool {
	return !settles(live.GetKind()) || live.GetNamespace() != w.a.target.Namespace || w.settling.settled(w.scene(), live, time.Now())
}

func keyOf(o object) string {
	if o.GetNamespace() == "" {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}

// waitsForConsumer reports a claim that is bound only when a pod uses it; whoever waits for the pod waits for it too.
func (w *watch) waitsForConsumer(claim *unstructured.Unstructured) bool {
	e := w.scene().latest(string(claim.GetUID()), "WaitForFirstConsumer", "WaitForPodScheduled", "ExternalProvisioning", "Provisioning", "ProvisioningFailed")
	return e != nil && strings.HasPrefix(e.Reason, "WaitFor")
}

// howFar is a workload's progress in words.
func howFar(u *unstructured.Unstructured, otherwise string) string {
	number := func(otherwise int64, fields ...string) int64 {
		n, found, err := unstructured.NestedInt64(u.Object, fields...)
		if !found || err != nil {
			return otherwise
		}
		return n
	}
	var have, want int64
	switch u.GetKind() {
	case "Deployment":
		have, want = number(0, "status", "availableReplicas"), number(1, "spec", "replicas")
		have = min(have, number(0, "status", "updatedReplicas"))
	case "StatefulSet":
		have, want = min(number(0, "status", "readyReplicas"), number(0, "status", "updatedReplicas")), number(1, "spec", "replicas")
	case "DaemonSet":
		have, want = number(0, "status", "numberAvailable"), number(0, "status", "desiredNumberScheduled")
	default:
		return otherwise
	}
	if observed := number(0, "status", "observedGeneration"); observed < u.GetGeneration() {
		have = 0
	}
	if want == 1 {
		return fmt.Sprintf("%d of 1 replica is available", have)
	}
	return fmt.Sprintf("%d of %d replicas are available", have, want)
}

func (w *watch) scene() scene {
	everything := labels.Everything()
	// A lister over a cache cannot fail but for a broken index, which there is none of.
	pods, _ := w.core.Core().V1().Pods().Lister().List(everything)
	replicaSets, _ := w.core.Apps().V1().ReplicaSets().Lister().List(everything)
	claims, _ := w.core.Core().V1().PersistentVolumeClaims().Lister().List(everything)
	events, _ := w.core.Core().V1().Events().Lister().List(everything)
	return scene{pods: pods, replicaSets: replicaSets, claims: claims, events: events}
}

// failed is the error for an object that its controller has given up.
func (w *watch) failed(live *unstructured.Unstructured, result *status.Result) error {
	cause := w.withLog(w.scene().diagnose(live))
	return &NotReadyError{Object: live.GetKind() + " " + live.GetName(), Cause: cause, Status: result.Message}
}

// failing lists the objects that are not ready, with the cause of each. from is the first of them.
func (w *watch) failing(from int) []failure {
	s := w.scene()
	var list []failure
	for i := from; i < len(w.objects); i++ {
		if current, _, _ := w.state(i); !current {
			list = append(list, failure{index: i, cause: s.diagnose(w.objects[i].Unstructured)})
		}
	}
	return list
}

func (w *watch) timedOut(waiting int, timeout time.Duration) error {
	first := &NotReadyError{Object: w.objects[waiting].describe(), Status: w.told[waiting], Timeout: timeout}
	for _, f := range w.failing(waiting) {
		if f.cause.Kind == CauseNone {
			continue
		}
		if first.Cause.Kind == CauseNone || f.cause.Kind < first.Cause.Kind {
			first.Object, first.Cause, first.Status = w.objects[f.index].describe(), f.cause, w.told[f.index]
		}
	}
	first.Cause = w.withLog(first.Cause)
	return first
}

const (
	causeLogLines   = int64(20)
	causeLogBytes   = int64(8 << 10)
	causeLogTimeout = 5 * time.Second
)

// withLog adds the last lines of a container that crashes, or that runs and is not ready.
func (w *watch) withLog(c Cause) Cause {
	if c.Pod == "" || c.Container == "" || c.Kind != CauseCrash && c.Kind != CauseMemory && c.Kind != CauseProbe {
		return c
	}
	// The waiting context may be over, and the reason for it is what we are after.
	ctx, cancel := context.WithTimeout(context.Background(), causeLogTimeout)
	defer cancel()
	for _, previous := range []bool{c.Kind != CauseProbe, false} {
		lines, bytes := causeLogLines, causeLogBytes
		stream, err := w.a.cluster.typed.CoreV1().Pods(w.a.target.Namespace).GetLogs(c.Pod, &corev1.PodLogOptions{
			Container: c.Container, Previous: previous, TailLines: &lines, LimitBytes: &bytes}).Stream(ctx)
		if err != nil {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(stream, causeLogBytes))
		stream.Close()
		if log := strings.TrimSpace(masked(string(text), w.a.options.Mask)); err == nil && log != "" && !isNoLog(log) {
			c.Log = log
			break
		}
	}
	return c
}

// isNoLog reports what a kubelet sends in place of a log that it has just removed.
func isNoLog(text string) bool {
	return strings.HasPrefix(text, "failed to try resolving symlinks") || strings.HasPrefix(text, "unable to retrieve container logs")
}
