package task

import "slices"

const (
	useScript    = "write what it does as a script or bash step"
	useTerraform = "put TerraformInstaller@1 before a script step that runs terraform, with its credentials in env"
	useCall      = "call its REST API with InvokeRESTAPI@1 in a job with pool: server, or with curl in a script step"
)

// definitions are the tasks, with the inputs of their public manifests: a file for each family of them. The slice is never
// changed.
var definitions = slices.Concat(scriptTasks, fileTasks, tokenTasks, artifactTasks, cacheTasks, secureFileTasks, testTasks, coverageTasks, dockerTasks, azureTasks, kubernetesTasks, kubectlTasks, toolTasks, buildTasks, terraformTasks, serverTasks)

// elsewhere are tasks that real files use and Slipway does not run, with what to write instead. The map is never changed.
var elsewhere = map[string]string{
	"AzurePowerShell":                       "run az in a bash step, with its credentials in env",
	"AzureResourceGroupDeployment":          "run az in a bash step, with its credentials in env",
	"AzureWebAppContainer":                  "deploy to Kubernetes with KubernetesManifest@1",
	"AzureKeyVault":                         "use a variable group",
	"DockerCompose":                         "use Docker@2 for each image",
	"TerraformCLI":                          useTerraform,
	"VSBuild":                               "jobs run on Linux: use dotnet in a script step",
	"MSBuild":                               "jobs run on Linux: use dotnet in a script step",
	"VSTest":                                "jobs run on Linux: use dotnet test in a script step",
	"GitHubRelease":                         "run gh in a bash step, with the token in env",
	"CopyPublishBuildArtifacts":             "use CopyFiles@2 and PublishPipelineArtifact@1",
	"ComponentGovernanceComponentDetection": "leave it out",
	"AzureFunction":                         useCall,
	"PublishToAzureServiceBus":              useCall,
	"queryAzureMonitor":                     useCall,
	"AzureMonitor":                          useCall,
	"queryWorkItems":                        useCall,
	"ManualIntervention":                    "use ManualValidation@1 in a job with pool: server",
}
