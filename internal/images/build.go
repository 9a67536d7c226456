package images

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/images/progress"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/upload/uploadprovider"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

// Build builds a Dockerfile at the builder that dial reaches and calls report, from one
// goroutine, with each Event in order. A fault of the Dockerfile or of one of its steps is a
// slipway.Problem of code invalid with its position; StepExit tells a step's exit code. A
// builder that cannot be reached is a Problem of code unavailable.
//
// Nothing is kept under the tags when Push is false: the image is complete in the builder's
// cache, and a second Build of the same context with Push sends it without building.
func Build(ctx context.Context, dial Dial, o Options, report func(progress.Event)) (Result, error) {
	if err := o.check(); err != nil {
		return Result{}, err
	}
	for name := range o.links() {
		return Result{}, slipway.Invalid("the context %s=%s is another target, which is there in a bake or compose file alone", name, o.Contexts[name])
	}
	to := &connection{dial: dial}
	defer to.close()
	return o.build(ctx, to, report, nil)
}

// build builds alone, or as part of several when with is not nil.
func (o Options) build(ctx context.Context, to *connection, report func(progress.Event), with *sharing) (Result, error) {
	var result Result
	shown := progress.NewReporter(report)
	err := withSyntax(ctx, o, shown.Warn, func(builtin string) (err error) {
		result, err = o.run(ctx, to, shown, builtin, with)
		return err
	})
	return result, err
}

// run builds once, with the builder's own frontend in place of the one named builtin.
func (o Options) run(ctx context.Context, to *connection, shown *progress.Reporter, builtin string, with *sharing) (Result, error) {
	solve, done, err := o.solve()
	if err != nil {
		return Result{}, err
	}
	defer done()
	if builtin != "" {
		solve.FrontendAttrs["cmdline"] = builtin // as if it had been called by that one
		delete(solve.FrontendAttrs, "build-arg:BUILDKIT_SYNTAX")
	}
	c, err := to.get(ctx)
	if err != nil {
		return Result{}, err
	}
	ctx = o.described(ctx)
	start := time.Now()
	var response *client.SolveResponse
	err = watch(ctx, shown, o.Status, func(ctx context.Context, status chan *client.SolveStatus) (err error) {
		if with == nil {
			response, err = c.Solve(ctx, nil, solve, status)
		} else {
			response, err = c.Build(ctx, solve, "", with.solve, status)
		}
		return err
	})
	summary := shown.Summary(time.Since(start))
	if err != nil {
		return Result{Summary: summary}, explain(ctx, err, shown.Failed(), o.Platforms)
	}
	result := newResult(response.ExporterResponse)
	result.Summary = summary
	return result, nil
}

// watch tells of a build while it runs: by events and, if raw is not nil, by BuildKit's own messages.
func watch(ctx context.Context, shown *progress.Reporter, raw io.Writer, solve func(context.Context, chan *client.SolveStatus) error) error {
	status := make(chan *client.SolveStatus)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return solve(groupCtx, status) })
	group.Go(func() error {
		if raw == nil {
			raw = io.Discard
		}
		lines := json.NewEncoder(raw)
		for s := range status {
			shown.Update(statusOf(s))
			_ = lines.Encode(s) // nobody reads: not a reason to fail
		}
		shown.Flush()
		return nil
	})
	return group.Wait()
}

// connection is the way to the builder, which is opened when it is needed.
type connection struct {
	dial Dial

	mu     sync.Mutex
	client *client.Client
}

func (c *connection) get(ctx context.Context) (_ *client.Client, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		c.client, err = connect(ctx, c.dial)
	}
	return c.client, err
}

func (c *connection) close() {
	if c.client != nil {
		c.client.Close()
	}
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

// solve is the request for BuildKit; done removes what it needed on disk.
func (o Options) solve() (_ client.SolveOpt, done func(), err error) {
	attributes := o.frontend()
	attachables := []session.Attachable{credentials{auth: o.Auth}, secretsprovider.FromMap(o.Secrets)}
	if o.ContextArchive != "" {
		upload := uploadprovider.New()
		o.ContextURL, attachables = upload.Add(&unopened{path: o.ContextArchive}), append(attachables, upload)
	}
	mounts, remove, err := o.mounts(attributes)
	if err != nil {
		return client.SolveOpt{}, nil, err
	}
	defer func() {
		if err != nil {
			remove()
		}
	}()
	exports, err := o.exports()
	if err != nil {
		return client.SolveOpt{}, nil, err
	}
	if len(o.SSH) > 0 {
		ssh, err := forwardSSH(o.SSH)
		if err != nil {
			return client.SolveOpt{}, nil, err
		}
		attachables = append(attachables, ssh)
	}
	return client.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: attributes,
		LocalMounts:   mounts,
		Exports:       exports,
		CacheImports:  cacheEntries(o.CacheFrom),
		CacheExports:  cacheEntries(o.CacheTo),
		Session:       attachables,
		SharedKey:     o.ContextDir, // what the builder has of the folder already is sent no second time
	}, remove, nil
}

// unopened is a file that is opened when it is first read: the builder may never ask for it.
type unopened struct {
	path string
	file *os.File
}

func (u *unopened) Read(p []byte) (n int, err error) {
	if u.file == nil {
		if u.file, err = os.Open(u.path); err != nil {
			return 0, err
		}
	}
	return u.file.Read(p)
}

func (u *unopened) Close() error {
	if u.file == nil {
		return nil
	}
	return u.file.Close()
}

// mounts are the folders that the builder reads, and the attributes that name them.
func (o Options) mounts(attributes map[string]string) (_ map[string]fsutil.FS, remove func(), err error) {
	folders, done := map[string]string{}, func() {}
	switch {
	case o.DockerfileText != "":
		dir, err := os.MkdirTemp("", "dockerfile-")
		if err != nil {
			return nil, nil, fmt.Errorf("keep the Dockerfile: %w", err)
		}
		done = func() { os.RemoveAll(dir) }
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(o.DockerfileText), 0o600); err != nil {
			done()
			return nil, nil, fmt.Errorf("keep the Dockerfile: %w", err)
		}
		if o.Ignore != nil {
			if err := os.WriteFile(filepath.Join(dir, "Dockerfile.dockerignore"), []byte(strings.Join(o.Ignore, "\n")+"\n"), 0o600); err != nil {
				done()
				return nil, nil, fmt.Errorf("keep what is left out: %w", err)
			}
		}
		folders["dockerfile"], attributes["filename"] = dir, "Dockerfile"
	case o.ContextURL != "":
		attributes["filename"] = cmp.Or(o.Dockerfile, "Dockerfile")
	default:
		if folders["dockerfile"], attributes["filename"], err = o.dockerfile(); err != nil {
			return nil, nil, err
		}
	}
	if o.ContextURL != "" {
		attributes["context"] = o.ContextURL
		if o.DockerfileText != "" {
			attributes["dockerfilekey"] = "dockerfile"
		}
	} else {
		folders["context"] = o.ContextDir
	}
	for name, place := range o.Contexts {
		if strings.Contains(place, "://") || strings.HasPrefix(place, TargetContext) || strings.HasPrefix(place, "git@") {
			attributes["context:"+name] = place
			continue
		}
		folders["context:"+name] = place
		attributes["context:"+name] = "local:context:" + name
	}
	mounts := map[string]fsutil.FS{}
	for key, dir := range folders {
		if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
			done()
			return nil, nil, slipway.NotFound("the build context %q is not a folder", dir)
		}
		if mounts[key], err = fsutil.NewFS(dir); err != nil {
			done()
			return nil, nil, fmt.Errorf("open %s: %w", dir, err)
		}
	}
	return mounts, done, nil
}

// frontend is the Dockerfile frontend's attributes (BuildKit, frontend/dockerui/config.go).
func (o Options) frontend() map[string]string {
	a := map[string]string{}
	for k, v := range o.BuildArgs {
		a["build-arg:"+k] = v
	}
	for k, v := range o.Labels {
		a["label:"+k] = v
	}
	for _, attestation := range o.Attestations {
		a["attest:"+attestation.Kind] = attestation.attribute()
	}
	for key, value := range map[string]string{
		"target": o.Target, "platform": strings.Join(o.Platforms, ","), "force-network-mode": o.Network, "add-hosts": strings.Join(o.Hosts, ","),
		"ulimit": strings.Join(o.Ulimits, ","), "vcs:source": o.Source, "vcs:revision": o.Revision, "no-cache": strings.Join(o.NoCacheStages, ","),
	} {
		if value != "" {
			a[key] = value
		}
	}
	if o.ShmSize > 0 {
		a["shm-size"] = strconv.FormatInt(o.ShmSize, 10)
	}
	if o.Pull {
		a["image-resolve-mode"] = "pull"
	}
	if o.NoCache {
		a["no-cache"] = ""
	}
	return a
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
