package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"slipway"
)

// builderName is what the one builder is called towards scripts that ask.
const builderName = "slipway"

// createBuilder does `docker buildx create`: there is a builder already, and it stays the one.
func (p program) createBuilder(args []string) error {
	flags := p.flags("buildx create")
	name := flags.String("name", builderName, "the builder's name")
	driver := flags.String("driver", "docker-container", "docker-container")
	for _, f := range []string{"driver-opt", "buildkitd-flags", "buildkitd-config", "config", "platform", "node"} {
		flags.StringArray(f, nil, "changes nothing")
	}
	for _, f := range []string{"use", "bootstrap", "append", "leave"} {
		flags.Bool(f, false, "changes nothing")
	}
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if *driver == "remote" || *driver == "cloud" {
		return slipway.Unsupported("docker buildx create --driver %s cannot work here: images are built by Slipway's builder alone", *driver)
	}
	_, err := fmt.Fprintln(p.stdout, *name)
	return err
}

func (p program) inspectBuilder(args []string) error {
	flags := p.flags("buildx inspect")
	flags.Bool("bootstrap", false, "changes nothing")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	name := builderName
	if flags.NArg() > 0 {
		name = flags.Arg(0)
	}
	_, err := fmt.Fprintf(p.stdout, "Name:          %s\nDriver:        slipway\n\nNodes:\nName:                  %s0\nStatus:                running\nBuildKit version:      %s\nPlatforms:             linux/%s\n",
		name, name, buildkitVersion(), runtime.GOARCH)
	return err
}

func (p program) listBuilders(args []string) error {
	flags := p.flags("buildx ls")
	format := flags.String("format", "", "a Go template")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if *format != "" {
		return p.template(*format, map[string]any{"Name": builderName, "DriverEndpoint": "slipway", "Status": "running", "Buildkit": buildkitVersion(), "Platforms": "linux/" + runtime.GOARCH})
	}
	_, err := fmt.Fprintf(p.stdout, "NAME/NODE     DRIVER/ENDPOINT   STATUS    BUILDKIT   PLATFORMS\n%s*      slipway\n \\_ %s0    slipway           running   %s    linux/%s\n",
		builderName, builderName, buildkitVersion(), runtime.GOARCH)
	return err
}

// ignored are commands that choose among builders, of which there is one.
func ignored([]string) error { return nil }

// nothingKept answers the commands that make room: the job keeps nothing, and the builder's cache bounds itself.
func (p program) nothingKept(context.Context, []string) error {
	_, err := fmt.Fprintln(p.stdout, "Total reclaimed space: 0B")
	return err
}

// nothingThere answers commands that list what an engine keeps: there is the heading alone.
func (p program) nothingThere(heading string) func([]string) error {
	return func(args []string) error {
		if slices.Contains(args, "-q") || slices.Contains(args, "--quiet") {
			return nil
		}
		_, err := fmt.Fprintln(p.stdout, heading)
		return err
	}
}

func (p program) info(args []string) error {
	flags := p.flags("info")
	format := flags.StringP("format", "f", "", "a Go template")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	facts := map[string]any{"ServerVersion": buildkitVersion(), "OSType": runtime.GOOS, "Architecture": runtime.GOARCH, "Driver": "slipway", "Containers": 0, "NCPU": runtime.NumCPU()}
	if *format != "" {
		return p.template(*format, facts)
	}
	_, err := fmt.Fprintf(p.stdout, "Client: Slipway's docker, without an engine\n BuildKit: %s\n Builder: %s\n Registry: %s\n OSType: %s\n Architecture: %s\n",
		buildkitVersion(), p.getenv("SLIPWAY_BUILDER_URL"), p.getenv("SLIPWAY_REGISTRY_HOST"), runtime.GOOS, runtime.GOARCH)
	return err
}
