// Package goimage makes images of Go programs without a Dockerfile: it compiles the program on this machine, as one static file for each
// platform, and has the builder put it on a base image. Settings come from ko's file .ko.yaml in the module's folder if it is there. The
// same source makes the same image: nothing in it holds a time.
package goimage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/images"
)

// Options say what to make.
type Options struct {
	Dir       string   // the module's folder
	Package   string   // as ./cmd/app, or an import path that go finds from the module
	Base      string   // the image that the program is put on; "" is that of .ko.yaml, or scratch, which holds nothing else
	Platforms []string // as linux/amd64; none are those of .ko.yaml, or this machine's
	Ldflags   string   // for the linker, as "-X main.version=7"; "" are those of .ko.yaml
	Env       []string // NAME=VALUE for go build, after those of .ko.yaml
	Flags     []string // of go build, after those of .ko.yaml
	Folder    string   // where the program is in the image; "" is /app
	User      string   // of the image; "" is the base's
	Settings  string   // the folder of .ko.yaml, or another file in its place, from Dir; "" is Dir
	// DefaultBase is in place of scratch.
	DefaultBase string
	Time        time.Time // of the files and the image; zero is 1970

	dir        string // where the package lies
	importPath string // the package's
	root       string // the folder of the module that finds it
}

// dataFolder in a program's folder holds files that it finds below KO_DATA_PATH, as with ko.
const dataFolder = "kodata"

// Prepare compiles the program and gives the build of its image, to which the caller adds names, outputs and credentials. done
// removes what was compiled. A program that does not compile is a Problem of code invalid with the compiler's words.
func Prepare(ctx context.Context, o Options) (_ images.Options, done func(), err error) {
	s, err := readSettings(o.Dir, o.Settings)
	if err != nil {
		return images.Options{}, nil, err
	}
	if o, err = o.find(ctx, s); err != nil {
		return images.Options{}, nil, err
	}
	name := path.Base(o.importPath)
	if o, err = s.apply(o); err != nil {
		return images.Options{}, nil, err
	}
	o.Folder = cmp.Or(o.Folder, "/app")
	if o.Time.IsZero() {
		o.Time = time.Unix(0, 0)
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
	entrypoint, err := json.Marshal([]string{o.Folder + "/" + name})
	if err != nil {
		return images.Options{}, fmt.Errorf("name the program: %w", err)
	}
	base := cmp.Or(o.Base, o.DefaultBase, "scratch")
	dockerfile := fmt.Sprintf("FROM %s\nARG TARGETPLATFORM\nCOPY ${TARGETPLATFORM} %s/\nENV PATH=%[2]s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n", base, o.Folder)
	if o.User != "" {
		dockerfile += "USER " + o.User + "\n"
	}
	data := filepath.Join(o.dir, dataFolder)
	if fi, err := os.Stat(data); err == nil && fi.IsDir() {
		if err := copyData(data, filepath.Join(dir, dataFolder), 0); err != nil {
			return images.Options{}, err
		}
		dockerfile += "COPY " + dataFolder + " /var/run/ko/\nENV KO_DATA_PATH=/var/run/ko\n"
	}
	if err := timeless(dir, o.Time); err != nil {
		return images.Options{}, err
	}
	return images.Options{ContextDir: dir, DockerfileText: dockerfile + "ENTRYPOINT " + string(entrypoint) + "\n", Platforms: o.Platforms,
		BuildArgs: map[string]string{"SOURCE_DATE_EPOCH": strconv.FormatInt(o.Time.Unix(), 10)}, RewriteTimes: true}, nil
}

// timeless gives every file one time.
func timeless(dir string, epoch time.Time) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(path, epoch, epoch)
	})
}

// maxDataDepth bounds the folders within one another that are copied, since a link may lead up.
const maxDataDepth = 64

// copyData copies a folder with the files that its links name, as ko does.
func copyData(from, to string, depth int) error {
	if depth > maxDataDepth {
		return slipway.Invalid("%s: the folders lie more than %d deep: does a link lead to a folder above it?", from, maxDataDepth)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("copy %s: %w", dataFolder, err)
	}
	list, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", dataFolder, err)
	}
	for _, e := range list {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		fi, err := os.Stat(source) // what a link names
		switch {
		case err != nil:
			return slipway.Invalid("%s: the link leads nowhere", source)
		case fi.IsDir():
			err = copyData(source, target, depth+1)
		case fi.Mode().IsRegular():
			err = copyFile(source, target, fi.Mode().Perm())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", dataFolder, err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("copy %s: %w", dataFolder, err)
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
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
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", out, o.importPath)...)
	cmd.Dir = o.root
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
