package agent

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"slipway/internal/agent/tool"
)

// maxOutput bounds what is read of a program's output, in bytes.
const maxOutput = 1 << 20

// bounded keeps the beginning of what a program writes, and whether there was more.
type bounded struct {
	bytes.Buffer
	limit int // bytes
	more  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := max(b.limit-b.Len(), 0)
	b.more = b.more || len(p) > room
	b.Buffer.Write(p[:min(room, len(p))])
	return len(p), nil
}

// outputOf runs a program and gives what it wrote to both outputs.
func (t *task) outputOf(dir string, env map[string]string, program string, args ...string) (string, error) {
	out := &bounded{limit: maxOutput}
	err := t.run(process{name: program, args: args, dir: dir, env: env, stdout: out})
	return out.String(), err
}

// installer finds and installs tools for the step.
func (t *task) installer() *tool.Installer {
	i := &tool.Installer{Logf: t.log.Printf, Job: t.folders.tools, Shared: t.folders.tools, Look: t.look, Getenv: t.getenv, Mirror: t.mirror}
	if t.cache != nil {
		i.Shared = filepath.Join(t.cache.folder, "tools")
	}
	if t.target != nil {
		i.Elsewhere, i.IsFile = true, t.isFile
		return t.withOutput(i)
	}
	for _, folder := range []string{os.Getenv("AGENT_TOOLSDIRECTORY"), t.getenv("RUNNER_TOOL_CACHE"), "/opt/hostedtoolcache"} {
		if folder != "" && folder != t.folders.tools {
			i.Image = append(i.Image, folder)
		}
	}
	return t.withOutput(i)
}

func (t *task) withOutput(i *tool.Installer) *tool.Installer {
	i.Output = func(_ context.Context, env map[string]string, program string, args ...string) (string, error) {
		return t.outputOf(t.folders.temp, env, program, args...)
	}
	return i
}

// mirror is where a tool is downloaded from, if not from its vendor: a variable says so, or else the server.
func (t *task) mirror(name string) string {
	variable := tool.MirrorVariable(name)
	return cmp.Or(t.vars.Text(variable), t.getenv(variable), t.work.ToolMirrors[name])
}

// assign sets a variable for the steps after this one, as task.setvariable does.
func (t *task) assign(name, text string) {
	t.log.Printf("%s is %s", name, text)
	t.tell(t.setVariable(command{properties: map[string]string{"variable": name}, text: text}))
}

// assignOutput sets a variable that other jobs can read too, if the step has a name.
func (t *task) assignOutput(name, text string) {
	t.assign(name, text)
	if t.step.Name != "" {
		t.tell(t.setVariable(command{properties: map[string]string{"variable": name, "isoutput": "true"}, text: text}))
	}
}

func (t *task) tell(lines []string) {
	for _, line := range lines {
		t.log.Printf("%s", line)
	}
}

// prepend puts a folder before PATH for the steps after this one.
func (t *task) prepend(folder string) {
	t.log.Printf("%s is put before PATH.", folder)
	t.tell(t.obey(command{name: "task.prependpath", text: folder}))
}

// useGo is the task GoTool@0.
func (t *task) useGo(in inputs) error {
	want, err := tool.ParseGo(in.text("version"))
	if err != nil {
		return err
	}
	base := in.text("goDownloadUrl")
	if base == "" || base == "https://go.dev/dl" {
		base = t.vars.Text("GoTool.GoDownloadUrl")
	}
	c, err := t.installer().Use(t.ctx, tool.Go, want, tool.Options{Base: base})
	if err != nil {
		return err
	}
	root := c.Folder
	if root == "" {
		text, err := t.outputOf(t.folders.temp, map[string]string{"GOTOOLCHAIN": "local", "GOROOT": ""}, c.Program, "env", "GOROOT")
		if err != nil {
			return fmt.Errorf("ask %s for its GOROOT: %w", c.Program, err)
		}
		root = strings.TrimSpace(text)
	}
	t.assign("GOROOT", root)
	for input, name := range map[string]string{"goPath": "GOPATH", "goBin": "GOBIN"} {
		if value := in.text(input); value != "" {
			t.assign(name, value)
		}
	}
	t.prepend(filepath.Join(root, "bin"))
	return nil
}

// useNode is the task UseNode@1. Without a version it has nothing to do.
func (t *task) useNode(in inputs) error {
	if in.text("version") == "" {
		t.log.Printf("No version is asked for, so that Node.js stays as it is.")
		return nil
	}
	return t.nodeOf(in, in.text("version"))
}

// nodeTool is the task NodeTool@0.
func (t *task) nodeTool(in inputs) error {
	if !strings.EqualFold(in.text("versionSource"), "fromFile") {
		return t.nodeOf(in, in.text("versionSpec"))
	}
	path := t.absolute(in.text("versionFilePath"))
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the version of Node.js: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return fmt.Errorf("read the version of Node.js: %w", err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return t.nodeOf(in, strings.TrimSpace(line))
}

func (t *task) nodeOf(in inputs, version string) error {
	want, err := tool.ParseSpec(version)
	if err != nil {
		return fmt.Errorf("Node.js: %w", err) //nolint:staticcheck // a name
	}
	i := t.installer()
	if n, err := strconv.Atoi(in.text("retryCountOnDownloadFails")); err == nil && n >= 0 {
		i.Tries = n + 1
	}
	if n, err := strconv.Atoi(in.text("delayBetweenRetries")); err == nil && n > 0 {
		i.Pause = time.Duration(n) * time.Millisecond
	}
	c, err := i.Use(t.ctx, tool.Node, want, tool.Options{Newest: in.flag("checkLatest", false), Base: in.text("nodejsMirror")})
	if err != nil {
		return err
	}
	if c.Folder != "" {
		t.prepend(filepath.Join(c.Folder, "bin"))
	}
	return nil
}

// usePython is the task UsePythonVersion@0.
func (t *task) usePython(in inputs) error {
	if err := checkMachine(in.text("architecture")); err != nil {
		return err
	}
	want, err := tool.ParsePython(in.text("versionSpec"))
	if err != nil {
		return err
	}
	if in.flag("allowUnstable", false) {
		want = want.Unstable()
	}
	c, err := t.installer().Use(t.ctx, tool.Python, want, tool.Options{Offline: in.flag("disableDownloadFromRegistry", false)})
	if err != nil {
		return err
	}
	location := c.Folder
	if location == "" {
		text, err := t.outputOf(t.folders.temp, nil, c.Program, "-c", "import sys; print(sys.prefix)")
		if err != nil {
			return fmt.Errorf("ask %s where it is installed: %w", c.Program, err)
		}
		location = strings.TrimSpace(text)
	}
	t.assignOutput("pythonLocation", location)
	if !in.flag("addToPath", true) {
		return nil
	}
	if c.Folder == "" {
		return t.linkPython(c)
	}
	t.prepend(c.Folder)
	t.prepend(filepath.Join(c.Folder, "bin"))
	return nil
}

// useRuby is the task UseRubyVersion@0, which installs nothing.
func (t *task) useRuby(in inputs) error {
	want, err := tool.ParseSpec(in.text("versionSpec"))
	if err != nil {
		return fmt.Errorf("Ruby: %w", err) //nolint:staticcheck // a name
	}
	c, err := t.installer().Find(t.ctx, tool.Ruby, want)
	if err != nil {
		return err
	}
	folder := filepath.Dir(c.Program)
	t.assignOutput("rubyLocation", folder)
	if c.Folder != "" && in.flag("addToPath", true) {
		t.prepend(folder)
	}
	return nil
}

// linkPython makes both python and python3 the one of PATH that was chosen: many images have no program python.
func (t *task) linkPython(c tool.Candidate) error {
	folder := filepath.Join(t.folders.tools, "Python", c.Version.String(), "links")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("link Python: %w", err)
	}
	for _, name := range []string{"python", "python3"} {
		script := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\"\n", strings.ReplaceAll(c.Program, "'", `'\''`))
		if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o755); err != nil { //nolint:gosec // a program is to be run
			return fmt.Errorf("link Python: %w", err)
		}
	}
	t.prepend(folder)
	return nil
}

// checkMachine refuses a processor that is not the job's. x64 is what tasks have as their default, whatever the machine.
func checkMachine(architecture string) error {
	if machine := machineName(); strings.EqualFold(architecture, "arm64") && machine != "arm64" || strings.EqualFold(architecture, "x86") {
		return fmt.Errorf("the job runs on %s, not on %s: leave the architecture out", machine, architecture)
	}
	return nil
}

// useHelm is the task HelmInstaller@1.
func (t *task) useHelm(in inputs) error {
	return t.useProgram(tool.Helm, cmp.Or(in.text("helmVersionToInstall"), "latest"), "")
}

// useOldHelm is the task HelmInstaller@0, which installs kubectl as well.
func (t *task) useOldHelm(in inputs) error {
	version := in.text("helmVersion")
	if in.flag("checkLatestHelmVersion", true) {
		version = "latest"
	}
	if err := t.useProgram(tool.Helm, version, ""); err != nil || !in.flag("installKubeCtl", true) {
		return err
	}
	version = in.text("kubectlVersion")
	if in.flag("checkLatestKubeCtl", true) {
		version = "latest"
	}
	return t.useProgram(tool.Kubectl, version, "")
}

// useKubectl is the task KubectlInstaller@0.
func (t *task) useKubectl(in inputs) error {
	return t.useProgram(tool.Kubectl, cmp.Or(in.text("kubectlVersion"), "latest"), "")
}

// useKubelogin is the task KubeloginInstaller@0.
func (t *task) useKubelogin(in inputs) error {
	return t.useProgram(tool.Kubelogin, cmp.Or(in.text("kubeloginVersion"), "latest"), "")
}

// useOPA is the task OpenPolicyAgentInstaller@0.
func (t *task) useOPA(in inputs) error {
	return t.useProgram(tool.OPA, cmp.Or(in.text("opaVersion"), "latest"), "")
}

// useTerraform is the task TerraformInstaller@0 and @1.
func (t *task) useTerraform(in inputs) error {
	return t.useProgram(tool.Terraform, cmp.Or(in.text("terraformVersion"), "latest"), "terraformLocation")
}

// useProgram installs a tool of one program. The variable, if any, says where it is.
func (t *task) useProgram(wanted *tool.Tool, version, variable string) error {
	want, err := tool.ParseSpec(version)
	if err != nil {
		return fmt.Errorf("%s: %w", wanted.Title, err)
	}
	c, err := t.installer().Use(t.ctx, wanted, want, tool.Options{})
	if err != nil {
		return err
	}
	if variable != "" {
		t.assignOutput(variable, c.Program)
	}
	if c.Folder != "" {
		t.prepend(c.Folder)
	}
	return nil
}

// useDocker is the task DockerInstaller@0.
func (t *task) useDocker(inputs) error {
	t.log.Printf("The job has a docker of its own, which builds and pushes images without a daemon: nothing is installed.")
	return nil
}

// useTaskRunner is the task NodeTaskRunnerInstaller@0.
func (t *task) useTaskRunner(inputs) error {
	t.log.Printf("Tasks run on the job's own Node.js, which UseNode@1 installs: nothing is installed.")
	return nil
}

// useNuGet is the task NuGetToolInstaller@0 and @1. nuget.exe is a program of Windows; dotnet has NuGet built in.
func (t *task) useNuGet(inputs) error {
	text := "nuget.exe is a program of Windows and is not installed: NuGetCommand@2 and DotNetCoreCLI@2 restore packages by dotnet"
	if path, err := t.look("dotnet"); err == nil {
		t.log.Printf("%s, which is %s.", text, path)
		return nil
	}
	t.tell(t.logIssue(command{properties: map[string]string{"type": "warning"}, text: text + ", which is not there yet: put UseDotNet@2 before them."}))
	return nil
}
