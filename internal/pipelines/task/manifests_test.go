package task

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// publicInput is an input as the task's public manifest has it.
type publicInput struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Aliases  []string `json:"aliases"`
	Default  string   `json:"default"`
	Required bool     `json:"required"`
	Visible  []string `json:"visible"` // its own visibleRule and that of its group
	Options  []string `json:"options"`
}

// deliberate are the differences from the public manifests that are meant, with the reason. The map is never changed.
var deliberate = map[string]string{
	"npmAuthenticate@0.workloadIdentityServiceConnection: surplus":          "the page of Microsoft's task reference has it",
	"npmAuthenticate@0.feedUrl: surplus":                                    "the page of Microsoft's task reference has it",
	"NuGetAuthenticate@1.workloadIdentityServiceConnection: surplus":        "the page of Microsoft's task reference has it",
	"NuGetAuthenticate@1.feedUrl: surplus":                                  "the page of Microsoft's task reference has it",
	"PipAuthenticate@1.workloadIdentityServiceConnection: surplus":          "the page of Microsoft's task reference has it",
	"PipAuthenticate@1.feedUrl: surplus":                                    "the page of Microsoft's task reference has it",
	"MavenAuthenticate@0.workloadIdentityServiceConnection: surplus":        "the page of Microsoft's task reference has it",
	"Cache@2.saveOnPartialSuccess: surplus":                                 "the agent's part of the task reads it (SavePipelineCacheV0.cs), whatever the manifest has",
	"CacheBeta@0.saveOnPartialSuccess: surplus":                             "the agent's part of the task reads it (SavePipelineCacheV0.cs), whatever the manifest has",
	"CacheBeta@1.saveOnPartialSuccess: surplus":                             "the agent's part of the task reads it (SavePipelineCacheV0.cs), whatever the manifest has",
	"KubernetesManifest@0.kind: options":                                    "the task hands every kind to kubectl (patch.ts), and the list is the portal's",
	"KubernetesManifest@1.kind: options":                                    "the task hands every kind to kubectl (patch.ts), and the list is the portal's",
	"Bash@3.workingDirectory: surplus alias":                                "files of older versions of the task have it",
	"DownloadBuildArtifacts@0.branchName: surplus alias":                    "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadBuildArtifacts@0.buildVersionToDownload: surplus alias":        "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadBuildArtifacts@0.specificBuildWithTriggering: surplus alias":   "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadBuildArtifacts@1.branchName: surplus alias":                    "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadBuildArtifacts@1.buildVersionToDownload: surplus alias":        "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadBuildArtifacts@1.specificBuildWithTriggering: surplus alias":   "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadPipelineArtifact@1.allowPartiallySucceededBuilds: surplus":     "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadPipelineArtifact@1.branchName: surplus alias":                  "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadPipelineArtifact@1.buildVersionToDownload: surplus alias":      "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadPipelineArtifact@1.specificBuildWithTriggering: surplus alias": "the versions of the task share their table, and what one of them has not changes nothing",
	"InvokeRESTAPI@0.connectedServiceName: surplus alias":                   "the versions of the task share their table, and what one of them has not changes nothing",
	"InvokeRESTAPI@0.connectedServiceNameARM: surplus":                      "the versions of the task share their table, and what one of them has not changes nothing",
	"InvokeRESTAPI@0.connectedServiceNameAzureDevOps: surplus":              "the versions of the task share their table, and what one of them has not changes nothing",
	"InvokeRESTAPI@0.connectedServiceNameSelector: surplus":                 "the versions of the task share their table, and what one of them has not changes nothing",
	"InvokeRESTAPI@0.headers: default":                                      "those of version 1, which a server may pass over",
	"KubernetesManifest@0.azureResourceGroup: surplus":                      "the versions of the task share their table, and what one of them has not changes nothing",
	"KubernetesManifest@0.azureSubscriptionConnection: surplus":             "the versions of the task share their table, and what one of them has not changes nothing",
	"KubernetesManifest@0.connectionType: surplus":                          "the versions of the task share their table, and what one of them has not changes nothing",
	"KubernetesManifest@0.kubernetesCluster: surplus":                       "the versions of the task share their table, and what one of them has not changes nothing",
	"KubernetesManifest@0.kubernetesServiceConnection: surplus alias":       "the versions of the task share their table, and what one of them has not changes nothing",
	"KubernetesManifest@0.useClusterAdmin: surplus":                         "the versions of the task share their table, and what one of them has not changes nothing",
	"PowerShell@1.inlineScript: default":                                    "an example, which the portal puts into an empty field",
	"PublishBuildArtifacts@1.FileCopyOptions: surplus":                      "versions before 1.211 have it, and it is refused with what to write",
	"Bash@3.script: default":                                                "an example, which the portal puts into an empty field",
	"CmdLine@2.script: default":                                             "an example, which the portal puts into an empty field",
	"AzurePowerShell@2.Inline: default":                                     "an example, which the portal puts into an empty field",
	"AzurePowerShell@2.ScriptPath: required":                                "without it there is nothing to run",
	"AzurePowerShell@3.Inline: default":                                     "an example, which the portal puts into an empty field",
	"AzurePowerShell@3.ScriptPath: required":                                "without it there is nothing to run",
	"AzurePowerShell@4.Inline: default":                                     "an example, which the portal puts into an empty field",
	"AzurePowerShell@4.ScriptPath: required":                                "without it there is nothing to run",
	"AzurePowerShell@5.Inline: default":                                     "an example, which the portal puts into an empty field",
	"AzurePowerShell@5.ScriptPath: required":                                "without it there is nothing to run",
	"PowerShell@2.script: default":                                          "an example, which the portal puts into an empty field",
	"CopyFilesOverSSH@0.delayBetweenUploads: default":                       "files are copied one after the other, and a pause between them gives the machine nothing",
	"Docker@2.containerRegistry: surplus alias":                             "public files have it",
	"Docker@2.repository: surplus alias":                                    "public files have it",
	"DownloadBuildArtifacts@0.pipelineId: surplus alias":                    "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadBuildArtifacts@1.pipelineId: surplus alias":                    "the versions of the task share their table, and what one of them has not changes nothing",
	"DownloadPipelineArtifact@1.pipelineId: surplus alias":                  "the versions of the task share their table, and what one of them has not changes nothing",
	"UniversalPackages@1.adoServiceConnection: surplus":                     "refused with what to write",
	"UniversalPackages@1.organization: surplus":                             "refused with what to write",
	"Docker@1.command: options":                                             "the manifest's list may be added to, and a command that docker of a job does not have is found before the run",
	"Docker@2.command: options":                                             "the manifest's list may be added to, and a command that docker of a job does not have is found before the run",
	"Docker@2.repository: required":                                         "without it there is no name to push to",
	"InvokeRESTAPI@1.headers: default":                                      "the same names and values, in lines of another width",
	"KubernetesManifest@0.secretName: required":                             "without it the secret has no name",
	"KubernetesManifest@1.secretName: required":                             "without it the secret has no name",
	"Kubernetes@1.configuration: required":                                  "its rule does not name useConfigurationFile, without which the portal hides it too",
	"HelmDeploy@0.chartName: required":                                      "its rule does not name the command, without which the portal hides it too",
	"HelmDeploy@1.chartName: required":                                      "its rule does not name the command, without which the portal hides it too",
	"ManualValidation@0.notifyUsers: required":                              "real files leave it out or empty, and run",
	"ManualValidation@1.notifyUsers: required":                              "real files leave it out or empty, and run",
	"KubernetesManifest@0.arguments: required":                              "without it nothing is deleted",
	"KubernetesManifest@1.arguments: required":                              "without it nothing is deleted",
	"NodeTool@0.versionFilePath: required":                                  "with fromFile the task fails without it",
	"DownloadBuildArtifacts@0.project: required":                            "it can only be the run's own",
	"DownloadBuildArtifacts@1.project: required":                            "it can only be the run's own",
	"DownloadPipelineArtifact@1.project: required":                          "it can only be the run's own",
	"DownloadPipelineArtifact@2.project: required":                          "it can only be the run's own",
	"DownloadBuildArtifacts@0.buildId: required":                            "the compiler asks for it, which knows the pipelines under resources",
	"DownloadBuildArtifacts@1.buildId: required":                            "the compiler asks for it, which knows the pipelines under resources",
	"DownloadPipelineArtifact@1.buildId: required":                          "the compiler asks for it, which knows the pipelines under resources",
	"DownloadPipelineArtifact@2.runId: required":                            "the compiler asks for it, which knows the pipelines under resources",
	"UniversalPackages@1.packageVersion: required":                          "a download without it fails",
	"DownloadBuildArtifacts@0.branchName: default":                          "resources.pipelines chooses the run",
	"DownloadBuildArtifacts@1.branchName: default":                          "resources.pipelines chooses the run",
	"DownloadPipelineArtifact@1.branchName: default":                        "resources.pipelines chooses the run",
	"DownloadPipelineArtifact@2.runBranch: default":                         "resources.pipelines chooses the run",
	"DownloadBuildArtifacts@0.buildVersionToDownload: default":              "resources.pipelines chooses the run",
	"DownloadBuildArtifacts@1.buildVersionToDownload: default":              "resources.pipelines chooses the run",
	"DownloadPipelineArtifact@1.buildVersionToDownload: default":            "resources.pipelines chooses the run",
	"DownloadPipelineArtifact@2.runVersion: default":                        "resources.pipelines chooses the run",
}

// The inputs are those of the tasks' public manifests: names, aliases, types, defaults, values, and what is required. manifests.json
// holds them, taken from the task.json files of github.com/microsoft/azure-pipelines-tasks at the commit that it names.
func TestInputsAreThoseOfThePublicManifests(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/manifests.json")
	if err != nil {
		t.Fatal(err)
	}
	var public struct {
		Tasks []struct {
			Task   string        `json:"task"`
			Inputs []publicInput `json:"inputs"`
		} `json:"tasks"`
	}
	if err := json.Unmarshal(data, &public); err != nil {
		t.Fatal(err)
	}
	if len(public.Tasks) < 80 {
		t.Errorf("only %d tasks are compared", len(public.Tasks))
	}
	met := map[string]bool{}
	for _, p := range public.Tasks {
		d, err := Catalog(nil).Find(p.Task)
		if err != nil {
			t.Error(err)
			continue
		}
		report := func(what string) {
			key, _, _ := strings.Cut(what, " is ")
			if met[key] = true; deliberate[key] == "" {
				t.Error(what)
			}
		}
		for _, in := range p.Inputs {
			for _, difference := range in.differences(d) {
				report(fmt.Sprintf("%s.%s: %s", d, in.Name, difference))
			}
			if difference := in.demanded(d); difference != "" {
				report(fmt.Sprintf("%s.%s: %s", d, in.Name, difference))
			}
		}
		for _, difference := range surplus(d, p.Inputs) {
			report(difference)
		}
	}
	for key := range deliberate {
		if !met[key] {
			t.Errorf("%s is no difference", key)
		}
	}
}

// differences are those between an input and ours, each as WHAT is VALUE.
func (p publicInput) differences(d *Definition) []string {
	in := d.Input(p.Name)
	if in == nil {
		return []string{"it is missing"}
	}
	if in.Unsupported[""] != "" {
		return nil // every value is refused
	}
	var list []string
	add := func(what string, theirs, ours any) {
		list = append(list, fmt.Sprintf("%s is %q, ours %q", what, theirs, ours))
	}
	for _, alias := range p.Aliases {
		if d.Input(alias) != in {
			add("alias", alias, in.Aliases)
		}
	}
	if p.Default != in.Default && !(in.Boolean && p.Default == "false" && in.Default == "") {
		add("default", p.Default, in.Default)
	}
	if kind := p.Type; (kind == "boolean") != in.Boolean || (kind == "int") != in.Integer {
		add("type", kind, fmt.Sprintf("boolean %t, integer %t", in.Boolean, in.Integer))
	}
	missing := func(option string) bool {
		return !slices.ContainsFunc(in.Options, func(ours string) bool { return strings.EqualFold(ours, option) })
	}
	if slices.ContainsFunc(p.Options, missing) || (p.Options == nil) != (in.Options == nil) {
		add("options", p.Options, in.Options)
	}
	// One that has a default is never missing, and a cluster or registry is this server's own when none is named.
	idle := strings.Contains(in.Doc, "changes nothing") || in.Own || strings.Contains(in.Doc, ownCluster) || in.Doc == ownNoAzure
	if p.Required != (in.Required || in.NeededFor != "") && p.Default == "" && !idle {
		add("required", fmt.Sprint(p.Required, " ", p.Visible), fmt.Sprint(in.Required, in.NeededFor, in.NeededForValues))
	}
	return list
}
