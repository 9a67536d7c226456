package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/bake"

	"github.com/spf13/pflag"
)

// composing is one call of `docker compose`.
type composing struct {
	program
	options  bake.ProjectOptions
	progress string
}

// compose does `docker compose`, of which it has what makes and moves images.
func (p program) compose(ctx context.Context, args []string) error {
	c := &composing{program: p}
	flags := p.flags("compose")
	flags.SetInterspersed(false)
	flags.StringArrayVarP(&c.options.Files, "file", "f", nil, "a compose file; may be given several times")
	flags.StringVarP(&c.options.Name, "project-name", "p", "", "the project's name")
	flags.StringVar(&c.options.ProjectDir, "project-directory", "", "what paths in the files are relative to (the first file's folder)")
	flags.StringArrayVar(&c.options.Profiles, "profile", nil, "a profile whose services are meant too; * is all")
	flags.StringArrayVar(&c.options.EnvFiles, "env-file", nil, "a file of variables in place of .env")
	flags.StringVar(&c.progress, "progress", "auto", "plain, auto or tty (all plain here), quiet")
	flags.Int("parallel", -1, "changes nothing: the builder says how much it does at once")
	flags.String("ansi", "auto", "changes nothing")
	flags.Bool("compatibility", false, "changes nothing")
	flags.Bool("all-resources", false, "changes nothing")
	flags.Bool("dry-run", false, "not supported")
	version := flags.BoolP("version", "v", false, "print the version")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if *version {
		return c.version(nil)
	}
	if flags.Changed("dry-run") {
		return slipway.Unsupported("docker compose --dry-run is not supported: docker compose build --print says what would be built")
	}
	if flags.NArg() == 0 {
		return usageError{errors.New("usage: docker compose [-f FILE] build|push|pull|config|images|version [options]")}
	}
	c.options.Dir = p.dir
	for key, value := range p.environ() {
		c.options.Environ = append(c.options.Environ, key+"="+value)
	}
	slices.Sort(c.options.Environ)
	if all := p.getenv("COMPOSE_PROFILES"); all != "" && len(c.options.Profiles) == 0 {
		c.options.Profiles = strings.Split(all, ",")
	}
	c.options.Name = cmp.Or(c.options.Name, p.getenv("COMPOSE_PROJECT_NAME"))
	return c.command(ctx, flags.Arg(0), flags.Args()[1:])
}

func (c *composing) command(ctx context.Context, name string, args []string) error {
	switch name {
	case "build":
		return c.build(ctx, args)
	case "push":
		return c.push(ctx, args)
	case "pull":
		return c.pull(ctx, args)
	case "config", "convert":
		return c.config(ctx, args)
	case "version":
		return c.version(args)
	}
	return refuseCompose(name)
}

// refuseCompose says what to write in place of a command that needs an engine.
func refuseCompose(name string) error {
	const none = "there is no container engine in a job"
	instead := map[string]string{
		"run": none + "; run the step in the image by the job's `container:` key", "exec": none + "; run the command in a step of the job",
		"logs": none + "; the job's page has the logs of its services", "ps": none + "; the job's page shows its containers and services",
		"ls": none + "; the job's page shows its containers and services", "top": none + "; the job's page shows its containers and services",
		"images": none + "; docker compose config --images lists the images", "publish": "push the compose file with oras",
		"down": none + "; what `services:` starts ends with the job", "stop": none + "; what `services:` starts ends with the job",
		"rm": none + "; what `services:` starts ends with the job", "kill": none + "; what `services:` starts ends with the job",
	}
	why := cmp.Or(instead[name], none+"; write the services under the job's `services:` key, with their images, ports and env")
	return slipway.Unsupported("docker compose %s cannot work here: %s. It knows build, push, pull, config and version", name, why)
}

// load reads the files, and keeps the services that are named.
func (c *composing) load(ctx context.Context, services []string, dependencies bool) (*bake.Project, error) {
	project, err := bake.LoadProject(ctx, c.options)
	if err != nil {
		return nil, err
	}
	return project, project.Select(services, dependencies)
}

// build does `docker compose build`: the targets of a bake file, made of the services.
func (c *composing) build(ctx context.Context, args []string) error {
	f := bakeFlags{progress: c.progress}
	flags := c.flags("compose build")
	var buildArgs, ssh []string
	flags.StringArrayVar(&buildArgs, "build-arg", nil, "KEY=VALUE of all services; KEY alone takes the environment's value")
	flags.StringArrayVar(&ssh, "ssh", nil, "default, or ID=SOCKET or ID=KEYFILE, of all services")
	flags.BoolVar(&f.noCache, "no-cache", false, "build every step again")
	flags.BoolVar(&f.pull, "pull", false, "ask the registry again for base images")
	flags.BoolVar(&f.push, "push", false, "push the images")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing")
	flags.BoolVar(&f.print, "print", false, "print what would be built, as a bake file")
	dependencies := flags.Bool("with-dependencies", false, "build what the services depend on too")
	flags.StringVar(&f.provenance, "provenance", "", "true, false, mode=min or mode=max")
	flags.StringVar(&f.sbom, "sbom", "", "true, false or generator=IMAGE")
	flags.Lookup("provenance").NoOptDefVal, flags.Lookup("sbom").NoOptDefVal = "true", "true"
	flags.String("builder", "", "there is one builder, whatever it is called")
	flags.Bool("force-rm", false, "nothing to do: no container is kept")
	flags.Bool("no-rm", false, "nothing to do: no container is kept")
	flags.Bool("parallel", true, "nothing to do: it is always so")
	flags.Bool("compress", false, "nothing to do")
	flags.StringP("memory", "m", "", "not supported")
	flags.Bool("check", false, "not supported")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.Changed("memory") {
		return slipway.Unsupported("docker compose build --memory is not supported by Slipway's docker: a step may use what the builder may; leave it out")
	}
	if flags.Changed("check") {
		return slipway.Unsupported("docker compose build --check is not supported by Slipway's docker: the Dockerfile's checks are shown as warnings of every build")
	}
	f.noCacheGiven, f.pullGiven, f.pushGiven = flags.Changed("no-cache"), flags.Changed("pull"), flags.Changed("push")
	project, err := c.load(ctx, flags.Args(), *dependencies)
	if err != nil {
		return err
	}
	config, err := project.Config()
	if err != nil {
		return err
	}
	if len(config.Targets) == 0 {
		_, err = fmt.Fprintln(c.stderr, "No services to build")
		return err
	}
	f.environ = project.Environment()
	for _, a := range buildArgs {
		f.set = append(f.set, "*.arg."+a)
	}
	for _, s := range ssh {
		f.set = append(f.set, "*.ssh+="+s)
	}
	return c.bakeTargets(ctx, config, nil, f)
}

// push does `docker compose push`: the images of services that are built.
func (c *composing) push(ctx context.Context, args []string) error {
	flags := c.flags("compose push")
	ignore := flags.Bool("ignore-push-failures", false, "go on when one fails")
	dependencies := flags.Bool("include-deps", false, "push what the services depend on too")
	quiet := flags.BoolP("quiet", "q", false, "print the images' names alone")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	project, err := c.load(ctx, flags.Args(), *dependencies)
	if err != nil {
		return err
	}
	return c.each(project, *ignore, func(s bake.Service) error {
		if !s.Built {
			return nil
		}
		name, err := imageName(s.Image)
		if err != nil {
			return err
		}
		return c.pushOne(ctx, name, *quiet)
	})
}

// pull does `docker compose pull`.
func (c *composing) pull(ctx context.Context, args []string) error {
	flags := c.flags("compose pull")
	ignore := flags.Bool("ignore-pull-failures", false, "go on when one fails")
	buildable := flags.Bool("ignore-buildable", false, "leave out services that are built")
	dependencies := flags.Bool("include-deps", false, "pull what the services depend on too")
	quiet := flags.BoolP("quiet", "q", false, "print the images' names alone")
	flags.String("policy", "", "changes nothing: no layer is kept")
	flags.Bool("no-parallel", false, "changes nothing")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	project, err := c.load(ctx, flags.Args(), *dependencies)
	if err != nil {
		return err
	}
	return c.each(project, *ignore, func(s bake.Service) error {
		if s.Built && *buildable {
			return nil
		}
		arguments := []string{s.Image}
		if *quiet {
			arguments = append(arguments, "--quiet")
		}
		return c.program.pull(ctx, arguments)
	})
}

// each does something for every service, and says which one failed.
func (c *composing) each(project *bake.Project, goOn bool, do func(bake.Service) error) error {
	for _, s := range project.Services() {
		err := do(s)
		if err == nil {
			continue
		}
		err = fmt.Errorf("service %s: %w", s.Name, err)
		if !goOn {
			return err
		}
		fmt.Fprintln(c.stderr, "WARN:", images.Message(err))
	}
	return nil
}

// config does `docker compose config`.
func (c *composing) config(ctx context.Context, args []string) error {
	flags := c.flags("compose config")
	format := flags.String("format", "yaml", "yaml or json")
	out := flags.StringP("output", "o", "", "write to this file")
	quiet := flags.BoolP("quiet", "q", false, "check the files and print nothing")
	lists := composeLists(flags)
	pin := flags.Bool("resolve-image-digests", false, "put digests in place of tags")
	flags.BoolVar(&c.options.NoInterpolate, "no-interpolate", false, "leave variables as they are")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	project, err := c.load(ctx, flags.Args(), true)
	if err != nil || *quiet {
		return err
	}
	if *pin {
		if err := project.Pin(func(image string) (string, error) { return c.digestOf(ctx, image) }); err != nil {
			return err
		}
	}
	text, err := project.YAML()
	switch {
	case *format == "json":
		text, err = project.JSON()
	case *format != "yaml":
		return slipway.Invalid("--format %s is not known: write yaml or json", *format)
	}
	if err != nil {
		return fmt.Errorf("write the compose file: %w", err)
	}
	if names, asked := lists.of(project); asked {
		text = nil
		for _, name := range names {
			text = append(text, name+"\n"...)
		}
	}
	if *out != "" {
		path, err := c.abs(*out)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return fmt.Errorf("write the compose file: %w", err)
		}
		return nil
	}
	_, err = c.stdout.Write(text)
	return err
}

// composeListFlags are what config lists instead of everything.
type composeListFlags struct{ services, images, profiles, volumes *bool }

func composeLists(flags *pflag.FlagSet) composeListFlags {
	return composeListFlags{
		flags.Bool("services", false, "list the services"), flags.Bool("images", false, "list the images"),
		flags.Bool("profiles", false, "list the profiles"), flags.Bool("volumes", false, "list the volumes"),
	}
}

func (l composeListFlags) of(project *bake.Project) (names []string, asked bool) {
	switch {
	case *l.services:
		for _, s := range project.Services() {
			names = append(names, s.Name)
		}
	case *l.images:
		for _, s := range project.Services() {
			names = append(names, s.Image)
		}
	case *l.profiles:
		names = project.Profiles()
	case *l.volumes:
		names = project.Volumes()
	default:
		return nil, false
	}
	return names, true
}

// digestOf asks the registry what a name means at the moment.
func (p program) digestOf(ctx context.Context, name string) (string, error) {
	i, err := p.remoteImage(name)
	if err != nil {
		return "", err
	}
	d, err := i.Resolve(ctx, i.reference)
	if err != nil {
		return "", registryError("look up "+i.String(), err)
	}
	return d.Digest.String(), nil
}

// version does `docker compose version`.
func (c *composing) version(args []string) error {
	flags := c.flags("compose version")
	short := flags.Bool("short", false, "print the version alone")
	format := flags.StringP("format", "f", "pretty", "pretty or json")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	v := strings.TrimPrefix(moduleVersion("github.com/compose-spec/compose-go/v2"), "v")
	text := "Slipway's docker compose, with the compose specification's library " + v
	switch {
	case *short:
		text = v
	case *format == "json":
		text = `{"version":` + strconv.Quote(v) + `}`
	}
	_, err := fmt.Fprintln(c.stdout, text)
	return err
}
