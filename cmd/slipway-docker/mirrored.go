package main

import (
	"context"
	"strings"

	"github.com/distribution/reference"
)

// mirrored is an image of another registry as the job's own has it: an upstream of the server, which keeps copies. It is not ok if the server
// does not have it.
func (p program) mirrored(ctx context.Context, name string) (_ image, ok bool) {
	own := p.getenv("SLIPWAY_REGISTRY_HOST")
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || own == "" || reference.Domain(named) == own || p.getenv("SLIPWAY_URL") == "" {
		return image{}, false
	}
	rest := strings.TrimPrefix(reference.TagNameOnly(named).String(), reference.Domain(named))
	i, err := p.remoteImage(own + "/" + strings.ReplaceAll(reference.Domain(named), ":", "_") + rest)
	if err != nil {
		return image{}, false
	}
	_, err = i.Resolve(ctx, i.reference)
	return i, err == nil
}
