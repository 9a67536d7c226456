package slipway_test

import (
	"testing"

	"slipway"
)

func TestImportedImage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ host, repository, want string }{
		{"docker.io", "golang", "library/golang"},
		{"docker.io", "library/golang", "library/golang"},
		{"docker.io", "tonistiigi/xx", "library/docker.io/tonistiigi/xx"},
		{"gcr.io", "distroless/static", "library/gcr.io/distroless/static"},
		{"registry.example:5000", "app", "library/registry.example_5000/app"},
	} {
		if got := slipway.ImportedImage(c.host, c.repository); got != c.want {
			t.Errorf("%s of %s is %s, want %s", c.repository, c.host, got, c.want)
		}
	}
}
