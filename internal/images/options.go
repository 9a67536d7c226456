package images

import (
	"context"
	"encoding/csv"
	"net"
	"os"
	"path/filepath"
	"strings"

	"slipway"
)

// Dial opens one connection to a builder.
type Dial func(ctx context.Context) (net.Conn, error)

// Options say what to build. The zero value of each field but ContextDir is a sensible default.
type Options struct {
	ContextDir string // the folder that COPY and ADD read; .dockerignore in it is honoured
	Dockerfile string // path of the Dockerfile, relative to ContextDir or absolute; "" is Dockerfile
	Target     string // the stage to build; "" is the last
	BuildArgs  map[string]string
	Labels     map[string]string
	Secrets    map[string][]byte // for RUN --mount=type=secret,id=KEY; at most 500 KiB each
	Tags       []string          // image names, as registry.example/team/app:1
	Push       bool              // push the image under every tag
	Platforms  []string          // as linux/amd64; none is the builder's own
	Pull       bool              // ask the registry again for base images that are cached
	NoCache    bool
	CacheFrom  []Cache
	CacheTo    []Cache
	// Auth gives the credentials for a registry, "" for none. It is called with the registry's
	// host as the image names write it, from several goroutines.
	Auth func(host string) (user, password string)
}

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
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if err != nil {
		return Cache{}, slipway.Invalid("cache %q: %v", s, err)
	}
	c := Cache{Attributes: map[string]string{}}
	for _, f := range fields {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return Cache{}, slipway.Invalid("cache %q: %q is not KEY=VALUE", s, f)
		}
		if key = strings.ToLower(strings.TrimSpace(key)); key == "type" {
			c.Type = value
		} else {
			c.Attributes[key] = value
		}
	}
	switch c.Type {
	case "registry", "local", "inline":
		return c, nil
	case "":
		return Cache{}, slipway.Invalid("cache %q has no type: write type=registry,ref=NAME", s)
	}
	return Cache{}, slipway.Unsupported("cache type %q is not supported: use registry, local or inline", c.Type)
}

// Result is what was built.
type Result struct {
	Digest       slipway.Digest    // of the image's manifest, or of its index when there are several platforms
	ConfigDigest slipway.Digest    // of the image's configuration; "" when there are several platforms
	Names        []string          // the names it was exported or pushed under
	Attributes   map[string]string // the exporter's whole answer, by BuildKit's names
}

// dockerfile is the Dockerfile's folder and name, checked to be there.
func (o Options) dockerfile() (folder, name string, err error) {
	path := o.Dockerfile
	if path == "" {
		path = "Dockerfile"
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.ContextDir, path)
	}
	fi, err := os.Stat(path)
	if err != nil || fi.IsDir() {
		return "", "", slipway.NotFound("there is no Dockerfile at %s: name it with -f", path)
	}
	return filepath.Dir(path), filepath.Base(path), nil
}

func (o Options) check() error {
	fi, err := os.Stat(o.ContextDir)
	if err != nil || !fi.IsDir() {
		return slipway.NotFound("the build context %q is not a folder", o.ContextDir)
	}
	if o.Push && len(o.Tags) == 0 {
		return slipway.Invalid("an image that is pushed needs a name: give a tag")
	}
	return nil
}
