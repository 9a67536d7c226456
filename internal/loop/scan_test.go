package loop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/clusters"
	"slipway/internal/programtest"
	"slipway/internal/registry"
	"slipway/internal/scans"
)

// fakeScanner finds one grave vulnerability in each image.
const fakeScanner = `#!/bin/sh
case $1 in
inventory) cat >/dev/null; echo '{"packages":[{"name":"openssl","version":"3","type":"deb"}],"spdx":{},"cyclonedx":{}}';;
match) cat >/dev/null; echo '{"findings":[{"id":"CVE-1","severity":"high","package":"openssl","version":"3","fixed":"4"}],"ecosystems":[{"name":"Debian"}]}';;
esac
`

// The policy of the project is asked about images of the registry that go to an environment which it guards.
func TestAdmit(t *testing.T) {
	t.Parallel()
	w := newTrustWorld(t)
	w.Scans.Program = filepath.Join(t.TempDir(), "scanner")
	if err := programtest.Write(w.Scans.Program, fakeScanner); err != nil {
		t.Fatal(err)
	}
	config := w.blob("{}")
	image := w.push(manifestOf(config, `,"layers":[]`), true)
	index := w.push(fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":%q,"digest":%q,"size":9}]}`,
		registry.TypeOCIManifest, image), true)
	w.attest()
	for more := true; more; {
		var err error
		if more, err = w.Scans.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	own := func(d slipway.Digest) clusters.Image {
		return clusters.Image{Repository: w.image.Name, Reference: w.RegistryHost + "/" + w.image.Name + "@" + string(d), Digest: d}
	}
	other := clusters.Image{Repository: "library/nginx", Reference: "docker.io/library/nginx:1"}
	var said []string
	f := func(what, environment string, want slipway.Code, images ...clusters.Image) {
		t.Helper()
		said = nil
		err := w.admit(t.Context(), clusters.Target{Project: w.project, EnvironmentName: environment}, images, func(line string) { said = append(said, line) })
		if (err == nil) != (want == "") || want != "" && slipway.CodeOf(err) != want {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	f("no policy", "production", "", own(image))
	if err := w.Scans.SetPolicy(t.Context(), w.project, scans.Policy{Severity: "high", Environments: []string{"production"}}, w.ada); err != nil {
		t.Fatal(err)
	}
	f("an image", "production", slipway.CodeForbidden, other, own(image))
	f("an index", "production", slipway.CodeForbidden, own(index))
	f("another environment", "dev", "", own(image))
	f("another registry's", "production", "", other)
	f("one that is gone", "production", slipway.CodeNotFound, own("sha256:"+slipway.Digest(strings.Repeat("ab", 32))))
	e := scans.Exception{Vulnerability: "CVE-1", Reason: "never called", Until: time.Now().Add(time.Hour)}
	if err := w.Scans.Accept(t.Context(), w.project, e, w.ada); err != nil {
		t.Fatal(err)
	}
	f("an exception", "production", "", own(image))
	if len(said) != 1 || !strings.Contains(said[0], "CVE-1 in openssl") || !strings.Contains(said[0], "never called") {
		t.Errorf("the exception is told as %q", said)
	}
	w.Scans.Program = "/none"
	later := w.push(manifestOf(config, `,"layers":[],"annotations":{"a":"b"}`), true)
	f("no scanner", "production", slipway.CodeUnavailable, own(later))
}

// What a job pushes gets no tag when the project's policy does not accept it; what is no image has nothing to accept.
func TestGate(t *testing.T) {
	t.Parallel()
	w := newTrustWorld(t)
	w.Scans.Program = filepath.Join(t.TempDir(), "scanner")
	if err := programtest.Write(w.Scans.Program, fakeScanner); err != nil {
		t.Fatal(err)
	}
	image := w.push(manifestOf(w.blob("{}"), `,"layers":[]`), true)
	artifact := w.push(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/x.a","config":`+
		fmt.Sprintf(`{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[]}`, w.blob("{}")), true)
	if err := w.Scans.Want(t.Context(), w.project, w.image.Name, image); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Scans.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	gate := Gate{w.Loop}
	for _, c := range []struct {
		policy scans.Policy
		guards bool
		want   slipway.Code // of the image
	}{
		{scans.Policy{Severity: "high"}, false, slipway.CodeForbidden},
		{scans.Policy{Pushes: true}, false, ""},
		{scans.Policy{Severity: "critical", Pushes: true}, true, ""},
		{scans.Policy{Severity: "high", Pushes: true}, true, slipway.CodeForbidden},
	} {
		if err := w.Scans.SetPolicy(t.Context(), w.project, c.policy, w.ada); err != nil {
			t.Fatal(err)
		}
		guards, err := gate.Guards(t.Context(), w.project)
		if err != nil || guards != c.guards {
			t.Errorf("%+v guards: %v, %v", c.policy, guards, err)
		}
		if err := gate.Admit(t.Context(), w.image, image); (err == nil) != (c.want == "") || err != nil && slipway.CodeOf(err) != c.want {
			t.Errorf("%+v: %v, want %q", c.policy, err, c.want)
		}
		if err := gate.Admit(t.Context(), w.image, artifact); err != nil {
			t.Errorf("%+v, another artifact: %v", c.policy, err)
		}
	}
}
