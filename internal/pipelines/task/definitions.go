package task

import "slices"

const useScript = "write what it does as a script or bash step"

// definitions are the tasks, with the inputs of their public manifests: a file for each family of them. The slice is never
// changed.
var definitions = slices.Concat(scriptTasks, fileTasks, artifactTasks, testTasks, dockerTasks, kubernetesTasks)

// elsewhere are tasks that real files use and Slipway does not run, with what to write instead. The map is never changed.
var elsewhere = map[string]string{
	"AzureCLI":                              "run az in a bash step, with its credentials in env",
	"AzurePowerShell":                       "run az in a bash step, with its credentials in env",
	"AzureResourceGroupDeployment":          "run az in a bash step, with its credentials in env",
	"AzureWebAppContainer":                  "deploy to Kubernetes with KubernetesManifest@1",
	"AzureKeyVault":                         "use a variable group",
	"Kubernetes":                            "use KubernetesManifest@1, or kubectl in a bash step",
	"HelmDeploy":                            "use KubernetesManifest@1, or helm in a bash step",
	"HelmInstaller":                         "use a container image that has helm",
	"KubectlInstaller":                      "use a container image that has kubectl",
	"DockerCompose":                         "use Docker@2 for each image",
	"DockerInstaller":                       "images are built without an installed Docker: use Docker@2",
	"PowerShell":                            "write a bash step, or a pwsh step in a job with a container that has PowerShell",
	"DotNetCoreCLI":                         "run dotnet in a script step of a job whose container has the .NET SDK",
	"UseDotNet":                             "use a container image that has the .NET SDK",
	"GoTool":                                "use a container image that has Go",
	"Go":                                    "run go in a script step",
	"NodeTool":                              "use a container image that has Node.js",
	"UseNode":                               "use a container image that has Node.js",
	"Npm":                                   "run npm in a script step",
	"npmAuthenticate":                       "write .npmrc in a script step, with the token in env",
	"UsePythonVersion":                      "use a container image that has Python",
	"JavaToolInstaller":                     "use a container image that has Java",
	"Maven":                                 "run mvn in a script step",
	"Gradle":                                "run gradle in a script step",
	"TerraformInstaller":                    "use a container image that has Terraform",
	"Cache":                                 "leave it out: the run is slower and otherwise the same",
	"ManualValidation":                      "put an approval on the environment",
	"DownloadBuildArtifacts":                "use DownloadPipelineArtifact@2",
	"DownloadSecureFile":                    "use a secret variable",
	"PublishCodeCoverageResults":            "publish the report as an artifact",
	"ArchiveFiles":                          "run tar or zip in a script step",
	"ExtractFiles":                          "run tar or unzip in a script step",
	"DeleteFiles":                           "run rm in a script step",
	"ShellScript":                           "use Bash@3 with filePath",
	"replacetokens":                         useScript,
	"NuGetCommand":                          "run dotnet in a script step",
	"NuGetToolInstaller":                    "use a container image that has the .NET SDK",
	"NuGetAuthenticate":                     "write nuget.config in a script step, with the token in env",
	"VSBuild":                               "jobs run on Linux: use dotnet in a script step",
	"MSBuild":                               "jobs run on Linux: use dotnet in a script step",
	"VSTest":                                "jobs run on Linux: use dotnet test in a script step",
	"GitHubRelease":                         "run gh in a bash step, with the token in env",
	"CopyPublishBuildArtifacts":             "use CopyFiles@2 and PublishPipelineArtifact@1",
	"ComponentGovernanceComponentDetection": "leave it out",
}
