package debian

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway"
)

// Credentials are for a registry's Basic authentication; empty ones are none.
type Credentials struct{ Username, Password string }

// Push puts the image into a registry under the reference, as localhost:8080/library/golang:1.26, and returns its
// digest. Layers that the registry has are not sent again. A registry without TLS is spoken to without.
func Push(ctx context.Context, image v1.Image, reference string, c Credentials) (slipway.Digest, error) {
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return "", slipway.Invalid("%q is no reference of an image", reference).Because(err)
	}
	auth := authn.Anonymous
	if c.Password != "" {
		auth = &authn.Basic{Username: c.Username, Password: c.Password}
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx), remote.WithAuth(auth), remote.WithJobs(4)); err != nil {
		return "", fmt.Errorf("push %s: %w", reference, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("push %s: %w", reference, err)
	}
	return slipway.Digest(digest.String()), nil
}
