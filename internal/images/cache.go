package images

import (
	"strings"

	"slipway"

	"github.com/moby/buildkit/client"
)

// Cache is one external cache: Type registry, local or inline, and its attributes.
type Cache struct {
	Type       string            `json:"type"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// ParseCache reads docker's `--cache-from` and `--cache-to`: comma-separated KEY=VALUE with a
// type, or a plain image name, which means type=registry.
func ParseCache(s string) (Cache, error) {
	if s == "" {
		return Cache{}, slipway.Invalid("a cache must be named: write type=registry,ref=NAME")
	}
	if !strings.Contains(s, "=") {
		return Cache{Type: "registry", Attributes: map[string]string{"ref": s}}, nil
	}
	attributes, err := parsePairs("cache", s)
	if err != nil {
		return Cache{}, err
	}
	c := Cache{Type: attributes["type"], Attributes: attributes}
	delete(attributes, "type")
	switch c.Type {
	case "registry", "local", "inline":
		return c, nil
	case "":
		return Cache{}, slipway.Invalid("cache %q has no type: write type=registry,ref=NAME", s)
	case "gha", "s3", "azblob":
		return Cache{}, slipway.Unsupported("cache type %q is another service's and is not supported: the builder keeps its own cache between runs; to share one, write type=registry,ref=NAME", c.Type)
	}
	return Cache{}, slipway.Unsupported("cache type %q is not supported: use registry, local or inline", c.Type)
}

func cacheEntries(caches []Cache) []client.CacheOptionsEntry {
	var out []client.CacheOptionsEntry
	for _, c := range caches {
		out = append(out, client.CacheOptionsEntry{Type: c.Type, Attrs: c.Attributes})
	}
	return out
}
