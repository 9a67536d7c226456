package task

// localJDK is what to do instead of a download from Azure's storage.
const localJDK = "fetch the archive in a script step and use LocalDirectory, or use PreInstalled"

// toolTasks install the tools that later steps use.
func toolTasks() []Definition {
	return []Definition{
		{Name: "GoTool", Major: 0, Title: "GoTool", Doc: "Makes a version of Go the one that later steps use.", Inputs: []Input{
			{Name: "version", Doc: "The version: 1.22 is the newest 1.22 that is there, 1.22.3 that one.", Default: "1.10", Required: true},
			{Name: "goPath", Doc: "The value of GOPATH."},
			{Name: "goBin", Doc: "The value of GOBIN."},
			{Name: "goDownloadUrl", Doc: "Where it is downloaded from, as https://go.dev/dl.", Default: "https://go.dev/dl", Unsupported: map[string]string{"https://aka.ms/golang/release/latest": "Microsoft's builds of Go are not installed: leave it out for those of go.dev"}},
		}},
		{Name: "UseNode", Major: 1, Title: "UseNode", Doc: "Makes a version of Node.js the one that later steps use.", Inputs: []Input{
			{Name: "version", Doc: "The version, as 20.x, >=18 <20, 22.3.0, lts or latest; nothing is changed without one.", Default: "10.x"},
			{Name: "checkLatest", Doc: "Whether the newest matching version is looked up even if another matches already.", Default: "false", Boolean: true},
			{Name: "force32bit", Doc: "Whether the 32-bit version is used.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": "jobs are of 64 bits: leave it out"}},
			{Name: "nodejsMirror", Doc: "Where it is downloaded from, as https://nodejs.org/dist.", Default: "https://nodejs.org/dist"},
			{Name: "retryCountOnDownloadFails", Doc: "How often a download that failed is tried again.", Default: "5"},
			{Name: "delayBetweenRetries", Doc: "Milliseconds between tries of a download.", Default: "1000"},
		}},
		{Name: "NodeTool", Major: 0, Title: "NodeTool", Doc: "Makes a version of Node.js the one that later steps use (the older task).", Inputs: []Input{
			{Name: "versionSource", Doc: "Whether the version stands here or in a file.", Default: "spec", Options: []string{"spec", "fromFile"}},
			{Name: "versionSpec", Doc: "The version, as 20.x, >=18 <20, 22.3.0, lts or latest.", Default: "6.x", NeededFor: "versionSource", NeededForValues: []string{"spec"}},
			{Name: "versionFilePath", Doc: "The file that holds the version, as .nvmrc.", NeededFor: "versionSource", NeededForValues: []string{"fromFile"}},
			{Name: "checkLatest", Doc: "Whether the newest matching version is looked up even if another matches already.", Default: "false", Boolean: true},
			{Name: "force32bit", Doc: "Whether the 32-bit version is used.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": "jobs are of 64 bits: leave it out"}},
			{Name: "nodejsMirror", Doc: "Where it is downloaded from, as https://nodejs.org/dist.", Default: "https://nodejs.org/dist"},
			{Name: "retryCountOnDownloadFails", Doc: "How often a download that failed is tried again.", Default: "5"},
			{Name: "delayBetweenRetries", Doc: "Milliseconds between tries of a download.", Default: "1000"},
		}},
		{Name: "UsePythonVersion", Major: 0, Title: "UsePythonVersion", Doc: "Makes a version of Python the one that later steps use.", Inputs: []Input{
			{Name: "versionSpec", Doc: "The version, as 3.x, 3.12 or >=3.10 <3.13.", Default: "3.x", Required: true},
			{Name: "disableDownloadFromRegistry", Doc: "Whether only a version that is there already is used.", Default: "false", Boolean: true},
			{Name: "allowUnstable", Doc: "Whether versions before their release may be used.", Default: "false", Boolean: true},
			{Name: "githubToken", Doc: "A token of GitHub, which is not needed."},
			{Name: "addToPath", Doc: "Whether it is put into PATH.", Default: "true", Boolean: true},
			{Name: "architecture", Doc: "The processor; the machine's own is meant by x64.", Default: "x64", Options: []string{"x86", "x64", "arm64"}, Unsupported: map[string]string{"x86": "jobs are of 64 bits: use x64"}},
		}},
		{Name: "UseRubyVersion", Major: 0, Title: "UseRubyVersion", Doc: "Makes a version of Ruby that is there the one that later steps use.", Inputs: []Input{
			{Name: "versionSpec", Doc: "The version, as 3.x, >= 3.1 or 3.2.4.", Default: ">= 2.4", Required: true},
			{Name: "addToPath", Doc: "Whether it is put into PATH.", Default: "true", Boolean: true},
		}},
		{Name: "DotNetCoreInstaller", Major: 0, Title: "DotNetCoreInstaller", Doc: "Makes a version of .NET usable for later steps (the older task).", Inputs: []Input{
			{Name: "packageType", Doc: "Whether the SDK or only the runtime is meant.", Default: "sdk", Required: true, Options: []string{"runtime", "sdk"}},
			{Name: "version", Doc: "The version, as 8.0.100.", Default: "1.0.4", Required: true},
		}},
		{Name: "DotNetCoreInstaller", Major: 1, Title: "DotNetCoreInstaller", Doc: "Makes a version of .NET usable for later steps (the older task).", Inputs: []Input{
			{Name: "packageType", Doc: "Whether the SDK or only the runtime is meant.", Default: "sdk", Required: true, Options: []string{"runtime", "sdk"}},
			{Name: "version", Doc: "The version, as 8.x, 8.0.x or 8.0.100.", Default: "2.2.x", Required: true},
			{Name: "includePreviewVersions", Doc: "Whether previews count.", Default: "false", Boolean: true},
			{Name: "installationPath", Doc: "Where it is installed.", Default: "$(Agent.ToolsDirectory)/dotnet"},
			{Name: "performMultiLevelLookup", Doc: "The value of DOTNET_MULTILEVEL_LOOKUP.", Default: "false", Boolean: true},
		}},
		{Name: "UseDotNet", Major: 2, Title: "UseDotNet", Doc: "Makes a version of .NET usable for later steps, beside those that are installed already.", Inputs: []Input{
			{Name: "packageType", Doc: "Whether the SDK or only the runtime is meant.", Default: "sdk", Options: []string{"runtime", "sdk"}},
			{Name: "useGlobalJson", Doc: "Whether the versions are those of all global.json files.", Default: "false", Boolean: true},
			{Name: "workingDirectory", Doc: "The folder in which global.json files are looked for."},
			{Name: "version", Doc: "The version, as 8.x, 8.0.x or 8.0.100."},
			{Name: "vsVersion", Doc: "The Visual Studio that the SDK must fit.", Unsupported: map[string]string{"": "jobs run on Linux, without Visual Studio: leave it out"}},
			{Name: "checkForExistingVersion", Doc: "Whether an installed version is enough, which it always is.", Default: "false", Boolean: true},
			{Name: "includePreviewVersions", Doc: "Whether previews count.", Default: "false", Boolean: true},
			{Name: "installationPath", Doc: "Where it is installed.", Default: "$(Agent.ToolsDirectory)/dotnet"},
			{Name: "performMultiLevelLookup", Doc: "The value of DOTNET_MULTILEVEL_LOOKUP.", Default: "false", Boolean: true},
			{Name: "requestTimeout", Doc: "Milliseconds that a request may take; every request has a limit of its own here.", Default: "300000", Integer: true},
		}},
		{Name: "HelmInstaller", Major: 1, Title: "HelmInstaller", Doc: "Makes a version of Helm the one that later steps use.", Inputs: []Input{
			{Name: "helmVersionToInstall", Doc: "The version, as 3.14.0 or latest.", Default: "latest"},
		}},
		{Name: "HelmInstaller", Major: 0, Title: "HelmInstaller", Doc: "Makes versions of Helm and kubectl those that later steps use (the older task).", Inputs: []Input{
			{Name: "helmVersion", Doc: "The version of Helm.", Default: "2.14.1", Required: true},
			{Name: "checkLatestHelmVersion", Doc: "Whether the newest Helm is used instead.", Default: "true", Boolean: true},
			{Name: "installKubeCtl", Doc: "Whether kubectl is installed too.", Default: "true", Boolean: true, Required: true},
			{Name: "kubectlVersion", Doc: "The version of kubectl.", Default: "1.8.9"},
			{Name: "checkLatestKubeCtl", Doc: "Whether the newest kubectl is used instead.", Default: "true", Boolean: true},
		}},
		{Name: "KubectlInstaller", Major: 0, Title: "KubectlInstaller", Doc: "Makes a version of kubectl the one that later steps use.", Inputs: []Input{
			{Name: "kubectlVersion", Doc: "The version, as 1.29.2, 1.29 or latest.", Default: "latest"},
		}},
		{Name: "KubeloginInstaller", Major: 0, Title: "KubeloginInstaller", Doc: "Makes a version of kubelogin the one that later steps use.", Inputs: []Input{
			{Name: "kubeloginVersion", Doc: "The version, as 0.1.4 or latest.", Default: "latest"},
			{Name: "gitHubConnection", Doc: "A connection to GitHub, which is not needed."},
		}},
		{Name: "OpenPolicyAgentInstaller", Major: 0, Title: "OpenPolicyAgentInstaller", Doc: "Makes a version of Open Policy Agent (opa) the one that later steps use.", Inputs: []Input{
			{Name: "opaVersion", Doc: "The version, as 0.60.0 or latest.", Default: "latest"},
		}},
		{Name: "TerraformInstaller", Major: 1, Extension: terraformExtension + "installer-task", Title: "TerraformInstaller", Doc: "Makes a version of Terraform the one that later steps use.", Inputs: []Input{
			{Name: "terraformVersion", Doc: "The version, as 1.9.8 or latest.", Default: "latest", Required: true},
		}},
		{Name: "TerraformInstaller", Major: 0, Extension: terraformExtension + "installer-task", Title: "TerraformInstaller", Doc: "Makes a version of Terraform the one that later steps use.", Inputs: []Input{
			{Name: "terraformVersion", Doc: "The version, as 1.9.8 or latest.", Default: "latest", Required: true},
		}},
		{Name: "DockerInstaller", Major: 0, Title: "DockerInstaller", Doc: "Leaves the job its own docker.", Inputs: []Input{
			{Name: "dockerVersion", Doc: "The version of Docker, which changes nothing.", Default: "17.09.0-ce", Required: true},
			{Name: "releaseType", Doc: "The kind of release, which changes nothing.", Default: "stable", Options: []string{"stable", "edge", "test", "nightly"}},
		}},
		{Name: "NodeTaskRunnerInstaller", Major: 0, Title: "NodeTaskRunnerInstaller", Doc: "Leaves tasks to the job's own Node.js.", Inputs: []Input{
			{Name: "runnerVersion", Aliases: []string{"nodeVersion", "installVersion"}, Doc: "The version of Node.js, which changes nothing.", Default: "6", Required: true, Options: []string{"6", "10", "16"}},
		}},
		{Name: "NuGetToolInstaller", Major: 1, Title: "NuGetToolInstaller", Doc: "Leaves NuGet to dotnet, which has it built in.", Inputs: []Input{
			{Name: "versionSpec", Doc: "The version of NuGet, which changes nothing."},
			{Name: "checkLatest", Doc: "Whether the newest NuGet is used, which changes nothing.", Default: "false", Boolean: true},
		}},
		{Name: "NuGetToolInstaller", Major: 0, Title: "NuGetToolInstaller", Doc: "Leaves NuGet to dotnet, which has it built in.", Inputs: []Input{
			{Name: "versionSpec", Doc: "The version of NuGet, which changes nothing."},
			{Name: "checkLatest", Doc: "Whether the newest NuGet is used, which changes nothing.", Default: "false", Boolean: true},
		}},
		tfxInstaller(3, "v0.11.x"),
		tfxInstaller(4, "v0.x"),
		tfxInstaller(5, "builtin"),
		javaToolInstaller(0),
		javaToolInstaller(1),
	}
}

// tfxInstaller is the task of the extension Azure DevOps Extension Tasks (github.com/microsoft/azure-devops-extension-tasks).
func tfxInstaller(major int, version string) Definition {
	return Definition{Name: "TfxInstaller", Major: major, Extension: "ms-devlabs.vsts-developer-tools-build-tasks.tfx-installer-build-task", Title: "Use Node CLI for Azure DevOps (tfx-cli)",
		Doc: "Installs tfx-cli, which packs and publishes extensions of Azure DevOps, by npm.", Inputs: []Input{
			{Name: "version", Doc: "The version, as 0.23.1, v0.x or latest; builtin is the one that the image has, or else the newest.", Default: version, Required: true},
			{Name: "checkLatest", Doc: "Whether the newest matching version is installed even if another matches already.", Default: "true", Boolean: true},
		}}
}

func javaToolInstaller(major int) Definition {
	return Definition{Name: "JavaToolInstaller", Major: major, Title: "JavaToolInstaller", Doc: "Makes a version of Java the one that later steps use.", Inputs: []Input{
		{Name: "versionSpec", Doc: "The version, as 17, 1.8 or 21.", Default: "8", Required: true},
		{Name: "jdkArchitectureOption", Doc: "The processor.", Options: []string{"x64", "x86", "arm64"}, Required: true, Unsupported: map[string]string{"x86": "jobs are of 64 bits: use x64"}},
		{Name: "jdkSourceOption", Doc: "Whether the JDK is in the image, or an archive.", Options: []string{"AzureStorage", "LocalDirectory", "PreInstalled"}, Required: true, Unsupported: map[string]string{"AzureStorage": localJDK}},
		{Name: "jdkFile", Doc: "The archive of the JDK, .tar.gz or .zip.", NeededFor: "jdkSourceOption", NeededForValues: []string{"LocalDirectory"}},
		{Name: "azureResourceManagerEndpoint", Doc: "A subscription of Azure.", Unsupported: map[string]string{"": localJDK}},
		{Name: "azureStorageAccountName", Doc: "A storage account of Azure.", Unsupported: map[string]string{"": localJDK}},
		{Name: "azureContainerName", Doc: "A container of the storage account.", Unsupported: map[string]string{"": localJDK}},
		{Name: "azureCommonVirtualFile", Doc: "A path in the container.", Unsupported: map[string]string{"": localJDK}},
		{Name: "jdkDestinationDirectory", Doc: "The folder that the archive is unpacked to.", NeededFor: "jdkSourceOption", NeededForValues: []string{"LocalDirectory"}},
		{Name: "azureResourceGroupName", Doc: "A resource group of Azure.", Unsupported: map[string]string{"": localJDK}},
		{Name: "cleanDestinationDirectory", Doc: "Whether the folder is emptied first.", Default: "true", Boolean: true},
		{Name: "createExtractDirectory", Doc: "Whether a folder of its own is made in it.", Default: "true", Boolean: true},
	}}
}
