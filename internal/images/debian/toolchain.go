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

// GoToolchain is the Go that is installed on the machine, at /usr/local/go, without tests, test data and documents, and with
// the standard library compiled: the first build in a fresh container is then a minute of two processors shorter. The
// go command uses what is compiled when GODEBUG has installgoroot=all, and as long as CGO_ENABLED is 0.
// root is its folder, `go env GOROOT` when empty.
func GoToolchain(root string) Layer { return toolchainLayer{root, "std"} }

type toolchainLayer struct {
	folder  string
	library string // the packages that are compiled
}

func (toolchainLayer) title() string { return "Go toolchain" }

func (l toolchainLayer) root(ctx context.Context) (string, error) {
	if l.folder != "" {
		return l.folder, nil
	}
	return goVariable(ctx, "GOROOT")
}

// goVariable is what the installed Go says about itself.
func goVariable(ctx context.Context, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", name)
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
	return keyOf("go with compiled library", recipe, runtime.GOARCH, string(version), program, l.library), nil
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
	work, err := os.MkdirTemp(i.folder, "go-")
	if err != nil {
		return fmt.Errorf("make folder for Go's library: %w", err)
	}
	defer os.RemoveAll(work)
	if err := i.compileLibrary(ctx, work, root, l.library); err != nil {
		return err
	}
	if err := t.copyFolder("usr/local/go/pkg/"+goTarget(), filepath.Join(work, "go", "pkg", goTarget()), func(string, fs.DirEntry) bool { return false }); err != nil {
		return fmt.Errorf("read Go's library: %w", err)
	}
	return i.store(key, l.title(), t)
}

// goTarget is where a toolchain keeps what is compiled for this machine.
func goTarget() string { return "linux_" + runtime.GOARCH }

// compileLibrary compiles packages of the standard library in a copy of the toolchain: the machine's own stays as it is.
// Its build cache is used, since most of the library has been compiled for Slipway's own programs.
func (i *Importer) compileLibrary(ctx context.Context, work, root, packages string) error {
	i.progress("Go toolchain: compiling the standard library")
	cache, err := goVariable(ctx, "GOCACHE")
	if err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(work, "go"), os.DirFS(root)); err != nil {
		return fmt.Errorf("copy %s: %w", root, err)
	}
	program := filepath.Join(work, "go", "bin", "go")
	cmd := exec.CommandContext(ctx, program, "install", packages)
	cmd.Dir = work
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + work, "GOROOT=" + filepath.Join(work, "go"), "GOCACHE=" + cache,
		"GOENV=off", "GOFLAGS=", "GOTOOLCHAIN=local", "CGO_ENABLED=0", installedLibrary}
	return i.run(cmd, "Go's standard library")
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
