package folder

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	if root, ci := f.List(""), f.List("ci"); !slices.Contains(root, "big.yml") || !slices.Equal(ci, []string{"p.yml"}) || f.List("..") != nil || f.List("no") != nil {
		t.Errorf("%q and %q", root, ci)
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

// Without .git the working directory is the repository of what lies below it.
func TestAroundWithoutGit(t *testing.T) {
	top, elsewhere := t.TempDir(), t.TempDir()
	for _, file := range []string{filepath.Join(top, "ci/p.yml"), filepath.Join(top, "templates/t.yml"), filepath.Join(elsewhere, "a/p.yml")} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("steps: []"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(top)
	for _, c := range []struct {
		name, home, file, top, relative string
	}{
		{"below the working directory", "/home", "ci/p.yml", top, "ci/p.yml"},
		{"elsewhere", "/home", filepath.Join(elsewhere, "a/p.yml"), filepath.Join(elsewhere, "a"), "p.yml"},
		{"the working directory is home", top, "ci/p.yml", filepath.Join(top, "ci"), "p.yml"},
	} {
		t.Setenv("HOME", c.home)
		f, relative, err := Around(c.file)
		if err != nil {
			t.Fatal(err)
		}
		if f.Path != c.top || relative != c.relative || !strings.Contains(f.Bounds(), "which is "+c.top+", since no folder above the file holds .git") {
			t.Errorf("%s: %s in %s, %s", c.name, relative, f.Path, f.Bounds())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	if err := os.MkdirAll(filepath.Join(top, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, relative, err := Within(top, filepath.Join(top, "a/b/p.yml"))
	if err != nil || relative != "a/b/p.yml" || f.Bounds() != "" {
		t.Errorf("%s %v", relative, err)
	}
	if _, _, err := Within(filepath.Join(top, "a/b"), filepath.Join(top, "a/p.yml")); err == nil || !strings.Contains(err.Error(), "does not lie below") {
		t.Errorf("a file outside: %v", err)
	}
}
