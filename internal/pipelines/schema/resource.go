package schema

import "slices"

// Resources are what a pipeline uses from elsewhere.
var Resources = &Object{
	Name: "resources", Doc: "What the pipeline uses from elsewhere.",
	Keys: []Key{
		{Name: "repositories", Value: list(object(RepositoryResource)), Doc: "Other repositories, for templates (@ALIAS) and checkout."},
		{Name: "containers", Value: list(object(ContainerResource)), Doc: "Container images, for container and services of jobs."},
		{Name: "pipelines", Value: list(object(PipelineResource)), Doc: "Other pipelines, whose artifacts are downloaded and whose runs start this one."},
	},
	Refused: map[string]string{"builds": "use pipelines", "packages": "fetch the package in a step", "webhooks": "start the run over the API"},
}

// LegacyResource is an entry of the old list form of resources.
var LegacyResource = &Object{
	Name: "an entry of the old list of resources", Doc: "The old form, in which only repo: self has a meaning.",
	Keys: []Key{
		{Name: "repo", Value: text(), Doc: "self."},
		{Name: "clean", Value: boolean(), Doc: "Write it in a checkout step."},
		{Name: "fetchDepth", Value: text(), Doc: "Write it in a checkout step."},
		{Name: "lfs", Value: boolean(), Doc: "Write it in a checkout step."},
		{Name: "submodules", Value: text(), Doc: "Write it in a checkout step."},
	},
}

// RepositoryResource is another repository.
var RepositoryResource = &Object{
	Name: "a repository", Doc: "Another repository.",
	Keys: []Key{
		{Name: "repository", Required: true, Value: text(), Doc: "The alias: FILE@ALIAS names a template of it, checkout: ALIAS fetches it."},
		{Name: "type", Required: true, Value: option("git", "github", "githubenterprise", "bitbucket"), Doc: "Where it is: git is this server."},
		{Name: "name", Required: true, Value: text(), Doc: "REPOSITORY of this project, or PROJECT/REPOSITORY."},
		{Name: "ref", Value: text(), Doc: "The branch or tag, such as refs/tags/v1; refs/heads/main by default."},
		{Name: "endpoint", Value: text(), Doc: "The service connection to another host."},
		{Name: "project", Value: text(), Doc: "The project, if name does not say it."},
		{Name: "trigger", Value: anything(), Doc: "Which pushes there start a run."},
	},
}

// containerKeys are the keys of a container wherever it is written.
var containerKeys = []Key{
	{Name: "image", Value: text(), Doc: "The image, with its registry and tag or digest."},
	{Name: "endpoint", Value: text(), Doc: "The service connection to the image's registry."},
	{Name: "env", Value: names(text()), Doc: "Environment variables of the container."},
	{Name: "ports", Value: texts(), Doc: "Ports of the container, CONTAINER or HOST:CONTAINER."},
}

var refusedContainerKeys = map[string]string{
	"options":           "jobs are pods, options of docker create have no meaning there",
	"volumes":           "jobs are pods, share files through the workspace",
	"mapDockerSocket":   "jobs are pods without a Docker daemon, build images with Docker@2",
	"mountReadOnly":     "leave it out",
	"localImage":        "push the image to a registry",
	"mountDockerSocket": "build images with Docker@2",
}

// ContainerResource is an image with a name.
var ContainerResource = &Object{
	Name: "a container", Doc: "An image with a name.", Refused: refusedContainerKeys,
	Keys: slices.Concat([]Key{
		{Name: "container", Required: true, Value: text(), Doc: "The alias, for container and services of jobs."},
		{Name: "trigger", Value: anything(), Doc: "Which new images start a run."},
		{Name: "type", Value: text(), Doc: "The kind of registry."},
	}, containerKeys),
}

// JobContainer is the container of a job.
var JobContainer = containerOf("container of a job", "The container in which the job's steps run.")

// ServiceContainer is a container beside a job.
var ServiceContainer = containerOf("a service", "A container that runs beside the job; its name is its host name.")

func containerOf(name, doc string) *Object {
	return &Object{Name: name, Doc: doc, Refused: refusedContainerKeys, Keys: slices.Concat([]Key{
		{Name: "alias", Value: refers(Container), Doc: "A container under resources.containers."},
	}, containerKeys)}
}

// PipelineResource is another pipeline.
var PipelineResource = &Object{
	Name: "a pipeline resource", Doc: "Another pipeline, whose artifacts are downloaded and whose runs start this one.",
	Keys: []Key{
		{Name: "pipeline", Required: true, Value: text(), Doc: "The alias: download: ALIAS fetches its artifacts."},
		{Name: "source", Required: true, Value: text(), Doc: "The name of the pipeline."},
		{Name: "project", Value: text(), Doc: "Its project; this one by default."},
		{Name: "branch", Value: text(), Doc: "The branch whose last run is taken."},
		{Name: "version", Value: text(), Doc: "The number of the run that is taken."},
		{Name: "tags", Value: texts(), Doc: "Tags that the run must have."},
		{Name: "trigger", Value: Value{Boolean: true, Options: []string{"none"}, Maps: []*Object{PipelineTrigger}}, Doc: "Which of its runs start this pipeline: true, none, or a map of filters."},
	},
}

// PipelineTrigger says which runs of another pipeline start this one.
var PipelineTrigger = &Object{
	Name: "trigger of a pipeline resource", Doc: "Which runs of the other pipeline start this one.",
	Keys: []Key{
		{Name: "enabled", Value: boolean(), Doc: "Whether they do at all; true by default."},
		{Name: "branches", Value: Value{List: &Value{Text: true}, Maps: filter("branches of trigger of a pipeline resource", "Branches whose runs count.").Maps}, Doc: "Branches whose runs count."},
		{Name: "stages", Value: texts(), Doc: "Stages that must have succeeded."},
		{Name: "tags", Value: texts(), Doc: "Tags that the run must have."},
	},
}
