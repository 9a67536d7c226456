package images

import (
	"context"
	"fmt"
	"net"
	"strings"

	"slipway"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

// Build builds a Dockerfile at the builder that dial reaches and calls progress, from one
// goroutine, with each Event in order. A fault of the Dockerfile or of one of its steps is a
// slipway.Problem of code invalid with its position; StepExit tells a step's exit code. A
// builder that cannot be reached is a Problem of code unavailable.
//
// Nothing is kept under the tags when Push is false: the image is complete in the builder's
// cache, and a second Build of the same context with Push sends it without building.
func Build(ctx context.Context, dial Dial, o Options, progress func(Event)) (Result, error) {
	if err := o.check(); err != nil {
		return Result{}, err
	}
	solve, err := o.solve()
	if err != nil {
		return Result{}, err
	}
	c, err := connect(ctx, dial)
	if err != nil {
		return Result{}, err
	}
	defer c.Close()

	status := make(chan *client.SolveStatus)
	var response *client.SolveResponse
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		response, err = c.Solve(groupCtx, nil, solve, status)
		return err
	})
	var shown *reporter
	group.Go(func() error {
		shown = newReporter(progress)
		for s := range status {
			shown.update(s)
		}
		shown.flush()
		return nil
	})
	if err := group.Wait(); err != nil {
		return Result{}, explain(ctx, err, shown.failed)
	}
	return newResult(response.ExporterResponse), nil
}

// connect dials once before BuildKit's client does, so that what is wrong with the way to the
// builder (a refused token, a wrong address) is told as it is and not as a gRPC time-out.
func connect(ctx context.Context, dial Dial) (*client.Client, error) {
	first, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	ready := make(chan net.Conn, 1)
	ready <- first
	c, err := client.New(ctx, "", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
		select {
		case conn := <-ready:
			return conn, nil
		default:
			return dial(ctx)
		}
	}))
	if err != nil {
		first.Close()
		return nil, fmt.Errorf("make builder client: %w", err)
	}
	return c, nil
}

func (o Options) solve() (client.SolveOpt, error) {
	folder, name, err := o.dockerfile()
	if err != nil {
		return client.SolveOpt{}, err
	}
	mounts := map[string]fsutil.FS{}
	for key, dir := range map[string]string{"context": o.ContextDir, "dockerfile": folder} {
		if mounts[key], err = fsutil.NewFS(dir); err != nil {
			return client.SolveOpt{}, fmt.Errorf("open %s: %w", dir, err)
		}
	}
	export := map[string]string{"oci-mediatypes": "true"}
	if len(o.Tags) > 0 {
		export["name"] = strings.Join(o.Tags, ",")
	}
	if o.Push {
		export["push"] = "true"
	}
	return client.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: o.frontend(name),
		LocalMounts:   mounts,
		Exports:       []client.ExportEntry{{Type: client.ExporterImage, Attrs: export}},
		CacheImports:  cacheEntries(o.CacheFrom),
		CacheExports:  cacheEntries(o.CacheTo),
		Session:       []session.Attachable{credentials{auth: o.Auth}, secretsprovider.FromMap(o.Secrets)},
	}, nil
}

// frontend is the Dockerfile frontend's attributes (BuildKit, docs/reference/dockerfile frontend).
func (o Options) frontend(dockerfile string) map[string]string {
	a := map[string]string{"filename": dockerfile}
	if o.Target != "" {
		a["target"] = o.Target
	}
	for k, v := range o.BuildArgs {
		a["build-arg:"+k] = v
	}
	for k, v := range o.Labels {
		a["label:"+k] = v
	}
	if len(o.Platforms) > 0 {
		a["platform"] = strings.Join(o.Platforms, ",")
	}
	if o.Pull {
		a["image-resolve-mode"] = "pull"
	}
	if o.NoCache {
		a["no-cache"] = ""
	}
	return a
}

func cacheEntries(caches []Cache) []client.CacheOptionsEntry {
	var out []client.CacheOptionsEntry
	for _, c := range caches {
		out = append(out, client.CacheOptionsEntry{Type: c.Type, Attrs: c.Attributes})
	}
	return out
}

func newResult(response map[string]string) Result {
	r := Result{
		Digest:       slipway.Digest(response["containerimage.digest"]),
		ConfigDigest: slipway.Digest(response["containerimage.config.digest"]),
		Attributes:   response,
	}
	if names := response["image.name"]; names != "" {
		r.Names = strings.Split(names, ",")
	}
	return r
}

// credentials answers the builder's questions for registry credentials during the session. The
// builder fetches tokens itself, since it may be the only one that can reach the registry.
type credentials struct {
	auth.UnimplementedAuthServer
	auth func(host string) (user, password string)
}

func (c credentials) Register(s *grpc.Server) { auth.RegisterAuthServer(s, c) }

func (c credentials) Credentials(_ context.Context, r *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	if c.auth == nil {
		return &auth.CredentialsResponse{}, nil
	}
	user, password := c.auth(r.Host)
	return &auth.CredentialsResponse{Username: user, Secret: password}, nil
}
