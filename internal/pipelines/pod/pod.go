// Package pod runs jobs as pods of a Kubernetes cluster: it implements pipelines.Executor.
//
// A job's pod has an init container from the agent's image, which copies the static agent and docker into a folder that
// the job's container sees; the job's container, whose program is the agent; and a sidecar for each service. The job's
// token lies in a Secret that the pod owns. All of them live in a namespace of their own and have no access to the
// cluster's API.
//
// The names of pods come from the caller, so that starting the same job twice makes one pod. The package knows nothing of
// plans, runs' states or the database.
package pod

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
)

// DefaultNamespace is where jobs run when Options name none.
const DefaultNamespace = "slipway-jobs"

// Options say how jobs' pods are made. Zero fields have defaults.
type Options struct {
	Namespace string
	// AgentImage holds /slipway-agent and /docker.
	AgentImage string
	// CPU and Memory are what a job's container requests, as Kubernetes quantities; 250m and 256Mi by default.
	CPU    string
	Memory string
	// MemoryLimit ends a job that uses more; 4Gi by default.
	MemoryLimit string
	// CacheStorageClass makes a volume of that class for each project, in which tools of its jobs keep their caches; empty
	// for none. On more than one node it must allow ReadWriteMany.
	CacheStorageClass string
	// CacheAccessMode is ReadWriteOnce by default, which is right for one node.
	CacheAccessMode corev1.PersistentVolumeAccessMode
	// PullSecrets are secrets of the namespace for images of other registries.
	PullSecrets []string
	// HostAliases are host names that the pods' /etc/hosts gets, by IP address.
	HostAliases map[string][]string
}

// Executor runs pods in one cluster. It is safe for concurrent use.
type Executor struct {
	client  kubernetes.Interface
	options Options

	mu    sync.Mutex
	ready bool // the namespace is there
}

var _ pipelines.Executor = (*Executor)(nil)

// The API server limits by itself (priority and fairness). Of client-go's default of 5 requests a second a job takes several, those that remove its pod
// among them.
const (
	requestsPerSecond = 100
	requestBurst      = 200
)

// New makes an executor for the cluster that config describes.
func New(config *rest.Config, o Options) (*Executor, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = requestsPerSecond, requestBurst
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	return NewForClient(client, o)
}

// NewForClient makes an executor that uses the client.
func NewForClient(client kubernetes.Interface, o Options) (*Executor, error) {
	for field, value := range map[*string]string{&o.Namespace: DefaultNamespace, &o.CPU: "250m", &o.Memory: "256Mi", &o.MemoryLimit: "4Gi"} {
		if *field == "" {
			*field = value
		}
	}
	if o.CacheAccessMode == "" {
		o.CacheAccessMode = corev1.ReadWriteOnce
	}
	if o.AgentImage == "" {
		return nil, slipway.Invalid("the agent's image is not set")
	}
	if _, err := o.resources(pipelines.PoolSettings{}); err != nil {
		return nil, err
	}
	return &Executor{client: client, options: o}, nil
}

// requestTimeout bounds each call of the cluster's API.
const requestTimeout = 20 * time.Second

// Start creates the pod and its Secret; what is there already stays.
func (e *Executor) Start(ctx context.Context, p pipelines.Pod) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := e.ensureNamespace(ctx); err != nil {
		return failure("make the namespace of the jobs", err)
	}
	spec, err := e.options.spec(p)
	if err != nil {
		return err
	}
	if err := e.ensureCache(ctx, p); err != nil {
		return failure("make the volume of the project's caches", err)
	}
	token := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Labels: labels(p)}, StringData: map[string]string{tokenKey: p.Token}}
	if err := e.ensureSecret(ctx, p, token); err != nil {
		return failure("store the job's token", err)
	}
	if len(p.Registries) > 0 {
		pull, err := pullSecret(p)
		if err == nil {
			err = e.ensureSecret(ctx, p, pull)
		}
		if err != nil {
			return failure("store the credentials of the job's images", err)
		}
	}
	pods := e.client.CoreV1().Pods(e.options.Namespace)
	created, err := pods.Create(ctx, spec, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		created, err = pods.Get(ctx, p.Name, metav1.GetOptions{})
	}
	if err != nil {
		return failure("create the job's pod", err)
	}
	names := []string{p.Name}
	if len(p.Registries) > 0 {
		names = append(names, pullSecretName(p.Name))
	}
	for _, name := range names {
		if err := e.own(ctx, created, name); err != nil {
			return failure("bind the job's secrets to its pod", err)
		}
	}
	return nil
}

// ensureNamespace makes the namespace once. Pods in it cannot reach into the node (Pod Security Standards, "baseline").
func (e *Executor) ensureNamespace(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ready {
		return nil
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: e.options.Namespace, Labels: map[string]string{
		managedBy: "slipway", "pod-security.kubernetes.io/enforce": "baseline",
	}}}
	_, err := e.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	e.ready = true
	return nil
}

// pullSecretName is the name of the Secret with the credentials of a pod's images.
func pullSecretName(pod string) string { return pod + "-images" }

// pullSecret is what the kubelet pulls the pod's images with.
func pullSecret(p pipelines.Pod) (*corev1.Secret, error) {
	auths := map[string]map[string]string{}
	for _, r := range p.Registries {
		host := r.Host
		if host == "docker.io" {
			host = job.DockerHub
		}
		auths[host] = map[string]string{"username": r.User, "password": r.Password, "auth": base64.StdEncoding.EncodeToString([]byte(r.User + ":" + r.Password))}
	}
	config, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		return nil, err
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: pullSecretName(p.Name), Labels: labels(p)}, Type: corev1.SecretTypeDockerConfigJson,
		StringData: map[string]string{corev1.DockerConfigJsonKey: string(config)}}, nil
}

// ensureSecret stores a secret of the pod. When a pod of that name is there already, it goes on with what it has.
func (e *Executor) ensureSecret(ctx context.Context, p pipelines.Pod, secret *corev1.Secret) error {
	secrets := e.client.CoreV1().Secrets(e.options.Namespace)
	_, err := secrets.Create(ctx, secret, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if _, err := e.client.CoreV1().Pods(e.options.Namespace).Get(ctx, p.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return err
	}
	_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{})
	return err
}

// own makes a Secret go when the pod goes.
func (e *Executor) own(ctx context.Context, p *corev1.Pod, secret string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID},
	}}})
	if err != nil {
		return err
	}
	_, err = e.client.CoreV1().Secrets(e.options.Namespace).Patch(ctx, secret, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		return nil // the pod has ended and is gone with it
	}
	return err
}

// stopGrace is the time that a pod has to end after it was told to.
const stopGrace = int64(10)

// Stop deletes the pod.
func (e *Executor) Stop(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	grace := stopGrace
	err := e.client.CoreV1().Pods(e.options.Namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &grace})
	if err != nil && !apierrors.IsNotFound(err) {
		return failure("delete the job's pod", err)
	}
	return nil
}

// Inspect looks at the pod.
func (e *Executor) Inspect(ctx context.Context, name string) (pipelines.PodStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	p, err := e.client.CoreV1().Pods(e.options.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return pipelines.PodStatus{Phase: pipelines.PodAbsent}, nil
	}
	if err != nil {
		return pipelines.PodStatus{}, failure("look at the job's pod", err)
	}
	return status(p, time.Now()), nil
}

// failure tells a pod that can never be from a cluster that does not answer now.
func failure(doing string, err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return slipway.Invalid("the cluster refuses the job's pod: %v", err)
	}
	if apierrors.IsForbidden(err) {
		return slipway.Unavailable("the cluster does not allow the job's pod now: %v", err)
	}
	return slipway.Unavailable("the cluster cannot be reached").Because(fmt.Errorf("%s: %w", doing, err))
}
