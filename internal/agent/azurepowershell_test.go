package agent

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// azurePwsh stands in for PowerShell with the module Az: it keeps what it is called with, the file that signs in, which it removes as
// connectazure.ps1 does, and the script after that.
const azurePwsh = `#!/bin/bash
printf '%s\n' "$@" >> "$HOME/arguments"
script=$(echo "${@: -1}" | sed "s/^\. '\(.*\)'$/\1/")
connection=$(sed -n "s/^} '\(.*\)'$/\1/p" "$script")
stat -c %a "$connection" >> "$HOME/modes"
cat "$connection" >> "$HOME/connections"; echo >> "$HOME/connections"
rm "$connection"
if grep -q signOut "$HOME/connections"; then echo "signed out"; exit $FAKE_SIGN_OUT; fi
sed "1,/^} '/d" "$script"
echo "PWD=$PWD client=$AZURESUBSCRIPTION_CLIENT_ID tenant=$AZURESUBSCRIPTION_TENANT_ID connection=$AZURESUBSCRIPTION_SERVICE_CONNECTION_ID key=hunter2hunter2"
[ -z "$FAKE_STDERR" ] || echo oh >&2
exit $FAKE_EXIT
`

const (
	azureTenant       = "11111111-2222-3333-4444-555555555555"
	azureSubscription = "66666666-7777-8888-9999-000000000000"
)

func newAzureJob(t *testing.T, scheme string, data, more map[string]string) *toolJob {
	t.Helper()
	j := newToolJob(t, nil)
	parameters := map[string]string{"tenantid": azureTenant, "serviceprincipalid": "app"}
	if scheme == "ServicePrincipal" {
		parameters["serviceprincipalkey"], parameters["authenticationType"] = "hunter2hunter2", "spnKey"
	}
	for name, value := range more {
		parameters[name] = value
	}
	j.withConnections(job.Connection{ID: "c0ffee", Name: "production", Type: "azurerm", Scheme: scheme, Parameters: parameters, Data: data, Secret: []string{"serviceprincipalkey"}})
	writeProgram(t, filepath.Join(j.path, "pwsh"), azurePwsh)
	j.path += ":" + sysPath
	j.env["PATH"], j.env["FAKE_EXIT"], j.env["FAKE_SIGN_OUT"] = j.path, "0", "0"
	return j
}

// issueTokens has a server give the job identity tokens for the connection c0ffee alone.
func (j *toolJob) issueTokens(token string) {
	j.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Query().Get("serviceConnectionId") != "c0ffee" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"oidcToken": token})
	}))
	j.t.Cleanup(server.Close)
	j.vars.PutText("System.OidcRequestUri", server.URL)
}

// signedIn gives what PowerShell was told to sign in with, one session a line, and forgets it.
func (j *toolJob) signedIn() []string {
	j.t.Helper()
	file := filepath.Join(j.env["HOME"], "connections")
	text := textOf(j.t, file)
	if err := os.Remove(file); err != nil {
		j.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(text), "\n")
}

// What is signed in with, and the script after that, are those of InitializeAz.ps1 and azurepowershell.ts of Azure's task.
func TestAzurePowerShell(t *testing.T) {
	t.Parallel()
	subscription := map[string]string{"subscriptionId": azureSubscription}
	const principal = `{"tenant":"` + azureTenant + `","application":"app","key":"hunter2hunter2","environment":`
	const signOut = `{"tenant":"","application":"","environment":"","signOut":true}`
	for _, c := range []struct {
		name, task string
		data       map[string]string
		given      map[string]string
		session    string
		script     string
	}{
		{"inline", "AzurePowerShell@5", subscription, map[string]string{"ScriptType": "InlineScript", "Inline": "Get-AzVM\n", "azurePowerShellVersion": "LatestVersion", "ScriptArguments": "-not used"},
			principal + `"AzureCloud","subscription":"` + azureSubscription + `"}`, "$ErrorActionPreference = 'stop'\nGet-AzVM\n\nPWD=S"},
		{"file", "AzurePowerShell@4", subscription, map[string]string{"ScriptPath": "ops/it's.ps1", "ScriptArguments": "-Name 'a b'", "errorActionPreference": "silentlyContinue",
			"preferredAzurePowerShellVersion": "12.1.0", "workingDirectory": "ops", "pwsh": "true"},
			principal + `"AzureCloud","subscription":"` + azureSubscription + `","version":"12.1.0"}`, "$ErrorActionPreference = 'silentlycontinue'\n. 'S/ops/it''s.ps1' -Name 'a b'\nPWD=S/ops"},
		{"of AzureRM", "AzurePowerShell@3", subscription, map[string]string{"ScriptPath": `ops\it's.ps1`, "azureSubscription": "production", "preferredAzurePowerShellVersion": "5.1.1", "errorActionPreference": "continue"},
			principal + `"AzureCloud","subscription":"` + azureSubscription + `","azureRM":true}`, "$ErrorActionPreference = 'continue'\n. 'S/ops/it''s.ps1'\nPWD=S"},
		{"of AzureRM, inline with arguments", "AzurePowerShell@2", subscription, map[string]string{"ScriptType": "InlineScript", "Inline": "param($a)", "ScriptArguments": "7", "azurePowerShellVersion": "LatestVersion"},
			principal + `"AzureCloud","subscription":"` + azureSubscription + `","azureRM":true}`, "$ErrorActionPreference = 'continue'\n. {\nparam($a)\n} 7\nPWD=S"},
		{"a management group elsewhere", "AzurePowerShell@5", map[string]string{"environment": "AzureChinaCloud", "scopeLevel": "ManagementGroup", "subscriptionId": "x"},
			map[string]string{"ScriptType": "InlineScript", "Inline": "x", "azurePowerShellVersion": "LatestVersion"}, principal + `"AzureChinaCloud"}`, "$ErrorActionPreference = 'stop'\nx\nPWD=S"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := newAzureJob(t, "ServicePrincipal", c.data, nil)
			j.write("ops/it's.ps1", "")
			c.given["azureSubscription"] = "production"
			log := strings.ReplaceAll(j.must(c.task, c.given), j.folders.sources, "S")
			if want := c.script + " client= tenant= connection= key=***\nsigned out\n"; !strings.HasSuffix(log, want) {
				t.Errorf("the script is\n%s, want\n%s", log, want)
			}
			if strings.Contains(log, "hunter2") {
				t.Errorf("the log has the secret:\n%s", log)
			}
			if diff := cmp.Diff([]string{c.session, signOut}, j.signedIn()); diff != "" {
				t.Errorf("sessions (-want +got)\n%s", diff)
			}
			if modes := textOf(t, filepath.Join(j.env["HOME"], "modes")); modes != "600\n600\n" {
				t.Errorf("the files that sign in have the modes %s", modes)
			}
			arguments := textOf(t, filepath.Join(j.env["HOME"], "arguments"))
			if strings.Contains(arguments, "hunter2") || !strings.HasPrefix(arguments, "-NoLogo\n-NoProfile\n-NonInteractive\n-Command\n. '") {
				t.Errorf("arguments %s", arguments)
			}
			if left := fileNames(t, j.folders.temp); len(left) > 0 {
				t.Errorf("files are left: %v", left)
			}
		})
	}
}

func fileNames(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// With an identity token there is no key: Azure takes the job's token for the connection.
func TestAzurePowerShellFederated(t *testing.T) {
	t.Parallel()
	j := newAzureJob(t, "WorkloadIdentityFederation", map[string]string{"subscriptionId": azureSubscription}, nil)
	inline := map[string]string{"azureSubscription": "production", "ScriptType": "InlineScript", "Inline": "x", "azurePowerShellVersion": "LatestVersion"}
	if _, err := j.run("AzurePowerShell@5", inline); err == nil || !strings.Contains(err.Error(), "only a server issues the job's identity token") {
		t.Errorf("without a server: %v", err)
	}
	j.issueTokens("header.claims.signature")
	log := j.must("AzurePowerShell@5", inline)
	if want := "client=app tenant=" + azureTenant + " connection=c0ffee"; !strings.Contains(log, want) {
		t.Errorf("log\n%s, want %s", log, want)
	}
	if got, want := j.signedIn()[0], `{"tenant":"`+azureTenant+`","application":"app","token":"header.claims.signature","environment":"AzureCloud","subscription":"`+azureSubscription+`"}`; got != want {
		t.Errorf("session %s, want %s", got, want)
	}
	if masked := j.mask.Mask("header.claims.signature"); masked != "***" {
		t.Errorf("the token is shown as %s", masked)
	}
}

func TestAzurePowerShellFails(t *testing.T) {
	t.Parallel()
	inline := map[string]string{"azureSubscription": "production", "ScriptType": "InlineScript", "Inline": "x", "azurePowerShellVersion": "LatestVersion"}
	f := func(j *toolJob, task string, given map[string]string, want string) {
		t.Helper()
		log, err := j.run(task, given)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %v: %v, want %s\n%s", task, given, err, want, log)
		}
	}
	j := newAzureJob(t, "ServicePrincipal", nil, nil)
	j.env["FAKE_EXIT"] = "5"
	f(j, "AzurePowerShell@5", inline, "pwsh exited with code 5")
	if got := j.signedIn(); len(got) != 2 || !strings.Contains(got[1], "signOut") {
		t.Errorf("a script that fails is not signed out: %q", got)
	}
	j.env["FAKE_EXIT"], j.env["FAKE_SIGN_OUT"] = "0", "1"
	if log := j.must("AzurePowerShell@5", inline); !strings.Contains(log, "##[warning]PowerShell is perhaps still signed in to Azure: pwsh exited with code 1") {
		t.Errorf("log\n%s", log)
	}
	_ = j.signedIn()
	j.env["FAKE_STDERR"], j.env["FAKE_SIGN_OUT"] = "yes", "0"
	j.must("AzurePowerShell@5", inline)
	_ = j.signedIn()
	f(j, "AzurePowerShell@2", inline, "wrote to its standard error")
	f(j, "AzurePowerShell@5", map[string]string{"azureSubscription": "production", "ScriptPath": "gone.ps1", "azurePowerShellVersion": "LatestVersion"}, "there is no script file")
	f(j, "AzurePowerShell@5", map[string]string{"azureSubscription": "production", "ScriptPath": "x.ps1", "ScriptArguments": "a\nb", "azurePowerShellVersion": "LatestVersion"}, "has several lines")
	f(j, "AzurePowerShell@5", map[string]string{"azureSubscription": "production", "ScriptType": "InlineScript", "Inline": "x", "preferredAzurePowerShellVersion": "12.x"}, "is a version of three numbers")
	f(j, "AzurePowerShell@5", map[string]string{"azureSubscription": "other", "ScriptType": "InlineScript", "Inline": "x", "azurePowerShellVersion": "LatestVersion"}, "there is no service connection other")
	f(newAzureJob(t, "ManagedServiceIdentity", nil, nil), "AzurePowerShell@5", inline, `service connection "production": a managed identity is that of a machine of Azure`)
	f(newAzureJob(t, "ServicePrincipal", nil, map[string]string{"authenticationType": "spnCertificate"}), "AzurePowerShell@5", inline, "signs in by spnCertificate")
	f(newAzureJob(t, "ServicePrincipal", nil, map[string]string{"serviceprincipalkey": ""}), "AzurePowerShell@5", inline, "has no serviceprincipalkey")
	f(newAzureJob(t, "ServicePrincipal", nil, map[string]string{"tenantid": ""}), "AzurePowerShell@5", inline, "has no tenantid")
	j.env["PATH"] = "/nowhere"
	f(j, "AzurePowerShell@5", inline, "there is no PowerShell (pwsh) in the job's image")
}
