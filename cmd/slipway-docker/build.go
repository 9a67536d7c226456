package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway"
	"slipway/internal/images"

	"github.com/spf13/pflag"
)

// maxDockerfile bounds a Dockerfile that is read from standard input.
const maxDockerfile = 1 << 20

// buildFlags are docker's flags for build that are not part of the recipe.
type buildFlags struct {
	push, noCache, pull, quiet     bool
	progress, iidFile, metadataOut string
}

// build does `docker build`: solve, and remember the recipe for `docker push`.
func (p program) build(ctx context.Context, args []string) error {
	r, f, err := p.parseBuild(args)
	if err != nil {
		return err
	}
	result, err := p.solve(ctx, r, solveOptions{tags: r.Tags, push: f.push, noCache: f.noCache, pull: f.pull, progress: p.progress(f)})
	if err != nil {
		return err
	}
	r.Digest, r.Built = result.Digest, time.Now().UTC()
	if err := p.remember(r); err != nil {
		return err
	}
	return p.report(f, r, result)
}

func (p program) parseBuild(args []string) (recipe, buildFlags, error) {
	var r recipe
	var f buildFlags
	var buildArgs, labels, platforms, outputs []string
	flags := p.flags("build")
	flags.StringArrayVarP(&r.Tags, "tag", "t", nil, "name of the image; may be given several times")
	flags.StringVarP(&r.Dockerfile, "file", "f", "", "the Dockerfile (CONTEXT/Dockerfile), - for standard input")
	flags.StringArrayVar(&buildArgs, "build-arg", nil, "KEY=VALUE for the Dockerfile's ARG; KEY alone takes the environment's value")
	flags.StringVar(&r.Target, "target", "", "the stage to build")
	flags.StringArrayVar(&labels, "label", nil, "KEY=VALUE, a label of the image")
	flags.StringSliceVar(&platforms, "platform", nil, "platforms to build for, as linux/amd64")
	flags.StringArrayVar(&r.Secrets, "secret", nil, "id=ID,src=FILE or id=ID,env=NAME")
	flags.StringArrayVar(&r.CacheFrom, "cache-from", nil, "a cache to read: NAME or type=registry,ref=NAME")
	flags.StringArrayVar(&r.CacheTo, "cache-to", nil, "a cache to write: type=registry,ref=NAME,mode=max or type=inline")
	flags.BoolVar(&f.noCache, "no-cache", false, "build every step again")
	flags.BoolVar(&f.pull, "pull", false, "ask the registry again for base images")
	flags.BoolVar(&f.push, "push", false, "push the image at once")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print the image's digest alone")
	flags.StringVar(&f.progress, "progress", "auto", "plain, auto or tty (all plain here), quiet, rawjson")
	flags.StringVar(&f.iidFile, "iidfile", "", "write the image's id to this file")
	flags.StringVar(&f.metadataOut, "metadata-file", "", "write the build's result to this file, as buildx does")
	flags.StringArrayVarP(&outputs, "output", "o", nil, "type=registry is --push; no other output is there")
	flags.Bool("load", false, "nothing to do: there is no engine to load into")
	flags.Bool("rm", true, "nothing to do: no container is kept")
	flags.Bool("force-rm", false, "nothing to do: no container is kept")
	flags.String("network", "", "default only")
	flags.String("provenance", "", "false only")
	flags.String("sbom", "", "false only")
	flags.String("add-host", "", "not supported")
	flags.String("ssh", "", "not supported")
	flags.String("build-context", "", "not supported")
	if err := flags.Parse(args); err != nil {
		return r, f, flagError(err)
	}
	for flag, only := range map[string]string{"network": "default", "provenance": "false", "sbom": "false", "add-host": "", "ssh": "", "build-context": ""} {
		if g := flags.Lookup(flag); g.Changed && g.Value.String() != only {
			return r, f, slipway.Unsupported("docker build --%s=%s is not supported by Slipway's docker: leave it out", flag, g.Value)
		}
	}
	for _, o := range outputs {
		if o != "type=registry" && o != "type=image,push=true" {
			return r, f, slipway.Unsupported("docker build --output %s is not supported: an image goes to a registry, with --push", o)
		}
		f.push = true
	}
	return r, f, p.complete(&r, flags, buildArgs, labels, platforms)
}

// complete fills in the recipe what needs more than a flag's value.
func (p program) complete(r *recipe, flags *pflag.FlagSet, buildArgs, labels, platforms []string) error {
	if flags.NArg() != 1 {
		return usageError{fmt.Errorf("docker build needs exactly one argument, the folder of the build context, and got %d", flags.NArg())}
	}
	dir := flags.Arg(0)
	if dir == "-" || strings.Contains(dir, "://") || strings.HasPrefix(dir, "git@") {
		return slipway.Unsupported("the build context %q is not supported: check it out and name its folder", dir)
	}
	var err error
	if r.Context, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("find the build context: %w", err)
	}
	if r.Dockerfile == "-" {
		b, err := io.ReadAll(io.LimitReader(p.stdin, maxDockerfile+1))
		if err != nil {
			return fmt.Errorf("read Dockerfile from standard input: %w", err)
		}
		if len(b) > maxDockerfile {
			return slipway.Limit("the Dockerfile on standard input is larger than %d bytes", maxDockerfile)
		}
		r.Dockerfile, r.DockerfileText = "", string(b)
	} else if r.Dockerfile != "" {
		// docker reads -f relative to the working folder.
		if r.Dockerfile, err = filepath.Abs(r.Dockerfile); err != nil {
			return fmt.Errorf("find the Dockerfile: %w", err)
		}
	}
	for i, t := range r.Tags {
		if r.Tags[i], err = imageName(t); err != nil {
			return err
		}
	}
	r.Args, r.Labels, r.Platforms = map[string]string{}, map[string]string{}, platforms
	for _, a := range buildArgs {
		key, value, ok := strings.Cut(a, "=")
		if !ok {
			value = p.getenv(key)
		}
		r.Args[key] = value
	}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		r.Labels[key] = value
	}
	return nil
}

func (p program) progress(f buildFlags) func(images.Event) {
	switch {
	case f.quiet || f.progress == "quiet":
		return func(images.Event) {}
	case f.progress == "rawjson":
		e := json.NewEncoder(p.stderr)
		return func(event images.Event) { _ = e.Encode(event) } // nobody reads: not a reason to fail
	}
	return images.PrintPlain(p.stderr)
}

// report writes what the flags ask for about a finished build.
func (p program) report(f buildFlags, r recipe, result images.Result) error {
	id := result.Digest
	if result.ConfigDigest != "" {
		id = result.ConfigDigest // what buildx gives as the image's id
	}
	if f.iidFile != "" {
		if err := os.WriteFile(f.iidFile, []byte(id), 0o644); err != nil {
			return fmt.Errorf("write the image's id: %w", err)
		}
	}
	if f.metadataOut != "" {
		if err := writeMetadata(f.metadataOut, result); err != nil {
			return err
		}
	}
	if f.quiet {
		_, err := fmt.Fprintln(p.stdout, id)
		return err
	}
	for _, t := range r.Tags {
		verb := "built"
		if f.push {
			verb = "pushed"
		}
		fmt.Fprintf(p.stderr, "%s %s@%s\n", verb, t, result.Digest)
	}
	return nil
}

// writeMetadata writes buildx's form: BuildKit's keys, with base64 JSON values written out.
func writeMetadata(path string, result images.Result) error {
	out := map[string]any{}
	for k, v := range result.Attributes {
		out[k] = v
		if raw, err := base64.StdEncoding.DecodeString(v); err == nil && json.Valid(raw) && len(raw) > 0 && raw[0] == '{' {
			out[k] = json.RawMessage(raw)
		}
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return fmt.Errorf("write metadata: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write metadata: %w", err)
	}
	return nil
}

// flags makes a flag set that tells its mistakes by error alone.
func (p program) flags(command string) *pflag.FlagSet {
	f := pflag.NewFlagSet("docker "+command, pflag.ContinueOnError)
	f.SetOutput(p.stdout)
	f.SortFlags = false
	return f
}

func flagError(err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	return usageError{err}
}
