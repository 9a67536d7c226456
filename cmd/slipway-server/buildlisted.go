package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"

	"slipway/internal/api"
	"slipway/internal/images"
	"slipway/internal/images/progress"
	"slipway/internal/pipelines/mask"
)

// list makes the server list the build while it runs, and gives the context that ends when somebody cancels it there. A builder of this machine
// builds unlisted, and so does everything if the server keeps no list.
func (o *buildOptions) list(ctx context.Context, own access, project string, errs io.Writer) (*progress.Telling, context.Context) {
	if o.builder != "" {
		return nil, ctx
	}
	var secrets mask.Masker
	secrets.Add(own.Token)
	for _, id := range slices.Sorted(maps.Keys(o.Secrets)) {
		secrets.Add(string(o.Secrets[id]))
	}
	listed, inner, err := progress.Tell(ctx, own.call, "/"+url.PathEscape(project)+api.ImageBuildsPath, secrets.Mask,
		progress.Report{Tags: o.Tags, Target: o.Target, Platforms: o.Platforms})
	if err != nil {
		fmt.Fprintf(errs, "WARN: the server does not list this build: %v\n", err)
		return nil, ctx
	}
	return listed, inner
}

// report is what the server remembers of the build.
func (o *buildOptions) report(result images.Result) *progress.Report {
	return &progress.Report{Tags: o.Tags, Target: o.Target, Platforms: o.Platforms, Digest: result.Digest, Summary: result.Summary}
}
