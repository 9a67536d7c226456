package agent

import (
	"path/filepath"
	"strings"
	"testing"
)

// The call of npm, and the variable, are those of TfxInstaller.ts in microsoft/azure-devops-extension-tasks. What tfx says is what 0.23.1 says.
func TestTfxInstaller(t *testing.T) {
	t.Parallel()
	tfx := func(version string) string {
		return "#!/bin/sh\nprintf 'TFS Cross Platform Command Line Interface v" + version + "\\nCopyright Microsoft Corporation\\nVersion " + version + "\\n'\n"
	}
	var j *toolJob
	var bin, folder string
	var npm func() []string
	begin := func() {
		j = newToolJob(t, nil)
		bin, folder = j.path, filepath.Join(j.folders.tools, "tfx", "npm")
		j.env["PATH"] = bin + ":" + sysPath
		npm = j.recorder(filepath.Join(bin, "npm"), "", `mkdir -p "$5/bin"; cp "$HOME/tfx" "$5/bin/tfx"`)
		writeProgram(t, filepath.Join(j.env["HOME"], "tfx"), tfx("0.23.1"))
	}
	begin()
	f := func(task string, given map[string]string, location string, calls ...string) {
		t.Helper()
		log := j.must(task, given)
		if got := j.value("__tfxpath"); got != location || !strings.Contains(log, location+" is put before PATH.") || !strings.Contains(log, "\nVersion 0.") {
			t.Errorf("%s %v: __tfxpath is %s, want %s\n%s", task, given, got, location, log)
		}
		for i, call := range calls {
			calls[i] = call + " [-g] [--prefix] [" + folder + "] [--no-fund] in " + j.folders.temp
		}
		if got := npm(); strings.Join(got, "\n") != strings.Join(calls, "\n") {
			t.Errorf("%s %v: npm is called %q, want %q", task, given, got, calls)
		}
	}
	f("TfxInstaller@5", nil, folder+"/bin", "npm [install] [tfx-cli@latest]")
	f("TfxInstaller@4", nil, folder+"/bin", "npm [install] [tfx-cli@v0.x]")
	f("ms-devlabs.vsts-developer-tools-build-tasks.tfx-installer-build-task.TfxInstaller@3", map[string]string{"version": "0.16.0"}, folder+"/bin", "npm [install] [tfx-cli@0.16.0]")
	// What is there already is enough, unless the newest is asked for.
	begin()
	writeProgram(t, filepath.Join(bin, "tfx"), tfx("0.17.0"))
	f("TfxInstaller@5", nil, bin)
	f("TfxInstaller@5", map[string]string{"version": "0.17.0"}, bin)
	f("TfxInstaller@5", map[string]string{"version": "v0.17.x", "checkLatest": "false"}, bin)
	f("TfxInstaller@5", map[string]string{"version": "v0.23.x", "checkLatest": "false"}, folder+"/bin", "npm [install] [tfx-cli@v0.23.x]")
	f("TfxInstaller@5", map[string]string{"version": "v0.17.x"}, folder+"/bin", "npm [install] [tfx-cli@v0.17.x]")
	j.recorder(filepath.Join(bin, "npm"), "", "exit 1")
	if _, err := j.run("TfxInstaller@5", map[string]string{"version": "9.x"}); err == nil || !strings.Contains(err.Error(), "install tfx-cli: npm exited with code 1: npm gets packages from") {
		t.Errorf("%v", err)
	}
	if _, err := j.run("TfxInstaller@5", map[string]string{"version": "newest one"}); err == nil || !strings.Contains(err.Error(), "is no version") {
		t.Errorf("%v", err)
	}
}
