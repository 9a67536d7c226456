package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"slipway"
	"slipway/internal/pipelines/yaml"
)

func TestAround(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	for path, text := range map[string]string{"r/.git/HEAD": "", "r/ci/p.yml": "steps: []", "r/big.yml": string(make([]byte, yaml.MaxBytes+1)), "secret.yml": "x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(top, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(top, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret.yml", filepath.Join(top, "r/link.yml")); err != nil {
		t.Fatal(err)
	}
	f, relative, err := Around(filepath.Join(top, "r/ci/p.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if relative != "ci/p.yml" || filepath.Base(f.Path) != "r" {
		t.Errorf("%s in %s", relative, f.Path)
	}
	if b, err := f.ReadFile(relative); err != nil || string(b) != "steps: []" {
		t.Errorf("%q %v", b, err)
	}
	if _, err := f.ReadFile("no.yml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := f.ReadFile("ci"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder: %v", err)
	}
	if _, err := f.ReadFile("big.yml"); slipway.CodeOf(err) != slipway.CodeLimit {
		t.Errorf("big: %v", err)
	}
	for _, path := range []string{"link.yml", "../secret.yml"} {
		if b, err := f.ReadFile(path); err == nil {
			t.Errorf("%s is outside and gave %q", path, b)
		}
	}
}
