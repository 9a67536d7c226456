package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// image is an image of a registry.
type image struct {
	*remote.Repository
	name      string // as docker writes it, without tag and digest
	reference string // tag or digest
}

// remoteImage finds where an image is. Slipway's own registry is reached at the server's address, whatever it is called in names.
func (p program) remoteImage(s string) (image, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return image{}, slipway.Invalid("%q is not an image's name: %v", s, err)
	}
	i := image{name: reference.FamiliarName(named)}
	switch n := reference.TagNameOnly(named).(type) {
	case reference.Digested:
		i.reference = n.Digest().String()
	case reference.Tagged:
		i.reference = n.Tag()
	}
	domain := reference.Domain(named)
	host, plain := domain, localHost(domain)
	if own := p.getenv("SLIPWAY_REGISTRY_HOST"); own != "" && own == domain {
		base, err := url.Parse(p.getenv("SLIPWAY_URL"))
		if err != nil || base.Host == "" {
			return image{}, slipway.Unavailable("no server is named: SLIPWAY_URL is set in Slipway's jobs only")
		}
		host, plain = base.Host, base.Scheme == "http"
	}
	if i.Repository, err = remote.NewRepository(host + "/" + reference.Path(named)); err != nil {
		return image{}, slipway.Invalid("%q is not an image's name: %v", s, err)
	}
	i.PlainHTTP = plain
	user, password := p.credentials(domain)
	client := &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache()}
	if user != "" || password != "" {
		client.Credential = func(context.Context, string) (auth.Credential, error) {
			return auth.Credential{Username: user, Password: password}, nil
		}
	}
	i.Client = client
	return i, nil
}

// localHost reports whether a registry is spoken to without TLS, as docker has it.
func localHost(domain string) bool {
	host, _, err := net.SplitHostPort(domain)
	if err != nil {
		host = domain
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// registryError says what the registry answered, in a sentence.
func registryError(doing string, err error) error {
	var answer *errcode.ErrorResponse
	if errors.As(err, &answer) {
		why := http.StatusText(answer.StatusCode)
		if len(answer.Errors) > 0 && answer.Errors[0].Message != "" {
			why = answer.Errors[0].Message
		}
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return slipway.Forbidden("%s: the registry refused: %s", doing, why)
		case http.StatusNotFound:
			return slipway.NotFound("%s: the registry does not have it", doing)
		}
		return fmt.Errorf("%s: the registry answered %d: %s", doing, answer.StatusCode, why)
	}
	if errors.Is(err, errdef.ErrNotFound) {
		return slipway.NotFound("%s: the registry does not have it", doing)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// maxManifest bounds a manifest or configuration that is read.
const maxManifest = 8 << 20

// manifest reads what the image's name means.
func (i image) manifest(ctx context.Context) (ocispec.Descriptor, []byte, error) {
	doing := "read " + i.String()
	d, body, err := i.FetchReference(ctx, i.reference)
	if err != nil {
		return d, nil, registryError(doing, err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	if err != nil {
		return d, nil, registryError(doing, err)
	}
	if len(b) > maxManifest || digest.FromBytes(b) != d.Digest {
		return d, nil, fmt.Errorf("%s: what the registry sent is not what its digest says", doing)
	}
	return d, b, nil
}

// String is the image's whole name.
func (i image) String() string {
	if strings.Contains(i.reference, ":") {
		return i.name + "@" + i.reference
	}
	return i.name + ":" + i.reference
}

// pull does `docker pull`: as there is no engine that would keep the image, it is looked up and its digest remembered, so that
// tag, push and inspect mean this very image.
func (p program) pull(ctx context.Context, args []string) error {
	flags := p.flags("pull")
	quiet := flags.BoolP("quiet", "q", false, "print the image's name alone")
	flags.String("platform", "", "nothing to do: all platforms are meant")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() != 1 {
		return usageError{errors.New("docker pull needs exactly one argument, the image's name")}
	}
	i, err := p.remoteImage(flags.Arg(0))
	if err != nil {
		return err
	}
	at := i
	if mirrored, ok := p.mirrored(ctx, flags.Arg(0)); ok {
		at = mirrored
	}
	d, err := at.Resolve(ctx, at.reference)
	if err != nil {
		return registryError("pull "+i.String(), err)
	}
	r := recipe{Remote: at.name + "@" + d.Digest.String(), Tags: []string{i.String()}, Digest: slipway.Digest(d.Digest), Built: time.Now().UTC()}
	if err := p.remember(r); err != nil {
		return err
	}
	if *quiet {
		_, err = fmt.Fprintln(p.stdout, i)
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "Digest: %s\nStatus: %s is known to this job; no layer was fetched, since there is no engine to keep it in\n%s\n", d.Digest, i, i)
	return err
}

// copyRemote pushes an image that was pulled: from registry to registry, with all platforms and under its own digest.
func (p program) copyRemote(ctx context.Context, r recipe, name string, quiet bool) error {
	source, err := p.remoteImage(r.Remote)
	if err != nil {
		return err
	}
	target, err := p.remoteImage(name)
	if err != nil {
		return err
	}
	d, err := copyImage(ctx, source, target)
	if err != nil {
		return err
	}
	return p.pushed(target, d, quiet)
}

// copyImage copies with all that an index names; layers of the same registry are mounted.
func copyImage(ctx context.Context, source, target image) (ocispec.Descriptor, error) {
	options := oras.DefaultCopyOptions
	if source.Reference.Registry == target.Reference.Registry {
		options.MountFrom = func(context.Context, ocispec.Descriptor) ([]string, error) {
			return []string{source.Reference.Repository}, nil
		}
	}
	d, err := oras.Copy(ctx, source.Repository, source.reference, target.Repository, target.reference, options)
	if err != nil {
		return d, registryError(fmt.Sprintf("copy %s to %s", source, target), err)
	}
	return d, nil
}

// config reads the configuration of an image, of an index that of this machine's platform.
func (i image) config(ctx context.Context, platform string) (ocispec.Descriptor, map[string]any, error) {
	d, b, err := i.manifest(ctx)
	if err != nil {
		return d, nil, err
	}
	if isIndex(d.MediaType) {
		var index ocispec.Index
		if err := json.Unmarshal(b, &index); err != nil {
			return d, nil, fmt.Errorf("read %s: %w", i, err)
		}
		one, err := ofPlatform(index, platform)
		if err != nil {
			return d, nil, err
		}
		if b, err = content.FetchAll(ctx, i.Repository, one); err != nil {
			return d, nil, registryError("read "+i.String(), err)
		}
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return d, nil, fmt.Errorf("read %s: %w", i, err)
	}
	if m.Config.Size > maxManifest {
		return d, nil, slipway.Limit("the configuration of %s is larger than %d bytes", i, maxManifest)
	}
	raw, err := content.FetchAll(ctx, i.Blobs(), m.Config)
	if err != nil {
		return d, nil, registryError("read the configuration of "+i.String(), err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil {
		return d, nil, fmt.Errorf("read the configuration of %s: %w", i, err)
	}
	var size int64
	for _, l := range m.Layers {
		size += l.Size
	}
	out["id"], out["size"] = m.Config.Digest.String(), size
	return d, out, nil
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == "application/vnd.docker.distribution.manifest.list.v2+json"
}

// ofPlatform finds a platform's manifest.
func ofPlatform(index ocispec.Index, platform string) (ocispec.Descriptor, error) {
	var have []string
	for _, m := range index.Manifests {
		if m.Platform == nil || m.Platform.OS == "unknown" {
			continue
		}
		name := m.Platform.OS + "/" + m.Platform.Architecture
		if name == platform || m.Platform.Variant != "" && name+"/"+m.Platform.Variant == platform {
			return m, nil
		}
		have = append(have, name)
	}
	return ocispec.Descriptor{}, slipway.NotFound("the image is not there for %s: it has %s", platform, strings.Join(have, ", "))
}
