package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"testing"
)

// read returns the files of a tar.
func read(t *testing.T, data []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(content) + h.Linkname
	}
}

// TestWrite checks the parts of the docker archive format against each other: names in the manifest, digests in the configuration.
func TestWrite(t *testing.T) {
	t.Parallel()
	i := Image{Name: "a.test/b:1", Entrypoint: []string{"/b"}, Folders: []string{"var/tmp"},
		Files: []File{{Path: "bin/x", Mode: 0o755, Data: []byte("program")}, {Path: "bin/y", Link: "x"}}}
	var first, second bytes.Buffer
	if err := i.Write(&first); err != nil {
		t.Fatal(err)
	}
	if err := i.Write(&second); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same image gives other bytes")
	}
	files := read(t, first.Bytes())
	var manifest []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal([]byte(files["manifest.json"]), &manifest); err != nil || len(manifest) != 1 || manifest[0].RepoTags[0] != "a.test/b:1" {
		t.Fatalf("manifest %s, %v", files["manifest.json"], err)
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
		Config struct{ Entrypoint []string } `json:"config"`
	}
	if err := json.Unmarshal([]byte(files[manifest[0].Config]), &config); err != nil {
		t.Fatal(err)
	}
	layer := files[manifest[0].Layers[0]]
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(layer))); len(config.RootFS.DiffIDs) != 1 || config.RootFS.DiffIDs[0] != want {
		t.Errorf("diff_ids %v, want %s", config.RootFS.DiffIDs, want)
	}
	if config.Config.Entrypoint[0] != "/b" {
		t.Errorf("entrypoint %v", config.Config.Entrypoint)
	}
	inside := read(t, []byte(layer))
	for name, want := range map[string]string{"bin/": "", "bin/x": "program", "bin/y": "x", "var/": "", "var/tmp/": ""} {
		if got, ok := inside[name]; !ok || got != want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}
