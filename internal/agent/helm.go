package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"slipway/internal/pipelines/variable"
)

// helm is the tasks HelmDeploy@0 and HelmDeploy@1: helm, with access to the namespace of the job's environment.
type helm struct {
	*task
	in inputs
}

func (h helm) do() error {
	command := strings.ToLower(cmp.Or(h.in.text("command"), "ls"))
	if command == "logout" {
		return h.forgetAccess()
	}
	path, err := h.look("helm")
	if err != nil && command != "login" {
		return fmt.Errorf("%w: name an image that has helm by the job's container, or install it in a step before", err)
	}
	t := clusterProgram{h.task, path, h.folders.sources, map[string]string{}}
	if command != "package" {
		access, end, err := h.access(cmp.Or(h.in.text("connectionType"), "Azure Resource Manager"), h.in.text("kubernetesServiceEndpoint"), h.in.text("namespace"))
		if err != nil {
			return err
		}
		if command == "login" {
			h.setOutput("KUBECONFIG", access)
			return nil
		}
		defer end()
		if access != "" {
			t.env["KUBECONFIG"] = access
		}
	}
	args, err := h.arguments(command)
	if err != nil {
		return err
	}
	return h.execute(t, args)
}

func (h helm) execute(t clusterProgram, args []string) error {
	out, complained, err := t.call(args...)
	code := 0
	var exit errExit
	if errors.As(err, &exit) {
		code = exit.code
	}
	h.setOutput("helmExitCode", strconv.Itoa(code))
	if out != "" {
		h.setToolOutput("helmOutput", out)
	}
	if err == nil && complained && h.in.flag("failOnStderr", false) {
		return errors.New("helm wrote to its standard error, and failOnStderr is set")
	}
	return err
}

// arguments are helm's, in the order of the tasks.
func (h helm) arguments(command string) ([]string, error) {
	args := []string{command}
	if strings.EqualFold(h.vars.Text(variable.SystemDebug), "true") {
		args = append(args, "--debug")
	}
	words := splitArguments(h.in.text("arguments"))
	namespace := []string{}
	if n := h.in.text("namespace"); n != "" {
		namespace = []string{"--namespace", n}
	}
	switch command {
	case "install", "upgrade":
		return h.release(args, namespace, words)
	case "package":
		return h.pack(args, words)
	case "push":
		return append(args, h.absolute(h.in.text("chartPath")), h.in.text("remoteRepo")), nil
	case "create":
		return append(args, h.in.text("chartName")), nil
	case "rollback", "uninstall", "delete":
		if name := h.in.text("releaseName"); name != "" {
			args = append(args, name)
		}
	}
	return append(append(args, namespace...), words...), nil
}

// semantic is a whole version, which the tasks demand before they name it.
var semantic = regexp.MustCompile(`^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// release is `helm install` or `helm upgrade`.
func (h helm) release(args, namespace, words []string) ([]string, error) {
	upgrade := args[0] == "upgrade"
	args = append(args, namespace...)
	flag := func(input, argument string, byDefault bool) {
		if h.in.flag(input, byDefault) {
			args = append(args, argument)
		}
	}
	if upgrade {
		flag("install", "--install", true)
		flag("recreate", "--recreate-pods", false)
		flag("resetValues", "--reset-values", false)
		flag("force", "--force", false)
	}
	if file := h.in.text("valueFile"); file != "" && h.absolute(file) != h.folders.sources {
		path, err := h.resolved(file)
		if err != nil {
			return nil, err
		}
		args = append(args, "--values", path)
	}
	// As in the task, quotes mean what they mean in arguments.
	if values := strings.Join(h.in.lines("overrideValues"), ","); values != "" {
		args = append(args, splitArguments("--set "+values)...)
	}
	name := h.in.text("releaseName")
	if !upgrade {
		flag("updatedependency", "--dependency-update", false)
		if name == "" {
			args = append(args, "--generate-name")
		}
	} else if name == "" {
		name = h.vars.Text(variable.BuildBuildNumber)
	}
	flag("waitForExecution", "--wait", true)
	args = append(args, words...)
	if name != "" {
		args = append(args, name)
	}
	if strings.EqualFold(h.in.text("chartType"), "FilePath") {
		chart, err := h.resolved(h.in.text("chartPath"))
		if err != nil {
			return nil, err
		}
		args = append(args, chart)
	} else {
		args = append(args, h.in.text("chartName"))
	}
	if version := h.in.text("version"); semantic.MatchString(version) {
		args = append(args, "--version", version)
	} else if version != "" {
		h.log.Printf("##[warning]The version %s is not a whole version, as 1.2.3: the latest chart is taken.", version)
	}
	return args, nil
}

// resolved is the file or folder that an input means. Of those that a pattern matches it is the first, as in the task; a pattern without a slash
// matches names in every folder.
func (h helm) resolved(input string) (string, error) {
	if strings.Contains(input, "://") {
		return input, nil
	}
	path := h.absolute(input)
	if _, err := os.Stat(path); err == nil || !strings.ContainsAny(input, "*?") {
		return path, nil // helm says best what is wrong with a path
	}
	pattern := everywhere(input)
	found, err := findEverything(h.folders.sources, patterns{pattern}.expanded())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("look for %s: %w", input, err)
	}
	// A chart that is a folder is known by its file.
	charts, err := find(h.folders.sources, patterns{strings.TrimSuffix(pattern, "/") + "/Chart.yaml"}.expanded())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("look for %s: %w", input, err)
	}
	for _, file := range charts {
		found = append(found, filepath.Dir(file))
	}
	if len(found) == 0 {
		return "", fmt.Errorf("nothing matches %s below %s", input, h.folders.sources)
	}
	if slices.Sort(found); len(found) > 1 {
		h.log.Printf("%d files and folders match %s; %s is taken.", len(found), input, found[0])
	}
	return found[0], nil
}

func (h helm) pack(args, words []string) ([]string, error) {
	if h.in.flag("updatedependency", false) {
		args = append(args, "--dependency-update")
	}
	if version := h.in.text("version"); version != "" {
		args = append(args, "--version", version)
	}
	if folder := h.in.text("destination"); folder != "" {
		folder = h.absolute(folder)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, fmt.Errorf("make the folder of the package: %w", err)
		}
		args = append(args, "--destination", folder)
	}
	chart, err := h.resolved(h.in.text("chartPath"))
	return append(append(args, words...), chart), err
}
