package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"slipway/internal/images"
	"slipway/internal/images/progress"

	"github.com/spf13/pflag"
)

// buildFlags are docker's flags for build that are not part of the recipe.
type buildFlags struct {
	push, noCache, pull, quiet     bool
	cacheOnly                      bool // nothing is made of the result
	progress, iidFile, metadataOut string
	outputs                        []images.Output
}

// build does `docker build`: solve, and remember the recipe for `docker push`.
func (p program) build(ctx context.Context, args []string) error {
	r, f, err := p.parseBuild(args)
	if err != nil {
		return err
	}
	return p.buildRecipe(ctx, r, f)
}

// buildRecipe builds what has been read from the command line or from a file.
func (p program) buildRecipe(ctx context.Context, r recipe, f buildFlags) error {
	s := solveOptions{listed: true, tags: r.Tags, push: f.push, noCache: f.noCache, pull: f.pull, outputs: f.outputs, progress: p.progress(f)}
	if f.progress == "rawjson" && !f.quiet {
		s.status = p.stderr
	}
	result, err := p.solve(ctx, r, s)
	if err != nil {
		return err
	}
	if result.Digest != "" {
		r.Digest, r.ConfigDigest, r.Built = result.Digest, result.ConfigDigest, time.Now().UTC()
		if err := p.remember(r); err != nil {
			return err
		}
	}
	return p.report(f, r, result)
}

func (p program) progress(f buildFlags) func(progress.Event) {
	switch {
	case f.quiet || f.progress == "quiet" || f.progress == "rawjson": // rawjson is BuildKit's own messages
		return func(progress.Event) {}
	}
	return progress.PrintPlain(p.stderr)
}

// report writes what the flags ask for about a finished build.
func (p program) report(f buildFlags, r recipe, result images.Result) error {
	id := result.Digest
	if result.ConfigDigest != "" {
		id = result.ConfigDigest // what buildx gives as the image's id
	}
	if f.iidFile != "" && id != "" {
		if err := os.WriteFile(f.iidFile, []byte(id), 0o644); err != nil {
			return fmt.Errorf("write the image's id: %w", err)
		}
	}
	if f.metadataOut != "" {
		if err := writeMetadata(f.metadataOut, metadataOf(result)); err != nil {
			return err
		}
	}
	if f.quiet {
		if id == "" {
			return nil
		}
		_, err := fmt.Fprintln(p.stdout, id)
		return err
	}
	if f.progress == "rawjson" || f.progress == "quiet" {
		return nil
	}
	result.Summary.Print(p.stderr)
	if result.Digest == "" {
		return nil
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

// embedded is a value of BuildKit's that is JSON in base64; nil for others.
func embedded(value string) json.RawMessage {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		return nil
	}
	return raw
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
