package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// terraformLastExit is the variable of the exit code of what a step has run.
const terraformLastExit = "TERRAFORM_LAST_EXITCODE"

// terraformCLI is the task TerraformCLI of the extension azure-pipelines-tasks-terraform, whose arguments these are (its src/commands).
func (t *task) terraformCLI(in inputs) error {
	err := t.terraformCLICommand(in)
	if exit := (errExit{}); err == nil || errors.As(err, &exit) {
		if code := exitOf(err); code != 0 || !strings.EqualFold(in.text("command"), "plan") { // which has said so
			t.assign(terraformLastExit, strconv.Itoa(code))
		}
	}
	return err
}

// exitOf is the exit code behind an error of a program; 0 without one.
func exitOf(err error) int {
	var exit errExit
	if errors.As(err, &exit) {
		return exit.code
	}
	return 0
}

func (t *task) terraformCLICommand(in inputs) error {
	if _, err := t.look("terraform"); err != nil {
		return fmt.Errorf("%w: put TerraformInstaller@1 before this step", err)
	}
	dir, err := t.workingFolder(in.text("workingDirectory"))
	if err != nil {
		return err
	}
	command := strings.ToLower(in.text("command"))
	env, backend, err := t.terraformCLICloud(in, command)
	if err != nil {
		return err
	}
	options := splitArguments(in.text("commandOptions"))
	run := func(args ...string) process { return process{name: "terraform", args: args, dir: dir, env: env} }
	with := func(args []string, more ...string) process {
		return run(slices.Concat([]string{command}, args, more)...)
	}
	switch command {
	case "version":
		return t.runShown(run("version"))
	case "init":
		return t.runShown(with(append(backend, options...)))
	case "validate", "refresh", "test":
		return t.runShown(with(options))
	case "plan":
		return t.terraformCLIPlan(with(options))
	case "apply", "destroy":
		if !slices.Contains(options, "-auto-approve") {
			options = append([]string{"-auto-approve"}, options...)
		}
		return t.runShown(with(options))
	case "fmt":
		var asked []string
		for _, option := range []string{"--check", "--diff", "--recursive"} {
			if !strings.Contains(in.text("commandOptions"), option) {
				asked = append(asked, option)
			}
		}
		return t.runShown(with(append(asked, options...)))
	case "import":
		return t.runShown(with(options, in.text("resourceAddress"), in.text("resourceId")))
	case "forceunlock":
		return t.runShown(run("force-unlock", "-force", in.text("lockID")))
	case "workspace":
		return t.terraformWorkspace(in, dir, env, options)
	case "state":
		sub, more := strings.ToLower(in.text("stateSubCommand")), in.list("stateSubCommandAddresses")
		if sub == "mv" {
			more = []string{in.text("stateMoveSource"), in.text("stateMoveDestination")}
		}
		return t.runShown(run(slices.Concat([]string{"state", sub}, options, more)...))
	case "output", "show":
		return t.terraformCLIRead(in, with(options), options)
	}
	return fmt.Errorf("the command %q of TerraformCLI is not one that Slipway runs: call terraform in a script step", in.text("command"))
}

// terraformCLICloud is terraformCloud for the names that this task has for the same inputs.
func (t *task) terraformCLICloud(in inputs, command string) (env map[string]string, backend []string, err error) {
	m := maps.Clone(in.m)
	for own, name := range map[string]string{
		"environmentservicename": "environmentservicenameazurerm", "providerserviceaws": "environmentservicenameaws", "backendawsbucket": "backendawsbucketname",
	} {
		m[name] = m[own]
	}
	kind := in.text("backendType")
	if !strings.EqualFold(kind, "azurerm") {
		for _, name := range []string{"backendServiceArm", "backendAzureRmResourceGroupName", "backendAzureRmStorageAccountName", "backendAzureRmContainerName", "backendAzureRmKey"} {
			delete(m, strings.ToLower(name))
		}
	}
	if !strings.EqualFold(kind, "aws") {
		for _, name := range []string{"backendServiceAws", "backendAwsBucketName", "backendAwsKey", "backendAwsRegion"} {
			delete(m, strings.ToLower(name))
		}
	}
	env, backend, err = t.terraformCloud(inputs{t, m}, command)
	if err != nil {
		return nil, nil, err
	}
	subscription, region := in.text("providerAzureRmSubscriptionId"), in.text("providerAwsRegion")
	if command == "init" {
		subscription, region = in.text("backendAzureRmSubscriptionId"), ""
		if tenant := in.text("backendAzureRmTenantId"); tenant != "" {
			env["ARM_TENANT_ID"] = tenant
		}
		if in.text("backendAwsRegion") != "" && strings.EqualFold(kind, "aws") {
			backend = append(backend, "-backend-config=region="+in.text("backendAwsRegion"))
		}
	}
	if subscription != "" {
		env["ARM_SUBSCRIPTION_ID"] = subscription
	}
	if region != "" {
		env["AWS_REGION"] = region
	}
	return env, backend, nil
}

// terraformCLIPlan plans into a file, and says in variables whether what that holds changes or removes something, as tf-plan.ts and plan-parser.ts
// of the extension do: to replace a resource is a change of it.
func (t *task) terraformCLIPlan(p process) error {
	if !slices.Contains(p.args, "-detailed-exitcode") {
		p.args = append(p.args, "-detailed-exitcode")
	}
	file := planFile(p.args)
	if file == "" {
		folder, end, err := t.privateFolder("tfplan-")
		if err != nil {
			return err
		}
		defer end()
		file = filepath.Join(folder, "plan")
		p.args = append(p.args, "-out="+file)
	}
	err := t.runShown(p)
	if exit := (errExit{}); err != nil && (!errors.As(err, &exit) || exit.code != 2) {
		return err
	}
	t.assign(terraformLastExit, strconv.Itoa(exitOf(err)))
	changes, err := t.terraformChanges(p, file)
	if err != nil {
		return err
	}
	changed, removed := false, false
	for _, actions := range changes {
		removes, creates := slices.Contains(actions, "delete"), slices.Contains(actions, "create")
		changed = changed || removes || creates || slices.Contains(actions, "update")
		removed = removed || removes && !creates
	}
	t.assign("TERRAFORM_PLAN_HAS_CHANGES", strconv.FormatBool(changed))
	t.assign("TERRAFORM_PLAN_HAS_DESTROY_CHANGES", strconv.FormatBool(removed))
	return nil
}

// planFile is the file that arguments of a plan name by -out; "" without one.
func planFile(args []string) string {
	for i, arg := range args {
		name, file, found := strings.Cut(strings.TrimPrefix(arg, "-"), "=") // Terraform takes one dash or two
		if name != "-out" && (name != "out" || !strings.HasPrefix(arg, "-")) {
			continue
		}
		if found {
			return file
		}
		if i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// terraformChanges are the actions of each resource that a plan in a file changes.
func (t *task) terraformChanges(p process, file string) ([][]string, error) {
	out := &bounded{limit: maxTerraformOutput}
	p.args, p.stdout, p.stderr = []string{"show", "-json", file}, out, t.log
	if err := t.runShown(p); err != nil {
		return nil, err
	}
	if out.more {
		return nil, fmt.Errorf("terraform wrote more than %d bytes", maxTerraformOutput)
	}
	return planActions(out.Bytes())
}

// planActions reads them from what terraform show -json writes.
func planActions(text []byte) ([][]string, error) {
	var plan struct {
		Changes []struct {
			Change struct{ Actions []string }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(text, &plan); err != nil {
		return nil, fmt.Errorf("read the plan that terraform shows: %w", err)
	}
	var list [][]string
	for _, c := range plan.Changes {
		list = append(list, c.Change.Actions)
	}
	return list, nil
}

// terraformWorkspace chooses or makes a workspace.
func (t *task) terraformWorkspace(in inputs, dir string, env map[string]string, options []string) error {
	sub, name := strings.ToLower(in.text("workspaceSubCommand")), in.text("workspaceName")
	if name == "" {
		return errors.New("the input workspaceName is empty: give the name of the workspace")
	}
	if sub == "new" && in.flag("skipExistingWorkspace", false) {
		out := &bounded{limit: maxTerraformOutput}
		if err := t.run(process{name: "terraform", args: []string{"workspace", "list"}, dir: dir, env: env, stdout: out, stderr: t.log}); err != nil {
			return err
		}
		if slices.Contains(strings.Fields(out.String()), name) {
			t.log.Printf("The workspace %s is there already.", name)
			return nil
		}
	}
	return t.runShown(process{name: "terraform", args: slices.Concat([]string{"workspace", sub}, options, []string{name}), dir: dir, env: env})
}

// terraformCLIRead reads what Terraform says as JSON: outputs become variables TF_OUT_NAME, and of a plan TERRAFORM_PLAN_HAS_DESTROY_CHANGES says
// whether it removes anything.
func (t *task) terraformCLIRead(in inputs, p process, options []string) error {
	if !slices.Contains(options, "-json") {
		p.args = slices.Insert(p.args, 1, "-json")
	}
	file := in.text("inputTargetPlanOrStateFilePath")
	if file != "" && p.args[0] == "show" {
		p.args = append(p.args, file)
	}
	out := &bounded{limit: maxTerraformOutput}
	p.stdout, p.stderr = out, t.log
	if err := t.runShown(p); err != nil {
		return err
	}
	if out.more {
		return fmt.Errorf("terraform wrote more than %d bytes", maxTerraformOutput)
	}
	switch {
	case p.args[0] == "output":
		return t.terraformOutputs(out.Bytes())
	case file != "" && !strings.Contains(file, ".tfstate"):
		changes, err := planActions(out.Bytes())
		if err != nil {
			return err
		}
		destroys := slices.ContainsFunc(changes, func(actions []string) bool { return slices.Contains(actions, "delete") })
		t.assign("TERRAFORM_PLAN_HAS_DESTROY_CHANGES", fmt.Sprint(destroys))
	}
	return nil
}

// terraformOutputs makes variables of Terraform's outputs that are texts, numbers or booleans.
func (t *task) terraformOutputs(text []byte) error {
	var outputs map[string]struct {
		Type      any
		Value     any
		Sensitive bool
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&outputs); err != nil {
		return fmt.Errorf("read the outputs of terraform: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		o := outputs[name]
		if o.Type != "string" && o.Type != "number" && o.Type != "bool" {
			continue
		}
		variable, value := "TF_OUT_"+strings.ToUpper(name), fmt.Sprint(o.Value)
		if o.Sensitive {
			t.tell(t.setVariable(command{properties: map[string]string{"variable": variable, "issecret": "true"}, text: value}))
		} else {
			t.assign(variable, value)
		}
	}
	return nil
}
