package ingress

import (
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// backend is a service's port, by name or number.
type backend struct {
	namespace string
	service   string
	port      networkingv1.ServiceBackendPort
}

// rule is one path of one host.
type rule struct {
	path    string
	exact   bool
	backend backend
}

// table maps requests to backends. It is immutable: a change makes a new one.
type table struct {
	hosts    map[string][]rule // lower case; "" stands for all hosts, "*.x" for one label before x
	fallback *backend
}

// newTable compiles the Ingress objects of our class. The order of objects does not matter but among equal rules, where the oldest
// object wins.
func newTable(ingresses []*networkingv1.Ingress) *table {
	ingresses = slices.Clone(ingresses)
	slices.SortStableFunc(ingresses, func(a, b *networkingv1.Ingress) int {
		if c := a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	t := &table{hosts: map[string][]rule{}}
	for _, i := range ingresses {
		t.add(i)
	}
	for _, rules := range t.hosts {
		// Longest path first, and exact before prefix: networking.k8s.io/v1, IngressRule "multiple matches".
		slices.SortStableFunc(rules, func(a, b rule) int {
			if len(a.path) != len(b.path) {
				return len(b.path) - len(a.path)
			}
			switch {
			case a.exact && !b.exact:
				return -1
			case b.exact && !a.exact:
				return 1
			}
			return 0
		})
	}
	return t
}

func (t *table) add(i *networkingv1.Ingress) {
	target := func(b *networkingv1.IngressBackend) *backend {
		if b == nil || b.Service == nil {
			return nil // a resource backend: we have none
		}
		return &backend{namespace: i.Namespace, service: b.Service.Name, port: b.Service.Port}
	}
	if b := target(i.Spec.DefaultBackend); b != nil && t.fallback == nil {
		t.fallback = b
	}
	for _, r := range i.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		host := strings.ToLower(r.Host)
		for _, p := range r.HTTP.Paths {
			b := target(&p.Backend)
			if b == nil {
				continue
			}
			exact := p.PathType != nil && *p.PathType == networkingv1.PathTypeExact
			path := p.Path
			if path == "" {
				path = "/"
			}
			t.hosts[host] = append(t.hosts[host], rule{path: path, exact: exact, backend: *b})
		}
	}
}

// find returns the backend of a request, or nil. Host is without port.
func (t *table) find(host, path string) *backend {
	host = strings.ToLower(host)
	candidates := []string{host}
	if _, rest, ok := strings.Cut(host, "."); ok {
		candidates = append(candidates, "*."+rest)
	}
	for _, h := range append(candidates, "") {
		for _, r := range t.hosts[h] {
			if r.matches(path) {
				return &r.backend
			}
		}
	}
	return t.fallback
}

// matches compares path elements, as PathType Prefix wants: /foo matches /foo and /foo/bar, not /foobar.
func (r rule) matches(path string) bool {
	if r.exact {
		return path == r.path
	}
	prefix := strings.TrimSuffix(r.path, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}
