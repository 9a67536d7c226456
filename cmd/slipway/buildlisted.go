package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/api"
	"slipway/internal/images"
	"slipway/internal/pipelines/mask"
)

// list makes the server list the build while it runs, and gives the context that ends when somebody cancels it there. A builder of this machine
// builds unlisted, and so does everything if the server keeps no list.
func (o *buildOptions) list(ctx context.Context, own access, project string, errs io.Writer) (*images.Telling, context.Context) {
	if o.builder != "" {
		return nil, ctx
	}
	var secrets mask.Masker
	secrets.Add(own.Token)
	for _, id := range slices.Sorted(maps.Keys(o.Secrets)) {
		secrets.Add(string(o.Secrets[id]))
	}
	listed, inner, err := images.Tell(ctx, own.call, "/"+url.PathEscape(project)+api.ImageBuildsPath, secrets.Mask,
		images.Report{Tags: o.Tags, Target: o.Target, Platforms: o.Platforms})
	if err != nil {
		fmt.Fprintf(errs, "WARN: the server does not list this build: %v\n", err)
		return nil, ctx
	}
	return listed, inner
}

// report is what the server remembers of the build.
func (o *buildOptions) report(ctx context.Context, own access, result images.Result) *images.Report {
	r := images.Report{Tags: o.Tags, Target: o.Target, Platforms: o.Platforms, Digest: result.Digest, Summary: result.Summary}
	if o.Push && len(o.Tags) > 0 && result.Digest != "" && own.URL != "" {
		r.Bytes, r.Layers = own.pushedSize(ctx, o.Tags[0], string(result.Digest))
	}
	return &r
}

// pushedSize are the bytes and the number of the layers of an image in the server's registry, all platforms together; zero for other registries.
func (a access) pushedSize(ctx context.Context, tag, digest string) (bytes int64, layers int) {
	at, err := url.Parse(a.URL)
	if err != nil || !strings.HasPrefix(tag, at.Host+"/") {
		return 0, 0
	}
	named, err := name.ParseReference(tag, a.registryOptions()...)
	if err != nil {
		return 0, 0
	}
	got, err := remote.Get(named.Context().Digest(digest), remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: "slipway", Password: a.Token}))
	if err != nil {
		return 0, 0
	}
	seen := map[v1.Hash]bool{}
	add := func(i v1.Image) {
		m, err := i.Manifest()
		if err != nil {
			return
		}
		for _, l := range m.Layers {
			if !seen[l.Digest] {
				seen[l.Digest] = true
				bytes += l.Size
			}
		}
	}
	if !got.MediaType.IsIndex() {
		if i, err := got.Image(); err == nil {
			add(i)
		}
		return bytes, len(seen)
	}
	index, err := got.ImageIndex()
	if err != nil {
		return 0, 0
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return 0, 0
	}
	for _, m := range manifest.Manifests {
		if m.Platform != nil && m.Platform.OS == "unknown" { // an attestation
			continue
		}
		if i, err := index.Image(m.Digest); err == nil {
			add(i)
		}
	}
	return bytes, len(seen)
}

// registryOptions say how the server's registry is reached.
func (a access) registryOptions() []name.Option {
	if strings.HasPrefix(a.URL, "http://") {
		return []name.Option{name.Insecure}
	}
	return nil
}
