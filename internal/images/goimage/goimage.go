// Package goimage makes images of Go programs without a Dockerfile: it compiles the program on this machine, as one static file for each
// platform, and has the builder put it on a base image. Settings come from ko's file .ko.yaml in the module's folder if it is there. The
// same source makes the same image: nothing in it holds a time.
package goimage

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"slipway"
	"slipway/internal/images"
)

// Options say what to make.
type Options struct {
	Dir       string   // the module's folder
	Package   string   // as ./cmd/app
	Base      string   // the image that the program is put on; "" is that of .ko.yaml, or scratch, which holds nothing else
	Platforms []string // as linux/amd64; none are those of .ko.yaml, or this machine's
	Ldflags   string   // for the linker, as "-X main.version=7"; "" are those of .ko.yaml
	Env       []string // NAME=VALUE for go build, after those of .ko.yaml
	Flags     []string // of go build, after those of .ko.yaml
}

// dataFolder in a program's folder holds files that it finds below KO_DATA_PATH, as with ko.
const dataFolder = "kodata"

// Prepare compiles the program and gives the build of its image, to which the caller adds names, outputs and credentials. done
// removes what was compiled. A program that does not compile is a Problem of code invalid with the compiler's words.
func Prepare(ctx context.Context, o Options) (_ images.Options, done func(), err error) {
	name, err := command(o)
	if err != nil {
		return images.Options{}, nil, err
	}
	s, err := readSettings(o.Dir)
	if err != nil {
		return images.Options{}, nil, err
	}
	if o, err = s.apply(o, importPath(ctx, o)); err != nil {
		return images.Options{}, nil, err
	}
	if strings.ContainsAny(o.Base, " \n") {
		return images.Options{}, nil, slipway.Invalid("%q is no name of an image", o.Base)
	}
	if len(o.Platforms) == 0 {
		o.Platforms = []string{images.OwnPlatform()}
	}
	dir, err := os.MkdirTemp("", "goimage-")
	if err != nil {
		return images.Options{}, nil, fmt.Errorf("make a folder for the program: %w", err)
	}
	made, err := o.make(ctx, dir, name)
	if err != nil {
		os.RemoveAll(dir)
		return images.Options{}, nil, err
	}
	return made, func() { os.RemoveAll(dir) }, nil
}

// make fills the build context and writes the Dockerfile.
func (o Options) make(ctx context.Context, dir, name string) (images.Options, error) {
	for _, platform := range o.Platforms {
		if err := compile(ctx, o, platform, filepath.Join(dir, platform, name)); err != nil {
			return images.Options{}, err
		}
	}
	entrypoint, err := json.Marshal([]string{"/app/" + name})
	if err != nil {
		return images.Options{}, fmt.Errorf("name the program: %w", err)
	}
	base := o.Base
	if base == "" {
		base = "scratch"
	}
	dockerfile := fmt.Sprintf("FROM %s\nARG TARGETPLATFORM\nCOPY ${TARGETPLATFORM} /app/\nENV PATH=/app:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n", base)
	data := filepath.Join(o.folder(), dataFolder)
	if fi, err := os.Stat(data); err == nil && fi.IsDir() {
		if err := os.CopyFS(filepath.Join(dir, dataFolder), os.DirFS(data)); err != nil {
			return images.Options{}, fmt.Errorf("copy %s: %w", dataFolder, err)
		}
		dockerfile += "COPY " + dataFolder + " /var/run/ko/\nENV KO_DATA_PATH=/var/run/ko\n"
	}
	if err := timeless(dir); err != nil {
		return images.Options{}, err
	}
	return images.Options{ContextDir: dir, DockerfileText: dockerfile + "ENTRYPOINT " + string(entrypoint) + "\n", Platforms: o.Platforms,
		BuildArgs: map[string]string{"SOURCE_DATE_EPOCH": "0"}, RewriteTimes: true}, nil
}

// timeless gives every file one time.
func timeless(dir string) error {
	epoch := time.Unix(0, 0)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, epoch, epoch)
	})
}

// folder is where the program's package lies.
func (o Options) folder() string {
	if filepath.IsAbs(o.Package) {
		return o.Package
	}
	return filepath.Join(o.Dir, o.Package)
}

// command is what the program is called: the last part of the package's path.
func command(o Options) (string, error) {
	dir := o.folder()
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return "", slipway.NotFound("there is no folder of a Go program at %s: write one of the module, as ./cmd/app", dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the program: %w", err)
	}
	return filepath.Base(abs), nil
}

// importPath is the package's, "" if go does not say it; the compiler then says why.
func importPath(ctx context.Context, o Options) string {
	cmd := exec.CommandContext(ctx, "go", "list", "-find", o.argument())
	cmd.Dir = o.Dir
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// argument is the package as go takes it.
func (o Options) argument() string {
	if !filepath.IsAbs(o.Package) && !strings.HasPrefix(o.Package, ".") {
		return "./" + o.Package
	}
	return o.Package
}

func compile(ctx context.Context, o Options, platform, out string) error {
	parts := strings.Split(platform, "/")
	if len(parts) < 2 {
		return slipway.Invalid("the platform %q is not OS/ARCHITECTURE, as linux/amd64", platform)
	}
	args := append([]string{"build", "-trimpath"}, o.Flags...)
	if o.Ldflags != "" {
		args = append(args, "-ldflags", o.Ldflags)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", out, o.argument())...)
	cmd.Dir = o.Dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), o.Env...)
	cmd.Env = append(cmd.Env, "GOOS="+parts[0], "GOARCH="+parts[1])
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
