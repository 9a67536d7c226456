package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAzureCLIWithoutAz(t *testing.T) {
	t.Parallel()
	j := newToolJob(t, nil)
	j.env["PATH"] = j.path
	if err := os.Symlink("/bin/bash", filepath.Join(j.path, "bash")); err != nil {
		t.Fatal(err)
	}
	_, err := j.run("AzureCLI@2", map[string]string{"azureSubscription": "any", "scriptType": "bash", "scriptLocation": "inlineScript", "inlineScript": "az account show"})
	if err == nil || !strings.Contains(err.Error(), "install the Azure CLI") {
		t.Errorf("without az: %v", err)
	}
}

// The Azure CLI of the image signs in as Azure's task has it sign in (azureclitask.ts of AzureCLIV2), but for where its secret lies.
func TestAzureCLISignsIn(t *testing.T) {
	t.Parallel()
	j := newAzureJob(t, "ServicePrincipal", map[string]string{"subscriptionId": azureSubscription}, nil)
	calls := j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "az"), "", `case "$1" in --version) echo azure-cli 2.80.0;; login) cp "${6#@}" "$HOME/secret"; stat -c %a "${6#@}" >> "$HOME/secret";; fail) exit 3;; esac`)
	script := map[string]string{"azureSubscription": "production", "scriptType": "bash", "scriptLocation": "inlineScript", "addSpnToEnvironment": "true",
		"inlineScript": "az vm list\necho \"id=$servicePrincipalId tenant=$tenantId key=${#servicePrincipalKey} token=${#idToken} client=$AZURESUBSCRIPTION_CLIENT_ID\""}
	signedIn := func(want ...string) {
		t.Helper()
		got := calls()
		for i, call := range got {
			got[i], _, _ = strings.Cut(call, " in ")
			if before, after, ok := strings.Cut(got[i], "[@"); ok {
				_, after, _ = strings.Cut(after, "]")
				got[i] = before + "[@FILE]" + after
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("calls (-want +got)\n%s", diff)
		}
	}
	log := j.must("AzureCLI@2", script)
	signedIn("az [--version]", "az [cloud] [set] [--name] [AzureCloud]",
		"az [login] [--service-principal] [--username] [app] [--password] [@FILE] [--tenant] ["+azureTenant+"] [--allow-no-subscriptions]",
		"az [account] [set] [--subscription] ["+azureSubscription+"]", "az [vm] [list]")
	if got := textOf(t, filepath.Join(j.env["HOME"], "secret")); got != "hunter2hunter2600\n" {
		t.Errorf("the secret and the mode of its file are %q", got)
	}
	if !strings.Contains(log, "id=app tenant="+azureTenant+" key=14 token=0 client=\n") || strings.Contains(log, "hunter2") || strings.Contains(log, "is not an account") {
		t.Errorf("log\n%s", log)
	}
	if left := fileNames(t, j.folders.temp); len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
	script["useGlobalConfig"], script["visibleAzLogin"], script["inlineScript"] = "true", "false", "az fail"
	if _, err := j.run("AzureCLI@2", script); err == nil || !strings.Contains(err.Error(), "exited with code 3") {
		t.Errorf("%v", err)
	}
	signedIn("az [--version]", "az [cloud] [set] [--name] [AzureCloud]",
		"az [login] [--service-principal] [--username] [app] [--password] [@FILE] [--tenant] ["+azureTenant+"] [--allow-no-subscriptions] [--output] [none]",
		"az [account] [set] [--subscription] ["+azureSubscription+"]", "az [fail]", "az [account] [clear]")
	script["azureSubscription"] = "other"
	if log, err := j.run("AzureCLI@2", script); err == nil || !strings.Contains(log, "worth nothing at Azure") {
		t.Errorf("a name of no connection: %v\n%s", err, log)
	}
	signedIn("az [--version]", "az [fail]")
}

func TestAzureCLIFederated(t *testing.T) {
	t.Parallel()
	j := newAzureJob(t, "WorkloadIdentityFederation", map[string]string{"environment": "AzureUSGovernment", "scopeLevel": "ManagementGroup"}, nil)
	calls := j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "az"), "", `if [ "$1" = login ]; then cat "${6#@}"; fi`)
	script := map[string]string{"azureSubscription": "production", "scriptType": "bash", "scriptLocation": "inlineScript", "inlineScript": `echo "client=$AZURESUBSCRIPTION_CLIENT_ID token=$idToken"`, "addSpnToEnvironment": "true"}
	if _, err := j.run("AzureCLI@2", script); err == nil || !strings.Contains(err.Error(), "only a server issues") {
		t.Errorf("without a server: %v", err)
	}
	_ = calls()
	j.issueTokens("header.claims.signature")
	log := j.must("AzureCLI@2", script)
	if !strings.Contains(log, "client=app token=***\n") || strings.Contains(log, "claims") {
		t.Errorf("log\n%s", log)
	}
	got := calls()
	if len(got) != 3 || !strings.HasPrefix(got[1], "az [cloud] [set] [--name] [AzureUSGovernment]") || !strings.HasPrefix(got[2], "az [login] [--service-principal] [--username] [app] [--federated-token] [@") {
		t.Errorf("calls %q", got)
	}
	j.recorder(filepath.Join(strings.Split(j.path, ":")[0], "az"), "", `[ "$1" != login ]`)
	if _, err := j.run("AzureCLI@2", script); err == nil || !strings.Contains(err.Error(), `sign in to Azure by service connection "production": az login: az exited with code 1`) {
		t.Errorf("%v", err)
	}
}
