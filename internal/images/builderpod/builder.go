// Package builderpod runs the image builder (node/builder) as a pod of an existing cluster and reaches it there.
//
// Whoever can speak to a builder may run any program as root on its node. So it listens on the loopback of its pod
// alone, which the API server's port-forward reaches and no other pod does; it demands a client certificate there,
// which only this server has; and a network policy refuses everything that comes from outside of the pod.
//
// The package owns the builder's objects in its namespace. It knows nothing of builds.
package builderpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"slipway"
)

// Options say how the builder runs; all are required.
type Options struct {
	Namespace   string
	Image       string   // holds /slipway-builder and /runc
	PullSecrets []string // Secrets of the namespace for pulling it
	Registry    string   // Slipway's registry in image names
	MirrorOnly  bool     // images of other registries come through it alone
	Endpoint    string   // URL by which pods reach it
	CacheBytes  int64    // limit of the cache
}

// Builder is the builder of one cluster. It is safe for concurrent use.
type Builder struct {
	config      *rest.Config
	client      kubernetes.Interface
	credentials Credentials
	options     Options
}

// New makes the builder of the cluster that config leads to; it asks the cluster nothing yet.
func New(config *rest.Config, credentials Credentials, o Options) (*Builder, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	return &Builder{config: config, client: client, credentials: credentials, options: o}, nil
}

const (
	readyTime    = 4 * time.Minute // for the pull of some 20 MB, a volume and the start
	pullPatience = 20 * time.Second
	pollEvery    = 300 * time.Millisecond
	requestTime  = 20 * time.Second
)

// Start applies the builder's objects and waits until it answers. progress is told what it waits for.
func (b *Builder) Start(ctx context.Context, progress func(message string)) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := b.apply(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for last := ""; ; {
		conn, err := b.Dial(ctx)
		if err == nil {
			return conn.Close()
		}
		state, broken := b.look(ctx)
		if broken {
			return slipway.Unavailable("the image builder does not start in the cluster: %s", state)
		}
		if state != "" && state != last {
			last = state
			progress(state)
		}
		select {
		case <-ctx.Done():
			if state == "" {
				state = err.Error()
			}
			return slipway.Unavailable("the image builder did not start in the cluster within %s: %s; look with `kubectl -n %s describe pods`", readyTime, state, b.options.Namespace)
		case <-tick.C:
		}
	}
}

// Stop ends the builder's pod and keeps its cache, as far as that lies in a volume.
func (b *Builder) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	_, err := b.client.AppsV1().Deployments(b.options.Namespace).Patch(ctx, name, types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("stop the image builder in the cluster: %w", err)
	}
	return nil
}

// apply brings the builder's objects into the cluster, server-side.
func (b *Builder) apply(ctx context.Context) error {
	secret, err := b.secret()
	if err != nil {
		return err
	}
	claim, err := b.wantsClaim(ctx)
	if err != nil {
		return err
	}
	core, ns, force := b.client.CoreV1(), b.options.Namespace, true
	options := metav1.PatchOptions{FieldManager: "slipway", Force: &force}
	steps := []struct {
		what  string
		thing any
		patch func(text []byte) error
	}{
		{"Secret", secret, func(text []byte) error {
			_, err := core.Secrets(ns).Patch(ctx, name, types.ApplyPatchType, text, options)
			return err
		}},
		{"NetworkPolicy", b.policy(), func(text []byte) error {
			_, err := b.client.NetworkingV1().NetworkPolicies(ns).Patch(ctx, name, types.ApplyPatchType, text, options)
			return err
		}},
		{"PersistentVolumeClaim", b.claim(), func(text []byte) error {
			if !claim {
				return nil
			}
			_, err := core.PersistentVolumeClaims(ns).Patch(ctx, name, types.ApplyPatchType, text, options)
			return err
		}},
		{"Deployment", b.deployment(secret, claim), func(text []byte) error {
			_, err := b.client.AppsV1().Deployments(ns).Patch(ctx, name, types.ApplyPatchType, text, options)
			return err
		}},
	}
	for _, s := range steps {
		text, err := json.Marshal(s.thing)
		if err == nil {
			err = s.patch(text)
		}
		if err != nil {
			return fmt.Errorf("apply the image builder's %s %s/%s: %w", s.what, ns, name, err)
		}
	}
	return nil
}

// wantsClaim reports that the cache can lie in a volume: the claim is there, or the cluster has a default class for it.
func (b *Builder) wantsClaim(ctx context.Context) (bool, error) {
	_, err := b.client.CoreV1().PersistentVolumeClaims(b.options.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		return true, nil
	}
	if !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("look for the image builder's volume: %w", err)
	}
	classes, err := b.client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, fmt.Errorf("list storage classes: %w", err)
	}
	for _, c := range classes.Items {
		if c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
			return true, nil
		}
	}
	return false, nil
}

// pod is the builder's newest pod that is not going.
func (b *Builder) pod(ctx context.Context) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	list, err := b.client.CoreV1().Pods(b.options.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labelName + "=" + name, Limit: 100})
	if err != nil {
		return nil, fmt.Errorf("find the image builder's pod: %w", err)
	}
	var newest *corev1.Pod
	for i := range list.Items {
		p := &list.Items[i]
		if p.DeletionTimestamp == nil && (newest == nil || newest.CreationTimestamp.Before(&p.CreationTimestamp)) {
			newest = p
		}
	}
	if newest == nil {
		return nil, errNoPod
	}
	return newest, nil
}

var errNoPod = errors.New("the image builder has no pod")

// State says in a few words how the builder's pod is.
func (b *Builder) State(ctx context.Context) (string, error) {
	p, err := b.pod(ctx)
	if err != nil {
		return "", err
	}
	if p.Status.Phase == corev1.PodRunning {
		return "running as pod " + p.Namespace + "/" + p.Name, nil
	}
	state, _ := b.look(ctx)
	return "not running: " + state, nil
}

// look says in a few words why the builder does not answer yet, and whether waiting is of no use.
func (b *Builder) look(ctx context.Context) (state string, broken bool) {
	p, err := b.pod(ctx)
	if errors.Is(err, errNoPod) {
		return "waiting for its pod", false
	}
	if err != nil {
		return "", false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "no node takes it: " + c.Message, false
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			switch w.Reason {
			case "ErrImagePull", "ImagePullBackOff", "InvalidImageName":
				return fmt.Sprintf("its node cannot pull %s: %s. Let the nodes' container runtime reach the registry (docs/cluster.md)", b.options.Image, w.Message),
					time.Since(p.CreationTimestamp.Time) > pullPatience
			case "CrashLoopBackOff":
				return "it ends at once: " + lastWords(&c), true
			}
			return "starting its container", false
		}
		if t := c.State.Terminated; t != nil {
			return "it ended: " + t.Message, false
		}
	}
	return "waiting for its answer", false
}

func lastWords(c *corev1.ContainerStatus) string {
	if t := c.LastTerminationState.Terminated; t != nil && t.Message != "" {
		return t.Message
	}
	if c.State.Waiting != nil {
		return c.State.Waiting.Message
	}
	return "without a word"
}
