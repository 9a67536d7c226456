package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/progress"

	"github.com/spf13/pflag"
)

// packFlags are those of `pack build`.
type packFlags struct {
	builder, dir, runImage, cacheImage, previous, process, descriptor, network, uid, gid string
	tags, env, envFiles, buildpacks, platforms                                           []string
	publish, clear, quiet, verbose                                                       bool
}

// pack is pack (buildpacks.io) as far as images are built by it: the builder runs the lifecycle of a builder image.
func (p program) pack(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("usage: pack build NAME --builder IMAGE --path FOLDER --publish")}
	}
	switch args[0] {
	case "build":
		return p.packBuild(ctx, args[1:])
	case "version", "--version":
		_, err := fmt.Fprintf(p.stdout, "pack of Slipway, by BuildKit %s\n", buildkitVersion())
		return err
	case "config":
		return slipway.Unsupported("pack config is not there: a job begins anew, so name the builder with --builder")
	}
	return slipway.Unsupported("pack %s is not there: it knows build and version", args[0])
}

func (p program) packBuild(ctx context.Context, args []string) error {
	flags := pflag.NewFlagSet("pack build", pflag.ContinueOnError)
	flags.SetOutput(p.stdout)
	var f packFlags
	f.add(flags)
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if flags.NArg() != 1 {
		return usageError{errors.New("pack build needs exactly one argument, the image's name")}
	}
	if err := f.check(flags); err != nil {
		return err
	}
	dir, err := p.abs(f.dir)
	if err != nil {
		return err
	}
	b := packBuild{program: p, flags: f, app: dir}
	for _, name := range append([]string{flags.Arg(0)}, f.tags...) {
		full, err := imageName(name)
		if err != nil {
			return err
		}
		b.names = append(b.names, full)
	}
	if err := b.readProject(); err != nil {
		return err
	}
	return b.run(ctx)
}

func (f *packFlags) add(flags *pflag.FlagSet) {
	flags.StringVarP(&f.builder, "builder", "B", "", "the builder image")
	flags.StringVarP(&f.dir, "path", "p", ".", "the application's folder")
	flags.BoolVar(&f.publish, "publish", false, "push the image")
	flags.StringArrayVarP(&f.env, "env", "e", nil, "NAME=VALUE for the buildpacks, or NAME for the job's value")
	flags.StringArrayVar(&f.envFiles, "env-file", nil, "a file of NAME=VALUE lines")
	flags.StringSliceVarP(&f.buildpacks, "buildpack", "b", nil, "ID[@VERSION] of a buildpack in the builder image")
	flags.StringArrayVarP(&f.tags, "tag", "t", nil, "one more name of the image")
	flags.StringVar(&f.runImage, "run-image", "", "in place of the builder's")
	flags.StringVar(&f.cacheImage, "cache-image", "", "an image that holds the cache")
	flags.StringVar(&f.previous, "previous-image", "", "the image whose layers are used again")
	flags.StringVarP(&f.process, "default-process", "D", "", "the process that the image starts")
	flags.StringVarP(&f.descriptor, "descriptor", "d", "", "the project descriptor; project.toml of the folder without it")
	flags.BoolVar(&f.clear, "clear-cache", false, "use nothing of builds before")
	flags.StringVar(&f.network, "network", "", "default or none")
	flags.StringVar(&f.uid, "uid", "", "the user of the build")
	flags.StringVar(&f.gid, "gid", "", "the group of the build")
	flags.StringSliceVar(&f.platforms, "platform", nil, "as linux/amd64")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print the image's name alone")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "more of the lifecycle's log")
	for _, ignored := range []string{"trust-builder", "no-color", "timestamps", "trust-extra-buildpacks"} {
		flags.Bool(ignored, true, "nothing to do")
	}
	flags.String("pull-policy", "", "nothing to do: the builder looks a tag up each time")
	for _, refused := range packRefused {
		flags.String(refused.name, "", "not supported")
		if refused.name == "interactive" || refused.name == "sparse" {
			flags.Lookup(refused.name).NoOptDefVal = "true"
		}
	}
}

// packRefused are flags of pack that would change what a build does, with what to write instead.
var packRefused = []struct{ name, instead string }{
	{"cache", "the builder keeps the cache of each image; write --cache-image to keep it in the registry"},
	{"volume", "write what the build needs into the application's folder, or give it with --env"},
	{"docker-host", "there is no engine; leave it out"},
	{"extension", "extensions need a lifecycle that changes its own image; name a builder image that holds what they install"},
	{"lifecycle-image", "the builder image's own lifecycle is used; leave it out"},
	{"creation-time", "the lifecycle gives the image the time that it always gives; leave it out"},
	{"sbom-output-dir", "the lists of what is in the image are in the image; leave it out"},
	{"report-output-dir", "write what is needed of the image with `docker inspect`"},
	{"post-buildpack", "write the buildpacks in their order with --buildpack"},
	{"pre-buildpack", "write the buildpacks in their order with --buildpack"},
	{"buildpack-registry", "name a builder image that holds the buildpack"},
	{"gpus", "no device is passed to a build"},
	{"interactive", "a job has no terminal"},
	{"sparse", "the image goes to a registry; leave it out"},
	{"workspace", "the application is at /workspace; leave it out"},
	{"append-image-name-suffix", "name the image itself"},
	{"exec-env", "name a process with --default-process"},
	{"path-prefix", "leave it out"},
}

func (f *packFlags) check(flags *pflag.FlagSet) error {
	for _, refused := range packRefused {
		if flags.Lookup(refused.name).Changed {
			return slipway.Unsupported("pack build --%s is not supported: %s", refused.name, refused.instead)
		}
	}
	switch {
	case !f.publish:
		return slipway.Unsupported("pack build without --publish leaves the image in an engine, and there is none in a job: write --publish, and name the registry, as $SLIPWAY_REGISTRY_HOST/PROJECT/NAME")
	case len(f.platforms) > 1:
		return slipway.Unsupported("pack build --platform takes one platform here, which is the builder's own: build each at a builder of that processor")
	case f.network != "" && f.network != "default" && f.network != "none":
		return slipway.Unsupported("pack build --network %s is not supported: write default or none", f.network)
	}
	for _, b := range f.buildpacks {
		if !buildpackID.MatchString(strings.TrimPrefix(b, "urn:cnb:builder:")) {
			return slipway.Unsupported("pack build --buildpack %s is not supported: write ID or ID@VERSION of one in the builder image", b)
		}
	}
	return nil
}

// buildpackID is how a buildpack of a builder image is named.
var buildpackID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]*(/[a-zA-Z0-9._-]+)*(@[0-9A-Za-z.+-]+)?$`)

// packBuild is one build.
type packBuild struct {
	program
	flags   packFlags
	app     string   // the application's folder
	names   []string // of the image
	ignore  []string
	project []string // variables of the project descriptor
}

// builderImage is what the build needs to know of the builder image (buildpacks' platform specification, "Builder").
type builderImage struct {
	uid, gid, api, runImage string
}

func (b *packBuild) run(ctx context.Context) error {
	dial, err := b.builder()
	if err != nil {
		return err
	}
	image, err := b.readBuilder(ctx, dial)
	if err != nil {
		return err
	}
	o, done, err := b.options(ctx, image)
	if err != nil {
		return err
	}
	defer done()
	show := progress.PrintPlain(b.stderr)
	if b.flags.quiet {
		show = func(progress.Event) {}
	}
	o.Pushes = b.names
	result, err := images.Build(ctx, dial, o, show)
	if err == nil {
		result.Digest, err = readReport(o.Outputs[0].Dest)
	}
	b.record(ctx, recipe{Tags: b.names, Platforms: o.Platforms}, result, err)
	if err != nil {
		return err
	}
	for _, name := range b.names {
		if b.getenv("SLIPWAY_JOB") == "" {
			break // by hand nothing comes after that would ask for it
		}
		r := recipe{Remote: strings.TrimSuffix(name, ":"+tagOf(name)) + "@" + string(result.Digest), Tags: []string{name}, Digest: result.Digest}
		if err := b.remember(r); err != nil {
			return err
		}
	}
	if b.flags.quiet {
		_, err = fmt.Fprintln(b.stdout, b.names[0])
		return err
	}
	_, err = fmt.Fprintf(b.stdout, "Successfully built image %s\nDigest: %s\n", b.names[0], result.Digest)
	return err
}

func tagOf(name string) string {
	_, tag := splitTag(name)
	return tag
}

// options are the build that runs the lifecycle. done removes what it needs on disk.
func (b *packBuild) options(ctx context.Context, image builderImage) (_ images.Options, done func(), err error) {
	work, err := os.MkdirTemp("", "pack-")
	if err != nil {
		return images.Options{}, nil, fmt.Errorf("make a folder for the build: %w", err)
	}
	ends := []func(){func() { os.RemoveAll(work) }}
	done = func() {
		for _, end := range slices.Backward(ends) {
			end()
		}
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	program, platform, report := filepath.Join(work, "program"), filepath.Join(work, "platform"), filepath.Join(work, "report")
	if err := b.writePlatform(platform); err != nil {
		return images.Options{}, nil, err
	}
	if err := linkSelf(program); err != nil {
		return images.Options{}, nil, err
	}
	served, err := b.startRelay(ctx, b.repositories())
	if err != nil {
		return images.Options{}, nil, err
	}
	ends = append(ends, served.close)
	args, err := b.creator(ctx, image)
	if err != nil {
		return images.Options{}, nil, err
	}
	command, err := json.Marshal(args)
	if err != nil {
		return images.Options{}, nil, fmt.Errorf("write the build: %w", err)
	}
	cache := "pack-" + strings.NewReplacer("/", "-", ":", "-").Replace(b.names[0])
	text := fmt.Sprintf(`FROM %s AS build
USER 0:0
WORKDIR /layers
ENV CNB_PLATFORM_API=%s CNB_USER_ID=%[3]s CNB_GROUP_ID=%[4]s
COPY --from=platform / /platform/
COPY --chown=%[3]s:%[4]s . /workspace/
ARG SLIPWAY_BUILD
RUN --mount=type=bind,from=program,target=/slipway --mount=type=ssh,id=registry,target=%[5]s --mount=type=cache,id=%[6]s,target=/cache,sharing=locked --mount=type=secret,id=auth,env=CNB_REGISTRY_AUTH %[7]s
FROM scratch
COPY --from=build /layers/report.toml /
`, b.flags.builder, image.api, image.uid, image.gid, relaySocket, cache, command)
	auth, err := b.otherCredentials(image)
	if err != nil {
		return images.Options{}, nil, err
	}
	o := images.Options{
		ContextDir: b.app, DockerfileText: text, Ignore: append([]string{"# as the project says"}, b.ignore...), Auth: b.credentials, Platforms: b.flags.platforms,
		Contexts:  map[string]string{"platform": platform, "program": program},
		BuildArgs: map[string]string{"SLIPWAY_BUILD": rand.Text()}, // the lifecycle runs each time: it looks at what the registry has
		Secrets:   map[string][]byte{"auth": auth}, SSH: []images.SSH{{ID: "registry", Paths: []string{served.Socket}, Raw: true}},
		Outputs: []images.Output{{Type: "local", Dest: report}},
	}
	if b.flags.network == "none" {
		o.Network = "none"
	}
	return o, done, nil
}

// creator is the command line of the lifecycle (buildpacks' platform specification, "creator").
func (b *packBuild) creator(ctx context.Context, image builderImage) ([]string, error) {
	args := []string{"/slipway/" + relayName, relayPort(b.names[0]), "/cnb/lifecycle/creator", "-no-color", "-app=/workspace", "-layers=/layers", "-platform=/platform", "-cache-dir=/cache",
		"-report=/layers/report.toml", "-uid=" + image.uid, "-gid=" + image.gid}
	if b.flags.verbose {
		args = append(args, "-log-level=debug")
	}
	run := image.runImage
	if b.flags.runImage != "" {
		run = b.flags.runImage
	}
	if run == "" {
		return nil, slipway.Invalid("the builder image %s names no run image: name one with --run-image", b.flags.builder)
	}
	for flag, value := range map[string]string{"-run-image": run, "-cache-image": b.flags.cacheImage, "-previous-image": b.flags.previous} {
		if value == "" {
			continue
		}
		place, err := b.place(ctx, value)
		if err != nil {
			return nil, err
		}
		args = append(args, flag+"="+place)
	}
	if b.flags.process != "" {
		args = append(args, "-process-type="+b.flags.process)
	}
	if len(b.flags.buildpacks) > 0 {
		args = append(args, "-order=/platform/order.toml")
	}
	if b.flags.clear {
		args = append(args, "-skip-restore")
	}
	for _, name := range b.names[1:] {
		place, err := b.place(ctx, name)
		if err != nil {
			return nil, err
		}
		args = append(args, "-tag="+place)
	}
	place, err := b.place(ctx, b.names[0])
	return append(args, place), err
}
