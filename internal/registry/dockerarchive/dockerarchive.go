// Package dockerarchive reads the archives that `docker save` wrote before its version 25, and that Bazel, Nix and kaniko write still: a tar file
// with a manifest.json (Docker Image Specification v1.2).
package dockerarchive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ManifestFile is the file of an archive that lists its images.
const ManifestFile = "manifest.json"

// AnnotationName is containerd's annotation for an image's whole name in an index.
const AnnotationName = "io.containerd.image.name"

// maxIndex bounds an index.json, in bytes.
const maxIndex = 4 << 20

// Inspect looks into a tar file: index is the index.json of an OCI layout, nil without one, and docker says that there is a ManifestFile.
func Inspect(file string) (index []byte, docker bool, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return index, docker, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("it is no tar file: %w", err)
		}
		switch path.Clean(h.Name) {
		case ocispec.ImageIndexFile:
			if h.Size > maxIndex {
				return nil, false, fmt.Errorf("its index has more than %d bytes", maxIndex)
			}
			if index, err = io.ReadAll(r); err != nil {
				return nil, false, err
			}
		case ManifestFile:
			docker = true
		}
	}
}

// WriteLayout makes an OCI layout in a folder of an archive's images, each under all of its names. Layers are compressed, which takes the time
// that gzip takes.
func WriteLayout(file, folder string) error {
	open := func() (io.ReadCloser, error) { return os.Open(file) }
	list, err := tarball.LoadManifest(open)
	if err != nil {
		return err
	}
	made, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	for _, one := range list {
		if len(one.RepoTags) == 0 && len(list) > 1 {
			return fmt.Errorf("it holds several images, and one of them without a name: save it by its name")
		}
		var tag *name.Tag
		if len(one.RepoTags) > 0 {
			parsed, err := name.NewTag(one.RepoTags[0])
			if err != nil {
				return fmt.Errorf("image name %q: %w", one.RepoTags[0], err)
			}
			tag = &parsed
		}
		image, err := tarball.Image(open, tag)
		if err != nil {
			return err
		}
		if err := appendImage(made, image, one.RepoTags); err != nil {
			return err
		}
	}
	return nil
}

// appendImage puts an image into a layout under each of its names.
func appendImage(to layout.Path, image v1.Image, names []string) error {
	if len(names) == 0 {
		return to.AppendImage(image)
	}
	for _, called := range names {
		if err := to.AppendImage(image, layout.WithAnnotations(map[string]string{AnnotationName: called})); err != nil {
			return err
		}
	}
	return nil
}
