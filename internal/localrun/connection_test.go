package localrun_test

import (
	"strings"
	"testing"

	"slipway/internal/pipelines/schedule"
	"slipway/internal/pipelines/variable"
)

// There is no server that has service connections and key vaults: what the run was given stands for a vault, and the rest says so.
func TestConnectionsNeedAServer(t *testing.T) {
	t.Parallel()
	const file = `
jobs:
- job: vault
  steps:
  - task: AzureKeyVault@2
    inputs: {azureSubscription: any, KeyVaultName: shop, SecretsFilter: 'api-key, db-password'}
  - bash: echo "the key is $(api-key)"
- job: npm
  dependsOn: []
  steps:
  - bash: touch .npmrc
  - task: npmAuthenticate@0
    inputs: {workingFile: .npmrc, customEndpoint: registry}
`
	w := newWorld(t, file)
	r := w.run(t.Context())
	if got := results(r); got["vault"] != schedule.Failed || got["npm"] != schedule.Failed {
		t.Errorf("results %v", got)
	}
	for _, text := range []string{"The key vault shop lives at a server: give its secrets with --secret api-key --secret db-password",
		`service connection "registry": it lives at a server, which a run on this machine does not have: a script step may take credentials from --secret in its place`} {
		if !strings.Contains(w.out.String(), text) {
			t.Errorf("no %q in\n%s", text, w.out.String())
		}
	}
	w = newWorld(t, file)
	for _, name := range []string{"api-key", "db-password"} {
		w.options.Variables.Put(name, variable.Value{Text: "hunter2hunter2", Secret: true})
	}
	r = w.run(t.Context())
	if got := results(r); got["vault"] != schedule.Succeeded && got["vault"] != schedule.SucceededWithIssues || !strings.Contains(w.out.String(), "the key is ***") {
		t.Errorf("results %v\n%s", got, w.out.String())
	}
}
