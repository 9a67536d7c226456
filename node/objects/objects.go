// Package objects puts the cluster objects in place that stand for the add-ons: classes, services and the metrics API. Their
// implementations run in this module's processes, not in pods, so the services have endpoints but no selector.
package objects

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"slipway/node/client"
	"slipway/node/config"
)

// Names that the objects and their implementations agree on.
const (
	Provisioner       = "slipway.local/local-path"
	StorageClass      = "local-path"
	IngressController = "slipway.local/ingress"
	IngressClass      = "slipway"
	MetricsPort       = 4443
)

type object = map[string]any

// one is an object with the resource it is an instance of.
type one struct {
	resource schema.GroupVersionResource
	object   object
}

// Apply puts all objects in place by server-side apply, and repeats until it worked or ctx ends: a fresh API server refuses some
// for its first seconds.
func Apply(ctx context.Context, c *config.Config) error {
	r, err := client.REST(c, "addons")
	if err != nil {
		return err
	}
	api, err := dynamic.NewForConfig(r)
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(c.PKI("ca.crt"))
	if err != nil {
		return fmt.Errorf("read certificate authority: %w", err)
	}
	for _, o := range all(c, authority) {
		for {
			err := apply(ctx, api, o)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return err
			case <-time.After(250 * time.Millisecond):
			}
		}
	}
	return nil
}

func apply(ctx context.Context, api dynamic.Interface, o one) error {
	u := &unstructured.Unstructured{Object: o.object}
	var target dynamic.ResourceInterface = api.Resource(o.resource)
	if u.GetNamespace() != "" {
		target = api.Resource(o.resource).Namespace(u.GetNamespace())
	}
	if _, err := target.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: "slipway-node", Force: true}); err != nil {
		return fmt.Errorf("apply %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}

func all(c *config.Config, authority []byte) []one {
	objects := []one{
		{schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}, object{
			"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
			"metadata":    object{"name": StorageClass, "annotations": object{"storageclass.kubernetes.io/is-default-class": "true"}},
			"provisioner": Provisioner, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
		}},
		{schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"}, object{
			"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
			"metadata": object{"name": IngressClass, "annotations": object{"ingressclass.kubernetes.io/is-default-class": "true"}},
			"spec":     object{"controller": IngressController},
		}},
	}
	objects = append(objects, service(c, "kube-dns", object{"clusterIP": c.ClusterDNS().String()},
		port{"dns", "UDP", 53, 53}, port{"dns-tcp", "TCP", 53, 53})...)
	objects = append(objects, service(c, "metrics-server", object{}, port{"https", "TCP", 443, MetricsPort})...)
	return append(objects, one{schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}, object{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": object{"name": "v1beta1.metrics.k8s.io"},
		"spec": object{
			"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"service":  object{"namespace": "kube-system", "name": "metrics-server", "port": int64(443)},
			"caBundle": base64.StdEncoding.EncodeToString(authority),
		},
	}})
}

// port maps a service's port to the port on the node's address.
type port struct {
	name     string
	protocol string
	service  int64
	node     int64
}

// service is a service in kube-system that leads to the node itself.
func service(c *config.Config, name string, spec object, ports ...port) []one {
	var servicePorts, endpointPorts []any
	for _, p := range ports {
		servicePorts = append(servicePorts, object{"name": p.name, "protocol": p.protocol, "port": p.service, "targetPort": p.node})
		endpointPorts = append(endpointPorts, object{"name": p.name, "protocol": p.protocol, "port": p.node})
	}
	spec["ports"] = servicePorts
	return []one{
		{schema.GroupVersionResource{Version: "v1", Resource: "services"}, object{
			"apiVersion": "v1", "kind": "Service",
			"metadata": object{"name": name, "namespace": "kube-system", "labels": object{"k8s-app": name}},
			"spec":     spec,
		}},
		{schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}, object{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
			"metadata": object{"name": name + "-slipway", "namespace": "kube-system",
				"labels": object{"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "slipway-node"}},
			"addressType": "IPv4",
			"ports":       endpointPorts,
			"endpoints":   []any{object{"addresses": []any{c.NodeAddress.String()}, "conditions": object{"ready": true}}},
		}},
	}
}
