package task

import "slices"

const (
	noEngine   = "run the container as a service of the job (services), or the steps in it (container)"
	noHost     = "images are built by the server's builder: leave it out"
	noMemory   = "a build has the builder's memory: leave it out"
	ownNoAzure = "The name of a registry of Azure: any name means this server's registry."
)

// runInputs are those that go with running an image, which a job cannot.
func runInputs(names ...string) []Input {
	list := make([]Input, len(names))
	for i, name := range names {
		list[i] = Input{Name: name, Doc: "Of running an image, which a job cannot.", Unsupported: map[string]string{"": noEngine}}
	}
	return list
}

// registryInputs name the registry in Docker@0 and Docker@1.
func registryInputs(endpoint, subscription []string) []Input {
	return []Input{
		{Name: "containerregistrytype", Doc: "Which of the following inputs names the registry.", Default: "Azure Container Registry", Required: true,
			Options: []string{"Azure Container Registry", "Container Registry"}},
		{Name: "dockerRegistryEndpoint", Aliases: endpoint, Doc: "The service connection to the registry, or its host; this server's own registry by any other name.", Connection: registryConnection, Own: true},
		{Name: "azureSubscriptionEndpoint", Aliases: subscription, Doc: "A subscription of Azure, which changes nothing: the job's token is used."},
		{Name: "azureContainerRegistry", Doc: ownNoAzure},
	}
}

// registryConnection is the type of connections to registries.
var registryConnection = []string{"dockerregistry"}

// dockerTasks build and push images.
func dockerTasks() []Definition {
	return []Definition{
		{Name: "Docker", Major: 0, Title: "Docker", Doc: "Builds, tags and pushes images by their whole names, without a Docker daemon.", Inputs: slices.Concat(
			registryInputs([]string{"dockerRegistryConnection"}, []string{"azureSubscription"}), []Input{
				{Name: "action", Doc: "What to do.", Default: "Build an image", Required: true, Options: []string{"Build an image", "Tag images", "Push an image", "Push images", "Run an image", "Run a Docker command"},
					Unsupported: map[string]string{"Run an image": noEngine}},
				{Name: "dockerFile", Doc: "The Dockerfile; with a pattern, the first match.", Default: "**/Dockerfile", NeededFor: "action", NeededForValues: []string{"Build an image"}},
				{Name: "addBaseImageData", Doc: "Whether labels name the base image.", Default: "true", Boolean: true},
				{Name: "buildArguments", Doc: "NAME=VALUE of the Dockerfile's ARG, one a line."},
				{Name: "defaultContext", Doc: "Whether the Dockerfile's own folder is built.", Default: "true", Boolean: true},
				{Name: "context", Doc: "The folder that is built, without defaultContext."},
				{Name: "imageName", Doc: "The image's name, with its tag.", Default: "$(Build.Repository.Name):$(Build.BuildId)", NeededFor: "action", NeededForValues: []string{"Build an image", "Push an image"}},
				{Name: "imageNamesPath", Doc: "A file of images' names, one a line.", NeededFor: "action", NeededForValues: []string{"Tag images", "Push images"}},
				{Name: "qualifyImageName", Doc: "Whether the registry is put before a name without one.", Default: "true", Boolean: true},
				{Name: "additionalImageTags", Doc: "More tags, one a line."},
				{Name: "includeSourceTags", Doc: "Whether git's tags of the commit are tags of the image.", Default: "false", Boolean: true},
				{Name: "includeLatestTag", Doc: "Whether latest is a tag of the image.", Default: "false", Boolean: true},
				{Name: "imageDigestFile", Doc: "A file to write the pushed image's digest into."},
				{Name: "customCommand", Doc: "Arguments of docker.", NeededFor: "action", NeededForValues: []string{"Run a Docker command"}},
				{Name: "dockerHostEndpoint", Doc: "A Docker host.", Unsupported: map[string]string{"": noHost}},
				{Name: "enforceDockerNamingConvention", Doc: "Whether names are made lower case and lose their spaces.", Default: "true", Boolean: true},
				{Name: "cwd", Aliases: []string{"workingDirectory"}, Doc: "Where docker runs.", Default: "$(System.DefaultWorkingDirectory)"},
				{Name: "memory", Doc: "The memory of the build.", Unsupported: map[string]string{"": noMemory}},
			}, runInputs("containerName", "ports", "volumes", "envVars", "workDir", "entrypoint", "containerCommand", "detached", "restartPolicy", "restartMaxRetries"))},
		{Name: "Docker", Major: 1, Title: "Docker", Doc: "Builds, tags and pushes images by their whole names, without a Docker daemon.", Inputs: slices.Concat(
			registryInputs(nil, nil), []Input{
				{Name: "command", Doc: "What to do; images and version run docker with the arguments.", Default: "Build an image", Required: true,
					Options:     []string{"Build an image", "build", "Tag image", "tag", "Push an image", "push", "Run an image", "run", "login", "logout", "images", "version", "start", "stop"},
					Unsupported: map[string]string{"Run an image": noEngine, "run": noEngine, "start": noEngine, "stop": noEngine}},
				{Name: "dockerFile", Doc: "The Dockerfile; with a pattern, the first match.", Default: "**/Dockerfile", NeededFor: "command", NeededForValues: []string{"Build an image", "build"}},
				{Name: "addBaseImageData", Doc: "Whether labels name the base image.", Default: "true", Boolean: true},
				{Name: "arguments", Doc: "More arguments of the command; for tag, more names of the image, one a line."},
				{Name: "pushMultipleImages", Doc: "Whether imageNamesPath says what is pushed.", Default: "false", Boolean: true},
				{Name: "tagMultipleImages", Doc: "Whether imageNamesPath says what is tagged.", Default: "false", Boolean: true},
				{Name: "imageName", Doc: "The image's name, with its tag.", Default: "$(Build.Repository.Name):$(Build.BuildId)"},
				{Name: "imageNamesPath", Doc: "A file of images' names, one a line.", Required: true, visible: rules("tagMultipleImages = true || pushMultipleImages = true")},
				{Name: "qualifyImageName", Doc: "Whether the registry is put before a name without one.", Default: "true", Boolean: true},
				{Name: "qualifySourceImageName", Doc: "The same for the name that is tagged.", Default: "false", Boolean: true},
				{Name: "includeSourceTags", Doc: "Whether git's tags of the commit are tags of the image.", Default: "false", Boolean: true},
				{Name: "includeLatestTag", Doc: "Whether latest is a tag of the image.", Default: "false", Boolean: true},
				{Name: "addDefaultLabels", Doc: "Whether labels name the run, the repository and the commit.", Default: "true", Boolean: true},
				{Name: "useDefaultContext", Doc: "Whether the Dockerfile's own folder is built.", Default: "true", Boolean: true},
				{Name: "buildContext", Doc: "The folder that is built, without useDefaultContext."},
				{Name: "imageDigestFile", Doc: "A file to write the pushed image's digest into."},
				{Name: "dockerHostEndpoint", Doc: "A Docker host.", Unsupported: map[string]string{"": noHost}},
				{Name: "enforceDockerNamingConvention", Doc: "Whether names are made lower case and lose their spaces.", Default: "true", Boolean: true},
				{Name: "memoryLimit", Doc: "The memory of the build.", Unsupported: map[string]string{"": noMemory}},
			}, runInputs("containerName", "ports", "volumes", "envVars", "workingDirectory", "entrypointOverride", "containerCommand", "runInBackground", "restartPolicy", "maxRestartRetries"))},
		{Name: "Docker", Major: 2, Title: "Docker", Doc: "Builds images without a Docker daemon and pushes them, or signs in to a registry.", Inputs: []Input{
			{Name: "containerRegistry", Doc: "The service connection to the registry; this server's own registry without one.", Aliases: []string{"dockerRegistryEndpoint"}, Connection: registryConnection, Own: true},
			{Name: "repository", Doc: "The name of the image in the registry.", Aliases: []string{"containerRepository"}, NeededFor: "command", NeededForValues: []string{"buildAndPush", "push"}},
			{Name: "command", Doc: "What to do; tag, images and version run docker with the arguments.", Default: "buildAndPush", Required: true,
				Options:     []string{"buildAndPush", "build", "push", "login", "logout", "start", "stop", "tag", "images", "version", "run"},
				Unsupported: map[string]string{"start": noEngine, "stop": noEngine, "run": noEngine}},
			{Name: "Dockerfile", Doc: "The Dockerfile; with a pattern, the first match.", Default: "**/Dockerfile"},
			{Name: "buildContext", Doc: "The folder that is built; ** means the Dockerfile's own.", Default: "**"},
			{Name: "tags", Doc: "Tags of the image, one a line or with commas between.", Default: "$(Build.BuildId)"},
			{Name: "arguments", Doc: "More arguments of the command; buildAndPush ignores them."},
			{Name: "addPipelineData", Doc: "Whether labels name the run, the repository and the commit.", Default: "true", Boolean: true},
			{Name: "addBaseImageData", Doc: "Whether labels name the base image.", Default: "true", Boolean: true},
			{Name: "container", Doc: "A container to start or stop.", Unsupported: map[string]string{"": noEngine}},
		}},
	}
}
