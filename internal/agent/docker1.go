package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"slipway/internal/pipelines/variable"
)

// docker1 is the tasks Docker@0 and Docker@1, which name whole images where Docker@2 has a repository and tags. Their inputs
// differ in names alone, but for the tags that are pushed.
type docker1 struct {
	docker
	major int
}

// maxImageNames bounds the file of imageNamesPath, in names.
const maxImageNames = 1000

func (d docker1) do() error {
	action := strings.ToLower(d.in.text("command"))
	if d.major == 0 {
		action = strings.ToLower(d.in.text("action"))
	}
	if strings.EqualFold(d.in.text("containerregistrytype"), "Container Registry") {
		end, err := d.connect(d.in.text("dockerRegistryEndpoint"), action == "login" || action == "logout")
		if err != nil {
			return err
		}
		defer end()
	}
	switch action {
	case "build an image", "build":
		return d.build()
	case "tag image", "tag", "tag images":
		return d.tag()
	case "push an image", "push", "push images":
		return d.push()
	case "run a docker command":
		words := splitArguments(d.in.text("customCommand"))
		if len(words) == 0 {
			return errors.New("the input customCommand must be docker's arguments, as in `build -t app .`")
		}
		return d.any(words)
	case "login":
		return d.login(d.host())
	case "logout":
		return d.exec("logout", d.host())
	}
	words := d.arguments()
	return d.any(append([]string{action}, words...))
}

// any runs docker with a command of the user's, and sets DockerOutput to what it writes.
func (d docker1) any(args []string) error {
	out, err := d.output(d.folder(), args...)
	if err != nil {
		return err
	}
	d.setToolOutput("DockerOutput", out)
	return nil
}

// folder is where docker runs; only Docker@0 chooses one.
func (d docker1) folder() string {
	if d.major == 0 {
		return d.absolute(d.in.text("cwd"))
	}
	return d.folders.sources
}

func (d docker1) arguments() []string { return splitArguments(d.in.text("arguments")) }

// host is the registry. One of Azure's by its name means Slipway's own, since there is no Azure to sign in to.
func (d docker1) host() string {
	if d.foreign != nil {
		return d.foreign.host
	}
	if strings.EqualFold(d.in.text("containerregistrytype"), "Container Registry") {
		if name := d.in.text("dockerRegistryEndpoint"); hostForm.MatchString(name) {
			return name
		}
	}
	return d.registry()
}

// named says whether a registry is given: without one names stay as they are.
func (d docker1) named() bool {
	if strings.EqualFold(d.in.text("containerregistrytype"), "Container Registry") {
		return d.in.text("dockerRegistryEndpoint") != ""
	}
	return d.in.text("azureContainerRegistry") != ""
}

// valid is an image's name as docker wants it, unless the names are to stay as they are.
func (d docker1) valid(name string) string {
	if !d.in.flag("enforceDockerNamingConvention", true) {
		return name
	}
	return strings.ToLower(strings.ReplaceAll(name, " ", ""))
}

// qualified puts the registry before a name that has none.
func (d docker1) qualified(name string) string {
	if !d.named() || hasRegistry(name) {
		return name
	}
	return d.full(d.host(), name)
}

// hasRegistry says whether a name's first part is a host: it has a dot or a colon in it.
func hasRegistry(name string) bool {
	first, _, ok := strings.Cut(name, "/")
	return ok && strings.ContainsAny(first, ".:")
}

// withoutTag is a name's repository.
func withoutTag(name string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i]
	}
	return name
}

// several says whether the step is about the images of a file.
func (d docker1) several() bool {
	switch strings.ToLower(d.in.text("action") + d.in.text("command")) {
	case "tag images", "push images":
		return true
	case "tag image", "tag":
		return d.in.flag("tagMultipleImages", false)
	case "push an image", "push":
		return d.in.flag("pushMultipleImages", false)
	}
	return false
}

// names are the images that the step is about: one, or those of a file.
func (d docker1) names() ([]string, error) {
	if !d.several() {
		return []string{d.valid(d.in.text("imageName"))}, nil
	}
	path := d.absolute(d.in.text("imageNamesPath"))
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the images' names: %w", err)
	}
	var list []string
	for line := range bytes.Lines(bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))) {
		if name := d.valid(strings.TrimSpace(string(line))); name != "" {
			list = append(list, name)
		}
	}
	if len(list) == 0 || len(list) > maxImageNames {
		return nil, fmt.Errorf("the file %s holds %d names of images: write 1 to %d, one a line", path, len(list), maxImageNames)
	}
	return list, nil
}

// sourceTags are git's tags of the commit.
func (d docker1) sourceTags() ([]string, error) {
	if !d.in.flag("includeSourceTags", false) {
		return nil, nil
	}
	var out bytes.Buffer
	commit := d.vars.Text(variable.BuildSourceVersion)
	if err := d.run(process{name: "git", args: []string{"tag", "--points-at", commit}, stdout: &out, stderr: d.log}); err != nil {
		return nil, fmt.Errorf("list the tags of commit %s: %w", commit, err)
	}
	return strings.Fields(out.String()), nil
}

// image is an image with all names that it is to have in the registry.
type image struct {
	source  string
	targets []string
}

// list are the images with their names: the name itself, and with further tags.
func (d docker1) list(tags []string) ([]image, error) {
	names, err := d.names()
	if err != nil {
		return nil, err
	}
	source, err := d.sourceTags()
	if err != nil {
		return nil, err
	}
	var list []image
	for _, name := range names {
		full := name
		if d.in.flag("qualifyImageName", true) {
			full = d.qualified(name)
		}
		base := withoutTag(full)
		one := image{source: name}
		switch {
		case d.major == 1 || base != full:
			one.targets = append(one.targets, full)
			if d.major == 0 && d.in.flag("includeLatestTag", false) {
				one.targets = append(one.targets, base+":latest")
			}
		default:
			one.targets = append(one.targets, base+":latest")
		}
		for _, tag := range slices.Concat(source, tags) {
			one.targets = append(one.targets, base+":"+tag)
		}
		list = append(list, one)
	}
	return list, nil
}

func (d docker1) build() error {
	file, err := d.dockerfile()
	if err != nil {
		return err
	}
	args := []string{"build", "--file", file}
	for _, a := range d.in.lines("buildArguments") {
		args = append(args, "--build-arg", a)
	}
	words := d.arguments()
	args = append(args, words...)
	args = append(args, d.labels(d.in.flag("addDefaultLabels", true))...)
	if d.in.flag("addBaseImageData", true) {
		args = append(args, baseLabels(file)...)
	}
	name := d.valid(d.in.text("imageName"))
	if d.in.flag("qualifyImageName", true) {
		name = d.qualified(name)
	}
	base := withoutTag(name)
	args = append(args, "--tag", name)
	source, err := d.sourceTags()
	if err != nil {
		return err
	}
	for _, tag := range slices.Concat(d.in.lines("additionalImageTags"), source) {
		args = append(args, "--tag", base+":"+tag)
	}
	if base != name && d.in.flag("includeLatestTag", false) {
		args = append(args, "--tag", base)
	}
	_, err = d.output(d.folder(), append(args, d.context(file))...)
	if len(*d.outputs) > 0 {
		d.setOutput("DockerOutputPath", strings.Join(*d.outputs, "\n"))
	}
	return err
}

// context is the folder that is built.
func (d docker1) context(dockerfile string) string {
	byDefault, folder := d.in.flag("useDefaultContext", true), d.in.text("buildContext")
	if d.major == 0 {
		byDefault, folder = d.in.flag("defaultContext", true), d.in.text("context")
	}
	if byDefault {
		return filepath.Dir(dockerfile)
	}
	return d.absolute(folder)
}

// tag gives images further names. In Docker@1 the arguments are whole names, one a line.
func (d docker1) tag() error {
	var more []string
	if d.major == 0 {
		more = d.in.lines("additionalImageTags")
	}
	list, err := d.list(more)
	if err != nil {
		return err
	}
	for _, one := range list {
		source, targets := one.source, one.targets
		if d.major == 1 {
			for _, name := range d.in.lines("arguments") {
				if d.in.flag("qualifyImageName", true) {
					name = d.qualified(name)
				}
				targets = append(targets, name)
			}
			if d.in.flag("qualifySourceImageName", false) {
				source = d.qualified(source)
			}
		}
		for _, target := range targets {
			if err := d.exec("tag", source, target); err != nil {
				return err
			}
		}
	}
	return nil
}

// pushed is the line in which docker says what it has pushed.
var pushed = regexp.MustCompile(`(?m)^[^:\n]*: digest: (\S+) size: \d*$`)

// push pushes images by all their names, and writes the digest of each into imageDigestFile.
func (d docker1) push() error {
	var more []string
	if d.major == 0 {
		more = d.in.lines("additionalImageTags")
	}
	list, err := d.list(more)
	if err != nil {
		return err
	}
	words := d.arguments()
	var digests []string
	for _, one := range list {
		for i, target := range one.targets {
			out, err := d.output(d.folder(), append(append([]string{"push"}, words...), target)...)
			if err != nil {
				return err
			}
			if m := pushed.FindStringSubmatch(out); i == 0 && m != nil {
				digests = append(digests, withoutTag(target)+"@"+m[1])
			}
		}
	}
	path := d.in.text("imageDigestFile")
	if path == "" {
		return nil
	}
	if err := os.WriteFile(d.absolute(path), []byte(strings.Join(digests, "\n")), 0o644); err != nil {
		return fmt.Errorf("write the image's digest: %w", err)
	}
	return nil
}
