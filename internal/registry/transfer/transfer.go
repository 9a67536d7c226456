// Package transfer carries images between registries, archives and folders: into a registry from what `docker save`
// wrote, from OCI layouts (image specification, image-layout.md) and from other registries, and out of it into an OCI
// layout in one tar file. It is the command line's and works by HTTP alone; the registry checks every byte.
//
// What an image names is copied before the image, and its name last, so that whoever is interrupted leaves no half image
// and can begin again. What is there already is not sent again.
package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// Options say what of an image is carried.
type Options struct {
	Platforms []string // `linux/amd64`, `linux/arm64/v8`; empty: all
	Referrers bool     // signatures, SBOMs and whatever else is about an image
	// Progress hears of each content that was carried; nil for nobody.
	Progress func(name string, d ocispec.Descriptor)
}

// Result is an image that was carried.
type Result struct {
	Name      string // `shop/web:1`
	Digest    digest.Digest
	Copied    int   // contents
	Bytes     int64 // of those
	Skipped   int   // that were there already
	Referrers int
}

// Registry is where a registry is and who calls it.
type Registry struct {
	URL                string // http://HOST:PORT or https://HOST
	Username, Password string
}

// maxManifest bounds what is read of a manifest, in bytes.
const maxManifest = 4 << 20

const (
	typeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	typeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
)

// repository is a repository of the registry.
func (r Registry) repository(name string) (*remote.Repository, error) {
	scheme, host, ok := strings.Cut(r.URL, "://")
	if !ok {
		return nil, fmt.Errorf("%q is not the address of a registry", r.URL)
	}
	repo, err := remote.NewRepository(host + "/" + name)
	if err != nil {
		return nil, fmt.Errorf("image name %q: %w", name, err)
	}
	client := &auth.Client{Client: retry.DefaultClient, Header: http.Header{"User-Agent": {"slipway"}}, Cache: auth.NewCache()}
	if r.Username != "" || r.Password != "" {
		client.Credential = auth.StaticCredential(repo.Reference.Registry, auth.Credential{Username: r.Username, Password: r.Password})
	}
	repo.Client, repo.PlainHTTP, repo.MaxMetadataBytes = client, scheme == "http", maxManifest
	return repo, nil
}

// source is where images come from.
type source interface {
	content.ReadOnlyStorage
	content.PredecessorFinder
}

// carrier copies one image to its target.
type carrier struct {
	from    source
	to      content.Storage
	options Options

	mu     sync.Mutex
	result Result
}

// carry copies what root names, root, and what is about them, and says what the root is now: an index of which only some
// platforms were chosen is another one.
func (c *carrier) carry(ctx context.Context, root ocispec.Descriptor) (ocispec.Descriptor, error) {
	root, from, err := c.choose(ctx, root)
	if err != nil {
		return root, err
	}
	if err := c.copy(ctx, from, root); err != nil {
		return root, err
	}
	if c.options.Referrers {
		err = c.referrers(ctx, from, root, map[digest.Digest]bool{})
	}
	return root, err
}

func (c *carrier) copy(ctx context.Context, from content.ReadOnlyStorage, root ocispec.Descriptor) error {
	options := oras.CopyGraphOptions{Concurrency: 4, MaxMetadataBytes: maxManifest,
		PostCopy: func(_ context.Context, d ocispec.Descriptor) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.result.Copied++
			c.result.Bytes += d.Size
			if c.options.Progress != nil {
				c.options.Progress(c.result.Name, d)
			}
			return nil
		},
		OnCopySkipped: func(context.Context, ocispec.Descriptor) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.result.Skipped++
			return nil
		},
		FindSuccessors: successors,
	}
	if err := oras.CopyGraph(ctx, from, c.to, root, options); err != nil {
		return fmt.Errorf("copy %s: %w", c.result.Name, err)
	}
	return nil
}

// successors is what a manifest names; its subject is not part of it.
func successors(ctx context.Context, from content.Fetcher, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	if !isManifest(d) {
		return nil, nil
	}
	m, err := readManifest(ctx, from, d)
	if err != nil {
		return nil, err
	}
	list := slices.Concat(m.Layers, m.Manifests)
	if m.Config != nil {
		list = append(list, *m.Config)
	}
	return slices.DeleteFunc(list, func(d ocispec.Descriptor) bool { // what need not be in a registry
		return len(d.URLs) > 0 || strings.Contains(d.MediaType, ".foreign.") || strings.Contains(d.MediaType, ".nondistributable.")
	}), nil
}

// referrers copies what is about the root and all that it names, and what is about that.
func (c *carrier) referrers(ctx context.Context, from content.ReadOnlyStorage, root ocispec.Descriptor, seen map[digest.Digest]bool) error {
	if seen[root.Digest] || !isManifest(root) {
		return nil
	}
	seen[root.Digest] = true
	about, err := c.from.Predecessors(ctx, root)
	if err != nil {
		return fmt.Errorf("list what is about %s of %s: %w", root.Digest, c.result.Name, err)
	}
	for _, d := range about {
		m, err := readManifest(ctx, c.from, d)
		if err != nil {
			return err
		}
		if m.Subject == nil || m.Subject.Digest != root.Digest || seen[d.Digest] { // layouts know parents too
			continue
		}
		if err := c.copy(ctx, c.from, d); err != nil {
			return err
		}
		c.result.Referrers++
		if named, ok := c.to.(interface{ note(ocispec.Descriptor) }); ok {
			named.note(d)
		}
		if err := c.referrers(ctx, c.from, d, seen); err != nil {
			return err
		}
	}
	children, err := successors(ctx, from, root)
	if err != nil {
		return err
	}
	for _, d := range children {
		if err := c.referrers(ctx, from, d, seen); err != nil {
			return err
		}
	}
	return nil
}

// manifest is what is read of one, whatever its kind.
type manifest struct {
	MediaType string               `json:"mediaType"`
	Config    *ocispec.Descriptor  `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
	Manifests []ocispec.Descriptor `json:"manifests"`
	Subject   *ocispec.Descriptor  `json:"subject"`
}

func isManifest(d ocispec.Descriptor) bool {
	switch d.MediaType {
	case ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, typeDockerManifest, typeDockerList:
		return true
	}
	return false
}

func isIndex(d ocispec.Descriptor) bool {
	return d.MediaType == ocispec.MediaTypeImageIndex || d.MediaType == typeDockerList
}

func readManifest(ctx context.Context, from content.Fetcher, d ocispec.Descriptor) (m manifest, err error) {
	if d.Size > maxManifest {
		return m, fmt.Errorf("manifest %s has more than %d bytes", d.Digest, maxManifest)
	}
	b, err := content.FetchAll(ctx, from, d)
	if err != nil {
		return m, fmt.Errorf("read manifest %s: %w", d.Digest, err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("manifest %s is not the JSON expected: %w", d.Digest, err)
	}
	return m, nil
}
