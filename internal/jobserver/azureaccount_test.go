package jobserver_test

import (
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// The server gives a step the service connection that it names, and the job's identity token for it.
func TestAzureAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The programs show what is in the file that signs in, which PowerShell's own script removes: a key, and of a token its claims.
	w.write(filepath.Join(w.executor.path, "pwsh"), `#!/bin/bash
script=$(echo "${@: -1}" | sed "s/^\. '\(.*\)'$/\1/")
file=$(sed -n "s/^} '\(.*\)'$/\1/p" "$script")
tr , '\n' < "$file" | sed -n 's/.*"key":"\([^"]*\).*/key \1 of PowerShell/p' | tr a-z A-Z
`, 0o755)
	w.write(filepath.Join(w.executor.path, "az"), `#!/bin/bash
case "$1" in
--version) echo azure-cli 2.80.0;;
login) [ "$5" = --password ] && tr a-z A-Z < "${6#@}"; cut -d. -f2 "${6#@}" | tr '_-' '/+' | base64 -d 2>/dev/null | grep -o '"sub":"[^"]*"' || true;;
esac
`, 0o755)
	tenant := map[string]string{"tenantid": "t", "serviceprincipalid": "app"}
	w.connect(pipelines.Connection{Name: "by key", Type: "azurerm", Scheme: "ServicePrincipal", Parameters: map[string]string{"tenantid": "t", "serviceprincipalid": "app", "serviceprincipalkey": "swordfish"}})
	w.connect(pipelines.Connection{Name: "by token", Type: "azurerm", Scheme: "WorkloadIdentityFederation", Parameters: tenant})
	tl := w.completed(w.one(w.push(`
steps:
- task: AzurePowerShell@5
  displayName: power shell
  inputs: {azureSubscription: By Key, ScriptType: InlineScript, Inline: Get-AzVM, azurePowerShellVersion: LatestVersion}
- task: AzureCLI@2
  displayName: key
  inputs: {azureSubscription: by key, scriptType: bash, scriptLocation: inlineScript, inlineScript: az vm list}
- task: AzureCLI@2
  displayName: token
  inputs: {azureSubscription: by token, scriptType: bash, scriptLocation: inlineScript, inlineScript: az vm list}
`)))
	j := w.job(tl, "__default.Job")
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	w.has(w.log(j, "power shell"), "KEY SWORDFISH OF POWERSHELL")
	w.has(w.log(j, "key"), "SWORDFISH", "az cloud set --name AzureCloud")
	w.has(w.log(j, "token"), `"sub":"sc://slipway/Shop/by token"`)
	for _, step := range []string{"power shell", "key"} {
		if log := w.log(j, step); strings.Contains(log, "swordfish") {
			t.Errorf("the log of %s has the key:\n%s", step, log)
		}
	}
}
