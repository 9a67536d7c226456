package inventory

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/osv-scalibr/extractor/filesystem"
)

// What is taken of an image.
const (
	maxImage = 64 << 30 // bytes of its layers as they are stored
	maxFiles = 4_000_000
	maxFile  = 1 << 30 // bytes of one file; larger ones are left out
	maxKept  = 8 << 30 // bytes of the files that are looked into
)

// unpack puts the files that an extractor wants, and those that name the distribution, into a folder below folder.
func unpack(ctx context.Context, archive io.Reader, folder string, all []filesystem.Extractor) (string, error) {
	layoutFolder, files := filepath.Join(folder, "layout"), filepath.Join(folder, "files")
	for _, f := range []string{layoutFolder, files} {
		if err := os.Mkdir(f, 0o700); err != nil {
			return "", fmt.Errorf("make a folder for the image: %w", err)
		}
	}
	everything := func(string, fs.FileInfo) bool { return true }
	if err := untar(ctx, archive, layoutFolder, maxImage, maxImage, everything); err != nil {
		return "", fmt.Errorf("read the image: %w", err)
	}
	image, err := open(layoutFolder)
	if err != nil {
		return "", fmt.Errorf("read the image: %w", err)
	}
	flat := mutate.Extract(image)
	defer flat.Close()
	err = untar(ctx, flat, files, maxFile, maxKept, func(name string, info fs.FileInfo) bool {
		return name == "etc/os-release" || name == "usr/lib/os-release" || wanted(all, file{name, info})
	})
	if err != nil {
		return "", fmt.Errorf("read the image's files: %w", err)
	}
	return files, nil
}

func open(folder string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("the layout has %d images, not one", len(manifest.Manifests))
	}
	return index.Image(manifest.Manifests[0].Digest)
}

// file is one of an image's as extractors are asked about it.
type file struct {
	path string
	info fs.FileInfo
}

func (f file) Path() string               { return f.path }
func (f file) Stat() (fs.FileInfo, error) { return f.info, nil }

func wanted(all []filesystem.Extractor, f file) bool {
	for _, e := range all {
		if e.FileRequired(f) {
			return true
		}
	}
	return false
}

// untar writes the regular files that keep wants and that have up to most bytes. It writes nothing outside of the folder.
func untar(ctx context.Context, archive io.Reader, folder string, most, total int64, keep func(string, fs.FileInfo) bool) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	r := tar.NewReader(archive)
	for n := 0; ; n++ {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if n == maxFiles {
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if h.Typeflag != tar.TypeReg || h.Size > most || !keep(name, h.FileInfo()) {
			continue
		}
		if total -= h.Size; total < 0 {
			return errors.New("it has more to look into than is taken")
		}
		if err := write(root, name, h.FileInfo().Mode().Perm()|0o600, r); err != nil {
			return err
		}
	}
}

func write(root *os.Root, name string, mode fs.FileMode, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
