package debian

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"slipway"
)

// GoToolchain is the Go that is installed on the machine, at /usr/local/go, without tests, test data and documents.
// root is its folder, `go env GOROOT` when empty.
func GoToolchain(root string) Layer { return toolchainLayer{root} }

type toolchainLayer struct{ folder string }

func (toolchainLayer) title() string { return "Go toolchain" }

func (l toolchainLayer) root(ctx context.Context) (string, error) {
	if l.folder != "" {
		return l.folder, nil
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	cmd.Dir = os.TempDir() // no go.mod here may ask for another toolchain
	out, err := cmd.Output()
	if err != nil {
		return "", slipway.Unavailable("Go is not installed: the base image for Go programs is made of it").Because(err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (l toolchainLayer) key(ctx context.Context) (string, error) {
	root, err := l.root(ctx)
	if err != nil {
		return "", err
	}
	version, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return "", fmt.Errorf("read Go's version: %w", err)
	}
	program, err := fileDigest(filepath.Join(root, "bin", "go"))
	if err != nil {
		return "", fmt.Errorf("read Go's program: %w", err)
	}
	return keyOf("go", recipe, runtime.GOARCH, string(version), program), nil
}

func (l toolchainLayer) make(ctx context.Context, i *Importer) error {
	key, err := l.key(ctx)
	if err != nil {
		return err
	}
	root, err := l.root(ctx)
	if err != nil {
		return err
	}
	t := newTree()
	for _, f := range []string{"usr", "usr/local", "go", "go/bin", "go/src"} {
		t.folder(f, 0o755)
	}
	if err := t.copyFolder("usr/local/go", root, unneededOfGo); err != nil {
		return fmt.Errorf("read %s: %w", root, err)
	}
	return i.store(key, l.title(), t)
}

// unneededOfGo leaves out what no build of somebody's program reads.
func unneededOfGo(rel string, d fs.DirEntry) bool {
	switch rel {
	case "test", "doc", "api", "misc", ".git", ".github":
		return true
	}
	if d.IsDir() {
		return d.Name() == "testdata"
	}
	return strings.HasPrefix(rel, "src/") && strings.HasSuffix(rel, "_test.go")
}
