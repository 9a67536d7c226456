package az

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	orasregistry "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway"
)

var (
	repositoryOption = option{names: []string{"--repository"}, doc: "the repository; the project's name before it may be left out"}
	imageOption      = option{names: []string{"--image", "-t"}, doc: "REPOSITORY:TAG or REPOSITORY@DIGEST"}
	yesOption        = option{names: []string{"--yes", "-y"}, kind: flag, doc: "do not ask"}
	topOption        = option{names: []string{"--top"}, doc: "how many at most"}
	orderOption      = option{names: []string{"--orderby"}, doc: "time_asc or time_desc"}
)

var registryCommands = []command{
	{name: "acr login", doc: "Signs docker in to this server's registry.", options: registryOptions(registryName("--name", "-n"),
		option{names: []string{"--expose-token", "-t"}, kind: flag, doc: "show the token and change nothing"}), run: (*call).acrLogin},
	{name: "acr show", doc: "Shows the registry.", options: registryOptions(registryName("--name", "-n")), run: (*call).acrShow},
	{name: "acr list", doc: "Lists the one registry.", options: registryOptions(), run: (*call).acrList},
	{name: "acr credential show", doc: "Shows the user and token that the registry takes.", options: registryOptions(registryName("--name", "-n")), run: (*call).acrCredentials},
	{name: "acr check-health", doc: "Asks the registry whether it answers.", options: registryOptions(registryName("--name", "-n"), yesOption,
		option{names: []string{"--ignore-errors"}, kind: flag}), run: (*call).acrCheck},
	{name: "acr build", doc: "Builds an image of a folder and pushes it.", positional: "the folder", options: registryOptions(registryName("--registry", "-r"),
		option{names: []string{"--image", "-t"}, kind: each, doc: "REPOSITORY:TAG"}, option{names: []string{"--file", "-f"}, doc: "the Dockerfile"},
		option{names: []string{"--build-arg"}, kind: each, doc: "NAME=VALUE"}, option{names: []string{"--secret-build-arg"}, kind: each, doc: "NAME=VALUE"},
		option{names: []string{"--target"}, doc: "the stage"}, option{names: []string{"--platform"}, doc: "linux, linux/amd64 or linux/arm64"},
		option{names: []string{"--no-push"}, kind: flag}, option{names: []string{"--no-logs"}, kind: flag}, option{names: []string{"--no-wait"}, kind: flag},
		option{names: []string{"--no-format"}, kind: flag}, option{names: []string{"--timeout"}}), run: (*call).acrBuild},
	{name: "acr import", doc: "Copies an image of another registry into this server's.", options: registryOptions(registryName("--name", "-n"),
		option{names: []string{"--source"}, need: true, doc: "REGISTRY/REPOSITORY:TAG"}, option{names: []string{"--image", "-t"}, kind: each, doc: "its name here"},
		registryName("--registry", "-r"), option{names: []string{"--force"}, kind: flag, doc: "replace the tag"}, option{names: []string{"--no-wait"}, kind: flag}), run: (*call).acrImport},
	{name: "acr repository list", doc: "Lists the repositories that the job may read.", options: registryOptions(registryName("--name", "-n"), topOption), run: (*call).acrRepositories},
	{name: "acr repository show-tags", doc: "Lists a repository's tags.", options: registryOptions(registryName("--name", "-n"), needed(repositoryOption), topOption,
		option{names: []string{"--detail"}, kind: flag, doc: "with digests, times and locks"}, orderOption), run: (*call).acrTags},
	{name: "acr repository show", doc: "Shows a repository or an image.", options: registryOptions(registryName("--name", "-n"), repositoryOption, imageOption), run: (*call).acrRepository},
	{name: "acr repository update", doc: "Locks a repository or an image, or unlocks it.", options: registryOptions(append([]option{registryName("--name", "-n"), repositoryOption, imageOption}, lockOptions...)...),
		run: (*call).acrLock},
	{name: "acr repository show-manifests", doc: "Lists a repository's manifests.", options: registryOptions(registryName("--name", "-n"), needed(repositoryOption), topOption,
		option{names: []string{"--detail"}, kind: flag}, orderOption), run: (*call).acrManifests},
	{name: "acr repository delete", doc: "Deletes a repository's images, or one image with all its tags.", options: registryOptions(registryName("--name", "-n"), repositoryOption, imageOption, yesOption),
		run: (*call).acrDelete},
	{name: "acr repository untag", doc: "Removes a tag.", options: registryOptions(registryName("--name", "-n"), needed(imageOption)), run: (*call).acrUntag},
	{name: "acr manifest list-metadata", doc: "Lists a repository's manifests.", positional: "the repository, with the registry's name before it", options: registryOptions(
		registryName("--registry", "-r"), option{names: []string{"--name", "-n"}, doc: "the repository"}, topOption, orderOption), run: (*call).acrManifests},
	{name: "acr manifest update-metadata", doc: "Locks an image, or unlocks it.", positional: "the image, with the registry's name before it", options: registryOptions(append([]option{
		registryName("--registry", "-r"), {names: []string{"--name", "-n"}, doc: "REPOSITORY:TAG or REPOSITORY@DIGEST"}}, lockOptions...)...), run: (*call).acrLock},
	{name: "acr manifest show", doc: "Shows an image's manifest.", positional: "the image, with the registry's name before it", options: registryOptions(
		registryName("--registry", "-r"), option{names: []string{"--name", "-n"}, doc: "REPOSITORY:TAG"}, option{names: []string{"--raw"}, kind: flag}), run: (*call).acrManifest},
}

func needed(o option) option {
	o.need = true
	return o
}

// acrBuild builds with Slipway's docker.
func (c *call) acrBuild() (any, error) {
	args, err := c.buildArguments()
	if err != nil {
		return nil, err
	}
	out := c.Stderr // so that standard output holds results alone
	if c.flag("no-logs") {
		out = io.Discard
	}
	if c.Docker(c.ctx, c.Stdin, out, args...) != 0 {
		return nil, errReported{exitFailed}
	}
	return nil, nil
}

func (c *call) buildArguments() ([]string, error) {
	host, err := c.host()
	if err != nil {
		return nil, err
	}
	if len(c.args) == 0 {
		return nil, usagef("the following arguments are required: the folder to build, as in `az acr build --image app:1 .`")
	}
	source := c.args[0]
	args := []string{"build"}
	if f := c.text("file"); f != "" {
		// Azure takes the file as it stands, and else below the folder.
		if below := filepath.Join(source, f); fileExists(below) || !fileExists(f) {
			f = below
		}
		args = append(args, "--file", f)
	}
	for _, name := range []string{"build-arg", "secret-build-arg"} {
		for _, a := range c.list(name) {
			args = append(args, "--build-arg", a)
		}
	}
	if t := c.text("target"); t != "" {
		args = append(args, "--target", t)
	}
	switch platform := strings.ToLower(c.text("platform")); {
	case strings.HasPrefix(platform, "windows"):
		return nil, slipway.Unsupported("--platform %s: images are built for Linux", platform)
	case strings.Contains(platform, "/"):
		args = append(args, "--platform", platform)
	}
	for _, image := range c.list("image") {
		name, reference, err := c.imageName(strings.NewReplacer("{{.Run.ID}}", c.Getenv("BUILD_BUILDID"), "{{.ID}}", c.Getenv("BUILD_BUILDID")).Replace(image))
		if err != nil {
			return nil, err
		}
		args = append(args, "--tag", host+"/"+name+":"+cmp.Or(reference, "latest"))
	}
	if !c.flag("no-push") && c.given("image") {
		args = append(args, "--push")
	}
	return append(args, source), nil
}

func fileExists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// acrImport copies an image, with all platforms of it, from registry to registry.
func (c *call) acrImport() (any, error) {
	source, reference, err := c.importSource()
	if err != nil {
		return nil, err
	}
	targets := c.list("image")
	if len(targets) == 0 {
		if strings.Contains(reference, ":") {
			return nil, usagef("--image is required when --source names a digest")
		}
		targets = []string{source.Reference.Repository + ":" + reference}
	}
	for _, target := range targets {
		if err := c.importTo(source, reference, target); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// importSource is what is copied: of another registry if the source names one, else of this server's.
func (c *call) importSource() (*remote.Repository, string, error) {
	text := c.text("source")
	parsed, err := orasregistry.ParseReference(text)
	own := err != nil || !strings.ContainsAny(parsed.Registry, ".:") && parsed.Registry != "localhost" || parsed.Registry == c.Getenv("SLIPWAY_REGISTRY_HOST")
	if own {
		name, reference, err := c.imageName(text)
		if err != nil {
			return nil, "", err
		}
		r, err := c.repository(name)
		return r, cmp.Or(reference, "latest"), err
	}
	r, err := foreign(text, c.text("username"), c.text("password"))
	return r, cmp.Or(parsed.Reference, "latest"), err
}

func (c *call) importTo(source *remote.Repository, reference, image string) error {
	name, tag, err := c.imageName(image)
	if err != nil {
		return err
	}
	tag = cmp.Or(tag, "latest")
	own := *c // --username and --password are the source's
	own.values = maps.Clone(c.values)
	delete(own.values, "username")
	delete(own.values, "password")
	target, err := own.repository(name)
	if err != nil {
		return err
	}
	if !c.flag("force") {
		switch _, err := target.Resolve(c.ctx, tag); {
		case err == nil:
			return slipway.Conflict("the tag %s of %s is there already: replace it with --force", tag, name)
		case !absent(err):
			return registryError("look at "+name+":"+tag, err)
		}
	}
	d, err := oras.Copy(c.ctx, source, reference, target, tag, oras.DefaultCopyOptions)
	if err != nil {
		return registryError(fmt.Sprintf("import %s as %s:%s", c.text("source"), name, tag), err)
	}
	c.note("imported %s:%s@%s", name, tag, d.Digest)
	return nil
}

// absent reports that the registry does not have it, or not even its repository.
func absent(err error) bool {
	var answer *errcode.ErrorResponse
	return errors.Is(err, errdef.ErrNotFound) || errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// chosenRepository is the repository that a command names, by its name, with the tag or digest behind it.
func (c *call) chosenRepository() (name, reference string, r *remote.Repository, err error) {
	text, err := c.repositoryArgument()
	if err != nil {
		return "", "", nil, err
	}
	if name, reference, err = c.imageName(text); err != nil {
		return "", "", nil, err
	}
	r, err = c.repository(name)
	return name, reference, r, err
}

// repositoryArgument is the repository that a command names by an option or by its argument.
func (c *call) repositoryArgument() (string, error) {
	text := c.text("repository")
	if text == "" && len(c.args) == 1 {
		text = c.args[0]
	}
	if text == "" {
		text = c.text("name")
	}
	if text == "" {
		return "", usagef("the following arguments are required: --name/-n")
	}
	return text, nil
}

func (c *call) acrManifest() (any, error) {
	name, reference, r, err := c.chosenRepository()
	if err != nil {
		return nil, err
	}
	reference = cmp.Or(reference, "latest")
	d, body, err := r.FetchReference(c.ctx, reference)
	if err != nil {
		return nil, registryError("read the manifest of "+name+":"+reference, err)
	}
	defer body.Close()
	b, err := content.ReadAll(body, d)
	if err != nil {
		return nil, registryError("read the manifest of "+name+":"+reference, err)
	}
	return json.RawMessage(b), nil
}

func (c *call) acrDelete() (any, error) {
	if c.given("image") == c.given("repository") {
		return nil, usagef("give one of --repository and --image/-t")
	}
	if !c.flag("yes") {
		return nil, usagef("az acr repository delete asks before it deletes, which nobody can answer in a job: write --yes")
	}
	name, reference, err := c.imageName(cmp.Or(c.text("image"), c.text("repository")))
	if err != nil {
		return nil, err
	}
	r, err := c.repository(name)
	if err != nil {
		return nil, err
	}
	references := []string{cmp.Or(reference, "latest")}
	if c.given("repository") {
		if references, err = c.tags(r); err != nil {
			return nil, err
		}
	}
	gone := map[string]bool{}
	for _, reference := range references {
		d, err := r.Resolve(c.ctx, reference)
		if absent(err) && len(gone) > 0 {
			continue // it went with another tag of the same image
		}
		if err != nil {
			return nil, registryError("look at "+name+":"+reference, err)
		}
		if err := r.Delete(c.ctx, d); err != nil {
			return nil, registryError("delete "+name+":"+reference, err)
		}
		gone[d.Digest.String()] = true
	}
	return map[string]any{"manifestsDeleted": slices.Sorted(maps.Keys(gone)), "tagsDeleted": references}, nil
}

// acrUntag removes a tag and leaves what it meant (distribution specification, "Deleting tags").
func (c *call) acrUntag() (any, error) {
	name, tag, err := c.imageName(c.text("image"))
	if err != nil {
		return nil, err
	}
	if tag == "" || strings.Contains(tag, ":") {
		return nil, usagef("argument --image/-t: write REPOSITORY:TAG")
	}
	base, client, err := c.server()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(c.ctx, http.MethodDelete, base.JoinPath("v2", name, "manifests", tag).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("remove a tag: %w", err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, registryError("remove the tag "+name+":"+tag, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return nil, registryError("remove the tag "+name+":"+tag, refusal(r, answer))
	}
	return nil, nil
}
