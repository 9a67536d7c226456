package ingress

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// path is HOST PATH TYPE -> SERVICE.
type path struct{ host, path, kind, service string }

func ingressOf(name string, age int, paths ...path) *networkingv1.Ingress {
	i := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, CreationTimestamp: metav1.Unix(int64(1000-age), 0)}}
	for _, p := range paths {
		kind := networkingv1.PathType(p.kind)
		i.Spec.Rules = append(i.Spec.Rules, networkingv1.IngressRule{Host: p.host, IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: p.path, PathType: &kind, Backend: *to(p.service)}}}}})
	}
	return i
}

func to(service string) *networkingv1.IngressBackend {
	return &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: service, Port: networkingv1.ServiceBackendPort{Number: 80}}}
}

// TestFind takes its expectations from the tables of https://kubernetes.io/docs/concepts/services-networking/ingress/: path types,
// multiple matches, hostname wildcards.
func TestFind(t *testing.T) {
	t.Parallel()
	fallback := ingressOf("fallback", 1)
	fallback.Spec.DefaultBackend = to("fallback")
	all := newTable([]*networkingv1.Ingress{
		fallback,
		ingressOf("young", 1, path{"foo.bar.com", "/same", "Prefix", "young"}),
		ingressOf("old", 9, path{"foo.bar.com", "/same", "Prefix", "old"}),
		ingressOf("paths", 5,
			path{"foo.bar.com", "/", "Prefix", "root"},
			path{"foo.bar.com", "/aaa", "Prefix", "aaa"},
			path{"foo.bar.com", "/aaa/bbb", "Prefix", "aaa-bbb"},
			path{"foo.bar.com", "/aaa/bbb", "Exact", "exact"},
			path{"foo.bar.com", "/slash/", "Prefix", "slash"},
			path{"*.foo.com", "/", "Prefix", "wildcard"},
			path{"only.com", "/foo", "Exact", "foo"},
		),
	})
	for _, c := range []struct{ host, path, want string }{
		{"foo.bar.com", "/", "root"},
		{"FOO.bar.com", "/aaa", "aaa"},
		{"foo.bar.com", "/aaa/ccc", "aaa"},
		{"foo.bar.com", "/aaaccc", "root"},
		{"foo.bar.com", "/aaa/bbb", "exact"},
		{"foo.bar.com", "/aaa/bbb/", "aaa-bbb"},
		{"foo.bar.com", "/slash", "slash"},
		{"foo.bar.com", "/same/x", "old"},
		{"bar.foo.com", "/", "wildcard"},
		{"baz.bar.foo.com", "/", "fallback"},
		{"foo.com", "/", "fallback"},
		{"only.com", "/foo", "foo"},
		{"only.com", "/foo/", "fallback"},
	} {
		b := all.find(c.host, c.path)
		if b == nil || b.service != c.want {
			t.Errorf("%s%s: want %s, got %+v", c.host, c.path, c.want, b)
		}
	}
	if b := newTable(nil).find("x", "/"); b != nil {
		t.Errorf("an empty table finds %+v", b)
	}
}
