package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/commandline"
)

// packProgram builds with Cloud Native Buildpacks, in jobs too: one static file beside this one, which also becomes a part of the build.
const packProgram = "slipway-docker"

// splitBuilders takes what --builder names apart: a builder's socket and an image of buildpacks.
func (o *buildOptions) splitBuilders() error {
	for _, b := range o.builders {
		to := &o.image
		if strings.Contains(b, "://") {
			to = &o.builder
		}
		if *to != "" {
			return fmt.Errorf("--builder %s and %s are two of a kind: name one socket, one image of buildpacks, or one of each", *to, b)
		}
		*to = b
	}
	if o.image == "" && len(o.env)+len(o.buildpacks) > 0 {
		return errors.New("--env and --buildpack go with --builder IMAGE: in a Dockerfile they are ENV or ARG, and RUN")
	}
	return nil
}

// packArgs are the command line of pack, which says the same with other flags.
func (o *buildOptions) packArgs(cmd *cobra.Command) ([]string, error) {
	for flag, instead := range map[string]string{
		"file": "leave it out", "target": "leave it out", "build-arg": "write --env", "build-context": "leave it out", "secret": "write --env", "ssh": "leave it out", "go": "leave out --builder", "base": "leave it out",
		"label": "write a project.toml", "ldflags": "write --env, as BP_GO_BUILD_LDFLAGS=...", "output": "push it, and export it with `slipway registry export`", "cache-from": "the builder keeps the cache of each image",
		"cache-to": "the builder keeps the cache of each image", "provenance": "the lifecycle labels the image with its sources", "sbom": "the buildpacks put theirs into the image",
	} {
		if cmd.Flags().Changed(flag) {
			return nil, slipway.Unsupported("--%s does not go with --builder %s: %s", flag, o.image, instead)
		}
	}
	if len(o.Tags) == 0 || !o.Push {
		return nil, slipway.Unsupported("buildpacks export the image to a registry: write -t HOST/PROJECT/NAME:TAG --push")
	}
	args := []string{"build", o.Tags[0], "--publish", "--builder", o.image, "--path", o.ContextDir}
	for flag, list := range map[string][]string{"--tag": o.Tags[1:], "--env": o.env, "--buildpack": o.buildpacks, "--platform": o.Platforms} {
		for _, value := range list {
			args = append(args, flag, value)
		}
	}
	if o.NoCache {
		args = append(args, "--clear-cache")
	}
	switch o.progress {
	case "plain":
	case "quiet":
		args = append(args, "--quiet")
	default:
		return nil, fmt.Errorf("--progress %s is not known: write plain or quiet", o.progress)
	}
	return args, nil
}

// pack builds with buildpacks: what does it in jobs does it here, with the caller's token in place of the job's.
func (o *buildOptions) pack(ctx context.Context, cmd *cobra.Command, data, project string) error {
	args, err := o.packArgs(cmd)
	if err != nil {
		return err
	}
	own, err := readAccess(data)
	if err != nil {
		return err
	}
	program, err := besideThis(packProgram)
	if err != nil {
		return err
	}
	return o.runPack(ctx, cmd, program, own, project, args)
}

func (o *buildOptions) runPack(ctx context.Context, cmd *cobra.Command, program string, own access, project string, args []string) error {
	at, err := url.Parse(own.URL)
	if err != nil {
		return fmt.Errorf("read the server's address: %w", err)
	}
	builder := o.builder
	if builder == "" {
		builder = own.URL + "/" + url.PathEscape(project) + api.BuilderPath
	}
	listed, ctx := o.list(ctx, own, project, cmd.ErrOrStderr())
	run := exec.CommandContext(ctx, program, args...)
	run.Args[0] = "pack"
	run.Env = append(os.Environ(), "SLIPWAY_URL="+own.URL, "SLIPWAY_BUILDER_URL="+builder, "SLIPWAY_REGISTRY_HOST="+at.Host, "SLIPWAY_JOB_TOKEN="+own.Token, "SLIPWAY_JOB=")
	if listed != nil {
		run.Env = append(run.Env, "SLIPWAY_IMAGE_BUILD="+own.URL+listed.Path()) // which learns the steps from it
	}
	run.Stdout, run.Stderr = io.MultiWriter(cmd.OutOrStdout(), listed), io.MultiWriter(cmd.ErrOrStderr(), listed)
	run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
	run.WaitDelay = 10 * time.Second
	err = run.Run()
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("the build was cancelled: %w", context.Cause(ctx))
		listed.Finish(ctx, nil, err.Error())
		return err
	}
	failure := ""
	if err != nil {
		failure = err.Error()
	}
	listed.Finish(ctx, nil, failure)
	var exit *exec.ExitError
	if errors.As(err, &exit) { // it has said why
		return &commandline.ExitError{Code: max(exit.ExitCode(), 1)}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}

// besideThis is another of Slipway's programs, in the folder of this one.
func besideThis(name string) (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	if own, err = filepath.EvalSymlinks(own); err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	path := filepath.Join(filepath.Dir(own), name)
	if _, err := os.Stat(path); err != nil {
		return "", slipway.NotFound("%s is not beside this program, in %s, and builds with buildpacks need it: `make` builds both", name, filepath.Dir(own))
	}
	return path, nil
}
