package images

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"

	"slipway"
	"slipway/internal/images/progress"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Process is a command in a container of an image.
type Process struct {
	Entrypoint     []string // nil is the image's
	Args           []string // after the entry point; none are the image's if its entry point is used
	Env            []string // NAME=VALUE, over the image's
	Dir, User      string   // "" are the image's
	Hostname       string
	Hosts          []string // NAME=ADDRESS
	NoNetwork      bool
	TTY            bool
	Volumes        []Volume
	Stdin          io.Reader // nil is empty
	Stdout, Stderr io.Writer
}

// Volume is a folder or file of this machine in a container. What the process changes in one that is not ReadOnly is brought back when it ends,
// however it ends.
type Volume struct {
	Source, Target string // absolute
	ReadOnly       bool
}

// Run builds what the options say, as Build does, and runs a command in a container of the result at the builder. Nothing of the container is
// left but its volumes. The exit code is the command's; an error says that it could not be run or its volumes not be brought back.
func Run(ctx context.Context, dial Dial, o Options, p Process, report func(progress.Event)) (exit int, err error) {
	if err := o.check(); err != nil {
		return 0, err
	}
	o.CacheOnly = true
	solve, done, err := o.solve()
	if err != nil {
		return 0, err
	}
	defer done()
	volumes := make([]localVolume, len(p.Volumes))
	for i, v := range p.Volumes {
		if volumes[i], err = openVolume(v, fmt.Sprintf("volume%d", i)); err != nil {
			return 0, err
		}
		solve.LocalMounts[volumes[i].name] = volumes[i].files
	}
	c, err := connect(ctx, dial)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	o.Unlisted = true
	ctx = o.described(ctx)
	shown := progress.NewReporter(report)
	err = watch(ctx, shown, o.Status, func(ctx context.Context, status chan *client.SolveStatus) error {
		var ran error
		_, err := c.Build(ctx, solve, "", func(ctx context.Context, g gateway.Client) (*gateway.Result, error) {
			exit, ran = p.run(ctx, g, volumes)
			if ran != nil {
				return nil, ran
			}
			return gateway.NewResult(), nil
		}, status)
		var own *slipway.Problem
		if errors.As(ran, &own) {
			return ran // not what became of it on its way through the builder
		}
		return err
	})
	var own *slipway.Problem
	if err == nil || errors.As(err, &own) {
		return exit, err
	}
	return 0, explain(ctx, err, shown.Failed(), o.Platforms)
}

// run does the command with what the builder made of the image.
func (p Process) run(ctx context.Context, g gateway.Client, volumes []localVolume) (int, error) {
	image, err := g.Solve(ctx, gateway.SolveRequest{Frontend: "dockerfile.v0", FrontendOpt: maps.Clone(g.BuildOpts().Opts)})
	if err != nil {
		return 0, err
	}
	root, err := image.SingleRef()
	if err != nil {
		return 0, slipway.Unsupported("a container is of one platform: name one with --platform")
	}
	var config ocispec.Image
	if raw := image.Metadata[exptypes.ExporterImageConfigKey]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &config); err != nil {
			return 0, fmt.Errorf("read the image's configuration: %w", err)
		}
	}
	request := gateway.NewContainerRequest{Hostname: p.Hostname, Mounts: []gateway.Mount{{Dest: "/", Ref: root, MountType: pb.MountType_BIND}}}
	if p.NoNetwork {
		request.NetMode = pb.NetMode_NONE
	}
	for _, h := range p.Hosts {
		name, address, ok := strings.Cut(h, "=")
		if !ok || name == "" || net.ParseIP(address) == nil {
			return 0, slipway.Invalid("the host %q is not NAME:ADDRESS with an IP address", h)
		}
		request.ExtraHosts = append(request.ExtraHosts, &pb.HostIP{Host: name, IP: address})
	}
	for i := range volumes {
		mount, err := volumes[i].mount(ctx, g, cmp.Or(p.User, config.Config.User))
		if err != nil {
			return 0, err
		}
		request.Mounts = append(request.Mounts, mount)
	}
	start, err := p.start(config.Config)
	if err != nil {
		return 0, err
	}
	container, err := g.NewContainer(ctx, request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = container.Release(context.WithoutCancel(ctx)) }()
	complaint := &beginning{to: start.Stderr}
	start.Stderr = complaint
	process, err := container.Start(ctx, start)
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = process.Signal(context.WithoutCancel(ctx), syscall.SIGTERM) })
	defer stop()
	exit, err := exitCode(process.Wait())
	if err != nil {
		return 0, err
	}
	if exit != 0 && complaint.has(notStarted) {
		return 0, slipway.NotFound("%s cannot be started in the container: it is not there, or no program of this machine's processor", start.Args[0])
	}
	for i := range volumes {
		if volumes[i].ReadOnly {
			continue
		}
		if err := volumes[i].bringBack(ctx, container, i+1); err != nil {
			return exit, err
		}
	}
	return exit, nil
}

// Config is the configuration of the image that the options build (OCI image specification), without building more than that needs.
func Config(ctx context.Context, dial Dial, o Options) ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.CacheOnly = true
	solve, done, err := o.solve()
	if err != nil {
		return nil, err
	}
	defer done()
	c, err := connect(ctx, dial)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	o.Unlisted = true
	ctx = o.described(ctx)
	var config []byte
	shown := progress.NewReporter(nil)
	err = watch(ctx, shown, o.Status, func(ctx context.Context, status chan *client.SolveStatus) error {
		_, err := c.Build(ctx, solve, "", func(ctx context.Context, g gateway.Client) (*gateway.Result, error) {
			result, err := g.Solve(ctx, gateway.SolveRequest{Frontend: "dockerfile.v0", FrontendOpt: maps.Clone(g.BuildOpts().Opts)})
			if err == nil {
				config = result.Metadata[exptypes.ExporterImageConfigKey]
			}
			return gateway.NewResult(), err
		}, status)
		return err
	})
	if err != nil {
		return nil, explain(ctx, err, shown.Failed(), o.Platforms)
	}
	if len(config) == 0 {
		return nil, slipway.Unsupported("an image for several platforms has no configuration of its own: name one platform")
	}
	return config, nil
}

// exitCode is that of a process that ended by itself.
func exitCode(err error) (int, error) {
	if code, ok := StepExit(err); ok {
		return code, nil
	}
	return 0, err
}

// notStarted is what runc writes, to the container's standard error, of a command that it cannot start.
const notStarted = "unable to start container process"

// beginning passes on what is written and keeps the beginning of it.
type beginning struct {
	to   io.WriteCloser
	mu   sync.Mutex
	kept []byte // guarded by mu
}

func (b *beginning) Write(p []byte) (int, error) {
	b.mu.Lock()
	if room := 4096 - len(b.kept); room > 0 {
		b.kept = append(b.kept, p[:min(room, len(p))]...)
	}
	b.mu.Unlock()
	return b.to.Write(p)
}

func (b *beginning) Close() error { return b.to.Close() }

func (b *beginning) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(string(b.kept), text)
}

// start is the process as the image's configuration completes it (OCI image specification, "Image Configuration").
func (p Process) start(config ocispec.ImageConfig) (gateway.StartRequest, error) {
	args := p.Args
	entrypoint := p.Entrypoint
	if entrypoint == nil {
		entrypoint = config.Entrypoint
		if len(args) == 0 {
			args = config.Cmd
		}
	}
	args = slices.Concat(entrypoint, args)
	if len(args) == 0 {
		return gateway.StartRequest{}, slipway.Invalid("the image names no command: write one after its name")
	}
	env := map[string]string{}
	for _, pair := range slices.Concat([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, config.Env, p.Env) {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	s := gateway.StartRequest{Args: args, User: cmp.Or(p.User, config.User), Cwd: cmp.Or(p.Dir, config.WorkingDir, "/"), Tty: p.TTY,
		Stdout: unclosed{p.Stdout}, Stderr: unclosed{p.Stderr}}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		s.Env = append(s.Env, name+"="+env[name])
	}
	if p.Stdin != nil {
		s.Stdin = io.NopCloser(p.Stdin)
	}
	return s, nil
}
