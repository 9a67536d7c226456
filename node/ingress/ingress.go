// Package ingress implements the cluster's ingress class: it accepts HTTP on a listener of the host and passes it on to the pods
// behind Ingress objects. Name resolution is not its business: NAME.localhost is the loopback address everywhere (RFC 6761).
package ingress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"

	"slipway/node/client"
	"slipway/node/config"
	"slipway/node/objects"
)

// Controller watches the cluster and serves requests.
type Controller struct {
	client    kubernetes.Interface
	ingresses networkinglisters.IngressLister
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	table     atomic.Pointer[table]
	changed   chan struct{} // holds one token when the table is stale
	turn      atomic.Uint64 // for round robin
	transport *http.Transport
}

// Run serves the listener until ctx ends.
func Run(ctx context.Context, c *config.Config, listener net.Listener) error {
	api, err := client.New(c, "addons")
	if err != nil {
		return err
	}
	n := &Controller{client: api, changed: make(chan struct{}, 1), transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     30 * time.Second,
	}}
	n.table.Store(newTable(nil))
	if err := n.watch(ctx); err != nil {
		return err
	}
	server := &http.Server{Handler: n, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	for {
		select {
		case <-ctx.Done():
			_ = server.Close() // streams and websockets would not end by themselves
			return nil
		case err := <-failed:
			return fmt.Errorf("serve ingress: %w", err)
		case <-n.changed:
			n.compile(ctx)
		}
	}
}

// watch starts the informers and waits for their first lists.
func (n *Controller) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(n.client, 0)
	ingresses := factory.Networking().V1().Ingresses()
	services := factory.Core().V1().Services()
	slices := factory.Discovery().V1().EndpointSlices()
	n.ingresses, n.services, n.slices = ingresses.Lister(), services.Lister(), slices.Lister()
	if _, err := ingresses.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { n.stale() }, UpdateFunc: func(any, any) { n.stale() }, DeleteFunc: func(any) { n.stale() },
	}); err != nil {
		return err
	}
	services.Informer()
	slices.Informer()
	factory.Start(ctx.Done())
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok && ctx.Err() == nil {
			return fmt.Errorf("ingress: list %s", kind)
		}
	}
	n.stale()
	return nil
}

func (n *Controller) stale() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// compile makes the table of what the informers know, and tells the objects where they are served.
func (n *Controller) compile(ctx context.Context) {
	all, err := n.ingresses.List(labels.Everything())
	if err != nil {
		return
	}
	var ours []*networkingv1.Ingress
	for _, i := range all {
		if i.Spec.IngressClassName != nil && *i.Spec.IngressClassName == objects.IngressClass {
			ours = append(ours, i)
		}
	}
	n.table.Store(newTable(ours))
	for _, i := range ours {
		n.publish(ctx, i)
	}
}

var errNoEndpoint = errors.New("no pod of the service is ready")

// endpoint chooses a ready pod of a backend, in turn.
func (n *Controller) endpoint(b *backend) (string, error) {
	service, err := n.services.Services(b.namespace).Get(b.service)
	if err != nil {
		return "", fmt.Errorf("service %s/%s does not exist", b.namespace, b.service)
	}
	name, ok := "", false
	for _, p := range service.Spec.Ports {
		if b.port.Name != "" && p.Name == b.port.Name || b.port.Name == "" && p.Port == b.port.Number {
			name, ok = p.Name, true
		}
	}
	if !ok {
		return "", fmt.Errorf("service %s/%s has no such port", b.namespace, b.service)
	}
	slices, err := n.slices.EndpointSlices(b.namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: b.service}))
	if err != nil {
		return "", err
	}
	var addresses []string
	for _, s := range slices {
		addresses = append(addresses, ready(s, name)...)
	}
	if len(addresses) == 0 {
		return "", errNoEndpoint
	}
	return addresses[n.turn.Add(1)%uint64(len(addresses))], nil
}

// ready lists the addresses of a slice's ready endpoints at the named port.
func ready(s *discoveryv1.EndpointSlice, port string) []string {
	var addresses []string
	for _, p := range s.Ports {
		if p.Port == nil || p.Name == nil || *p.Name != port {
			continue
		}
		for _, e := range s.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				for _, a := range e.Addresses {
					addresses = append(addresses, net.JoinHostPort(a, fmt.Sprint(*p.Port)))
				}
			}
		}
	}
	return addresses
}
