package transfer

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"

	"slipway/internal/registry/dockerarchive"
)

// Export writes images of a registry, `shop/web:1` or `shop/web@sha256:…`, into an OCI layout in one tar file, which
// Import, `skopeo copy oci-archive:`, `podman load` and `ctr images import` read. The file is there when all of it is.
// done hears of each image.
func Export(ctx context.Context, from Registry, names []string, file string, o Options, done func(Result)) (err error) {
	out, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	defer func() {
		if err != nil {
			out.Close()
			os.Remove(out.Name())
		}
	}()
	a := newArchive(out)
	for _, called := range names {
		if err := a.add(ctx, from, called, o, done); err != nil {
			return err
		}
	}
	if err := errors.Join(a.finish(), out.Sync(), out.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := errors.Join(os.Chmod(out.Name(), 0o644), os.Rename(out.Name(), file)); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// archive is a storage of contents that writes them into a tar file as they come.
type archive struct {
	mu    sync.Mutex
	out   *tar.Writer
	there map[digest.Digest]bool
	index ocispec.Index
}

func newArchive(w io.Writer) *archive {
	return &archive{out: tar.NewWriter(w), there: map[digest.Digest]bool{},
		index: ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}}
}

// add writes an image and names it in the index.
func (a *archive) add(ctx context.Context, from Registry, called string, o Options, done func(Result)) error {
	_, host, _ := strings.Cut(from.URL, "://")
	repository, tag := split(strings.TrimPrefix(called, host+"/"))
	if repository == "" {
		repository, tag = tag, ""
	}
	if tag == "" {
		tag = "latest"
	}
	repo, err := from.repository(repository)
	if err != nil {
		return err
	}
	root, err := repo.Resolve(ctx, tag)
	if err != nil {
		return fmt.Errorf("find %s: %w", called, err)
	}
	name := repository + separator(tag) + tag
	c := &carrier{from: repo, to: a, options: o, result: Result{Name: name}}
	d, err := c.carry(ctx, root)
	if err != nil {
		return err
	}
	a.index.Manifests = append(a.index.Manifests, ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Platform: d.Platform,
		Annotations: map[string]string{ocispec.AnnotationRefName: name, dockerarchive.AnnotationName: host + "/" + name}})
	c.result.Digest = d.Digest
	done(c.result)
	return nil
}

// note lists what is about an image in the index, without a name: readers find it there.
func (a *archive) note(d ocispec.Descriptor) {
	for _, there := range a.index.Manifests {
		if there.Digest == d.Digest {
			return
		}
	}
	a.index.Manifests = append(a.index.Manifests, ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, ArtifactType: d.ArtifactType})
}

func (a *archive) finish() error {
	index, err := json.Marshal(a.index)
	if err != nil {
		return err
	}
	layout, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{ocispec.ImageLayoutFile, layout}, {ocispec.ImageIndexFile, index}} {
		if err := a.header(f.name, int64(len(f.text))); err != nil {
			return err
		}
		if _, err := a.out.Write(f.text); err != nil {
			return err
		}
	}
	return a.out.Close()
}

func (a *archive) header(name string, size int64) error {
	return a.out.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatPAX})
}

// Exists implements content.Storage.
func (a *archive) Exists(_ context.Context, d ocispec.Descriptor) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.there[d.Digest], nil
}

// Push implements content.Storage. A tar file takes one content after another.
func (a *archive) Push(_ context.Context, d ocispec.Descriptor, r io.Reader) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.there[d.Digest] {
		return fmt.Errorf("%s: %w", d.Digest, errdef.ErrAlreadyExists)
	}
	if err := a.header(ocispec.ImageBlobsDir+"/"+d.Digest.Algorithm().String()+"/"+d.Digest.Encoded(), d.Size); err != nil {
		return err
	}
	verified := content.NewVerifyReader(r, d)
	if _, err := io.Copy(a.out, verified); err != nil {
		return err
	}
	if err := verified.Verify(); err != nil {
		return err
	}
	a.there[d.Digest] = true
	return nil
}

// Fetch implements content.Storage; what has been written is not read again.
func (a *archive) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	return nil, fmt.Errorf("%s: %w", d.Digest, errdef.ErrUnsupported)
}
