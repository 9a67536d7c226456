package main

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/goimage"
	"slipway/internal/images/progress"

	"github.com/spf13/pflag"
)

// koBase is ko's own base image.
const koBase = "cgr.dev/chainguard/static:latest"

// koScheme begins a reference to a Go program in a manifest.
const koScheme = "ko://"

// koFlags are ko's for building.
type koFlags struct {
	tags, platforms, labels, annotations, ldflags []string
	bare, basePaths, importPaths, tagOnly, push   bool
	sbom, refs, user, tarball                     string
}

// ko is ko (ko.build): it compiles Go programs with the job's Go and has the builder make their images.
func (p program) ko(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("usage: ko build ./cmd/app | ko resolve -f FILE | ko apply -f FILE [-- KUBECTL'S OPTIONS]")}
	}
	switch command, rest := args[0], args[1:]; command {
	case "build", "publish":
		return p.koBuild(ctx, rest)
	case "resolve", "apply", "create":
		return p.koManifests(ctx, command, rest)
	case "delete":
		return p.kubectl(ctx, "delete", nil, rest)
	case "login":
		return p.login(rest)
	case "version", "--version":
		_, err := fmt.Fprintf(p.stdout, "ko of Slipway, by BuildKit %s\n", buildkitVersion())
		return err
	default:
		return slipway.Unsupported("ko %s is not there: it knows build, publish, resolve, apply, create, delete, login and version", command)
	}
}

func (p program) koFlags(command string) (*pflag.FlagSet, *koFlags) {
	flags := pflag.NewFlagSet("ko "+command, pflag.ContinueOnError)
	flags.SetOutput(p.stdout)
	var f koFlags
	flags.StringSliceVarP(&f.tags, "tags", "t", []string{"latest"}, "tags of the images")
	flags.StringSliceVar(&f.platforms, "platform", nil, "as linux/amd64,linux/arm64")
	flags.BoolVar(&f.bare, "bare", false, "KO_DOCKER_REPO is the image's whole name")
	flags.BoolVarP(&f.basePaths, "base-import-paths", "B", false, "KO_DOCKER_REPO and the last part of the import path")
	flags.BoolVarP(&f.importPaths, "preserve-import-paths", "P", false, "KO_DOCKER_REPO and the whole import path")
	flags.BoolVar(&f.tagOnly, "tag-only", false, "name images by their tags, without digests")
	flags.BoolVar(&f.push, "push", true, "push the images")
	flags.StringVar(&f.sbom, "sbom", "none", "none, or spdx: attach a list of what the image holds")
	flags.StringVar(&f.refs, "image-refs", "", "write the images' names to this file")
	flags.StringVar(&f.user, "image-user", "", "the user of the images")
	flags.StringVar(&f.tarball, "tarball", "", "write the image to this archive")
	flags.StringSliceVar(&f.labels, "image-label", nil, "KEY=VALUE")
	flags.StringSliceVar(&f.annotations, "image-annotation", nil, "KEY=VALUE")
	flags.StringSliceVar(&f.ldflags, "ldflags", nil, "for the linker")
	flags.IntP("jobs", "j", 0, "nothing to do: go compiles several packages at once")
	flags.Bool("insecure-registry", false, "nothing to do: the builder knows which registries have no TLS")
	flags.BoolP("local", "L", false, "not supported")
	flags.String("oci-layout-path", "", "not supported")
	flags.String("sbom-dir", "", "not supported")
	flags.Bool("disable-optimizations", false, "not supported")
	flags.Bool("debug", false, "not supported")
	return flags, &f
}

func (f *koFlags) check(flags *pflag.FlagSet) error {
	for name, instead := range map[string]string{
		"local": "there is no engine to load into: leave it out, and the image goes to KO_DOCKER_REPO", "oci-layout-path": "write --tarball FILE",
		"sbom-dir": "write --sbom=spdx, which attaches it to the image", "disable-optimizations": "write ldflags and flags in .ko.yaml", "debug": "write flags in .ko.yaml",
	} {
		if flags.Lookup(name).Changed {
			return slipway.Unsupported("ko --%s is not supported: %s", name, instead)
		}
	}
	if f.sbom != "none" && f.sbom != "spdx" {
		return slipway.Unsupported("ko --sbom=%s is not supported: write spdx or none", f.sbom)
	}
	return nil
}

func (p program) koBuild(ctx context.Context, args []string) error {
	flags, f := p.koFlags("build")
	if err := flags.Parse(args); err != nil {
		return flagError(err)
	}
	if err := f.check(flags); err != nil {
		return err
	}
	packages := flags.Args()
	if len(packages) == 0 {
		packages = []string{"."}
	}
	var refs []string
	for _, pkg := range packages {
		ref, err := p.koImage(ctx, f, strings.TrimPrefix(pkg, koScheme))
		if err != nil {
			return err
		}
		refs = append(refs, ref)
		fmt.Fprintln(p.stdout, ref)
	}
	return f.writeRefs(refs)
}

func (f *koFlags) writeRefs(refs []string) error {
	if f.refs == "" {
		return nil
	}
	if err := os.WriteFile(f.refs, []byte(strings.Join(refs, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("write the images' names: %w", err)
	}
	return nil
}

// koName is where an image goes, by ko's rules (ko, pkg/commands/publisher.go).
func (p program) koName(f *koFlags, importPath string) (string, error) {
	repository := p.getenv("KO_DOCKER_REPO")
	switch {
	case strings.HasPrefix(repository, "ko.local"), strings.HasPrefix(repository, "kind.local"):
		return "", slipway.Unsupported("KO_DOCKER_REPO=%s: there is no engine to load into: name a repository, as $SLIPWAY_REGISTRY_HOST/PROJECT", repository)
	case repository == "":
		host, project := p.getenv("SLIPWAY_REGISTRY_HOST"), p.getenv("SYSTEM_TEAMPROJECT")
		if host == "" || project == "" {
			return "", slipway.Invalid("KO_DOCKER_REPO is not set: name the repository that images go to")
		}
		repository = host + "/" + strings.ToLower(project)
	}
	name := strings.ToLower(importPath)
	switch {
	case f.bare:
		return repository, nil
	case f.basePaths:
		return path.Join(repository, path.Base(name)), nil
	case f.importPaths:
		return path.Join(repository, name), nil
	}
	sum := md5.Sum([]byte(name))
	return path.Join(repository, path.Base(name)+"-"+hex.EncodeToString(sum[:])), nil
}

// koImage builds the image of one program and gives its reference.
func (p program) koImage(ctx context.Context, f *koFlags, pkg string) (string, error) {
	o, err := p.koOptions(f, pkg)
	if err != nil {
		return "", err
	}
	importPath, err := goimage.ImportPath(ctx, o)
	if err != nil {
		return "", err
	}
	name, err := p.koName(f, importPath)
	if err != nil {
		return "", err
	}
	made, done, err := goimage.Prepare(ctx, o)
	if err != nil {
		return "", err
	}
	defer done()
	for _, tag := range f.tags {
		full, err := imageName(name + ":" + tag)
		if err != nil {
			return "", err
		}
		made.Tags = append(made.Tags, full)
	}
	made.Push, made.Auth, made.Labels, made.Annotations = f.push, p.credentials, pairs(f.labels), pairs(f.annotations)
	made.Source, made.Revision = p.getenv("BUILD_REPOSITORY_URI"), p.getenv("BUILD_SOURCEVERSION")
	if f.sbom == "spdx" {
		sbom, err := images.ParseAttestation("sbom", "true")
		if err != nil {
			return "", err
		}
		made.Attestations = append(made.Attestations, *sbom)
	}
	if f.tarball != "" {
		made.Outputs = append(made.Outputs, images.Output{Type: "docker", Dest: f.tarball})
	}
	dial, err := p.builder()
	if err != nil {
		return "", err
	}
	result, err := images.Build(ctx, dial, made, progress.PrintPlain(p.stderr))
	if err != nil {
		return "", err
	}
	return koReference(f, name, string(result.Digest)), nil
}

// koReference is what stands for an image: with the tag, unless that is the one that is meant without.
func koReference(f *koFlags, name, digest string) string {
	switch tag := f.tags[0]; {
	case f.tagOnly:
		return name + ":" + tag
	case tag == "latest":
		return name + "@" + digest
	default:
		return name + ":" + tag + "@" + digest
	}
}

// koOptions are what ko's environment and flags say of a program.
func (p program) koOptions(f *koFlags, pkg string) (goimage.Options, error) {
	dir, err := p.folder()
	if err != nil {
		return goimage.Options{}, err
	}
	if len(f.tags) == 0 {
		return goimage.Options{}, usageError{errors.New("ko needs a tag")}
	}
	if f.tagOnly && len(f.tags) > 1 {
		return goimage.Options{}, slipway.Invalid("--tag-only needs exactly one tag, and got %d", len(f.tags))
	}
	if slices.Contains(f.tags, "") {
		return goimage.Options{}, slipway.Invalid("a tag of ko is empty")
	}
	o := goimage.Options{Dir: dir, Package: pkg, Settings: p.getenv("KO_CONFIG_PATH"), Base: p.getenv("KO_DEFAULTBASEIMAGE"), DefaultBase: koBase, Platforms: f.platforms, Folder: "/ko-app", User: f.user,
		Ldflags: strings.Join(f.ldflags, " ")}
	if list := p.getenv("KO_DEFAULTPLATFORMS"); len(o.Platforms) == 0 && list != "" {
		o.Platforms = strings.Split(list, ",")
	}
	if text := p.getenv("SOURCE_DATE_EPOCH"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 0 {
			return o, slipway.Invalid("SOURCE_DATE_EPOCH=%s is no number of seconds", text)
		}
		o.Time = time.Unix(seconds, 0)
	}
	o.Package = cmp.Or(o.Package, ".")
	return o, nil
}
