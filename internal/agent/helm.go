package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
	words, err := splitWords(strings.ReplaceAll(h.in.text("arguments"), "\n", " "))
	if err != nil {
		return nil, err
	}
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
	if file := h.in.text("valueFile"); file != "" {
		args = append(args, "--values", h.absolute(file))
	}
	if values := h.in.list("overrideValues"); len(values) > 0 {
		args = append(args, "--set", strings.Join(values, ","))
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
		chart, err := h.chart(h.in.text("chartPath"))
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

// chart is the one file or folder that a pattern means.
func (h helm) chart(pattern string) (string, error) {
	path := h.absolute(pattern)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	found, err := find(h.folders.sources, patterns{pattern})
	if err != nil {
		return "", fmt.Errorf("look for the chart: %w", err)
	}
	// A chart that is a folder is known by its file.
	files, err := find(h.folders.sources, patterns{strings.TrimSuffix(pattern, "/") + "/Chart.yaml"})
	if err != nil {
		return "", fmt.Errorf("look for the chart: %w", err)
	}
	for _, file := range files {
		found = append(found, filepath.Dir(file))
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d charts match %s: name one", len(found), pattern)
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
	chart, err := h.chart(h.in.text("chartPath"))
	return append(append(args, words...), chart), err
}
