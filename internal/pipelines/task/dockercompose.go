package task

import "slices"

// composeTasks build and push the services of compose files.
func composeTasks() []Definition {
	return []Definition{dockerCompose(0), dockerCompose(1)}
}

// dockerCompose is DockerCompose@0 or @1, which differ in what is given to the command.
func dockerCompose(major int) Definition {
	when := func(in Input, actions ...string) Input {
		in.NeededFor, in.NeededForValues = "action", actions
		return in
	}
	inputs := slices.Concat(registryInputs(nil, []string{"azureSubscription"}), []Input{
		{Name: "dockerComposeFile", Doc: "The compose file; with a pattern, the first match.", Default: "**/docker-compose.yml", Required: true},
		{Name: "additionalDockerComposeFiles", Doc: "More files over it, one a line, relative to its folder."},
		{Name: "dockerComposeFileArgs", Doc: "NAME=VALUE of the environment, one a line."},
		{Name: "projectName", Doc: "The project's name, of which images without one have theirs.", Default: "$(Build.Repository.Name)"},
		{Name: "qualifyImageNames", Doc: "Whether the registry is put before names without one, of services that are built.", Default: "true", Boolean: true},
		{Name: "action", Doc: "What to do.", Default: "Run a Docker Compose command", Required: true,
			Options: []string{"Build services", "Push services", "Run services", "Run a specific service", "Lock services", "Write service image digests", "Combine configuration", "Run a Docker Compose command"},
			Unsupported: map[string]string{
				"Run services":           "write the services under services of the job, with their image, ports and env",
				"Run a specific service": "run the steps in its image (container), or write it under services of the job",
			}},
		{Name: "additionalImageTags", Doc: "More tags, one a line."},
		{Name: "includeSourceTags", Doc: "Whether git's tags of the commit are tags of the images.", Default: "false", Boolean: true},
		{Name: "includeLatestTag", Doc: "Whether latest is a tag of the images.", Default: "false", Boolean: true},
		when(Input{Name: "imageDigestComposeFile", Doc: "The compose file that is written with the images' digests.", Default: "$(Build.StagingDirectory)/docker-compose.images.yml"}, "Write service image digests"),
		{Name: "removeBuildOptions", Doc: "Whether build is left out of the file that is written.", Default: "false", Boolean: true},
		{Name: "baseResolveDirectory", Doc: "A folder that is . in the file that is written."},
		when(Input{Name: "outputDockerComposeFile", Doc: "The compose file that is written.", Default: "$(Build.StagingDirectory)/docker-compose.yml"}, "Lock services", "Combine configuration"),
		when(Input{Name: "dockerComposeCommand", Doc: "A command of docker compose with its arguments."}, "Run a Docker Compose command"),
		{Name: "dockerHostEndpoint", Doc: "A Docker host.", Unsupported: map[string]string{"": noHost}},
		{Name: "nopIfNoDockerComposeFile", Doc: "Whether the step does nothing if there is no compose file.", Default: "false", Boolean: true},
		{Name: "requireAdditionalDockerComposeFiles", Doc: "Whether the additional files must be there.", Default: "false", Boolean: true},
		{Name: "cwd", Aliases: []string{"currentWorkingDirectory"}, Doc: "Where the compose file is looked for and docker runs.", Default: "$(System.DefaultWorkingDirectory)"},
	}, runInputs("serviceName", "containerName", "ports", "workDir", "entrypoint", "containerCommand"), []Input{
		{Name: "buildImages", Doc: "Of running services, which a job cannot.", Default: "true", Boolean: true},
		{Name: "detached", Doc: "Of running services, which a job cannot.", Default: "true", Boolean: true},
		{Name: "abortOnContainerExit", Doc: "Of running services, which a job cannot.", Default: "true", Boolean: true},
	})
	inputs = append(inputs, Input{Name: "arguments", Doc: "More arguments of the command."},
		Input{Name: "dockerComposePath", Doc: "Another docker-compose.", Unsupported: map[string]string{"": "docker compose of the job is used: leave it out, or call the other one in a bash step"}})
	return Definition{Name: "DockerCompose", Major: major, Title: "Docker Compose", Doc: "Builds and pushes the images of compose files, without a Docker daemon.", Inputs: inputs}
}
