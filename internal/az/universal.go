package az

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/bmatcuk/doublestar/v4"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/file"
	"oras.land/oras-go/v2/registry/remote"

	"slipway"
)

// A Universal Package is a folder of files under a name and a version. Here it is an artifact of this server's registry, in the
// repository PROJECT/universal/FEED/NAME with the version as its tag. Each file is a layer that has its path as title, as the
// program oras writes and reads it.

const (
	universalType = "application/vnd.slipway.universal-package"
	universalFile = "application/octet-stream"
	// maxUniversalFiles bounds the files of a package, each of which is named in one manifest.
	maxUniversalFiles = 10_000
)

// universalOptions are what publishing and downloading have in common.
func universalOptions(more ...option) []option {
	return append(devOpsOptions(more...), option{names: []string{"--feed"}, need: true, doc: "the feed, which need not be made first"},
		option{names: []string{"--name", "-n"}, need: true, doc: "the package"},
		option{names: []string{"--path"}, need: true, doc: "the folder"},
		option{names: []string{"--scope"}, doc: "changes nothing: a feed belongs to a project"})
}

var universalCommands = []command{
	{name: "artifacts universal publish", doc: "Stores a folder as a version of a package.", options: universalOptions(
		option{names: []string{"--version", "-v"}, doc: "the version, as 1.2.3"},
		option{names: []string{"--increment"}, doc: "in place of --version: major, minor or patch of the highest one"},
		option{names: []string{"--description", "-d"}}), run: (*call).universalPublish},
	{name: "artifacts universal download", doc: "Fetches a version of a package into a folder.", options: universalOptions(
		option{names: []string{"--version", "-v"}, need: true, doc: "the version, or the highest of 1.2.*, 1.* or *"},
		option{names: []string{"--file-filter"}, doc: "a pattern of the files"}), run: (*call).universalDownload},
}

// universalName is what feeds and packages may be called: a part of a repository's name.
var universalName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)

// universal is the repository of the package that the options name, and the package's name for people.
func (c *call) universal() (*remote.Repository, string, error) {
	project, err := c.teamProject()
	if err != nil {
		return nil, "", err
	}
	feed, name := strings.ToLower(c.text("feed")), strings.ToLower(c.text("name"))
	if before, rest, ok := strings.Cut(feed, "/"); ok {
		project, feed = before, rest
	}
	for what, value := range map[string]string{"--feed": feed, "--name": name} {
		if !universalName.MatchString(value) {
			return nil, "", usagef("%s %q: write letters, digits and single dots, dashes and underscores between them", what, value)
		}
	}
	r, err := c.repository(strings.ToLower(project) + "/universal/" + feed + "/" + name)
	return r, name, err
}

func (c *call) universalPublish() (any, error) {
	r, name, err := c.universal()
	if err != nil {
		return nil, err
	}
	version, err := c.newVersion(r, name)
	if err != nil {
		return nil, err
	}
	store, err := file.New(c.text("path"))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.text("path"), err)
	}
	defer store.Close()
	layers, err := c.packageFiles(store)
	if err != nil {
		return nil, err
	}
	d, err := oras.PackManifest(c.ctx, store, oras.PackManifestVersion1_1, universalType, oras.PackManifestOptions{Layers: layers, ManifestAnnotations: c.packageAnnotations(version)})
	if err != nil {
		return nil, fmt.Errorf("describe the package: %w", err)
	}
	if err := store.Tag(c.ctx, d, version); err != nil {
		return nil, fmt.Errorf("describe the package: %w", err)
	}
	if _, err := oras.Copy(c.ctx, store, version, r, version, oras.DefaultCopyOptions); err != nil {
		return nil, registryError("publish "+name+" "+version, err)
	}
	c.note("Published %d files as %s %s, the artifact %s:%s of the registry.", len(layers), name, version, r.Reference.Repository, version)
	return universalAnswer(c.text("description"), version, d), nil
}

// universalAnswer is what the extension azure-devops prints.
func universalAnswer(description, version string, d ocispec.Descriptor) map[string]any {
	answer := map[string]any{"Description": nil, "ManifestId": d.Digest.String(), "Version": version}
	if description != "" {
		answer["Description"] = description
	}
	return answer
}

func (c *call) packageAnnotations(version string) map[string]string {
	list := map[string]string{ocispec.AnnotationVersion: version}
	for key, value := range map[string]string{ocispec.AnnotationDescription: c.text("description"), ocispec.AnnotationRevision: c.Getenv("BUILD_SOURCEVERSION")} {
		if value != "" {
			list[key] = value
		}
	}
	return list
}

// packageFiles are the layers of all files in the folder.
func (c *call) packageFiles(store *file.Store) ([]ocispec.Descriptor, error) {
	folder, err := filepath.Abs(c.text("path"))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.text("path"), err)
	}
	var layers []ocispec.Descriptor
	err = filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return slipway.Invalid("%s is no file: a package holds files alone, put others into an archive", path)
		}
		if len(layers) == maxUniversalFiles {
			return slipway.Limit("%s has more than %d files: put them into an archive", folder, maxUniversalFiles)
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		d, err := store.Add(c.ctx, filepath.ToSlash(relative), universalFile, path)
		layers = append(layers, d)
		return err
	})
	if err == nil && len(layers) == 0 {
		err = slipway.Invalid("there is no file in %s", folder)
	}
	if err != nil {
		return nil, fmt.Errorf("read the package's files: %w", err)
	}
	return layers, nil
}

// newVersion is the version that is published, which must not be there.
func (c *call) newVersion(r *remote.Repository, name string) (string, error) {
	given, step := c.text("version"), strings.ToLower(c.text("increment"))
	switch {
	case (given == "") == (step == ""):
		return "", usagef("give --version, or --increment with major, minor or patch")
	case step != "":
		known, err := c.versions(r)
		if err != nil {
			return "", err
		}
		return incremented(highest(known), step)
	}
	v, err := semver.StrictNewVersion(given)
	if err != nil || v.Metadata() != "" || given != strings.ToLower(given) {
		return "", usagef("--version %q: write three numbers, as 1.2.3 or 1.2.3-beta.1, in lower case", given)
	}
	known, err := c.versions(r)
	if err == nil && slices.ContainsFunc(known, v.Equal) {
		err = slipway.Conflict("the version %s of %s is published already, and never changes: publish another one", given, name)
	}
	return given, err
}

// versions are those of a package, none if it is not there.
func (c *call) versions(r *remote.Repository) ([]*semver.Version, error) {
	tags, err := c.tags(r)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil, nil
	}
	var list []*semver.Version
	for _, tag := range tags {
		if v, err := semver.StrictNewVersion(tag); err == nil {
			list = append(list, v)
		}
	}
	return list, err
}

func highest(list []*semver.Version) *semver.Version {
	if len(list) == 0 {
		return semver.New(0, 0, 0, "", "")
	}
	return slices.MaxFunc(list, (*semver.Version).Compare)
}

// incremented is the version after another one, as npm's semver counts: what is before a release becomes that release.
func incremented(v *semver.Version, step string) (string, error) {
	before := v.Prerelease() != ""
	major, minor, patch := v.Major(), v.Minor(), v.Patch()
	switch {
	case step == "patch" && before, step == "minor" && before && patch == 0, step == "major" && before && minor == 0 && patch == 0:
	case step == "patch":
		patch++
	case step == "minor":
		minor, patch = minor+1, 0
	case step == "major":
		major, minor, patch = major+1, 0, 0
	default:
		return "", usagef("--increment %q: write major, minor or patch", step)
	}
	return semver.New(major, minor, patch, "", "").String(), nil
}

// wildcard is a version of which the last parts are left open.
var wildcard = regexp.MustCompile(`^(\*|[0-9]+\.\*|[0-9]+\.[0-9]+\.\*)$`)

func (c *call) universalDownload() (any, error) {
	r, name, err := c.universal()
	if err != nil {
		return nil, err
	}
	version := c.text("version")
	if strings.Contains(version, "*") {
		if version, err = c.newest(r, name, version); err != nil {
			return nil, err
		}
	}
	folder := c.text("path")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	store, err := file.New(folder)
	if err != nil {
		return nil, fmt.Errorf("write to %s: %w", folder, err)
	}
	defer store.Close()
	options, files := oras.DefaultCopyOptions, 0
	filter := cmp.Or(c.text("file-filter"), "**")
	if !doublestar.ValidatePattern(filter) {
		return nil, usagef("--file-filter %q is no pattern", filter)
	}
	options.FindSuccessors = func(ctx context.Context, from content.Fetcher, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		list, err := content.Successors(ctx, from, d)
		list = slices.DeleteFunc(list, func(d ocispec.Descriptor) bool {
			title := d.Annotations[ocispec.AnnotationTitle]
			if title != "" && doublestar.MatchUnvalidated(filter, title) {
				files++
				return false
			}
			return title != ""
		})
		return list, err
	}
	d, err := oras.Copy(c.ctx, r, version, store, version, options)
	if err != nil {
		return nil, registryError("download "+name+" "+version, err)
	}
	c.note("Downloaded %d files of %s %s.", files, name, version)
	return universalAnswer("", version, d), nil
}

// newest is the highest release that a version with a star means.
func (c *call) newest(r *remote.Repository, name, version string) (string, error) {
	if !wildcard.MatchString(version) {
		return "", usagef("--version %q: a star stands for the last part alone, write 1.2.*, 1.* or *", version)
	}
	list, err := c.versions(r)
	if err != nil {
		return "", err
	}
	prefix := strings.TrimSuffix(version, "*")
	list = slices.DeleteFunc(list, func(v *semver.Version) bool { return v.Prerelease() != "" || !strings.HasPrefix(v.String(), prefix) })
	if len(list) == 0 {
		return "", slipway.NotFound("no version of %s is %s: the package has none, or none that is no preview", name, version)
	}
	return highest(list).String(), nil
}
