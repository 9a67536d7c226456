package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/images"

	"github.com/distribution/reference"
	"github.com/pelletier/go-toml/v2"
)

// projectDescriptor is a project.toml (buildpacks' specification, "Project Descriptor" 0.1 and 0.2), as far as it says how to build.
type projectDescriptor struct {
	Build projectBuild `toml:"build"`
	IO    struct {
		Buildpacks struct {
			projectBuild
			Group []projectGroup `toml:"group"`
			Build struct {
				Env []projectVariable `toml:"env"`
			} `toml:"build"`
		} `toml:"buildpacks"`
	} `toml:"io"`
}

type projectBuild struct {
	Builder    string            `toml:"builder"`
	Include    []string          `toml:"include"`
	Exclude    []string          `toml:"exclude"`
	Env        []projectVariable `toml:"env"`
	Buildpacks []projectGroup    `toml:"buildpacks"`
}

type projectGroup struct {
	ID      string `toml:"id"`
	Version string `toml:"version"`
	URI     string `toml:"uri"`
	Script  any    `toml:"script"`
}

type projectVariable struct {
	Name  string `toml:"name"`
	Value string `toml:"value"`
}

// maxDescriptor bounds a project descriptor and a report of the lifecycle, in bytes.
const maxDescriptor = 1 << 20

// readProject completes the flags by the project descriptor; flags go before.
func (b *packBuild) readProject() error {
	path := filepath.Join(b.app, cmp.Or(b.flags.descriptor, "project.toml"))
	if filepath.IsAbs(b.flags.descriptor) {
		path = b.flags.descriptor
	}
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && b.flags.descriptor == "":
	case err != nil:
		return slipway.NotFound("the project descriptor %s is not there", path)
	case fi.Size() > maxDescriptor:
		return slipway.Limit("%s is larger than %d bytes", path, maxDescriptor)
	default:
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read the project descriptor: %w", err)
		}
		var d projectDescriptor
		if err := toml.Unmarshal(text, &d); err != nil {
			return slipway.Invalid("%s: %v", path, err)
		}
		if err := b.apply(d, path); err != nil {
			return err
		}
	}
	if b.flags.builder == "" {
		return slipway.Invalid("pack build needs a builder image: write --builder IMAGE, as paketobuildpacks/builder-jammy-base")
	}
	return nil
}

func (b *packBuild) apply(d projectDescriptor, path string) error {
	own := d.IO.Buildpacks
	b.flags.builder = cmp.Or(b.flags.builder, own.Builder, d.Build.Builder)
	if len(d.Build.Include) > 0 || len(own.Include) > 0 {
		return slipway.Unsupported("%s: include is not supported: write under exclude what is to be left out", path)
	}
	b.ignore = slices.Concat(d.Build.Exclude, own.Exclude)
	for _, v := range slices.Concat(d.Build.Env, own.Env, own.Build.Env) {
		b.project = append(b.project, v.Name+"="+v.Value)
	}
	given := len(b.flags.buildpacks) > 0
	for _, g := range slices.Concat(d.Build.Buildpacks, own.Group) {
		name := g.ID
		if g.Version != "" {
			name += "@" + g.Version
		}
		if g.URI != "" || g.Script != nil || !buildpackID.MatchString(name) {
			return slipway.Unsupported("%s: a buildpack by uri or script is not supported: name one of the builder image by id and version", path)
		}
		if !given {
			b.flags.buildpacks = append(b.flags.buildpacks, name)
		}
	}
	return nil
}

// writePlatform fills the folder that becomes /platform: variables, each a file of its own, and the buildpacks' order.
func (b *packBuild) writePlatform(dir string) error {
	vars := b.project
	for _, file := range b.flags.envFiles {
		lines, err := b.envFile(file)
		if err != nil {
			return err
		}
		vars = append(vars, lines...)
	}
	vars = append(vars, b.environment(b.flags.env)...)
	env := filepath.Join(dir, "env")
	if err := os.MkdirAll(env, 0o755); err != nil {
		return fmt.Errorf("write the build's variables: %w", err)
	}
	for _, pair := range vars {
		name, value, _ := strings.Cut(pair, "=")
		if name == "" || strings.ContainsAny(name, "/\x00") || !filepath.IsLocal(name) {
			return slipway.Invalid("%q is no name of a variable", name)
		}
		if err := os.WriteFile(filepath.Join(env, name), []byte(value), 0o644); err != nil {
			return fmt.Errorf("write the build's variables: %w", err)
		}
	}
	if len(b.flags.buildpacks) == 0 {
		return nil
	}
	order := "[[order]]\n"
	for _, name := range b.flags.buildpacks {
		id, version, _ := strings.Cut(strings.TrimPrefix(name, "urn:cnb:builder:"), "@")
		order += "[[order.group]]\nid = " + strconv.Quote(id) + "\n"
		if version != "" {
			order += "version = " + strconv.Quote(version) + "\n"
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "order.toml"), []byte(order), 0o644); err != nil {
		return fmt.Errorf("write the buildpacks' order: %w", err)
	}
	return nil
}

// platformAPIs are those of the lifecycle that this program speaks, the newest first.
var platformAPIs = []string{"0.15", "0.14", "0.13", "0.12", "0.11", "0.10", "0.9", "0.8", "0.7"}

// readBuilder reads the builder image's configuration, by way of the builder, which knows mirrors.
func (b *packBuild) readBuilder(ctx context.Context, dial images.Dial) (builderImage, error) {
	if _, err := reference.ParseNormalizedNamed(b.flags.builder); err != nil {
		return builderImage{}, slipway.Invalid("%q is no name of a builder image: %v", b.flags.builder, err)
	}
	empty, err := b.emptyContext()
	if err != nil {
		return builderImage{}, err
	}
	raw, err := images.Config(ctx, dial, images.Options{ContextDir: empty, DockerfileText: "FROM " + b.flags.builder + "\n", Platforms: b.flags.platforms, Auth: b.credentials})
	if err != nil {
		return builderImage{}, err
	}
	var image struct {
		Config struct {
			Env    []string          `json:"Env"`
			Labels map[string]string `json:"Labels"`
		} `json:"config"`
	}
	if err := json.Unmarshal(raw, &image); err != nil {
		return builderImage{}, fmt.Errorf("read the builder image's configuration: %w", err)
	}
	env := pairs(image.Config.Env)
	found := builderImage{uid: cmp.Or(b.flags.uid, env["CNB_USER_ID"]), gid: cmp.Or(b.flags.gid, env["CNB_GROUP_ID"])}
	for _, id := range []string{found.uid, found.gid} {
		if n, err := strconv.Atoi(id); err != nil || n <= 0 {
			return found, slipway.Invalid("%s is no builder image of buildpacks: it names no CNB_USER_ID and CNB_GROUP_ID", b.flags.builder)
		}
	}
	return found, found.readLabel(image.Config.Labels["io.buildpacks.builder.metadata"], b.flags.builder)
}

// readLabel reads what builder images say of themselves.
func (i *builderImage) readLabel(text, name string) error {
	var label struct {
		Stack struct {
			RunImage struct {
				Image string `json:"image"`
			} `json:"runImage"`
		} `json:"stack"`
		Images []struct {
			Image string `json:"image"`
		} `json:"images"`
		Lifecycle struct {
			APIs struct {
				Platform struct {
					Supported []string `json:"supported"`
				} `json:"platform"`
			} `json:"apis"`
		} `json:"lifecycle"`
	}
	if err := json.Unmarshal([]byte(text), &label); err != nil {
		return slipway.Invalid("%s is no builder image of buildpacks: its label io.buildpacks.builder.metadata cannot be read: %v", name, err)
	}
	if i.runImage = label.Stack.RunImage.Image; len(label.Images) > 0 {
		i.runImage = label.Images[0].Image
	}
	for _, api := range platformAPIs {
		if slices.Contains(label.Lifecycle.APIs.Platform.Supported, api) {
			i.api = api
			return nil
		}
	}
	return slipway.Unsupported("the lifecycle of %s speaks the platform APIs %s: a builder image with %s or newer is needed", name,
		strings.Join(label.Lifecycle.APIs.Platform.Supported, ", "), platformAPIs[len(platformAPIs)-1])
}

// repositories are those of the job's registry that the build may write.
func (b *packBuild) repositories() []string {
	var list []string
	for _, name := range append(slices.Clone(b.names), b.flags.cacheImage) {
		if rest, ok := strings.CutPrefix(name, b.getenv("SLIPWAY_REGISTRY_HOST")+"/"); ok {
			repository, _ := splitTag(rest)
			list = append(list, repository)
		}
	}
	return list
}

// place is an image as the lifecycle is to name it: those of the job's registry are behind the relay, and so are those of upstreams.
func (b *packBuild) place(ctx context.Context, name string) (string, error) {
	i, err := b.remoteImage(name)
	if err != nil {
		return "", err
	}
	own := b.getenv("SLIPWAY_REGISTRY_HOST")
	if rest, ok := strings.CutPrefix(i.String(), own+"/"); ok {
		return relayPlace + "/" + rest, nil
	}
	if mirrored, ok := b.mirrored(ctx, name); ok {
		return relayPlace + "/" + strings.TrimPrefix(mirrored.String(), own+"/"), nil
	}
	return i.String(), nil
}

// otherCredentials are those for registries that the lifecycle speaks to itself, as it takes them.
func (b *packBuild) otherCredentials(image builderImage) ([]byte, error) {
	headers := map[string]string{}
	for _, name := range append(slices.Clone(b.names), b.flags.runImage, image.runImage, b.flags.cacheImage, b.flags.previous) {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue
		}
		host := reference.Domain(named)
		user, password := b.credentials(host)
		if host == b.getenv("SLIPWAY_REGISTRY_HOST") || user == "" && password == "" {
			continue
		}
		if host == "docker.io" {
			host = "index.docker.io"
		}
		headers[host] = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	text, err := json.Marshal(headers)
	if err != nil {
		return nil, fmt.Errorf("write credentials: %w", err)
	}
	return text, nil
}

// linkSelf puts this program into a folder by the relay's name.
func linkSelf(dir string) error {
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make a folder for the relay: %w", err)
	}
	target := filepath.Join(dir, relayName)
	if os.Link(own, target) == nil {
		return nil
	}
	return copyFile(own, target, 0o755) // on another file system
}

// readReport is the digest in what the lifecycle says of the image.
func readReport(dir string) (slipway.Digest, error) {
	text, err := os.ReadFile(filepath.Join(dir, "report.toml"))
	if err != nil {
		return "", fmt.Errorf("read the lifecycle's report: %w", err)
	}
	var report struct {
		Image struct {
			Digest string `toml:"digest"`
		} `toml:"image"`
	}
	if err := toml.Unmarshal(text, &report); err != nil {
		return "", fmt.Errorf("read the lifecycle's report: %w", err)
	}
	return slipway.ParseDigest(report.Image.Digest)
}
