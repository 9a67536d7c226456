package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"slipway/internal/pipelines/variable"
)

// docker is the task Docker@2: it runs the program `docker`, which in a job's pod is a client of Slipway's builder.
type docker struct {
	*task
	in inputs
	// outputs are the files that hold what the commands wrote.
	outputs *[]string
	// foreign is the registry of a service connection, nil for this server's own.
	foreign *dockerRegistry
	env     map[string]string // more of docker's environment
}

func newDocker(t *task, in inputs) docker { return docker{task: t, in: in, outputs: new([]string)} }

// do runs the command and sets DockerOutput to the files of its output, one a line.
func (d docker) do() error {
	command := strings.ToLower(d.in.text("command"))
	end, err := d.connect(d.in.text("containerRegistry"), command == "login" || command == "logout")
	if err != nil {
		return err
	}
	defer end()
	err = d.command()
	if len(*d.outputs) > 0 {
		d.setOutput("DockerOutput", strings.Join(*d.outputs, "\n"))
	}
	return err
}

func (d docker) command() error {
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
		return d.login(d.host())
	case "logout":
		return d.exec("logout", d.host())
	case "tag", "images", "version":
		words := splitArguments(d.in.text("arguments"))
		return d.exec(append([]string{command}, words...)...)
	default:
		return fmt.Errorf("the command %q of Docker@2 is not one that Slipway runs", command)
	}
}

// host is the registry: that of a service connection, or one that is named as a host; every other name means Slipway's own.
func (d docker) host() string {
	if d.foreign != nil {
		return d.foreign.host
	}
	if name := d.in.text("containerRegistry"); hostForm.MatchString(name) {
		return name
	}
	return d.registry()
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?$|^localhost(:[0-9]+)?$|^[A-Za-z0-9.-]+:[0-9]+$`)

// images are the full names of the image, one for each tag. An empty input leaves the tag to docker, which is
// latest (dockerbuild.ts of DockerV2 in microsoft/azure-pipelines-tasks).
func (d docker) images() ([]string, error) {
	repository := strings.ToLower(d.in.text("repository"))
	if repository == "" {
		return nil, fmt.Errorf("the input repository is empty: give the image's name")
	}
	image, tags := d.full(d.host(), repository), d.in.list("tags")
	if len(tags) == 0 {
		return []string{image}, nil
	}
	list := make([]string, len(tags))
	for i, tag := range tags {
		list[i] = image + ":" + tag
	}
	return list, nil
}

// full is an image's name in a registry. In Slipway's own an image belongs to a project, whose name is the first part.
func (d docker) full(host, repository string) string {
	if key := strings.ToLower(d.vars.Text(variable.SystemTeamProject)); host == d.registry() && key != "" && !strings.HasPrefix(repository, key+"/") {
		repository = key + "/" + repository
	}
	return host + "/" + repository
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
	args = append(args, d.labels(d.in.flag("addPipelineData", true))...)
	if d.in.flag("addBaseImageData", true) {
		args = append(args, baseLabels(file)...)
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
		words := splitArguments(text)
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
	found, err := find(d.folders.sources, patterns{pattern}.expanded())
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
// (annotations.md): the server and the commit always, the rest of the run when all are wanted.
func (d docker) labels(all bool) []string {
	v := d.vars.Text
	list := [][2]string{
		{"com.azure.dev.image.system.teamfoundationcollectionuri", v(variable.SystemCollectionURI)},
		{"com.azure.dev.image.build.sourceversion", v(variable.BuildSourceVersion)},
		{"org.opencontainers.image.revision", v(variable.BuildSourceVersion)},
		{"org.opencontainers.image.source", v(variable.BuildRepositoryURI)},
	}
	if all {
		list = append(list, [][2]string{
			{"com.azure.dev.image.system.teamproject", v(variable.SystemTeamProject)},
			{"com.azure.dev.image.build.repository.name", v(variable.BuildRepositoryName)},
			{"com.azure.dev.image.build.repository.uri", v(variable.BuildRepositoryURI)},
			{"com.azure.dev.image.build.sourcebranchname", v(variable.BuildSourceBranchName)},
			{"com.azure.dev.image.build.definitionname", v(variable.BuildDefinitionName)},
			{"com.azure.dev.image.build.buildnumber", v(variable.BuildBuildNumber)},
			{"com.azure.dev.image.build.builduri", v(variable.BuildBuildURI)},
			{"com.azure.dev.image.build.requestedfor", v(variable.BuildRequestedFor)},
		}...)
	}
	var args []string
	for _, label := range list {
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
	arguments := splitArguments(d.in.text("arguments"))
	for _, image := range images {
		if err := d.exec(append(append([]string{"push"}, arguments...), image)...); err != nil {
			return err
		}
	}
	return nil
}

// exec runs docker, shows what it writes, in which logging commands mean nothing since it comes from Dockerfiles of anybody,
// and keeps it in a file.
func (d docker) exec(args ...string) error {
	_, err := d.output("", args...)
	return err
}

// maxDockerOutput bounds how much of a command's output is kept; what an output file holds is the beginning.
const maxDockerOutput = 16 << 20

// output is exec in a folder; it gives what docker wrote to its standard output.
func (d docker) output(dir string, args ...string) (string, error) {
	d.log.Printf("##[command]docker %s", strings.Join(args, " "))
	shown := &stepLog{spool: d.log.spool, mask: d.mask}
	out, all := &limited{max: maxDockerOutput}, &limited{max: maxDockerOutput}
	err := d.run(process{name: "docker", args: args, dir: dir, env: d.dockerEnv(), stdout: io.MultiWriter(shown, out, all), stderr: io.MultiWriter(shown, all)})
	shown.Flush()
	return out.String(), errors.Join(err, d.keep(args[0], all.Bytes()))
}

// limited keeps the beginning of what is written to it.
type limited struct {
	bytes.Buffer
	max int
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.max - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// keep writes a command's output to a file, with secrets masked as in the log.
func (d docker) keep(command string, output []byte) error {
	folder := filepath.Join(d.folders.temp, "task_outputs")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("keep docker's output: %w", err)
	}
	file, err := os.CreateTemp(folder, command+"_*.txt")
	if err != nil {
		return fmt.Errorf("keep docker's output: %w", err)
	}
	_, err = file.WriteString(d.mask.Mask(string(output)))
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("keep docker's output: %w", err)
	}
	*d.outputs = append(*d.outputs, file.Name())
	return nil
}

// setOutput sets a variable for the steps that follow, and if the step has a name an output of it.
func (t *task) setOutput(name, text string) {
	lines := t.setVariable(commandOf(name, text, false))
	if t.step.Name != "" {
		lines = append(lines, t.setVariable(commandOf(name, text, true))...)
	}
	for _, line := range lines {
		t.log.Printf("%s", line)
	}
}

func commandOf(name, text string, output bool) command {
	properties := map[string]string{"variable": name}
	if output {
		properties["isoutput"] = "true"
	}
	return command{name: "task.setvariable", properties: properties, text: text}
}

// baseLabels name the image that the last stage of a Dockerfile begins with, and its digest if the file has it. An image that
// an argument names is not known here.
func baseLabels(dockerfile string) []string {
	b, err := os.ReadFile(dockerfile)
	if err != nil {
		return nil // the build says so
	}
	base, stages := "", map[string]string{}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(strings.ToLower(line))
		if len(fields) < 2 || fields[0] != "from" {
			continue
		}
		fields = fields[1:]
		for len(fields) > 1 && strings.HasPrefix(fields[0], "--") { // --platform=...
			fields = fields[1:]
		}
		if base = fields[0]; stages[base] != "" {
			base = stages[base]
		}
		if len(fields) == 3 && fields[1] == "as" {
			stages[fields[2]] = base
		}
	}
	if base == "" || base == "scratch" || strings.Contains(base, "$") {
		return nil
	}
	name, digest, digested := strings.Cut(base, "@")
	args := []string{"--label", "image.base.ref.name=" + name}
	if digested {
		args = append(args, "--label", "image.base.digest="+digest)
	}
	return args
}
