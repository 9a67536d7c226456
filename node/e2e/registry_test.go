package e2e

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// registry serves one image over the pull half of the OCI distribution specification, to one user only.
type registry struct {
	blobs  map[string][]byte // by digest; the manifest among them
	tag    string
	digest string // of the manifest
	pulls  atomic.Int64
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// newRegistry turns a docker archive of one layer into an OCI image.
func newRegistry(t *testing.T, archive, tag string) *registry {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := &registry{blobs: map[string][]byte{}, tag: tag}
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	add := func(mediaType string, data []byte) descriptor {
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
		r.blobs[digest] = data
		return descriptor{mediaType, digest, len(data)}
	}
	var layer, config descriptor
	for entries := tar.NewReader(f); ; {
		h, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case h.Name == "layer.tar":
			layer = add("application/vnd.oci.image.layer.v1.tar", data)
		case filepath.Ext(h.Name) == ".json" && h.Name != "manifest.json":
			config = add("application/vnd.oci.image.config.v1+json", data)
		}
	}
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": []descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	r.digest = add(manifestType, manifest).Digest
	return r
}

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if user, password, _ := q.BasicAuth(); user != "node" || password != "secret" {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, reference, _ := strings.Cut(q.URL.Path, "/manifests/")
	if reference == "" {
		_, reference, _ = strings.Cut(q.URL.Path, "/blobs/")
	}
	if reference == r.tag {
		reference = r.digest
	}
	data, ok := r.blobs[reference]
	switch {
	case q.URL.Path == "/v2/":
		return
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		return
	case reference == r.digest:
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", r.digest)
		r.pulls.Add(1)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data) // the client's trouble is the client's
}

// serve serves the registry on all addresses, and returns its port: the host's end of the link does not exist before the node.
func (r *registry) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
