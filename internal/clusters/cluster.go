package clusters

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"slipway"
)

// cluster is one Kubernetes API server with the clients that this package needs.
type cluster struct {
	name    string
	config  *rest.Config
	dynamic dynamic.Interface
	typed   kubernetes.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	pull    PullCredentials
}

// The API server limits by itself (priority and fairness); client-go's default of 5 a second makes an apply of twenty
// objects take four.
const (
	requestsPerSecond = 100
	requestBurst      = 200
	userAgent         = "slipway"
)

func connect(name string, config *rest.Config) (*cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.UserAgent = requestsPerSecond, requestBurst, userAgent
	config.WarningHandler = rest.NoWarnings{}
	if err := rest.LoadTLSFiles(config); err != nil { // what jobs' kubeconfigs hold must not name files
		return nil, err
	}
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &cluster{name: name, config: config, dynamic: dyn, typed: typed,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(typed.Discovery()))}, nil
}

// mapping finds the resource of a kind. A kind that is not known is looked for once more: a definition of it may have
// been applied since.
func (c *cluster) mapping(gvk schema.GroupVersionKind) (*meta.RESTMapping, error) {
	m, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset()
		m, err = c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if meta.IsNoMatchError(err) {
		return nil, slipway.Invalid("cluster %s knows no kind %s of %s", c.name, gvk.Kind, gvk.GroupVersion())
	}
	return m, c.unreachable(err)
}

// resource is the client of one kind, in a namespace where the kind has them.
func (c *cluster) resource(m *meta.RESTMapping, namespace string) dynamic.ResourceInterface {
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		return c.dynamic.Resource(m.Resource).Namespace(namespace)
	}
	return c.dynamic.Resource(m.Resource)
}

// unreachable turns a connection that failed into a Problem that says so.
func (c *cluster) unreachable(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var network net.Error
	if errors.As(err, &network) || apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) {
		return slipway.Unavailable("cluster %s does not answer", c.name).Because(err)
	}
	if apierrors.IsUnauthorized(err) {
		return slipway.Unavailable("cluster %s refuses Slipway's credentials", c.name).Because(err)
	}
	return err
}

const answerTimeout = 10 * time.Second

// Version is the Kubernetes version of a cluster: the cheapest question that proves that it answers.
func (s *Service) Version(ctx context.Context, name string) (string, error) {
	c, err := s.cluster(name)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	raw, err := c.typed.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return "", c.unreachable(fmt.Errorf("ask cluster %s for its version: %w", name, err))
	}
	return readVersion(raw)
}
