package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"slipway"
	"slipway/internal/images"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/cmd/buildctl/build"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/sshforward/sshprovider"
	"github.com/moby/buildkit/solver/pb"
	sourcepolicy "github.com/moby/buildkit/sourcepolicy/pb"
	"github.com/opencontainers/go-digest"
	"github.com/spf13/pflag"
)

// buildctl is BuildKit's own client, as far as a job may use the builder; its options are read by BuildKit's packages. It knows the job's
// registry without a login.
func (p program) buildctl(ctx context.Context, args []string) error {
	flags := p.flags("buildctl")
	flags.SetInterspersed(false) // the command has flags of its own
	address := flags.String("addr", p.getenv("BUILDKIT_HOST"), "the builder's socket, unix:///PATH; the project's builder without it")
	flags.Bool("debug", false, "nothing to do")
	flags.Bool("wait", false, "nothing to do: the builder answers or is not there")
	flags.Int("timeout", 5, "nothing to do")
	flags.String("log-format", "text", "nothing to do")
	version := flags.BoolP("version", "v", false, "print the version")
	for _, f := range []string{"tlsservername", "tlscacert", "tlscert", "tlskey", "tlsdir"} {
		flags.String(f, "", "nothing to do: the way to the builder is the job's")
	}
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if *version {
		_, err := fmt.Fprintf(p.stdout, "buildctl github.com/moby/buildkit %s (Slipway)\n", buildkitVersion())
		return err
	}
	c := buildctl{program: p, address: *address}
	rest := flags.Args()
	command, group := "", ""
	if len(rest) > 0 {
		command, rest = rest[0], rest[1:]
	}
	if command == "debug" && len(rest) > 0 {
		command, group, rest = rest[0], "debug ", rest[1:]
	}
	switch group + command {
	case "build", "b":
		return c.build(ctx, rest)
	case "debug workers":
		return c.workers(ctx, rest)
	case "debug info":
		return c.info(ctx, rest)
	case "debug dump-llb":
		return c.dump(rest)
	case "":
		return usageError{errors.New("usage: buildctl build --frontend dockerfile.v0 --local context=. --local dockerfile=. --output type=image,name=NAME,push=true")}
	case "du", "prune", "prune-histories", "debug histories", "debug logs", "debug get", "debug monitor":
		return slipway.Unsupported("buildctl %s reaches over all projects, which is for the builder's owner: administrators use `slipway builder du` and `slipway builder prune`", group+command)
	}
	return slipway.Unsupported("buildctl %s is not there: it knows build, debug workers, debug info and debug dump-llb", group+command)
}

// buildctl is one call of it.
type buildctl struct {
	program
	address string
}

// dial is the way to the builder that --addr names, or to the project's.
func (c buildctl) dial() (images.Dial, error) {
	switch {
	case c.address == "":
		return c.builder()
	case strings.HasPrefix(c.address, "unix://"):
		return images.NewDial(c.address, nil)
	}
	return nil, slipway.Unsupported("buildctl --addr %s: write unix:///PATH of a socket, or leave it out for the project's builder; for a builder elsewhere bring BuildKit's own buildctl in the job's image", c.address)
}

// buildctlFlags are those of `buildctl build` that are no request by themselves.
type buildctlFlags struct {
	outputs, locals, layouts, opts, exportCache, importCache, secrets, allow, ssh []string
	progress, frontend, trace, metadata, policy, ref                              string
	noCache, proxy                                                                bool
}

func (c buildctl) build(ctx context.Context, args []string) error {
	flags := c.flags("buildctl build")
	var f buildctlFlags
	addBuildctlFlags(flags, &f)
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("buildctl build has no arguments, and got %q: name folders with --local", flags.Args())}
	}
	r, err := c.request(f)
	if err != nil {
		return err
	}
	show := buildFlags{progress: f.progress}
	switch f.progress {
	case "auto", "plain", "tty", "quiet", "none":
	case "rawjson":
		r.Status = c.stderr
	default:
		return slipway.Invalid("--progress %s is not known: write plain, quiet or rawjson", f.progress)
	}
	if f.progress == "none" {
		show.progress = "quiet"
	}
	if f.trace != "" {
		trace, err := os.OpenFile(f.trace, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("open the trace: %w", err)
		}
		defer trace.Close()
		r.Status = trace
	}
	dial, err := c.dial()
	if err != nil {
		return err
	}
	result, answer, err := images.Solve(ctx, dial, r, c.progress(show))
	if err != nil {
		return err
	}
	return c.finish(f, result, answer)
}

// finish writes what the flags ask for about a build.
func (c buildctl) finish(f buildctlFlags, result images.Result, answer map[string][]byte) error {
	if f.metadata != "" && len(result.Attributes) > 0 {
		if err := writeMetadata(f.metadata, metadataOf(result)); err != nil {
			return err
		}
	}
	if text, ok := answer["result.txt"]; ok {
		_, err := c.stdout.Write(text)
		return err
	}
	for key, text := range answer {
		if strings.HasPrefix(key, "result.") {
			fmt.Fprintf(c.stdout, "%s\n%s\n", key, text)
		}
	}
	if f.progress != "quiet" && f.progress != "none" && f.progress != "rawjson" {
		result.Summary.Print(c.stderr)
	}
	return nil
}

func addBuildctlFlags(flags *pflag.FlagSet, f *buildctlFlags) {
	flags.StringArrayVarP(&f.outputs, "output", "o", nil, "type=image,name=NAME,push=true")
	flags.StringVar(&f.progress, "progress", "auto", "plain, auto or tty (all plain here), quiet, rawjson")
	flags.StringVar(&f.trace, "trace", "", "write BuildKit's messages to this file")
	flags.StringArrayVar(&f.locals, "local", nil, "NAME=FOLDER")
	flags.StringArrayVar(&f.layouts, "oci-layout", nil, "NAME=FOLDER of an OCI layout")
	flags.StringVar(&f.frontend, "frontend", "", "dockerfile.v0 or gateway.v0; without it the definition is on standard input")
	flags.StringArrayVar(&f.opts, "opt", nil, "KEY=VALUE for the frontend")
	flags.BoolVar(&f.noCache, "no-cache", false, "build every step again")
	flags.StringArrayVar(&f.exportCache, "export-cache", nil, "type=registry,ref=NAME")
	flags.StringArrayVar(&f.importCache, "import-cache", nil, "type=registry,ref=NAME")
	flags.StringArrayVar(&f.secrets, "secret", nil, "id=ID,src=FILE")
	flags.StringArrayVar(&f.allow, "allow", nil, "the builder gives no step more rights")
	flags.StringArrayVar(&f.ssh, "ssh", nil, "default or ID=SOCKET|KEY")
	flags.StringVar(&f.metadata, "metadata-file", "", "write the build's result to this file")
	flags.StringVar(&f.policy, "source-policy-file", "", "a source policy")
	flags.BoolVar(&f.proxy, "proxy-network", false, "steps reach the network through BuildKit's proxy alone")
	flags.StringVar(&f.ref, "ref-file", "", "write the build's reference to this file")
}

func (c buildctl) request(f buildctlFlags) (r images.Request, err error) {
	r.Auth, r.Frontend, r.ProxyNetwork = c.credentials, f.frontend, f.proxy
	if len(f.allow) > 0 {
		return r, slipway.Unsupported("buildctl build --allow %s: the builder gives no step --network=host or --security=insecure; do that in a step of the job", f.allow[0])
	}
	if f.ref != "" {
		return r, slipway.Unsupported("buildctl build --ref-file is of no use here, since the builder's histories reach over all projects; leave it out")
	}
	steps := []func() error{
		func() (err error) { r.FrontendAttrs, err = build.ParseOpt(f.opts); return err },
		func() (err error) { r.LocalMounts, err = build.ParseLocal(f.locals); return err },
		func() (err error) { r.OCIStores, err = build.ParseOCILayout(f.layouts); return err },
		func() (err error) { r.Exports, err = build.ParseOutput(f.outputs); return err },
		func() (err error) { r.CacheExports, err = build.ParseExportCache(f.exportCache); return err },
		func() (err error) { r.CacheImports, err = build.ParseImportCache(f.importCache); return err },
		func() (err error) { r.Session, err = sessionOf(f); return err },
		func() (err error) { r.SourcePolicy, err = readPolicy(f.policy); return err },
		func() (err error) {
			switch {
			case f.frontend == "":
				r.Definition, err = c.definition(f.noCache)
			case f.noCache:
				r.FrontendAttrs["no-cache"] = ""
			}
			return err
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			var known *slipway.Problem
			if errors.As(err, &known) {
				return r, err
			}
			return r, usageError{fmt.Errorf("buildctl build: %w", err)}
		}
	}
	return r, nil
}

// sessionOf is what the builder may ask the job for.
func sessionOf(f buildctlFlags) (list []session.Attachable, err error) {
	if len(f.secrets) > 0 {
		secrets, err := build.ParseSecret(f.secrets)
		if err != nil {
			return nil, err
		}
		list = append(list, secrets)
	}
	if len(f.ssh) > 0 {
		configs, err := build.ParseSSH(f.ssh)
		if err != nil {
			return nil, err
		}
		agent, err := sshprovider.NewSSHAgentProvider(configs)
		if err != nil {
			return nil, err
		}
		list = append(list, agent)
	}
	return list, nil
}

func readPolicy(path string) (*sourcepolicy.Policy, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var policy sourcepolicy.Policy
	if err := json.Unmarshal(b, &policy); err != nil {
		return nil, slipway.Invalid("%s is no source policy: %v", path, err)
	}
	return &policy, nil
}

// maxDefinition bounds a definition on standard input, in bytes.
const maxDefinition = 64 << 20

// definition reads LLB from standard input.
func (c buildctl) definition(noCache bool) (*llb.Definition, error) {
	d, err := llb.ReadFrom(io.LimitReader(c.stdin, maxDefinition))
	if err != nil {
		return nil, slipway.Invalid("standard input is no definition of a build (LLB): %v: name a --frontend, as dockerfile.v0", err)
	}
	if len(d.Def) == 0 {
		return nil, slipway.Invalid("the definition on standard input is empty: name a --frontend, as dockerfile.v0")
	}
	if !noCache {
		return d, nil
	}
	for _, raw := range d.Def {
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			return nil, slipway.Invalid("standard input is no definition of a build (LLB): %v", err)
		}
		key := digest.FromBytes(raw)
		constraints := llb.Constraints{Metadata: d.Metadata[key]}
		llb.IgnoreCache(&constraints)
		d.Metadata[key] = constraints.Metadata
	}
	return d, nil
}

func (c buildctl) workers(ctx context.Context, args []string) error {
	flags := c.flags("buildctl debug workers")
	format := flags.String("format", "", "a Go template")
	verbose := flags.BoolP("verbose", "v", false, "labels and versions too")
	flags.StringArrayP("filter", "f", nil, "nothing to do: there is one worker")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	list, _, err := c.askWorkers(ctx)
	if err != nil {
		return err
	}
	if *format != "" {
		return c.template(*format, list)
	}
	w := tabwriter.NewWriter(c.stdout, 1, 8, 1, '\t', 0)
	if !*verbose {
		fmt.Fprintln(w, "ID\tPLATFORMS")
	}
	for _, worker := range list {
		var platforms []string
		for _, p := range worker.Platforms {
			platforms = append(platforms, p.OS+"/"+p.Architecture)
		}
		if !*verbose {
			fmt.Fprintf(w, "%s\t%s\n", worker.ID, strings.Join(platforms, ","))
			continue
		}
		fmt.Fprintf(w, "ID:\t%s\nPlatforms:\t%s\nBuildKit:\t%s %s\nLabels:\n", worker.ID, strings.Join(platforms, ","), worker.BuildkitVersion.Package, worker.BuildkitVersion.Version)
		for key, value := range worker.Labels {
			fmt.Fprintf(w, "\t%s:\t%s\n", key, value)
		}
	}
	return w.Flush()
}

func (c buildctl) askWorkers(ctx context.Context) ([]*client.WorkerInfo, *client.Info, error) {
	dial, err := c.dial()
	if err != nil {
		return nil, nil, err
	}
	return images.Workers(ctx, dial)
}

func (c buildctl) info(ctx context.Context, args []string) error {
	flags := c.flags("buildctl debug info")
	format := flags.String("format", "", "a Go template")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	_, info, err := c.askWorkers(ctx)
	if err != nil {
		return err
	}
	if *format != "" {
		return c.template(*format, info)
	}
	_, err = fmt.Fprintf(c.stdout, "BuildKit: %s %s %s\n", info.BuildkitVersion.Package, info.BuildkitVersion.Version, info.BuildkitVersion.Revision)
	return err
}

// dump does `buildctl debug dump-llb`: a definition's steps as JSON, one a line.
func (c buildctl) dump(args []string) error {
	if len(args) > 0 {
		return slipway.Unsupported("buildctl debug dump-llb %s: pass the definition on standard input", args[0])
	}
	d, err := c.definition(false)
	if err != nil {
		return err
	}
	lines := json.NewEncoder(c.stdout)
	for _, raw := range d.Def {
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			return slipway.Invalid("standard input is no definition of a build (LLB): %v", err)
		}
		key := digest.FromBytes(raw)
		if err := lines.Encode(map[string]any{"Op": map[string]any{"Op": op.Op, "inputs": op.Inputs, "platform": op.Platform}, "Digest": key, "OpMetadata": d.Metadata[key]}); err != nil {
			return fmt.Errorf("write the definition: %w", err)
		}
	}
	return nil
}
