package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// choose leaves the chosen platforms of an index: the image itself when one is left, else an index of them, which the
// storage that is returned holds too.
func (c *carrier) choose(ctx context.Context, root ocispec.Descriptor) (ocispec.Descriptor, content.ReadOnlyStorage, error) {
	if len(c.options.Platforms) == 0 || !isIndex(root) {
		return root, c.from, nil
	}
	raw, err := content.FetchAll(ctx, c.from, root)
	if err != nil {
		return root, nil, fmt.Errorf("read index %s: %w", root.Digest, err)
	}
	var index manifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return root, nil, fmt.Errorf("index %s is not the JSON expected: %w", root.Digest, err)
	}
	kept, images := c.kept(index.Manifests)
	for _, wanted := range c.options.Platforms {
		if !slices.ContainsFunc(images, func(d ocispec.Descriptor) bool { return isPlatform(d.Platform, wanted) }) {
			return root, nil, fmt.Errorf("%s has no image for %s: it has %s", c.result.Name, wanted, strings.Join(platforms(index.Manifests), ", "))
		}
	}
	if len(kept) == len(index.Manifests) {
		return root, c.from, nil
	}
	if len(kept) == 1 {
		return kept[0], c.from, nil
	}
	// All else of the index stays as it is, annotations for instance.
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(raw, &whole); err != nil {
		return root, nil, err
	}
	if whole["manifests"], err = json.Marshal(kept); err != nil {
		return root, nil, err
	}
	made, err := json.Marshal(whole)
	if err != nil {
		return root, nil, err
	}
	d := ocispec.Descriptor{MediaType: root.MediaType, Digest: digest.FromBytes(made), Size: int64(len(made))}
	return d, extra{c.from, d, made}, nil
}

// kept are the chosen images of an index with the attestations that BuildKit put beside them, and the images alone.
func (c *carrier) kept(list []ocispec.Descriptor) (kept, images []ocispec.Descriptor) {
	chosen := map[string]bool{}
	for _, d := range list {
		if slices.ContainsFunc(c.options.Platforms, func(wanted string) bool { return isPlatform(d.Platform, wanted) }) {
			chosen[string(d.Digest)] = true
			images = append(images, d)
		}
	}
	for _, d := range list {
		if chosen[string(d.Digest)] || chosen[d.Annotations["vnd.docker.reference.digest"]] {
			kept = append(kept, d)
		}
	}
	return kept, images
}

func platformText(p *ocispec.Platform) string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// isPlatform reports whether p is the one wanted; without a variant any will do.
func isPlatform(p *ocispec.Platform, wanted string) bool {
	return p != nil && (platformText(p) == wanted || p.OS+"/"+p.Architecture == wanted)
}

func platforms(list []ocispec.Descriptor) []string {
	names := map[string]bool{}
	for _, d := range list {
		if d.Platform != nil && d.Platform.OS != "unknown" {
			names[platformText(d.Platform)] = true
		}
	}
	if len(names) == 0 {
		return []string{"none that it names"}
	}
	return slices.Sorted(maps.Keys(names))
}

// extra is a storage with one content more.
type extra struct {
	content.ReadOnlyStorage
	d    ocispec.Descriptor
	made []byte
}

func (e extra) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if d.Digest == e.d.Digest {
		return io.NopCloser(bytes.NewReader(e.made)), nil
	}
	return e.ReadOnlyStorage.Fetch(ctx, d)
}

func (e extra) Exists(ctx context.Context, d ocispec.Descriptor) (bool, error) {
	if d.Digest == e.d.Digest {
		return true, nil
	}
	return e.ReadOnlyStorage.Exists(ctx, d)
}
