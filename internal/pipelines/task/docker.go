package task

// dockerTasks build and push images.
var dockerTasks = []Definition{
	{Name: "Docker", Major: 2, Title: "Docker", Doc: "Builds images without a Docker daemon and pushes them, or signs in to a registry.", Inputs: []Input{
		{Name: "containerRegistry", Doc: "The service connection to the registry; the project's own registry without one.", Aliases: []string{"dockerRegistryEndpoint"}},
		{Name: "repository", Doc: "The name of the image in the registry.", Aliases: []string{"containerRepository"}, NeededFor: "command", NeededForValues: []string{"buildAndPush", "push"}},
		{Name: "command", Doc: "What to do.", Default: "buildAndPush", Options: []string{"buildAndPush", "build", "push", "login", "logout", "start", "stop"},
			Unsupported: map[string]string{"start": "run the container as a service of the job (services)", "stop": "run the container as a service of the job (services)"}},
		{Name: "Dockerfile", Doc: "The Dockerfile; with a pattern, the first match.", Default: "**/Dockerfile"},
		{Name: "buildContext", Doc: "The folder that is built; ** means the Dockerfile's own.", Default: "**"},
		{Name: "tags", Doc: "Tags of the image, one a line or with commas between.", Default: "$(Build.BuildId)"},
		{Name: "arguments", Doc: "More arguments of the command; buildAndPush ignores them."},
		{Name: "addPipelineData", Doc: "Whether labels name the run, the repository and the commit.", Default: "true", Boolean: true},
		{Name: "addBaseImageData", Doc: "Whether labels name the base image.", Default: "true", Boolean: true},
		{Name: "container", Doc: "A container to start or stop.", Unsupported: map[string]string{"": "run the container as a service of the job (services)"}},
	}},
}
