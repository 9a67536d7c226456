package images

import (
	"context"

	"google.golang.org/grpc/metadata"
)

// What a request says to the builder's watchers in gRPC metadata (node/builder/README.md, "Watching").
const (
	tagsKey     = "slipway-tags"
	unlistedKey = "slipway-unlisted"
)

// described makes requests of the context say what list of builds they belong to.
func (o Options) described(ctx context.Context) context.Context {
	if o.Unlisted {
		return metadata.AppendToOutgoingContext(ctx, unlistedKey, "true")
	}
	names := o.Tags
	if len(names) == 0 {
		names = o.Pushes
	}
	for _, name := range names {
		ctx = metadata.AppendToOutgoingContext(ctx, tagsKey, name)
	}
	return ctx
}
