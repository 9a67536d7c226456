// Command slipway-docker is `docker` inside a job's pod. There is no engine: it builds and pushes
// images at Slipway's builder, understands docker's own flags for that, and says of everything
// else what to use instead. Called by the name az it is the program of package az, so that one static file is both.
//
// Environment: SLIPWAY_BUILDER_URL is the builder (unix:///PATH, or http(s)://SERVER/PATH of the
// server's tunnel, which SLIPWAY_JOB_TOKEN opens); SLIPWAY_REGISTRY_HOST is the registry that
// takes the same token; DOCKER_CONFIG is the folder of config.json, ~/.docker by default.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"slipway"
	"slipway/internal/az"
	"slipway/internal/images"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := program{getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	if filepath.Base(os.Args[0]) == "az" {
		os.Exit(p.az().Main(ctx, os.Args[1:]))
	}
	os.Exit(p.main(ctx, os.Args[1:]))
}

// az is the other program of this file, which builds with this one.
func (p program) az() az.Program {
	own, err := os.Executable()
	if err != nil {
		own = os.Args[0]
	}
	docker := func(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) int {
		return program{getenv: p.getenv, stdin: stdin, stdout: stdout, stderr: p.stderr}.main(ctx, args)
	}
	return az.Program{Getenv: p.getenv, Stdin: p.stdin, Stdout: p.stdout, Stderr: p.stderr, Docker: docker, Executable: own, Environ: os.Environ()}
}

// program is one call of docker with its surroundings.
type program struct {
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// usageError is a mistake on the command line; docker ends with 125 for those.
type usageError struct{ error }

// main runs the command and gives the exit code.
func (p program) main(ctx context.Context, args []string) int {
	err := p.run(ctx, args)
	if err == nil || errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if excerpt := images.Excerpt(err); excerpt != "" {
		fmt.Fprint(p.stderr, excerpt)
	}
	fmt.Fprintln(p.stderr, "ERROR:", message(err))
	var usage usageError
	if errors.As(err, &usage) {
		return 125
	}
	return 1
}

// message leaves out the cause of a Problem that BuildKit or the network gave: its own sentence
// holds what the user needs. Causes are kept where there is no sentence for them.
func message(err error) string {
	var p *slipway.Problem
	if !errors.As(err, &p) {
		return err.Error()
	}
	shown := *p
	if p.Code != slipway.CodeUnavailable {
		shown.Err = nil
	}
	return shown.Error()
}

func (p program) run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("usage: docker build|push|tag|images|login|logout|version [options]")}
	}
	name, rest := args[0], args[1:]
	// docker's longer names for the same: docker image build, docker buildx build.
	if (name == "image" || name == "buildx" || name == "builder") && len(rest) > 0 {
		group := name
		name, rest = rest[0], rest[1:]
		switch {
		case name == "ls" && group == "image":
			name = "images"
		case name == "version":
		case group == "image" && (name == "build" || name == "push" || name == "tag"):
		case name == "build" || name == "b" && group == "buildx":
			name = "build"
		default:
			return refuse(group + " " + name)
		}
	}
	switch name {
	case "build":
		return p.build(ctx, rest)
	case "push":
		return p.push(ctx, rest)
	case "tag":
		return p.tag(rest)
	case "images":
		return p.images(rest)
	case "login":
		return p.login(rest)
	case "logout":
		return p.logout(rest)
	case "version", "--version", "-v":
		_, err := fmt.Fprintf(p.stdout, "Slipway's docker: a client of BuildKit %s, without an engine\n", buildkitVersion())
		return err
	}
	return refuse(name)
}

func buildkitVersion() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/moby/buildkit" {
				return m.Version
			}
		}
	}
	return "(unknown version)"
}

// refuse says what to use instead of a command that needs an engine.
func refuse(command string) error {
	const none = "there is no container engine in a job"
	instead := map[string]string{
		"run":     none + "; run the step in the image by the job's `container:` key, or the service beside it by `services:`",
		"exec":    none + "; run the command in a step, in the image that the job's `container:` key names",
		"create":  none + "; use the job's `container:` and `services:` keys",
		"start":   none + "; use the job's `services:` key",
		"stop":    none + "; what `services:` starts ends with the job",
		"rm":      none + ", so there is no container to remove",
		"ps":      none + "; the job's page shows its containers and services",
		"logs":    none + "; the job's page has the logs of its services",
		"compose": none + "; write the services under the job's `services:` key",
		"pull":    none + " to keep an image in; name it in a Dockerfile's FROM or in the job's `container:` key",
		"load":    none + " to load an image into; push it to the registry instead",
		"save":    none + " to save an image from; push it and copy it from the registry, with crane for example",
		"cp":      none + "; copy files out of an image with a stage of the Dockerfile",
		"inspect": none + "; ask the registry for an image's configuration, with `crane config` for example",
		"rmi":     none + ", so no image is kept here; delete its tag on the registry's page",
		"info":    none + "; the builder is named by SLIPWAY_BUILDER_URL",
	}
	why, ok := instead[command]
	if !ok {
		why = none + "; it knows build, push, tag, images, login, logout and version"
	}
	return slipway.Unsupported("docker %s cannot work here: %s", command, why)
}
