package images

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"slipway"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/version"
)

// official is the repository of Docker's Dockerfile frontend, whose releases are also built into BuildKit.
const official = "docker.io/docker/dockerfile"

// syntax is the frontend image that the Dockerfile's first lines name, "" for none. A build argument goes before it, as in BuildKit.
func (o Options) syntax() (string, error) {
	if s := o.BuildArgs["BUILDKIT_SYNTAX"]; s != "" {
		s, _, _ = strings.Cut(s, " ")
		return s, nil
	}
	text := []byte(o.DockerfileText)
	if len(text) == 0 {
		if o.ContextURL != "" || o.ContextArchive != "" {
			return "", nil // the builder reads it
		}
		folder, name, err := o.dockerfile()
		if err != nil {
			return "", err
		}
		if text, err = os.ReadFile(filepath.Join(folder, name)); err != nil {
			return "", slipway.Invalid("the Dockerfile cannot be read").Because(err)
		}
	}
	ref, _, _, _ := parser.DetectSyntax(text)
	return ref, nil
}

// isOfficial reports whether the frontend is Docker's own, and whether the one that is built into the builder does as well: a
// stable release of the same version or an older one. That spares a pull from a registry at each build.
func isOfficial(ref string) (itself, builtin bool) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil || named.Name() != official {
		return false, false
	}
	if _, digested := named.(reference.Digested); digested {
		return true, false
	}
	tag := "latest"
	if tagged, ok := named.(reference.Tagged); ok {
		tag = tagged.Tag()
	}
	return true, tag == "latest" || notNewer(tag, version.Version())
}

// notNewer compares versions of up to three numbers; what is left out of asked matches anything.
func notNewer(asked, have string) bool {
	have, _, _ = strings.Cut(have, "-")
	h := strings.Split(have, ".")
	for i, part := range strings.Split(asked, ".") {
		a, err := strconv.Atoi(part)
		if err != nil || i >= len(h) {
			return false
		}
		b, err := strconv.Atoi(h[i])
		if err != nil {
			return false
		}
		if a != b {
			return a < b && i > 0
		}
	}
	return true
}

// withSyntax builds with the frontend that the Dockerfile names. Docker's own is not fetched when the builder's is as new; when
// a newer one cannot be had, the builder's is used with a warning. One of others is an error then.
func withSyntax(ctx context.Context, o Options, warn func(string), build func(builtin string) error) error {
	ref, err := o.syntax()
	if err != nil {
		return err
	}
	itself, builtin := isOfficial(ref)
	if ref == "" || builtin {
		return build(ref)
	}
	err = build("")
	if err == nil || ctx.Err() != nil || !missingImage(err, ref) {
		return err
	}
	if !itself {
		return slipway.Unavailable("the Dockerfile's syntax line names the frontend image %s, which cannot be had: push it to a registry that the builder reaches, or take the line out", ref).Because(err)
	}
	warn("the frontend image " + ref + " of the syntax line cannot be had: the builder's own Dockerfile frontend, version " + version.Version() + ", is used instead")
	return build(ref)
}

// missingImage reports whether BuildKit could not find out what an image is.
func missingImage(err error, ref string) bool {
	named, parseErr := reference.ParseNormalizedNamed(ref)
	if parseErr != nil {
		return false
	}
	return strings.Contains(err.Error(), "failed to resolve source metadata for "+reference.TagNameOnly(named).String())
}
