package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// dockerCompose is the tasks DockerCompose@0 and @1. The program is the job's `docker compose`, which makes and moves images and runs none.
type dockerCompose struct {
	docker1
	files []string // of -f, with one of the images' names last
}

func (d dockerCompose) do() error {
	if strings.EqualFold(d.in.text("containerregistrytype"), "Container Registry") {
		end, err := d.connect(d.in.text("dockerRegistryEndpoint"), false)
		if err != nil {
			return err
		}
		defer end()
	}
	if err := d.readEnvironment(); err != nil {
		return err
	}
	found, err := d.find()
	if err != nil || !found {
		return err
	}
	remove, err := d.nameImages()
	if err != nil {
		return err
	}
	defer remove()
	err = d.act()
	if len(*d.outputs) > 0 {
		d.setOutput("DockerComposeOutput", strings.Join(*d.outputs, "\n"))
	}
	return err
}

func (d *dockerCompose) act() error {
	words := d.arguments()
	switch strings.ToLower(d.in.text("action")) {
	case "build services":
		return d.buildServices(words)
	case "push services":
		return d.pushServices(words)
	case "lock services":
		return d.lock(words)
	case "write service image digests":
		return d.writeDigests(d.absolute(d.in.text("imageDigestComposeFile")), words)
	case "combine configuration":
		return d.combine()
	}
	command := splitArguments(d.in.text("dockerComposeCommand"))
	if len(command) == 0 {
		return errors.New("the input dockerComposeCommand must be a command of docker compose, as in `build --pull`")
	}
	return d.compose(append(command, words...)...)
}

// folder is where docker runs.
func (d dockerCompose) folder() string { return d.absolute(d.in.text("cwd")) }

// readEnvironment takes what the files may ask for.
func (d *dockerCompose) readEnvironment() error {
	d.env = map[string]string{}
	for _, line := range d.in.lines("dockerComposeFileArgs") {
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return fmt.Errorf("dockerComposeFileArgs: %q is not NAME=VALUE", line)
		}
		d.env[name] = strings.TrimSpace(value)
	}
	return nil
}

// find finds the compose files; false when there is none and that is all right.
func (d *dockerCompose) find() (bool, error) {
	pattern := d.in.text("dockerComposeFile")
	found, err := find(d.folder(), patterns{pattern}.expanded())
	if err != nil {
		return false, fmt.Errorf("look for a compose file: %w", err)
	}
	if len(found) == 0 {
		if d.in.flag("nopIfNoDockerComposeFile", false) {
			d.log.Printf("No compose file matches %s below %s: nothing is to be done.", pattern, d.folder())
			return false, nil
		}
		return false, fmt.Errorf("no compose file matches %s below %s", pattern, d.folder())
	}
	if len(found) > 1 {
		d.log.Printf("##[warning]%d files match %s; %s is taken.", len(found), pattern, found[0])
	}
	d.files = found[:1]
	for _, file := range d.in.lines("additionalDockerComposeFiles") {
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(found[0]), file)
		}
		if _, err := os.Stat(file); err != nil && !d.in.flag("requireAdditionalDockerComposeFiles", false) {
			d.log.Printf("##[warning]The compose file %s is not there and is left out.", file)
			continue
		}
		d.files = append(d.files, file)
	}
	return true, nil
}

// command are docker's arguments for a command of compose.
func (d dockerCompose) command(args ...string) []string {
	list := []string{"compose"}
	for _, f := range d.files {
		list = append(list, "-f", f)
	}
	if name := d.project(); name != "" {
		list = append(list, "-p", name)
	}
	return append(list, args...)
}

// notInProject is what a project's name has not (compose specification, "Name top-level element").
var notInProject = regexp.MustCompile(`^[^a-z0-9]+|[^a-z0-9_-]`)

func (d dockerCompose) project() string {
	return notInProject.ReplaceAllString(strings.ToLower(d.in.text("projectName")), "")
}

func (d dockerCompose) compose(args ...string) error {
	_, err := d.output(d.folder(), d.command(args...)...)
	return err
}

// composeService is what `docker compose config` says of a service.
type composeService struct {
	Image string          `json:"image"`
	Build json.RawMessage `json:"build"`
}

// services reads the files.
func (d dockerCompose) services() (map[string]composeService, error) {
	text, err := d.configuration("--format", "json")
	if err != nil {
		return nil, err
	}
	var c struct {
		Services map[string]composeService `json:"services"`
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("read what docker compose config says: %w", err)
	}
	return c.Services, nil
}

// configuration is what docker compose config writes; its warnings and errors go to the log.
func (d dockerCompose) configuration(args ...string) (string, error) {
	out := &limited{max: maxDockerOutput}
	shown := &stepLog{spool: d.log.spool, mask: d.mask}
	err := d.run(process{name: "docker", args: d.command(append([]string{"config"}, args...)...), dir: d.folder(), env: d.dockerEnv(), stdout: out, stderr: io.Writer(shown)})
	shown.Flush()
	return out.String(), err
}

// nameImages puts a file over the others that names the image of each service that is built, with the registry if wanted.
func (d *dockerCompose) nameImages() (remove func(), err error) {
	remove = func() {}
	services, err := d.services()
	if err != nil {
		return remove, err
	}
	images := map[string]string{}
	for name, s := range services {
		if len(s.Build) == 0 {
			continue
		}
		image := s.Image
		if image == "" {
			image = d.project() + "_" + name
		}
		if d.in.flag("qualifyImageNames", true) {
			image = d.qualified(image)
		}
		images[name] = image
	}
	if len(images) == 0 {
		return remove, nil
	}
	path := filepath.Join(d.folders.temp, "docker-compose.names.yml")
	if err := writeImages(path, images); err != nil {
		return remove, err
	}
	d.files = append(slices.Clone(d.files), path)
	return func() { os.Remove(path) }, nil
}

// writeImages writes a compose file with the images of services.
func writeImages(path string, images map[string]string) error {
	services := map[string]any{}
	for name, image := range images {
		services[name] = map[string]string{"image": image}
	}
	b, err := yaml.Marshal(map[string]any{"services": services})
	if err != nil {
		return fmt.Errorf("write the images' names: %w", err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return fmt.Errorf("write the images' names: %w", err)
	}
	return nil
}

// built are the images of services that are built, in the order of their services.
func (d dockerCompose) built() ([]string, error) {
	services, err := d.services()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(services)) {
		if len(services[name].Build) > 0 {
			list = append(list, services[name].Image)
		}
	}
	return list, nil
}

// moreTags are what the images are called beside their own names; latest is "".
func (d dockerCompose) moreTags() ([]string, error) {
	source, err := d.sourceTags()
	if err != nil {
		return nil, err
	}
	tags := slices.Concat(d.in.lines("additionalImageTags"), source)
	if d.in.flag("includeLatestTag", false) {
		tags = append(tags, "latest")
	}
	return tags, nil
}

func (d dockerCompose) buildServices(words []string) error {
	if err := d.compose(append([]string{"build"}, words...)...); err != nil {
		return err
	}
	return d.eachName(func(image, name string) error {
		if image == name {
			return nil
		}
		return d.exec("tag", image, name)
	})
}

func (d dockerCompose) pushServices(words []string) error {
	return d.eachName(func(_, name string) error {
		return d.exec(append(append([]string{"push"}, words...), name)...)
	})
}

// eachName does something for each image that is built by its own name, and then by those with more tags.
func (d dockerCompose) eachName(do func(image, name string) error) error {
	images, err := d.built()
	if err != nil {
		return err
	}
	tags, err := d.moreTags()
	if err != nil {
		return err
	}
	for _, image := range images {
		names := []string{image}
		for _, tag := range tags {
			if name := withoutTag(image) + ":" + tag; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		for _, name := range names {
			if err := do(image, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// pulledDigest is the line in which docker says what it has pulled.
var pulledDigest = regexp.MustCompile(`(?m)^Digest: (sha\d+:[0-9a-f]+)$`)

// writeDigests writes a compose file with the digests of all images.
func (d dockerCompose) writeDigests(path string, words []string) error {
	services, err := d.services()
	if err != nil {
		return err
	}
	images := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		image := services[name].Image
		out, err := d.output(d.folder(), append(append([]string{"pull"}, words...), image)...)
		if err != nil {
			return err
		}
		m := pulledDigest.FindStringSubmatch(out)
		if m == nil {
			return fmt.Errorf("docker pull %s does not say a digest", image)
		}
		images[name] = withoutTag(image) + "@" + m[1]
	}
	return writeImages(path, images)
}

// lock writes the whole configuration with the digests of all images.
func (d dockerCompose) lock(words []string) error {
	path := filepath.Join(d.folders.temp, "docker-compose.digests.yml")
	defer os.Remove(path)
	if err := d.writeDigests(path, words); err != nil {
		return err
	}
	d.files = append(slices.Clone(d.files), path)
	return d.combine()
}

// combine writes the whole configuration.
func (d dockerCompose) combine() error {
	text, err := d.configuration()
	if err != nil {
		return err
	}
	if d.in.flag("removeBuildOptions", false) {
		if text, err = withoutBuild(text); err != nil {
			return err
		}
	}
	if base := d.in.text("baseResolveDirectory"); base != "" {
		text = strings.ReplaceAll(text, d.absolute(base), ".")
	}
	if err := os.WriteFile(d.absolute(d.in.text("outputDockerComposeFile")), []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the compose file: %w", err)
	}
	return nil
}

// withoutBuild takes build out of every service.
func withoutBuild(text string) (string, error) {
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return "", fmt.Errorf("read what docker compose config says: %w", err)
	}
	services, _ := doc["services"].(map[string]any)
	for _, s := range services {
		if service, ok := s.(map[string]any); ok {
			delete(service, "build")
		}
	}
	b, err := yaml.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("write the compose file: %w", err)
	}
	return string(b), nil
}
