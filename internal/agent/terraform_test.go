package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The arguments are those of the extension's tasks (base-terraform-command-handler.ts).
func TestTerraformTask(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.path += ":" + sysPath
	fakeTerraform := j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "terraform"), "ARM_CLIENT_SECRET", `echo '{"a":1}'; echo note >&2; exit ${TF_EXIT:-0}`)
	j.write("infra/main.tf", "")
	j.env["ARM_CLIENT_SECRET"] = "s"
	run := func(reference, command string, more ...string) (string, error) {
		given := map[string]string{"command": command, "workingDirectory": "infra"}
		for i := 0; i < len(more); i += 2 {
			given[more[i]] = more[i+1]
		}
		return j.run(reference, given)
	}
	must := func(reference, command string, more ...string) {
		t.Helper()
		if log, err := run(reference, command, more...); err != nil {
			t.Errorf("%s: %v\n%s", command, err, log)
		}
	}
	must("TerraformTaskV4@4", "init", "commandOptions", "-backend-config=key=x")
	must("TerraformTaskV1@0", "validate", "provider", "aws")
	must("TerraformTaskV2@2", "apply")
	must("TerraformTaskV3@3", "destroy", "commandOptions", "-var a=b -auto-approve")
	must("TerraformTask@5", "custom", "customCommand", "fmt -check")
	wantCalls(t, fakeTerraform, "terraform [init] [-backend-config=key=x] ARM_CLIENT_SECRET=s in SOURCES/infra", "terraform [validate] ARM_CLIENT_SECRET=s in SOURCES/infra",
		"terraform [apply] [-auto-approve] ARM_CLIENT_SECRET=s in SOURCES/infra", "terraform [destroy] [-var] [a=b] [-auto-approve] ARM_CLIENT_SECRET=s in SOURCES/infra",
		"terraform [fmt] [-check] ARM_CLIENT_SECRET=s in SOURCES/infra")

	j.named = "tf"
	for code, want := range map[string]string{"0": "false", "2": "true"} {
		j.env["TF_EXIT"] = code
		must("TerraformTaskV4@4", "plan", "commandOptions", "-out=p")
		wantCalls(t, fakeTerraform, "terraform [plan] [-out=p] [-detailed-exitcode] ARM_CLIENT_SECRET=s in SOURCES/infra")
		if got := j.value("tf.changesPresent"); got != want {
			t.Errorf("exit code %s: changesPresent is %s, want %s", code, got, want)
		}
	}
	j.env["TF_EXIT"] = "1"
	if _, err := run("TerraformTaskV4@4", "plan"); err == nil || err.Error() != "terraform exited with code 1" {
		t.Errorf("%v", err)
	}
	delete(j.env, "TF_EXIT")
	fakeTerraform()

	must("TerraformTaskV4@4", "output")
	must("TerraformTaskV4@4", "show", "outputTo", "file", "outputFormat", "json", "fileName", "plan.json", "commandOptions", "p")
	wantCalls(t, fakeTerraform, "terraform [output] [-json] ARM_CLIENT_SECRET=s in SOURCES/infra", "terraform [show] [-json] [p] ARM_CLIENT_SECRET=s in SOURCES/infra")
	for variable, want := range map[string]string{"jsonOutputVariablesPath": "", "showFilePath": filepath.Join(j.folders.sources, "plan.json")} {
		path := j.value("tf." + variable)
		if text, err := os.ReadFile(path); err != nil || string(text) != "{\"a\":1}\n" || want != "" && path != want {
			t.Errorf("%s is %s, which holds %q, %v", variable, path, text, err)
		}
	}
}
