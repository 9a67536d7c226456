package agent

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"slipway/internal/pipelines/variable"
)

// docker is the task Docker@2: it runs the program `docker`, which in a job's pod is a client of Slipway's builder.
type docker struct {
	*task
	in inputs
}

func (d docker) do() error {
	switch command := strings.ToLower(d.in.text("command")); command {
	case "", "buildandpush":
		if d.in.text("arguments") != "" {
			d.log.Printf("##[warning]The arguments are ignored by buildAndPush, as Azure does: use the command build, and then push.")
		}
		return d.build(true)
	case "build":
		return d.build(false)
	case "push":
		return d.push()
	case "login":
		return d.login()
	case "logout":
		return d.exec("logout", d.host())
	default:
		return fmt.Errorf("the command %q of Docker@2 is not one that Slipway runs", command)
	}
}

// host is the registry: a connection that is named as a host is one, every other name means Slipway's own.
func (d docker) host() string {
	if name := d.in.text("containerRegistry"); hostForm.MatchString(name) {
		return name
	}
	return d.registry()
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?$|^localhost(:[0-9]+)?$|^[A-Za-z0-9.-]+:[0-9]+$`)

// login works for Slipway's own registry by the job's token, without a password; others need their own login in a script.
func (d docker) login() error {
	if d.host() != d.registry() {
		return fmt.Errorf("log in to %s with `docker login` in a script step, with its password in env", d.host())
	}
	p := process{name: "docker", args: []string{"login", "--username", "job", "--password-stdin", d.host()}, stdin: strings.NewReader(d.config.Token)}
	d.log.Printf("##[command]docker %s", strings.Join(p.args, " "))
	return d.run(p)
}

// images are the full names of the image, one for each tag.
func (d docker) images() ([]string, error) {
	repository := strings.ToLower(d.in.text("repository"))
	if repository == "" {
		return nil, fmt.Errorf("the input repository is empty: give the image's name")
	}
	tags := d.in.list("tags")
	if len(tags) == 0 {
		tags = []string{d.vars.Text(variable.BuildBuildID)}
	}
	// In Slipway's own registry an image belongs to a project, whose name is the first part.
	if key := strings.ToLower(d.vars.Text(variable.SystemTeamProject)); d.host() == d.registry() && key != "" && !strings.HasPrefix(repository, key+"/") {
		repository = key + "/" + repository
	}
	list := make([]string, len(tags))
	for i, tag := range tags {
		list[i] = d.host() + "/" + repository + ":" + tag
	}
	return list, nil
}

func (d docker) build(push bool) error {
	file, err := d.dockerfile()
	if err != nil {
		return err
	}
	context := d.in.text("buildContext")
	if context == "" || context == "**" {
		context = filepath.Dir(file)
	}
	args := []string{"build", "--file", file}
	if d.in.flag("addPipelineData", true) {
		args = append(args, d.labels()...)
	}
	if push || d.in.text("repository") != "" {
		images, err := d.images()
		if err != nil {
			return err
		}
		for _, image := range images {
			args = append(args, "--tag", image)
		}
	}
	if push {
		args = append(args, "--push")
	} else if text := d.in.text("arguments"); text != "" {
		words, err := splitWords(text)
		if err != nil {
			return err
		}
		args = append(args, words...)
	}
	return d.exec(append(args, d.absolute(context))...)
}

// dockerfile finds the one file that the glob means.
func (d docker) dockerfile() (string, error) {
	pattern := d.in.text("Dockerfile")
	if pattern == "" {
		pattern = "**/Dockerfile"
	}
	found, err := find(d.folders.sources, patterns{pattern})
	if err != nil {
		return "", fmt.Errorf("look for a Dockerfile: %w", err)
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no Dockerfile matches %s below %s", pattern, d.folders.sources)
	case 1:
	default:
		d.log.Printf("##[warning]%d files match %s; %s is taken.", len(found), pattern, found[0])
	}
	return found[0], nil
}

// labels say in the image where it comes from, with the names that Azure's task gives and those of the OCI image specification
// (annotations.md).
func (d docker) labels() []string {
	v := d.vars.Text
	var args []string
	for _, label := range [][2]string{
		{"com.azure.dev.image.system.teamfoundationcollectionuri", v(variable.SystemCollectionURI)},
		{"com.azure.dev.image.system.teamproject", v(variable.SystemTeamProject)},
		{"com.azure.dev.image.build.repository.name", v(variable.BuildRepositoryName)},
		{"com.azure.dev.image.build.sourceversion", v(variable.BuildSourceVersion)},
		{"com.azure.dev.image.build.repository.uri", v(variable.BuildRepositoryURI)},
		{"com.azure.dev.image.build.sourcebranchname", v(variable.BuildSourceBranchName)},
		{"com.azure.dev.image.build.definitionname", v(variable.BuildDefinitionName)},
		{"com.azure.dev.image.build.buildnumber", v(variable.BuildBuildNumber)},
		{"com.azure.dev.image.build.builduri", v(variable.BuildBuildURI)},
		{"com.azure.dev.image.build.requestedfor", v(variable.BuildRequestedFor)},
		{"org.opencontainers.image.revision", v(variable.BuildSourceVersion)},
		{"org.opencontainers.image.source", v(variable.BuildRepositoryURI)},
	} {
		if label[1] != "" {
			args = append(args, "--label", label[0]+"="+label[1])
		}
	}
	return args
}

func (d docker) push() error {
	images, err := d.images()
	if err != nil {
		return err
	}
	arguments, err := splitWords(d.in.text("arguments"))
	if err != nil {
		return err
	}
	for _, image := range images {
		if err := d.exec(append(append([]string{"push"}, arguments...), image)...); err != nil {
			return err
		}
	}
	return nil
}

func (d docker) exec(args ...string) error {
	d.log.Printf("##[command]docker %s", strings.Join(args, " "))
	return d.run(process{name: "docker", args: args})
}
