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

// The arguments and variables are those of the extension's commands (jason-johnson/azure-pipelines-tasks-terraform, src/commands).
func TestTerraformCLI(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.path += ":" + sysPath
	calls := j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "terraform"), "TF_IN_AUTOMATION", `case $1 in
output) echo '{"url":{"type":"string","value":"u"},"n":{"type":"number","value":2},"pass":{"type":"string","value":"hidden","sensitive":true},"l":{"type":["list","string"],"value":[]}}';;
show) echo '{"resource_changes":[{"change":{"actions":["create"]}},{"change":{"actions":["delete","create"]}}]}';;
workspace) [ $2 = list ] && printf '* default\n  there\n';;
esac; exit ${TF_EXIT:-0}`)
	j.write("infra/main.tf", "")
	must := func(command string, more ...string) string {
		t.Helper()
		given := map[string]string{"command": command, "workingDirectory": "infra"}
		for i := 0; i < len(more); i += 2 {
			given[more[i]] = more[i+1]
		}
		return j.must("TerraformCLI@1", given)
	}
	for _, one := range []struct {
		inputs []string
		want   string
	}{
		{[]string{"init", "backendType", "azurerm", "backendAzureRmKey", "k", "backendAzureRmContainerName", "c", "commandOptions", "-upgrade"}, "[init] [-backend-config=container_name=c] [-backend-config=key=k] [-upgrade]"},
		{[]string{"init", "backendAzureRmKey", "k"}, "[init]"},
		{[]string{"apply", "commandOptions", "p"}, "[apply] [-auto-approve] [p]"},
		{[]string{"destroy", "commandOptions", "-auto-approve"}, "[destroy] [-auto-approve]"},
		{[]string{"fmt", "commandOptions", "--diff"}, "[fmt] [--check] [--recursive] [--diff]"},
		{[]string{"import", "resourceAddress", "a.b", "resourceId", "/x"}, "[import] [a.b] [/x]"},
		{[]string{"forceunlock", "lockID", "7"}, "[force-unlock] [-force] [7]"},
		{[]string{"workspace", "workspaceName", "w"}, "[workspace] [select] [w]"},
		{[]string{"state", "stateSubCommand", "mv", "stateMoveSource", "a", "stateMoveDestination", "b"}, "[state] [mv] [a] [b]"},
		{[]string{"state", "stateSubCommand", "rm", "stateSubCommandAddresses", "a\nb"}, "[state] [rm] [a] [b]"},
	} {
		must(one.inputs[0], one.inputs[1:]...)
		wantCalls(t, calls, "terraform "+one.want+" TF_IN_AUTOMATION= in SOURCES/infra")
	}
	must("workspace", "workspaceSubCommand", "new", "workspaceName", "there", "skipExistingWorkspace", "true")
	wantCalls(t, calls, "terraform [workspace] [list] TF_IN_AUTOMATION= in SOURCES/infra")

	log := must("output")
	must("show", "inputTargetPlanOrStateFilePath", "p")
	for name, want := range map[string]string{"TF_OUT_URL": "u", "TF_OUT_N": "2", "TF_OUT_PASS": "hidden", "TF_OUT_L": "", "TERRAFORM_PLAN_HAS_DESTROY_CHANGES": "true"} {
		if got := j.value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if strings.Contains(log, "hidden") {
		t.Errorf("the log shows a secret\n%s", log)
	}
}

// A plan goes into a file and what that holds is told: tf-plan.ts and plan-parser.ts of the extension, for which a resource that is replaced is changed and
// not removed, and what is only read is nothing.
func TestTerraformCLIPlan(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ code, changes, has, destroys string }{
		"nothing":  {"0", `["no-op"]`, "false", "false"},
		"read":     {"2", `["read"]`, "false", "false"},
		"create":   {"2", `["create"]`, "true", "false"},
		"update":   {"2", `["update"]`, "true", "false"},
		"replace":  {"2", `["delete","create"]`, "true", "false"},
		"destroys": {"2", `["create"]}},{"change":{"actions":["delete"]`, "true", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newToolJob(t, nil)
			calls := j.recorder(filepath.Join(j.path, "terraform"), "", `[ $1 = plan ] && exit `+tt.code+`; echo '{"resource_changes":[{"change":{"actions":`+tt.changes+`}}]}'`)
			j.path += ":" + sysPath
			j.must("TerraformCLI@2", map[string]string{"command": "plan", "commandOptions": "-input=false -out=my.plan"})
			wantCalls(t, calls, "terraform [plan] [-input=false] [-out=my.plan] [-detailed-exitcode] in SOURCES", "terraform [show] [-json] [my.plan] in SOURCES")
			for variable, want := range map[string]string{"TERRAFORM_PLAN_HAS_CHANGES": tt.has, "TERRAFORM_PLAN_HAS_DESTROY_CHANGES": tt.destroys, "TERRAFORM_LAST_EXITCODE": tt.code} {
				if got := j.value(variable); got != want {
					t.Errorf("%s is %q, want %q", variable, got, want)
				}
			}
			j.must("TerraformCLI@0", map[string]string{"command": "plan"})
			if list := calls(); len(list) != 2 || !strings.HasPrefix(list[0], "terraform [plan] [-detailed-exitcode] [-out="+j.folders.temp) {
				t.Errorf("without a file of its own: %v", list)
			}
		})
	}
	j := newToolJob(t, nil)
	j.recorder(filepath.Join(j.path, "terraform"), "", "exit 1")
	j.path += ":" + sysPath
	if _, err := j.run("TerraformCLI@2", map[string]string{"command": "plan"}); err == nil || err.Error() != "terraform exited with code 1" || j.value("TERRAFORM_LAST_EXITCODE") != "1" {
		t.Errorf("%v, exit code %q", err, j.value("TERRAFORM_LAST_EXITCODE"))
	}
}

func TestPlanFile(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{"plan -out=a": "a", "plan --out=a b": "a", "plan -out a": "a", "plan -var out=a": "", "plan -out": ""} {
		if got := planFile(strings.Fields(options)); got != want {
			t.Errorf("%s: %q, want %q", options, got, want)
		}
	}
}
