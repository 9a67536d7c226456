package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxTerraformOutput bounds what show, output and custom commands write into a file, in bytes.
const maxTerraformOutput = 64 << 20

// terraform is the tasks TerraformTaskV1 to V4 and TerraformTask@5.
func (t *task) terraform(in inputs) error {
	if _, err := t.look("terraform"); err != nil {
		return fmt.Errorf("%w: put TerraformInstaller@1 before this step", err)
	}
	dir, err := t.workingFolder(in.text("workingDirectory"))
	if err != nil {
		return err
	}
	words := splitArguments(in.text("commandOptions"))
	command := strings.ToLower(cmp.Or(in.text("command"), "init"))
	env, backend, err := t.terraformCloud(in, command)
	if err != nil {
		return err
	}
	words = append(backend, words...)
	run := func(args ...string) process { return process{name: "terraform", args: args, dir: dir, env: env} }
	switch command {
	case "init", "validate":
		return t.runShown(run(append([]string{command}, words...)...))
	case "plan":
		return t.terraformPlan(run(append(append([]string{command}, words...), "-detailed-exitcode")...))
	case "apply", "destroy":
		if !strings.Contains(in.text("commandOptions"), "-auto-approve") {
			words = append([]string{"-auto-approve"}, words...)
		}
		return t.runShown(run(append([]string{command}, words...)...))
	case "output":
		path := filepath.Join(t.folders.temp, fmt.Sprintf("terraform-output-%d.json", t.step.ID))
		return t.terraformFile(run(append([]string{command, "-json"}, words...)...), path, "jsonOutputVariablesPath")
	case "show":
		if strings.EqualFold(in.text("outputFormat"), "json") {
			words = append([]string{"-json"}, words...)
		}
		return t.terraformShown(in, run(append([]string{command}, words...)...), "showFilePath")
	case "custom":
		custom := splitArguments(in.text("customCommand"))
		if len(custom) == 0 {
			return errors.New("the input customCommand is empty: give the command of terraform, as fmt -check")
		}
		return t.terraformShown(in, run(append(custom, words...)...), "customFilePath")
	}
	return fmt.Errorf("the command %q of Terraform's task is not one that Slipway runs: use custom, with it as customCommand", in.text("command"))
}

// terraformCloud is what connections to clouds become: the environment of the providers, and for init the place of the state. Secrets
// go by the environment, since arguments are shown.
func (t *task) terraformCloud(in inputs, command string) (env map[string]string, backend []string, err error) {
	azure, aws := in.text("environmentServiceNameAzureRM"), in.text("environmentServiceNameAWS")
	if command == "init" {
		azure, aws = cmp.Or(in.text("backendServiceArm"), azure), cmp.Or(in.text("backendServiceAWS"), aws)
		for _, part := range [][2]string{{"resource_group_name", "backendAzureRmResourceGroupName"}, {"storage_account_name", "backendAzureRmStorageAccountName"},
			{"container_name", "backendAzureRmContainerName"}, {"key", "backendAzureRmKey"}, {"bucket", "backendAWSBucketName"}, {"key", "backendAWSKey"}} {
			if text := in.text(part[1]); text != "" {
				backend = append(backend, "-backend-config="+part[0]+"="+text)
			}
		}
	}
	env = map[string]string{}
	if azure != "" {
		c, err := t.connection(azure)
		if err != nil {
			return nil, nil, err
		}
		if c.Parameter("serviceprincipalkey") == "" {
			return nil, nil, fmt.Errorf("service connection %q has no serviceprincipalkey: terraform signs in to Azure with a service principal's secret here", c.Name)
		}
		env["ARM_CLIENT_ID"], env["ARM_CLIENT_SECRET"] = c.Parameter("serviceprincipalid"), c.Parameter("serviceprincipalkey")
		env["ARM_TENANT_ID"], env["ARM_SUBSCRIPTION_ID"] = c.Parameter("tenantid"), c.Datum("subscriptionId")
	}
	if aws != "" {
		c, err := t.connection(aws)
		if err != nil {
			return nil, nil, err
		}
		env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"] = c.Credentials()
		if env["AWS_SECRET_ACCESS_KEY"] == "" {
			return nil, nil, fmt.Errorf("service connection %q has no username and password: these are the key's id and the secret key", c.Name)
		}
	}
	return env, backend, nil
}

// terraformPlan runs a plan, whose exit code 2 says that there is something to change.
func (t *task) terraformPlan(p process) error {
	err := t.runShown(p)
	var exit errExit
	changes := errors.As(err, &exit) && exit.code == 2
	if err != nil && !changes {
		return err
	}
	t.assignOutput("changesPresent", fmt.Sprint(changes))
	return nil
}

// terraformShown shows what a command writes, or puts it into a file.
func (t *task) terraformShown(in inputs, p process, variable string) error {
	if !strings.EqualFold(cmp.Or(in.text("outputTo"), in.text("outputType")), "file") {
		return t.runShown(p)
	}
	if in.text("fileName") == "" {
		return errors.New("the input fileName is empty: give the file that the output goes to")
	}
	return t.terraformFile(p, t.absolute(in.text("fileName")), variable)
}

// terraformFile puts what a command writes into a file, which a variable names.
func (t *task) terraformFile(p process, path, variable string) error {
	out := &bounded{limit: maxTerraformOutput}
	p.stdout, p.stderr = out, t.log
	if err := t.runShown(p); err != nil {
		return err
	}
	if out.more {
		return fmt.Errorf("terraform wrote more than %d bytes", maxTerraformOutput)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the output of terraform: %w", err)
	}
	t.assignOutput(variable, path)
	return nil
}
