// Command slipway-docker is `docker` inside a job's pod. There is no engine: it builds and pushes
// images at Slipway's builder, understands docker's own flags for that, and says of everything
// else what to use instead. One static file is several programs, by the name that it is called by: az is that of package az, docker-compose is `docker
// compose`, buildctl is BuildKit's client, and ko and pack build images without a Dockerfile.
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
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"slipway"
	"slipway/internal/az"
	"slipway/internal/images"

	"github.com/containerd/log"
	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	_ = log.SetLevel("error") // libraries' warnings mean nothing to whom a job's log is for
	p := program{getenv: os.Getenv, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	switch filepath.Base(os.Args[0]) {
	case "az":
		os.Exit(p.az().Main(ctx, os.Args[1:]))
	case "docker-compose":
		os.Exit(p.main(ctx, append([]string{"compose"}, os.Args[1:]...)))
	case "buildctl":
		os.Exit(p.end(p.buildctl(ctx, os.Args[1:])))
	case relayName:
		os.Exit(relayIn(ctx, os.Args[1:]))
	case "ko":
		os.Exit(p.end(p.ko(ctx, os.Args[1:])))
	case "pack":
		os.Exit(p.end(p.pack(ctx, os.Args[1:])))
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
	env            map[string]string // the whole environment; nil is the process's
	dir            string            // where it works; "" is the process's folder
	stdin          io.Reader
	stdout, stderr io.Writer
}

// usageError is a mistake on the command line; docker ends with 125 for those.
type usageError struct{ error }

// main runs the command and gives the exit code.
func (p program) main(ctx context.Context, args []string) int {
	return p.end(p.run(ctx, args))
}

// end tells of an error and gives the exit code.
func (p program) end(err error) int {
	var exit exitError
	if errors.As(err, &exit) {
		return int(exit) // docker says nothing more
	}
	if err == nil || errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if excerpt := images.Excerpt(err); excerpt != "" {
		fmt.Fprint(p.stderr, excerpt)
	}
	fmt.Fprintln(p.stderr, "ERROR:", images.Message(err))
	var usage usageError
	if errors.As(err, &usage) {
		return 125
	}
	return 1
}

// known are the commands that can work without an engine; each gets what follows its name.
func (p program) known() map[string]func(context.Context, []string) error {
	local := func(f func([]string) error) func(context.Context, []string) error {
		return func(_ context.Context, args []string) error { return f(args) }
	}
	return map[string]func(context.Context, []string) error{
		"build": p.build, "push": p.push, "pull": p.pull, "save": p.save, "load": p.load, "inspect": p.inspect, "scan": p.scan,
		"tag": local(p.tag), "images": local(p.images), "login": local(p.login), "logout": local(p.logout),
		"run": p.runContainer, "create": p.create, "cp": p.copyOut, "export": p.export, "rm": local(p.removeContainers), "ps": local(p.listContainers),
		"container run": p.runContainer, "container create": p.create, "container cp": p.copyOut, "container export": p.export,
		"container rm": local(p.removeContainers), "container ls": local(p.listContainers),
		"rmi": local(p.forget), "info": local(p.info), "version": local(p.version), "--version": local(p.version), "-v": local(p.version),
		"image build": p.build, "image push": p.push, "image pull": p.pull, "image save": p.save, "image load": p.load, "image inspect": p.inspect,
		"image tag": local(p.tag), "image ls": local(p.images), "image list": local(p.images), "image rm": local(p.forget),
		"builder build": p.build, "buildx build": p.build, "buildx b": p.build,
		"buildx bake": p.bake, "buildx f": p.bake, "builder bake": p.bake, "compose": p.compose,
		"buildx version": local(p.version), "buildx ls": local(p.listBuilders), "buildx inspect": local(p.inspectBuilder),
		"buildx create": local(p.createBuilder), "buildx use": local(ignored), "buildx rm": local(ignored), "buildx stop": local(ignored),
		"buildx install": local(ignored), "buildx imagetools": p.imagetools, "manifest": p.manifest,
		"system prune": p.nothingKept, "image prune": p.nothingKept, "builder prune": p.nothingKept, "buildx prune": p.nothingKept,
		"system info": local(p.info), "system df": local(p.nothingThere("TYPE   TOTAL   SIZE")), "network ls": local(p.nothingThere("NETWORK ID   NAME   DRIVER   SCOPE")),
		"volume ls": local(p.nothingThere("DRIVER   VOLUME NAME")), "context ls": local(p.nothingThere("NAME   DESCRIPTION\ndefault *   the builder of the server")), "context use": local(ignored),
		"container prune": p.nothingKept, "volume prune": p.nothingKept, "network prune": p.nothingKept,
	}
}

func (p program) run(ctx context.Context, args []string) error {
	for len(args) > 0 && (args[0] == "--debug" || args[0] == "-D") {
		args = args[1:]
	}
	if len(args) == 0 {
		return usageError{errors.New("usage: docker COMMAND; here are " + commands)}
	}
	if slices.Contains([]string{"help", "--help", "-h"}, args[0]) {
		_, err := fmt.Fprintf(p.stdout, "docker of Slipway's jobs builds and moves images at the server's builder, without a container engine.\n\nCommands: %s.\n\n"+
			"docker COMMAND --help lists the options of one. `docker run` carries a command out to its end at the builder;\n"+
			"what is to run beside the steps, or be their place, is for the keys `services:` and `container:` of the job.\n", commands)
		return err
	}
	known := p.known()
	if len(args) > 1 {
		if f := known[args[0]+" "+args[1]]; f != nil {
			return f(ctx, args[2:])
		}
	}
	if f := known[args[0]]; f != nil {
		return f(ctx, args[1:])
	}
	name := args[0]
	if group := map[string]bool{"image": true, "buildx": true, "builder": true, "container": true, "system": true}; group[name] && len(args) > 1 {
		name += " " + args[1]
	}
	return refuse(name)
}

func (p program) version(args []string) error {
	flags := p.flags("version")
	format := flags.StringP("format", "f", "", "a Go template")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if *format != "" {
		v := map[string]any{"Version": buildkitVersion(), "ApiVersion": "", "Os": runtime.GOOS, "Arch": runtime.GOARCH}
		return p.template(*format, map[string]any{"Client": v, "Server": v})
	}
	_, err := fmt.Fprintf(p.stdout, "Slipway's docker: a client of BuildKit %s, without an engine\n", buildkitVersion())
	return err
}

func buildkitVersion() string { return moduleVersion("github.com/moby/buildkit") }

// moduleVersion is the version of a library that this program holds.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "(unknown version)"
}

// commands are those that people write.
const commands = "build, push, pull, tag, images, inspect, save, load, scan, login, logout, run, create, cp, export, rm, buildx build, buildx bake, buildx imagetools, compose build, manifest, info and version"

// refuse says what to use instead of a command that needs an engine.
func refuse(command string) error {
	const none = "there is no container engine in a job"
	instead := map[string]string{
		"exec":      none + "; run the command in a step, in the image that the job's `container:` key names",
		"start":     none + "; use the job's `services:` key",
		"stop":      none + "; what `services:` starts ends with the job",
		"kill":      none + "; what `services:` starts ends with the job",
		"wait":      none + "; what `services:` starts is ready when the first step begins",
		"container": none + "; the job's page shows its containers and services",
		"logs":      none + "; the job's page has the logs of its services",
		"stack":     none + "; deploy with KubernetesManifest@1",
		"service":   none + "; deploy with KubernetesManifest@1",
		"swarm":     none + "; deploy with KubernetesManifest@1",
		"network":   none + "; the services of a job share its network",
		"volume":    none + "; a folder of the job is there for all its steps",
		"import":    none + " to import an image into; write FROM scratch and ADD in a Dockerfile",
		"commit":    none + "; write what the container did as RUN in a Dockerfile",
		"scan":      "the registry's page shows an image's findings",
		"scout":     "the registry's page shows an image's findings",
		"buildx du": "the cache belongs to all jobs; administrators see it with `slipway builder du`",
		"context":   "there is one builder, the server's; leave the command out",
	}
	why, ok := instead[command]
	if !ok {
		group, _, _ := strings.Cut(command, " ")
		why, ok = instead[group]
	}
	if !ok {
		why = none + "; it knows " + commands
	}
	return slipway.Unsupported("docker %s cannot work here: %s. What needs an engine finds one elsewhere: docker's own client, with DOCKER_HOST of a machine that has one", command, why)
}
