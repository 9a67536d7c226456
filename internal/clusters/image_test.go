package clusters

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
)

const (
	webDigest = slipway.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	dbDigest  = slipway.Digest("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
)

// registryOf resolves the images of localhost:8080 that it is given, by HOST/PATH:TAG, and those that are named
// without a host and lie in library/.
func registryOf(images map[string]slipway.Digest) Resolver {
	return func(_ context.Context, reference string) (string, error) {
		full := reference
		if !strings.Contains(reference, "/") {
			full = "localhost:8080/library/" + reference
		}
		d, ok := images[full]
		name := full[:strings.LastIndex(full, ":")]
		switch {
		case ok:
			return name + "@" + string(d), nil
		case strings.HasPrefix(reference, "localhost:8080/"):
			return "", slipway.NotFound("there is no image %s", reference)
		}
		return "", nil
	}
}

func TestParseImage(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]imageName{
		"postgres:15":                             {path: "postgres", tag: "15"},
		"sample/web":                              {path: "sample/web"},
		"localhost/web":                           {host: "localhost", path: "web"},
		"localhost:8080/sample/web:7":             {host: "localhost:8080", path: "sample/web", tag: "7"},
		"registry.example.com/a/b/c":              {host: "registry.example.com", path: "a/b/c"},
		"host:5000/web":                           {host: "host:5000", path: "web"},
		"a.io/web:1@" + string(webDigest):         {host: "a.io", path: "web", tag: "1", digest: webDigest},
		"localhost:8080/web@" + string(webDigest): {host: "localhost:8080", path: "web", digest: webDigest},
		"  localhost:8080/sample/web:7\t":         {host: "localhost:8080", path: "sample/web", tag: "7"},
	} {
		got, err := parseImage(text)
		if err != nil || got != want {
			t.Errorf("parseImage(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a@sha256:1", "${PROJECT}/web", "a b"} {
		if _, err := parseImage(text); slipway.CodeOf(err) != slipway.CodeInvalid {
			t.Errorf("parseImage(%q): %v, want invalid", text, err)
		}
	}
}

func TestImagesAreReplacedAndPinned(t *testing.T) {
	t.Parallel()
	objects, err := parse([]File{{Name: "f", Content: []byte(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers: [{name: wait, image: "sample/web:old"}]
      containers:
        - {name: web, image: "sample/web"}
        - {name: proxy, image: "example.com/proxy:2"}
        - {name: cache, image: "redis:7"}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: night}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: job, image: "localhost:8080/sample/db:1"}]}}}}}
`)}})
	if err != nil {
		t.Fatal(err)
	}
	resolve := registryOf(map[string]slipway.Digest{"localhost:8080/sample/web:7": webDigest, "localhost:8080/sample/db:1": dbDigest,
		"localhost:8080/library/redis:7": dbDigest})
	set, err := newImageSet(context.Background(), []string{"localhost:8080/sample/web:7", ""}, resolve)
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceImages(context.Background(), objects, set); err != nil {
		t.Fatal(err)
	}
	want := []Image{
		{Repository: "proxy", Reference: "example.com/proxy:2"},
		{Repository: "library/redis", Reference: "localhost:8080/library/redis@" + string(dbDigest), Digest: dbDigest},
		{Repository: "sample/db", Reference: "localhost:8080/sample/db@" + string(dbDigest), Digest: dbDigest},
		{Repository: "sample/web", Reference: "localhost:8080/sample/web@" + string(webDigest), Digest: webDigest},
	}
	if diff := cmp.Diff(want, set.list()); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	var got []string
	for _, o := range objects {
		for _, c := range containers(podSpec(o.Unstructured)) {
			got = append(got, c["image"].(string))
		}
	}
	if diff := cmp.Diff([]string{want[3].Reference, want[3].Reference, want[0].Reference, want[1].Reference, want[2].Reference}, got); diff != "" {
		t.Errorf("in the manifests (-want +got):\n%s", diff)
	}
	if _, err := newImageSet(context.Background(), []string{"localhost:8080/sample/nope:1"}, resolve); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("an image that is not there: %v, want not found", err)
	}
}

// Images that are not admitted are chosen, and nothing is applied: no cluster is asked.
func TestAdmit(t *testing.T) {
	t.Parallel()
	s := &Service{resolve: registryOf(map[string]slipway.Digest{"localhost:8080/sample/web:7": webDigest})}
	refusal := slipway.Forbidden("not this one")
	var asked []Image
	manifest := File{Name: "web.yaml", Content: []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: sample/web}]}\n")}
	result, err := s.Apply(t.Context(), Target{Namespace: "n", Environment: 1, Deployment: 1}, []File{manifest}, Options{Images: []string{"localhost:8080/sample/web:7"},
		Admit: func(_ context.Context, images []Image) error { asked = images; return refusal }}, nil)
	if !errors.Is(err, refusal) || len(result.Objects) != 0 {
		t.Errorf("%+v, %v", result, err)
	}
	if diff := cmp.Diff([]Image{{Repository: "sample/web", Reference: "localhost:8080/sample/web@" + string(webDigest), Digest: webDigest}}, asked); diff != "" {
		t.Errorf("asked about (-want +got):\n%s", diff)
	}
}
