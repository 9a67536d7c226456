package engine

import (
	"context"
	"strings"
	"testing"
)

// The rule is docker's: what stands before the first slash is a registry if it could be no name of a folder there
// (splitDockerDomain of github.com/distribution/reference).
func TestFullName(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"postgres":                      "docker.io/library/postgres",
		"postgres:15":                   "docker.io/library/postgres:15",
		"grafana/grafana:11":            "docker.io/grafana/grafana:11",
		"localhost/tools:1":             "localhost/tools:1",
		"localhost:5000/tools":          "localhost:5000/tools",
		"mcr.microsoft.com/dotnet/sdk":  "mcr.microsoft.com/dotnet/sdk",
		"docker.io/library/postgres:15": "docker.io/library/postgres:15",
		"debian@sha256:0123":            "docker.io/library/debian@sha256:0123",
	} {
		if got := fullName(image); got != want {
			t.Errorf("%s is %s, want %s", image, got, want)
		}
	}
}

func TestMissingEngine(t *testing.T) {
	t.Parallel()
	_, err := Find(context.Background(), "no-such-engine", "do without")
	if err == nil || !strings.Contains(err.Error(), "there is no program no-such-engine on this machine: install it, or do without") {
		t.Errorf("%v", err)
	}
}
