package images

import (
	"strings"
	"testing"
)

// What BuildKit says of an image that it cannot look up, and what its user reads then. The messages are BuildKit's own.
func TestBaseImage(t *testing.T) {
	t.Parallel()
	const before, asked = "x.example/app:1: failed to resolve source metadata for x.example/app:1: ", "unexpected status from HEAD request to http://localhost:8080/v2/app/manifests/1?ns=x.example: "
	for said, want := range map[string]string{
		"x.example/app:1: not found":                   "is not there: check its name and tag",
		asked + "403 Forbidden":                        "is not shown to the builder",
		asked + "401 Unauthorized":                     "is not shown to the builder",
		asked + "429 Too Many Requests":                "limits how much is asked of it",
		asked + "503 Service Unavailable":              "does not answer",
		"failed to do request: dial tcp: no such host": "does not answer",
		"no match for platform in manifest":            "is not there for this platform",
	} {
		if got := baseImage(before + said); !strings.HasPrefix(got, "the image x.example/app:1 ") || !strings.Contains(got, want) || !strings.HasSuffix(got, said) {
			t.Errorf("%s: %s, want %q", said, got, want)
		}
	}
}
