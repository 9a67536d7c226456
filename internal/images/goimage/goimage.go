// Package goimage makes images of Go programs without a Dockerfile: it compiles the program on this machine, as one static file for each
// platform, and has the builder put it on a base image.
package goimage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slipway"
	"slipway/internal/images"
)

// Options say what to make.
type Options struct {
	Dir       string   // the module's folder
	Package   string   // as ./cmd/app
	Base      string   // the image that the program is put on; "" is scratch, which holds nothing else
	Platforms []string // as linux/amd64; none is this machine's
	Ldflags   string   // for the linker, as "-X main.version=7"
}

// Prepare compiles the program and gives the build of its image, to which the caller adds names, outputs and credentials. done
// removes what was compiled. A program that does not compile is a Problem of code invalid with the compiler's words.
func Prepare(ctx context.Context, o Options) (_ images.Options, done func(), err error) {
	if len(o.Platforms) == 0 {
		o.Platforms = []string{images.OwnPlatform()}
	}
	name, err := command(o)
	if err != nil {
		return images.Options{}, nil, err
	}
	dir, err := os.MkdirTemp("", "goimage-")
	if err != nil {
		return images.Options{}, nil, fmt.Errorf("make a folder for the program: %w", err)
	}
	for _, platform := range o.Platforms {
		if err := compile(ctx, o, platform, filepath.Join(dir, platform, name)); err != nil {
			os.RemoveAll(dir)
			return images.Options{}, nil, err
		}
	}
	entrypoint, err := json.Marshal([]string{"/app/" + name})
	if err != nil {
		os.RemoveAll(dir)
		return images.Options{}, nil, fmt.Errorf("name the program: %w", err)
	}
	base := o.Base
	if base == "" {
		base = "scratch"
	}
	dockerfile := fmt.Sprintf("FROM %s\nARG TARGETPLATFORM\nCOPY ${TARGETPLATFORM} /app/\nENV PATH=/app:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nENTRYPOINT %s\n", base, entrypoint)
	return images.Options{ContextDir: dir, DockerfileText: dockerfile, Platforms: o.Platforms}, func() { os.RemoveAll(dir) }, nil
}

// command is what the program is called: the last part of the package's path.
func command(o Options) (string, error) {
	if strings.ContainsAny(o.Base, " \n") {
		return "", slipway.Invalid("%q is no name of an image", o.Base)
	}
	dir := o.Package
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(o.Dir, dir)
	}
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return "", slipway.NotFound("there is no folder of a Go program at %s: write one of the module, as ./cmd/app", dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the program: %w", err)
	}
	return filepath.Base(abs), nil
}

func compile(ctx context.Context, o Options, platform, out string) error {
	parts := strings.Split(platform, "/")
	if len(parts) < 2 {
		return slipway.Invalid("the platform %q is not OS/ARCHITECTURE, as linux/amd64", platform)
	}
	args := []string{"build", "-trimpath", "-o", out}
	if o.Ldflags != "" {
		args = append(args, "-ldflags", o.Ldflags)
	}
	pkg := o.Package
	if !filepath.IsAbs(pkg) && !strings.HasPrefix(pkg, ".") {
		pkg = "./" + pkg
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = o.Dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+parts[0], "GOARCH="+parts[1])
	if len(parts) == 3 && parts[1] == "arm" {
		cmd.Env = append(cmd.Env, "GOARM="+strings.TrimPrefix(parts[2], "v"))
	}
	text, err := cmd.CombinedOutput()
	if err != nil {
		return slipway.Invalid("go build of %s for %s: %v\n%s", o.Package, platform, err, strings.TrimSpace(string(text)))
	}
	if fi, err := os.Stat(out); err != nil || fi.Mode()&0o111 == 0 {
		return slipway.Invalid("%s is no program: name a package main", o.Package)
	}
	return nil
}
