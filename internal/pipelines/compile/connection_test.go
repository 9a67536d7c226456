package compile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines/plan"
)

// A plan lists what its steps, containers and repositories name.
func TestConnections(t *testing.T) {
	t.Parallel()
	in := input(`resources:
  repositories:
  - {repository: tools, type: github, name: octo/tools, endpoint: gh}
  - {repository: open, type: github, name: octo/open}
  containers:
  - {container: db, image: db, endpoint: reg}
stages:
- stage: A
  jobs:
  - job: A
    services: {db: db}
    steps:
    - checkout: tools
    - task: npmAuthenticate@0
      inputs:
        workingFile: .npmrc
        customEndpoint: a, $(b)
    - task: Npm@1
      inputs: {command: publish, publishEndpoint: 'https://npm.example'}
    - task: AzureKeyVault@2
      inputs: {azureSubscription: x, KeyVaultName: v, RunAsPreJob: true}
    - task: AzureKeyVault@2
      inputs: {azureSubscription: x, KeyVaultName: $(w)}
  - deployment: B
    environment: e
    container: {image: tool, endpoint: $(reg)}
    strategy:
      runOnce:
        deploy:
          steps:
          - task: Kubernetes@1
            inputs: {connectionType: Kubernetes Service Connection, kubernetesServiceEndpoint: k8s, command: get}
`)
	in.Repository = func(plan.Repository) (Files, error) { return nil, nil }
	p, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	at := func(line, column int) slipway.Position {
		return slipway.Position{File: "p.yml", Line: line, Column: column}
	}
	want := []plan.Connection{
		{Name: "gh", Types: []string{"github"}, At: at(3, 5)},
		{Name: "reg", Types: []string{"dockerregistry"}, At: at(6, 5)},
		{Name: "reg", Types: []string{"dockerregistry"}, At: at(6, 5)},
		{Name: "a", Types: []string{"externalnpmregistry"}, At: at(17, 9)},
		{Name: "$(b)", Types: []string{"externalnpmregistry"}, At: at(17, 9)},
		{Name: "$(reg)", Types: []string{"dockerregistry"}, At: at(26, 16)},
		{Name: "k8s", Types: []string{"kubernetes"}, Optional: true, At: at(32, 69)},
	}
	if diff := cmp.Diff(want, p.Connections()); diff != "" {
		t.Errorf("connections (-want +got)\n%s", diff)
	}
	a := &p.Stages[0].Jobs[0]
	if diff := cmp.Diff([]string{"v", "$(w)"}, a.VaultGroups()); diff != "" {
		t.Error(diff)
	}
	// The step that is to run before the job is its first, with the number of its place.
	if first := a.Steps[0]; first.ID != 1 || first.Task == nil || first.Task.Inputs["KeyVaultName"] != "v" || a.Steps[1].Checkout == nil {
		t.Errorf("first %+v", first)
	}
	r := p.Resources.Repositories
	if !r[0].Foreign() || !r[1].Foreign() || !p.ChecksOut("tools") || p.ChecksOut("open") {
		t.Errorf("repositories %+v", r)
	}
}
