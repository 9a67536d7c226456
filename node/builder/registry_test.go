package builder

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRegistryHosts shows the order in which a registry's hosts are asked and where each leads.
func TestRegistryHosts(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", r.Host, r.URL.Path) }))
	defer server.Close()
	registries := []Registry{
		{Host: "localhost:8080", Endpoint: server.URL},
		{Host: "docker.io", Mirrors: []string{"localhost:8080/hub", "mirror.example"}},
	}
	hosts := registryHosts(Config{Registries: registries})
	f := func(name string, want ...string) {
		t.Helper()
		list, err := hosts(name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range list {
			got = append(got, fmt.Sprintf("%s://%s%s %b", h.Scheme, h.Host, h.Path, h.Capabilities))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// Capabilities: 1 pull, 10 resolve, 100 push, 1000 referrers (containerd, core/remotes/docker/registry.go).
	f("localhost:8080", "http://localhost:8080/v2 111")
	f("docker.io", "http://localhost:8080/v2/hub 11", "https://mirror.example/v2 11", "https://registry-1.docker.io/v2 1111")
	f("ghcr.io", "https://ghcr.io/v2 1111")
	f("localhost:9", "http://localhost:9/v2 1111")
	own := hosts

	// A mirror of all: asked last before the registry itself, never for what has an endpoint of its own.
	hosts = registryHosts(Config{Registries: registries, Mirror: "localhost:8080"})
	f("localhost:8080", "http://localhost:8080/v2 111")
	f("docker.io", "http://localhost:8080/v2/hub 11", "https://mirror.example/v2 11", "http://localhost:8080/v2 11", "https://registry-1.docker.io/v2 1111")
	f("ghcr.io", "http://localhost:8080/v2 11", "https://ghcr.io/v2 1111")
	hosts = registryHosts(Config{Registries: registries, Mirror: "localhost:8080", MirrorOnly: true})
	f("localhost:8080", "http://localhost:8080/v2 111")
	f("ghcr.io", "http://localhost:8080/v2 11", "https://ghcr.io/v2 100")

	hosts = own
	list, err := hosts("localhost:8080")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := list[0].Client.Get("http://localhost:8080/v2/token")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "localhost:8080 /v2/token" {
		t.Errorf("the endpoint was asked for %q (%v)", b, err)
	}
}
