package images

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"slipway"
	"slipway/internal/images/progress"
)

// Dial opens one connection to a builder.
type Dial func(ctx context.Context) (net.Conn, error)

// Options say what to build. The zero value of each field but the context is a sensible default.
type Options struct {
	ContextDir string // the folder that COPY and ADD read; .dockerignore in it is honoured
	// ContextURL is in place of ContextDir: a git repository (https://HOST/NAME.git#REF:FOLDER) or the URL of a tar file, which
	// the builder fetches itself. Dockerfile is then a path in it, unless DockerfileText is given.
	ContextURL     string
	ContextArchive string            // in place of both: a tar file of the context, also compressed by gzip, bzip2 or xz; Dockerfile is a path in it
	Dockerfile     string            // path of the Dockerfile, relative to ContextDir or absolute; "" is Dockerfile
	DockerfileText string            // the Dockerfile itself, in place of a path
	Ignore         []string          // patterns in place of .dockerignore, with DockerfileText alone; nil are those of the file
	Contexts       map[string]string // more contexts by name: a folder, docker-image://NAME, a URL as of ContextURL, or with BuildAll target:NAME
	Target         string            // the stage to build; "" is the last
	BuildArgs      map[string]string
	Labels         map[string]string
	Annotations    map[string]string // of the manifest; a key may begin with manifest:, index: or manifest-descriptor:
	Secrets        map[string][]byte // for RUN --mount=type=secret,id=KEY; at most 500 KiB each
	SSH            []SSH             // for RUN --mount=type=ssh
	Tags           []string          // image names, as registry.example/team/app:1
	Push           bool              // push the image under every tag
	Outputs        []Output          // what else is made of the result; none and no Push keeps it in the builder's cache alone
	RewriteTimes   bool              // files of layers have the time of the build argument SOURCE_DATE_EPOCH if they are younger
	CacheOnly      bool              // nothing is made of the result, not even an image in the cache
	Platforms      []string          // as linux/amd64; none is the builder's own
	Pull           bool              // ask the registry again for base images that are cached
	NoCache        bool
	NoCacheStages  []string // stages that are built again
	CacheFrom      []Cache
	CacheTo        []Cache
	Attestations   []Attestation
	Network        string   // of RUN: "" or none
	Hosts          []string // NAME=ADDRESS, more lines of /etc/hosts in RUN
	Ulimits        []string // NAME=SOFT[:HARD] for RUN
	ShmSize        int64    // bytes of /dev/shm in RUN; 0 is 64 MiB
	// Source and Revision are where the context comes from, for the provenance: a repository's URL and a commit.
	Source, Revision string
	// Auth gives the credentials for a registry, "" for none. It is called with the registry's
	// host as the image names write it, from several goroutines.
	Auth func(host string) (user, password string)
	// Pushes names images that the steps push themselves, in place of Tags, for the list of builds.
	Pushes []string
	// Unlisted is for what is no build of an image to people, as taking files out of one.
	Unlisted bool
	// Status gets BuildKit's own messages, a JSON object a line, when it is not nil.
	Status io.Writer
}

// Result is what was built.
type Result struct {
	Digest       slipway.Digest    // of the image's manifest, or of its index when there are several platforms or attestations
	ConfigDigest slipway.Digest    // of the image's configuration; "" when there are several platforms
	Names        []string          // the names it was exported or pushed under
	Attributes   map[string]string // the exporter's whole answer, by BuildKit's names
	Summary      progress.Summary
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
	if o.ContextArchive != "" {
		if fi, err := os.Stat(o.ContextArchive); err != nil || !fi.Mode().IsRegular() {
			return slipway.NotFound("the build context %q is not a file", o.ContextArchive)
		}
	} else if o.ContextURL == "" {
		fi, err := os.Stat(o.ContextDir)
		if err != nil || !fi.IsDir() {
			return slipway.NotFound("the build context %q is not a folder", o.ContextDir)
		}
	}
	if o.Push && len(o.Tags) == 0 {
		return slipway.Invalid("an image that is pushed needs a name: give a tag")
	}
	if o.Network != "" && o.Network != "none" {
		return slipway.Unsupported("the network %q is not supported in a build: write default, in which steps reach other machines, or none", o.Network)
	}
	for _, h := range o.Hosts {
		name, address, ok := strings.Cut(h, "=")
		if !ok || name == "" || net.ParseIP(address) == nil {
			return slipway.Invalid("the host %q is not NAME:ADDRESS with an IP address", h)
		}
	}
	for name := range o.Contexts {
		if name == "" || strings.ContainsAny(name, "= ") {
			return slipway.Invalid("%q is no name of a build context", name)
		}
	}
	return nil
}

// OwnPlatform is the platform of images for this machine.
func OwnPlatform() string { return "linux/" + runtime.GOARCH }
