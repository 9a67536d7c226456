// Package collect sees what deployed pods do without their doing: it follows their output into traces, keeps
// Kubernetes' events about them, and samples the CPU, memory, restarts and readiness of their containers every
// fifteen seconds.
//
// Pods are those with the label slipway.dev/deployment. The package talks to one cluster through its API server
// alone; it keeps no state of its own: what is durable already is asked of insights when it starts.
package collect

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"slipway"
	"slipway/internal/insights"
	"slipway/internal/insights/telemetry"
)

// The labels and annotations by which deployed pods say where they belong.
const (
	LabelProject     = "slipway.dev/project"     // UUID
	LabelEnvironment = "slipway.dev/environment" // number
	LabelDeployment  = "slipway.dev/deployment"  // number
	LabelRun         = "slipway.dev/run"         // number

	AnnotationCommit      = "slipway.dev/commit"
	AnnotationEnvironment = "slipway.dev/environment-name"
)

// SampleEvery is the time between two samples of containers.
const SampleEvery = 15 * time.Second

// Collector collects from one cluster.
type Collector struct {
	insights *insights.Service
	client   kubernetes.Interface
	logger   *slog.Logger
	pods     cache.Store

	mu        sync.Mutex
	followers map[followerKey]*follower
}

// New makes the collector of the cluster that config leads to.
func New(config *rest.Config, s *insights.Service, logger *slog.Logger) (*Collector, error) {
	c := rest.CopyConfig(config)
	c.QPS, c.Burst = 50, 100
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		return nil, fmt.Errorf("collect telemetry: %w", err)
	}
	return &Collector{insights: s, client: client, logger: logger, followers: map[followerKey]*follower{}}, nil
}

// Run collects until ctx ends. A cluster that does not answer is tried again without end.
func (c *Collector) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = LabelDeployment
	}))
	informer := factory.Core().V1().Pods().Informer()
	c.pods = informer.GetStore()
	changes := make(chan change, 256)
	send := func(object any, gone bool) {
		if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = last.Obj
		}
		if pod, ok := object.(*corev1.Pod); ok {
			select {
			case changes <- change{pod, gone}:
			case <-ctx.Done():
			}
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) { send(o, false) },
		UpdateFunc: func(_, o any) { send(o, false) }, DeleteFunc: func(o any) { send(o, true) }})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil // ctx has ended
	}
	group.Go(func() error { return c.follow(ctx, group, changes) })
	group.Go(func() error { return c.sample(ctx) })
	group.Go(func() error { return c.watchEvents(ctx) })
	return group.Wait()
}

type change struct {
	pod  *corev1.Pod
	gone bool
}

// follow keeps the followers of containers' output and what insights knows of pods up to date.
func (c *Collector) follow(ctx context.Context, group *errgroup.Group, changes <-chan change) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case ch := <-changes:
			r := resourceOf(ch.pod)
			if ch.gone {
				c.insights.PodGone(r)
				c.endFollowers(ch.pod)
				continue
			}
			c.insights.PodSeen(r)
			c.startFollowers(ctx, group, ch.pod)
		}
	}
}

// resourceOf says where a pod belongs.
func resourceOf(p *corev1.Pod) telemetry.Resource {
	number := func(label string) int64 {
		n, err := strconv.ParseInt(p.Labels[label], 10, 64)
		if err != nil { // somebody else's label: it belongs to nothing
			return 0
		}
		return n
	}
	return telemetry.Resource{Project: slipway.ProjectID(p.Labels[LabelProject]), Environment: slipway.EnvironmentID(number(LabelEnvironment)),
		EnvironmentName: p.Annotations[AnnotationEnvironment], Deployment: slipway.DeploymentID(number(LabelDeployment)), Run: slipway.RunID(number(LabelRun)),
		Commit: slipway.CommitID(p.Annotations[AnnotationCommit]), Service: workload(p), Instance: p.Name, Namespace: p.Namespace, Pod: p.Name,
		Node: p.Spec.NodeName, SDK: "slipway"}
}

// containerResource is the resource of one container; its image is the one that runs, by digest.
func containerResource(p *corev1.Pod, name string) telemetry.Resource {
	r := resourceOf(p)
	r.Container = name
	for _, s := range p.Status.ContainerStatuses {
		if s.Name == name {
			r.Image = imageDigest(s.ImageID)
		}
	}
	return r
}

// imageDigest is the digest of an image id (`[docker-pullable://]NAME@sha256:HEX`).
func imageDigest(id string) slipway.Digest {
	if _, digest, ok := strings.Cut(id, "@"); ok {
		id = digest
	}
	d, err := slipway.ParseDigest(id)
	if err != nil { // not pulled yet
		return ""
	}
	return d
}

// workload names what the pod belongs to: the name that the application's own telemetry has too.
func workload(p *corev1.Pod) string {
	own := metav1.GetControllerOf(p)
	if own == nil {
		return p.Name
	}
	if hash := p.Labels["pod-template-hash"]; own.Kind == "ReplicaSet" && hash != "" {
		return strings.TrimSuffix(own.Name, "-"+hash)
	}
	return own.Name
}
