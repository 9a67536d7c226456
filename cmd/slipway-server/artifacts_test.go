package main

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"slipway/internal/pipelines"
)

func TestArtifactsCommand(t *testing.T) {
	t.Parallel()
	s, data := served(t, "trigger: none\nsteps:\n- bash: x\n")
	c, ctx, folder := commandTest{t, data}, context.Background(), t.TempDir()
	r, err := s.Queue(ctx, pipelines.QueueRequest{Pipeline: 1})
	if err != nil {
		t.Fatal(err)
	}
	tl, err := s.Timeline(ctx, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	c.says("run 1 has no artifacts", "artifacts", "list", "1")
	c.fails("run 1 has no artifacts", "artifacts", "download", "1")
	var drop bytes.Buffer
	w := tar.NewWriter(&drop)
	for _, h := range []*tar.Header{{Name: "bin/tool", Size: 3, Mode: 0o755}, {Name: "ü.txt", Size: 3, Mode: 0o644}} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutArtifact(ctx, tl.Stages[0].Jobs[0].ID, "drop", &drop); err != nil {
		t.Fatal(err)
	}

	mine := filepath.Join(folder, "mine")
	if err := os.MkdirAll(filepath.Join(mine, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mine, "sub", "numbers.csv"), []byte("1,2"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.says("my numbers is uploaded: 1 files, 3 bytes", "artifacts", "upload", "1", "my numbers", mine)
	c.fails(`artifact "My Numbers" exists already in run 1`, "artifacts", "upload", "1", "My Numbers", mine)
	c.fails(`artifact "DROP" exists already in run 1`, "artifacts", "upload", "1", "DROP", mine)
	c.fails("there is no file or folder", "artifacts", "upload", "1", "x", filepath.Join(folder, "none"))
	c.fails("there is no run 2", "artifacts", "upload", "2", "x", mine)
	c.says("my numbers  3      ada", "artifacts", "list", "1")

	out := filepath.Join(folder, "out")
	c.says("drop: 2 files in "+filepath.Join(out, "drop"), "artifacts", "download", "1", "--to", out)
	for path, mode := range map[string]os.FileMode{"drop/bin/tool": 0o755, "drop/ü.txt": 0o644, "my numbers/sub/numbers.csv": 0o644} {
		info, err := os.Stat(filepath.Join(out, path))
		if err != nil || info.Size() != 3 || info.Mode().Perm()&0o700 != mode&0o700 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	c.fails(`run 1 has no artifact "other"`, "artifacts", "download", "1", "other", "--to", out)
}
