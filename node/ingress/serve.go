package ingress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
)

// ServeHTTP passes a request on to its pod. Websockets and other upgrades pass, too; streams are flushed as they come.
func (n *Controller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	b := n.table.Load().find(host, r.URL.Path)
	if b == nil {
		http.Error(w, fmt.Sprintf("No Ingress is for %s%s.", host, r.URL.Path), http.StatusNotFound)
		return
	}
	address, err := n.endpoint(b)
	if err != nil {
		http.Error(w, fmt.Sprintf("Service %s/%s cannot answer: %s.", b.namespace, b.service, err), http.StatusServiceUnavailable)
		return
	}
	proxy := &httputil.ReverseProxy{
		Transport:     n.transport,
		FlushInterval: -1,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: address})
			p.Out.Host = p.In.Host // applications build their links from it
			p.SetXForwarded()
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				klog.Warningf("ingress: %s%s at %s: %v", host, r.URL.Path, address, err)
			}
			http.Error(w, fmt.Sprintf("Service %s/%s did not answer.", b.namespace, b.service), http.StatusBadGateway)
		},
	}
	proxy.ServeHTTP(w, r)
}

// publish writes into an Ingress's status where it is served, so that tools which wait for an address go on.
func (n *Controller) publish(ctx context.Context, i *networkingv1.Ingress) {
	status := i.Status.LoadBalancer.Ingress
	if len(status) == 1 && status[0].Hostname == "localhost" {
		return
	}
	i = i.DeepCopy()
	i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{Hostname: "localhost"}}
	if _, err := n.client.NetworkingV1().Ingresses(i.Namespace).UpdateStatus(ctx, i, metav1.UpdateOptions{}); err != nil && ctx.Err() == nil {
		klog.Warningf("ingress: status of %s/%s: %v", i.Namespace, i.Name, err) // the next event tries again
	}
}
