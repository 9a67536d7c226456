package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/images"

	"github.com/spf13/pflag"
)

// buildTexts are flags of build that need more than their value.
type buildTexts struct {
	args, labels, annotations, contexts, outputs, attest, hosts []string
	sbom, provenance, shm                                       string
}

func (p program) parseBuild(args []string) (recipe, buildFlags, error) {
	var r recipe
	var f buildFlags
	var t buildTexts
	flags := p.flags("build")
	addBuildFlags(flags, &r, &f, &t)
	if err := flags.Parse(args); err != nil {
		return r, f, flagError(err)
	}
	if err := refuseFlags(flags); err != nil {
		return r, f, err
	}
	if err := p.complete(&r, &f, t); err != nil {
		return r, f, err
	}
	return r, f, p.readContext(&r, flags.Args())
}

func addBuildFlags(flags *pflag.FlagSet, r *recipe, f *buildFlags, t *buildTexts) {
	flags.StringArrayVarP(&r.Tags, "tag", "t", nil, "name of the image; may be given several times")
	flags.StringVarP(&r.Dockerfile, "file", "f", "", "the Dockerfile (CONTEXT/Dockerfile), - for standard input")
	flags.StringArrayVar(&t.args, "build-arg", nil, "KEY=VALUE for the Dockerfile's ARG; KEY alone takes the environment's value")
	flags.StringArrayVar(&t.contexts, "build-context", nil, "NAME=FOLDER, NAME=docker-image://IMAGE or NAME=URL, one more context for FROM and COPY --from")
	flags.StringVar(&r.Target, "target", "", "the stage to build")
	flags.StringArrayVar(&t.labels, "label", nil, "KEY=VALUE, a label of the image")
	flags.StringArrayVar(&t.annotations, "annotation", nil, "KEY=VALUE, an annotation of the manifest; index:KEY=VALUE of the index")
	flags.StringSliceVar(&r.Platforms, "platform", nil, "platforms to build for, as linux/amd64")
	flags.StringArrayVar(&r.Secrets, "secret", nil, "id=ID,src=FILE or id=ID,env=NAME")
	flags.StringArrayVar(&r.SSH, "ssh", nil, "default, or ID=SOCKET or ID=KEYFILE, for RUN --mount=type=ssh")
	flags.StringArrayVar(&r.CacheFrom, "cache-from", nil, "a cache to read: NAME or type=registry,ref=NAME")
	flags.StringArrayVar(&r.CacheTo, "cache-to", nil, "a cache to write: type=registry,ref=NAME,mode=max or type=inline")
	flags.BoolVar(&f.noCache, "no-cache", false, "build every step again")
	flags.StringSliceVar(&r.NoCacheStages, "no-cache-filter", nil, "stages that are built again")
	flags.BoolVar(&f.pull, "pull", false, "ask the registry again for base images")
	flags.BoolVar(&f.push, "push", false, "push the image at once")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print the image's digest alone")
	flags.StringVar(&f.progress, "progress", "auto", "plain, auto or tty (all plain here), quiet, rawjson")
	flags.StringVar(&f.iidFile, "iidfile", "", "write the image's id to this file")
	flags.StringVar(&f.metadataOut, "metadata-file", "", "write the build's result to this file, as buildx does")
	flags.StringArrayVarP(&t.outputs, "output", "o", nil, "FOLDER, - for a tar file, or type=registry|image|local|tar|oci|docker,dest=PATH")
	flags.StringVar(&t.provenance, "provenance", "", "attach the provenance: true, false, mode=min or mode=max")
	flags.StringVar(&t.sbom, "sbom", "", "attach a list of what the image holds: true, false or generator=IMAGE")
	flags.Lookup("provenance").NoOptDefVal, flags.Lookup("sbom").NoOptDefVal = "true", "true"
	flags.StringArrayVar(&t.attest, "attest", nil, "type=provenance,mode=max or type=sbom")
	flags.StringVar(&r.Network, "network", "", "of RUN: default or none")
	flags.StringArrayVar(&t.hosts, "add-host", nil, "NAME:ADDRESS in /etc/hosts of RUN")
	flags.StringArrayVar(&r.Ulimits, "ulimit", nil, "NAME=SOFT[:HARD] of RUN")
	flags.StringVar(&t.shm, "shm-size", "", "size of /dev/shm in RUN, as 64m")
	flags.Bool("load", false, "nothing to do: there is no engine to load into")
	flags.Bool("rm", true, "nothing to do: no container is kept")
	flags.Bool("force-rm", false, "nothing to do: no container is kept")
	flags.String("builder", "", "there is one builder, whatever it is called")
	flags.BoolP("debug", "D", false, "nothing to do")
	for _, refused := range refusedFlags {
		flags.String(refused.name, "", "not supported")
		flags.Lookup(refused.name).NoOptDefVal = "true"
	}
	flags.StringP("memory", "m", "", "not supported")
}

// refusedFlags are flags of docker that would change what a build does, with what to write instead.
var refusedFlags = []struct{ name, instead string }{
	{"allow", "the builder gives no step --network=host or --security=insecure; do that in a step of the job"},
	{"call", "the Dockerfile's checks are shown as warnings of every build"},
	{"check", "the Dockerfile's checks are shown as warnings of every build"},
	{"cgroup-parent", "a step's control group is the builder's own; leave it out"},
	{"compress", "the context is sent without; leave it out"},
	{"cpu-period", "a step may use what the builder may; leave it out"},
	{"cpu-quota", "a step may use what the builder may; leave it out"},
	{"cpu-shares", "a step may use what the builder may; leave it out"},
	{"cpuset-cpus", "a step may use what the builder may; leave it out"},
	{"cpuset-mems", "a step may use what the builder may; leave it out"},
	{"memory-swap", "a step may use what the builder may; leave it out"},
	{"isolation", "steps run in containers of runc; leave it out"},
	{"security-opt", "steps run with Docker's default rights; leave it out"},
	{"squash", "write a last stage FROM scratch with COPY --from in place of it"},
	{"device", "no device is passed to a step"},
}

func refuseFlags(flags *pflag.FlagSet) error {
	for _, refused := range append(refusedFlags, struct{ name, instead string }{"memory", "a step may use what the builder may; leave it out"}) {
		if flags.Lookup(refused.name).Changed {
			return slipway.Unsupported("docker build --%s is not supported by Slipway's docker: %s", refused.name, refused.instead)
		}
	}
	return nil
}

// complete fills in the recipe what needs more than a flag's value.
func (p program) complete(r *recipe, f *buildFlags, t buildTexts) (err error) {
	switch f.progress {
	case "auto", "plain", "tty", "quiet", "rawjson":
	default:
		return slipway.Invalid("--progress %s is not known: write plain, quiet or rawjson", f.progress)
	}
	for i, tag := range r.Tags {
		if r.Tags[i], err = imageName(tag); err != nil {
			return err
		}
	}
	if r.Network == "default" || r.Network == "bridge" {
		r.Network = ""
	}
	if r.ShmSize, err = parseSize(t.shm); err != nil {
		return err
	}
	for _, h := range t.hosts {
		name, address, ok := strings.Cut(h, "=")
		if !ok {
			name, address, _ = strings.Cut(h, ":")
		}
		r.Hosts = append(r.Hosts, name+"="+strings.Trim(address, "[]"))
	}
	r.Args, r.Labels, r.Annotations, r.Contexts = p.arguments(t.args), pairs(t.labels), pairs(t.annotations), pairs(t.contexts)
	for name, place := range r.Contexts {
		if r.Contexts[name], err = contextPlace(name, place); err != nil {
			return err
		}
	}
	if err := p.attestations(r, t); err != nil {
		return err
	}
	return f.addOutputs(t.outputs)
}

// attestations reads the three flags for them. The provenance names the run as the builder unless another is named.
func (p program) attestations(r *recipe, t buildTexts) error {
	add := func(a *images.Attestation, err error) error {
		if err == nil && a != nil {
			if id := p.runURL(); a.Kind == "provenance" && a.Attributes["builder-id"] == "" && id != "" {
				a.Attributes["builder-id"] = id
			}
			r.Attestations = append(r.Attestations, *a)
		}
		return err
	}
	if t.provenance != "" {
		if err := add(images.ParseAttestation("provenance", t.provenance)); err != nil {
			return err
		}
	}
	if t.sbom != "" {
		if err := add(images.ParseAttestation("sbom", t.sbom)); err != nil {
			return err
		}
	}
	for _, a := range t.attest {
		if err := add(images.ParseAttest(a)); err != nil {
			return err
		}
	}
	return nil
}

// runURL is the page of the job's run.
func (p program) runURL() string {
	collection, project, run := p.getenv("SYSTEM_COLLECTIONURI"), p.getenv("SYSTEM_TEAMPROJECT"), p.getenv("BUILD_BUILDID")
	if collection == "" || project == "" || run == "" {
		return ""
	}
	return strings.TrimSuffix(collection, "/") + "/" + project + "/_build/results?buildId=" + run
}

// addOutputs reads --output. An image that goes to an engine or nowhere is what happens anyway.
func (f *buildFlags) addOutputs(texts []string) error {
	for _, text := range texts {
		o, err := images.ParseOutput(text)
		if err != nil {
			return err
		}
		switch {
		case o.Type == "registry" && len(o.Attributes) == 0, o.Type == "image" && len(o.Attributes) == 1 && o.Attributes["push"] == "true":
			f.push = true
		case o.Type == "docker" && o.Dest == "": // --load
		default:
			f.outputs = append(f.outputs, o)
		}
	}
	return nil
}

// contextPlace makes a folder absolute and refuses what is not supported.
func contextPlace(name, place string) (string, error) {
	scheme, _, ok := strings.Cut(place, "://")
	switch {
	case ok && (scheme == "docker-image" || scheme == "http" || scheme == "https" || scheme == "git" || scheme == "ssh"), strings.HasPrefix(place, "git@"):
		return place, nil
	case ok:
		return "", slipway.Unsupported("--build-context %s=%s://: such a context is not supported: push the image and write docker-image://NAME", name, scheme)
	case place == "":
		return "", slipway.Invalid("--build-context %s: write NAME=FOLDER, NAME=docker-image://IMAGE or NAME=URL", name)
	}
	abs, err := filepath.Abs(place)
	if err != nil {
		return "", fmt.Errorf("find the build context %s: %w", name, err)
	}
	return abs, nil
}

// arguments are KEY=VALUE; KEY alone takes the environment's value.
func (p program) arguments(list []string) map[string]string {
	out := map[string]string{}
	for _, a := range list {
		key, value, ok := strings.Cut(a, "=")
		if !ok {
			value = p.getenv(key)
		}
		out[key] = value
	}
	return out
}

func pairs(list []string) map[string]string {
	out := map[string]string{}
	for _, s := range list {
		key, value, _ := strings.Cut(s, "=")
		out[key] = value
	}
	return out
}

// parseSize reads docker's sizes: bytes, or with b, k, m or g.
func parseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	number := strings.TrimRight(strings.ToLower(s), "bkmg")
	factor, known := map[string]int64{"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}[strings.ToLower(s)[len(number):]]
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || !known || n <= 0 {
		return 0, slipway.Invalid("--shm-size %s is no size: write 64m for example", s)
	}
	return n * factor, nil
}
