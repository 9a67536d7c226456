package task

import "slices"

const (
	ownCluster = "The service connection to a cluster; the one of the job's environment by any other name."
	noAdmin    = "a job has the rights of its environment's namespace: leave it out"
	noTiller   = "Helm has had no Tiller since version 3: leave it out"
	noExport   = "use push, or helm in a script step"
)

// clusterConnection is the type of connections to clusters.
var clusterConnection = []string{"kubernetes"}

// kubectlTasks run kubectl and helm.
func kubectlTasks() []Definition {
	return []Definition{
		{Name: "Kubernetes", Major: 0, Title: "Kubernetes", Doc: "Runs kubectl, in the namespace of the job's environment or in the cluster of a service connection.", Inputs: slices.Concat([]Input{
			{Name: "kubernetesServiceEndpoint", Aliases: []string{"kubernetesServiceConnection"}, Doc: ownCluster, Connection: clusterConnection, Own: true},
			kubectlCommand,
		}, kubectlInputs, []Input{
			{Name: "configuration", Doc: "The file, folder or address of -f.", NeededFor: "useConfigurationFile", NeededForValues: []string{"true"}},
			{Name: "dockerRegistryEndpoint", Aliases: []string{"dockerRegistryConnection"}, Doc: "The registry of the secret.", Connection: registryConnection, Own: true},
			{Name: "azureSubscriptionEndpoint", Aliases: []string{"azureSubscription"}, Doc: "A subscription of Azure, which changes nothing."},
			{Name: "versionSpec", Doc: "A version of kubectl; the image's own is used.", Default: "1.7.0"},
			{Name: "outputFormat", Doc: "The form of the output, json, yaml or another of kubectl's.", Default: "json"},
			{Name: "kubectlOutput", Doc: "The variable that the output is put into; without one none, and outputFormat has no effect."},
		})},
		{Name: "Kubernetes", Major: 1, Title: "Kubernetes", Doc: "Runs kubectl, in the namespace of the job's environment or in the cluster of a service connection.", Inputs: slices.Concat(clusterInputs("Kubernetes Service Connection", nil, nil), []Input{
			kubectlCommand,
		}, kubectlInputs, []Input{
			{Name: "configurationType", Doc: "Whether the configuration is a file or stands here.", Default: "configuration", Options: []string{"configuration", "inline"}},
			{Name: "configuration", Doc: "The file, folder or address of -f."},
			{Name: "inline", Doc: "The configuration, with configurationType: inline.", NeededFor: "configurationType", NeededForValues: []string{"inline"}},
			{Name: "dockerRegistryEndpoint", Doc: "The registry of the secret.", Connection: registryConnection, Own: true},
			{Name: "azureSubscriptionEndpointForSecrets", Doc: "A subscription of Azure, which changes nothing."},
			{Name: "versionSpec", Doc: "A version of kubectl; the image's own is used.", Default: "1.13.2"},
			{Name: "outputFormat", Doc: "The form of the output, json, yaml, none or another of kubectl's.", Default: "json"},
		})},
		helmDeploy(0, []Input{
			{Name: "command", Doc: "What to do; another word is a command of helm.", Default: "ls", Required: true, Unsupported: map[string]string{"init": noTiller, "save": noExport, "expose": "expose the release's service with kubectl"}},
		}),
		helmDeploy(1, []Input{
			{Name: "command", Doc: "What to do; another word is a command of helm.", Default: "ls", Required: true, Unsupported: map[string]string{"init": noTiller, "expose": "expose the release's service with kubectl"}},
			{Name: "remoteRepo", Doc: "The registry that a chart is pushed to, oci://...", NeededFor: "command", NeededForValues: []string{"push"}},
		}),
	}
}

// kubectlCommand is the input command; besides the words that are named it takes every one that kubectl has.
var kubectlCommand = Input{Name: "command",
	Doc: "A command of kubectl: apply, create, delete, exec, expose, get, logs, rollout, run, set, top or another; login and logout for the steps that follow."}

// clusterInputs name the cluster, which is always the environment's.
func clusterInputs(byDefault string, subscription, connection []string) []Input {
	return []Input{
		{Name: "connectionType", Doc: "How the cluster is reached; None means by the KUBECONFIG that the job has.", Default: byDefault, Required: true,
			Options: []string{"Azure Resource Manager", "Kubernetes Service Connection", "None"}},
		{Name: "kubernetesServiceEndpoint", Aliases: connection, Doc: ownCluster, Connection: clusterConnection, Own: true},
		{Name: "azureSubscriptionEndpoint", Aliases: subscription, Doc: "A subscription of Azure, which changes nothing."},
		{Name: "azureResourceGroup", Doc: "A resource group of Azure, which changes nothing."},
		{Name: "kubernetesCluster", Doc: ownCluster},
		{Name: "useClusterAdmin", Doc: "Whether the cluster's administrator is used.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": noAdmin}},
	}
}

// kubectlInputs are those that both versions have.
var kubectlInputs = []Input{
	{Name: "namespace", Doc: "The namespace; in the environment's cluster it can only be the environment's own."},
	{Name: "useConfigurationFile", Doc: "Whether -f names a file.", Default: "false", Boolean: true},
	{Name: "arguments", Doc: "Arguments of the command."},
	{Name: "secretType", Doc: "The type of the secret.", Default: "dockerRegistry", Required: true, Options: []string{"dockerRegistry", "generic"}},
	{Name: "secretArguments", Doc: "What is in the secret, as --from-literal=KEY=VALUE."},
	{Name: "containerRegistryType", Doc: "Which input names the secret's registry.", Default: "Azure Container Registry", Options: []string{"Azure Container Registry", "Container Registry"}},
	{Name: "azureContainerRegistry", Doc: ownNoAzure},
	{Name: "secretName", Doc: "A secret to make first; one of this server's registry is not needed, one of a connection's is made."},
	{Name: "forceUpdate", Doc: "Whether a secret of that name is replaced.", Default: "true", Boolean: true},
	{Name: "configMapName", Doc: "A ConfigMap to make first."},
	{Name: "forceUpdateConfigMap", Doc: "Whether a ConfigMap of that name is replaced.", Default: "false", Boolean: true},
	{Name: "useConfigMapFile", Doc: "Whether the ConfigMap is a file's.", Default: "false", Boolean: true},
	{Name: "configMapFile", Doc: "The file or folder of the ConfigMap.", NeededFor: "useConfigMapFile", NeededForValues: []string{"true"}},
	{Name: "configMapArguments", Doc: "What is in the ConfigMap, as --from-literal=KEY=VALUE."},
	{Name: "versionOrLocation", Doc: "Which kubectl is used.", Default: "version", Options: []string{"version", "location"}},
	{Name: "checkLatest", Doc: "Whether the newest kubectl is wanted; the image's own is used.", Default: "false", Boolean: true},
	{Name: "specifyLocation", Doc: "The kubectl that is used.", NeededFor: "versionOrLocation", NeededForValues: []string{"location"}},
	{Name: "cwd", Aliases: []string{"workingDirectory"}, Doc: "Where it runs.", Default: "$(System.DefaultWorkingDirectory)"},
}

func helmDeploy(major int, own []Input) Definition {
	inputs := slices.Concat(clusterInputs("Azure Resource Manager", []string{"azureSubscription"}, []string{"kubernetesServiceConnection"}), own, []Input{
		{Name: "namespace", Doc: "The namespace; in the environment's cluster it can only be the environment's own."},
		{Name: "chartType", Doc: "Whether the chart is a name or a path.", Default: "Name", Options: []string{"Name", "FilePath"}},
		{Name: "chartName", Doc: "The chart's name or address."},
		{Name: "chartPath", Doc: "The chart's file or folder.", Required: true, visible: rules("chartType == FilePath || command == package || command == push")},
		{Name: "version", Aliases: []string{"chartVersion"}, Doc: "The chart's version."},
		{Name: "releaseName", Doc: "The release's name."},
		{Name: "overrideValues", Doc: "Values of the chart, KEY=VALUE, one a line or with commas between."},
		{Name: "valueFile", Doc: "A file of values."},
		{Name: "destination", Doc: "The folder of the package.", Default: "$(Build.ArtifactStagingDirectory)"},
		{Name: "canaryimage", Doc: "Of Tiller.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": noTiller}},
		{Name: "upgradetiller", Doc: "Of Tiller: changes nothing.", Default: "true", Boolean: true},
		{Name: "updatedependency", Doc: "Whether the chart's dependencies are updated first.", Default: "false", Boolean: true},
		{Name: "save", Doc: "Of Helm 2: changes nothing.", Default: "true", Boolean: true},
		{Name: "install", Doc: "Whether upgrade installs a release that is not there.", Default: "true", Boolean: true},
		{Name: "recreate", Doc: "Whether pods are made again.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": "Helm has had no --recreate-pods since version 3: run kubectl rollout restart"}},
		{Name: "resetValues", Doc: "Whether values of the release before are forgotten.", Default: "false", Boolean: true},
		{Name: "force", Doc: "Whether objects are replaced.", Default: "false", Boolean: true},
		{Name: "waitForExecution", Doc: "Whether helm waits until all is ready.", Default: "true", Boolean: true},
		{Name: "arguments", Doc: "More arguments of helm."},
		{Name: "enableTls", Doc: "Of Tiller.", Default: "false", Boolean: true, Unsupported: map[string]string{"true": noTiller}},
		{Name: "caCert", Doc: "Of Tiller.", Unsupported: map[string]string{"": noTiller}},
		{Name: "certificate", Doc: "Of Tiller.", Unsupported: map[string]string{"": noTiller}},
		{Name: "privatekey", Doc: "Of Tiller.", Unsupported: map[string]string{"": noTiller}},
		{Name: "tillernamespace", Doc: "Of Tiller.", Unsupported: map[string]string{"": noTiller}},
		{Name: "failOnStderr", Doc: "Whether the step fails if helm writes to standard error.", Default: "false", Boolean: true},
		{Name: "publishPipelineMetadata", Doc: "Changes nothing: deployments are recorded with their run.", Default: "true", Boolean: true},
		{Name: "azureSubscriptionEndpointForACR", Aliases: []string{"azureSubscriptionForACR"}, Doc: "A subscription of Azure, which changes nothing."},
		{Name: "azureResourceGroupForACR", Doc: "A resource group of Azure, which changes nothing."},
		{Name: "azureContainerRegistry", Doc: ownNoAzure},
		{Name: "chartNameForACR", Doc: "Of saving a chart.", Unsupported: map[string]string{"": noExport}},
		{Name: "chartPathForACR", Doc: "Of saving a chart.", Unsupported: map[string]string{"": noExport}},
	})
	return Definition{Name: "HelmDeploy", Major: major, Title: "HelmDeploy", Doc: "Runs helm, in the namespace of the job's environment or in the cluster of a service connection.", Inputs: inputs}
}
