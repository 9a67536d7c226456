package schema

import (
	"math"
	"slices"
)

// Resources are what a pipeline uses from elsewhere.
var Resources = &Object{
	Name: "resources", Doc: "What the pipeline uses from elsewhere.",
	Keys: []Key{
		{Name: "repositories", Value: list(object(RepositoryResource)), Doc: "Other repositories, for templates (@ALIAS) and checkout."},
		{Name: "containers", Value: list(object(ContainerResource)), Doc: "Container images, for container and services of jobs."},
		{Name: "pipelines", Value: list(object(PipelineResource)), Doc: "Other pipelines, whose artifacts are downloaded and whose runs start this one."},
		{Name: "builds", Value: list(object(BuildResource)), Doc: "Builds of other systems; they are not read and start no run here."},
		{Name: "packages", Value: list(object(PackageResource)), Doc: "Packages of npm or NuGet, which getPackage downloads and whose new versions start a run."},
		{Name: "webhooks", Value: list(object(WebhookResource)), Doc: "Calls from outside that start a run."},
	},
}

// BuildResource is a build of another system, such as Jenkins.
var BuildResource = &Object{
	Name: "a build resource", Doc: "A build of another system; it is not read and starts no run here.",
	Keys: []Key{
		{Name: "build", Required: true, Value: text(), Doc: "The alias."},
		{Name: "type", Required: true, Value: text(), Doc: "The system: Jenkins, circleCI, Travis …"},
		{Name: "connection", Required: true, Value: text(), Doc: "The service connection to the system."},
		{Name: "source", Required: true, Value: text(), Doc: "The name of the build there."},
		{Name: "version", Value: text(), Doc: "The number of the build; the latest by default."},
		{Name: "branch", Value: text(), Doc: "The branch of the build."},
		{Name: "trigger", Value: Value{Boolean: true, Options: []string{"none"}}, Doc: "Whether its builds start a run."},
	},
}

// PackageResource is a package of a registry.
var PackageResource = &Object{
	Name: "a package resource", Doc: "A package, which getPackage downloads and whose new versions start a run.",
	Keys: []Key{
		{Name: "package", Required: true, Value: text(), Doc: "The alias."},
		{Name: "type", Required: true, Value: option("npm", "NuGet"), Doc: "The kind of package."},
		{Name: "connection", Required: true, Value: text(), Doc: "The service connection to GitHub, or to a registry of such packages."},
		{Name: "name", Required: true, Value: text(), Doc: "OWNER/PACKAGE, or PACKAGE of a registry without owners."},
		{Name: "version", Value: text(), Doc: "The version; the latest by default."},
		{Name: "tag", Value: text(), Doc: "The tag of npm whose version is taken; latest by default."},
		{Name: "trigger", Value: Value{Boolean: true, Options: []string{"none"}}, Doc: "Whether new versions start a run."},
	},
}

// WebhookResource is a call from outside that starts a run.
var WebhookResource = &Object{
	Name: "a webhook resource", Doc: "A call from outside that starts a run; ${{ parameters.ALIAS.path }} reads its body.",
	Keys: []Key{
		{Name: "webhook", Required: true, Value: text(), Doc: "The alias."},
		{Name: "connection", Required: true, Value: text(), Doc: "The incoming webhook that takes the call, by its name."},
		{Name: "type", Value: text(), Doc: "The extension that it is of; there are none here."},
		{Name: "filters", Value: list(object(&Object{Name: "a filter of a webhook", Doc: "Which calls count.", Keys: []Key{
			{Name: "path", Required: true, Value: text(), Doc: "The path in the call's JSON."},
			{Name: "value", Required: true, Value: text(), Doc: "The value that must stand there."},
		}})), Doc: "Which calls count."},
	},
}

// LegacyResource is an entry of the old list form of resources.
var LegacyResource = &Object{
	Name: "an entry of the old list of resources", Doc: "The old form, in which repo: self says how all jobs fetch the repository.",
	Keys: []Key{
		{Name: "repo", Value: text(), Doc: "self."},
		{Name: "clean", Value: flag(), Doc: "Whether files that git does not know are removed first."},
		{Name: "fetchDepth", Value: Value{Integer: true, Most: math.MaxInt32, Macro: true}, Doc: "How many commits are fetched; 0 is all of them."},
		{Name: "lfs", Value: flag(), Doc: "Whether large files are fetched."},
		{Name: "submodules", Value: Value{Boolean: true, Options: []string{"recursive"}}, Doc: "Whether submodules are fetched: true, or recursive for theirs too."},
	},
}

const inCheckout = "write it in the checkout step"

// RepositoryResource is another repository.
var RepositoryResource = &Object{
	Name: "a repository", Doc: "Another repository.",
	Elsewhere: map[string]string{
		"branch": "write ref: refs/heads/BRANCH", "clean": inCheckout, "fetchDepth": inCheckout, "fetchTags": inCheckout, "lfs": inCheckout, "persistCredentials": inCheckout,
		"submodules": inCheckout, "repo": "write repository", "alias": "write repository", "url": "write type and name, and endpoint for another host",
	},
	Keys: []Key{
		{Name: "repository", Required: true, Value: text(), Doc: "The alias: FILE@ALIAS names a template of it, checkout: ALIAS fetches it."},
		{Name: "type", Value: option("git", "github", "githubenterprise", "bitbucket"), Doc: "Where it is: git is this server, and what is taken without a type or an endpoint."},
		{Name: "name", Required: true, Value: text(), Doc: "REPOSITORY of this project, or PROJECT/REPOSITORY."},
		{Name: "ref", Value: text(), Doc: "The branch or tag, such as refs/tags/v1; refs/heads/main by default."},
		{Name: "endpoint", Value: text(), Doc: "The service connection to another host."},
		{Name: "project", Value: text(), Doc: "The project, if name does not say it."},
		{Name: "trigger", Value: anything(), Doc: "Which pushes there start a run."},
		{Name: "checkoutOptions", Value: object(CheckoutOptions), Doc: "The old place of what checkout steps of the repository do unless they say otherwise."},
	},
}

// CheckoutOptions are defaults of the checkout steps of a repository.
var CheckoutOptions = &Object{
	Name: "checkoutOptions", Doc: "Defaults of the checkout steps of a repository.",
	Keys: []Key{
		{Name: "clean", Value: flag(), Doc: "Whether files that git does not know are removed first."},
		{Name: "fetchDepth", Value: Value{Integer: true, Most: math.MaxInt32, Macro: true}, Doc: "How many commits are fetched; 0 is all of them."},
		{Name: "fetchTags", Value: flag(), Doc: "Whether tags are fetched."},
		{Name: "lfs", Value: flag(), Doc: "Whether large files are fetched."},
		{Name: "persistCredentials", Value: flag(), Doc: "Whether git's credentials stay for the steps that follow."},
		{Name: "submodules", Value: Value{Boolean: true, Macro: true, Options: []string{"recursive"}}, Doc: "Whether submodules are fetched: true, or recursive for theirs too."},
	},
}

// containerKeys are the keys of a container wherever it is written.
var containerKeys = []Key{
	{Name: "image", Value: text(), Doc: "The image, with its registry and tag or digest."},
	{Name: "endpoint", Value: text(), Doc: "The service connection to the image's registry."},
	{Name: "env", Value: names(text()), Doc: "Environment variables of the container."},
	{Name: "ports", Value: texts(), Doc: "Ports of the container, CONTAINER or HOST:CONTAINER; the containers of a job share one network, in which services are reached by both."},
	{Name: "options", Value: text(), Doc: "Options of docker create, as far as a pod has them: env, user, memory, cpus, volumes, health checks of services, ..."},
	{Name: "volumes", Value: texts(), Doc: "Folders that the containers of the job share: NAME:PATH, NAME:PATH:ro, or PATH."},
	{Name: "mapDockerSocket", Value: boolean(), Doc: "Has no effect: a pod has no Docker daemon."},
	{Name: "mountReadOnly", Value: object(MountReadOnly), Doc: "Has no effect: the agent's files are read-only, the workspace is not."},
}

// MountReadOnly says which folders of the agent a container may not write.
var MountReadOnly = &Object{Name: "mountReadOnly", Doc: "Folders of the agent that the container may not write.", Keys: []Key{
	{Name: "work", Value: boolean(), Doc: "The folder of the jobs."},
	{Name: "externals", Value: boolean(), Doc: "The agent's programs."},
	{Name: "tools", Value: boolean(), Doc: "Installed tools."},
	{Name: "tasks", Value: boolean(), Doc: "The tasks' files."},
}}

var refusedContainerKeys = map[string]string{
	"localImage":        "push the image to a registry",
	"mountDockerSocket": "build images with Docker@2",
}

// ContainerResource is an image with a name.
var ContainerResource = &Object{
	Name: "a container", Doc: "An image with a name.", Refused: refusedContainerKeys,
	Keys: slices.Concat([]Key{
		{Name: "container", Required: true, Value: text(), Doc: "The alias, for container and services of jobs."},
		{Name: "trigger", Value: Value{Boolean: true, Options: []string{"none"}, Maps: []*Object{ContainerTrigger}}, Doc: "Which images start a run when they are pushed: true, none, or a map of filters."},
		{Name: "type", Value: text(), Doc: "ACR for an image of this server's registry, by repository instead of image; docker, or nothing, for any other."},
		{Name: "azureSubscription", Value: text(), Doc: "With type ACR; it is not read, since there is no Azure."},
		{Name: "resourceGroup", Value: text(), Doc: "With type ACR; it is not read, since there is no Azure."},
		{Name: "registry", Value: text(), Doc: "With type ACR; whatever it is, this server's registry is meant."},
		{Name: "repository", Value: text(), Doc: "With type ACR: the image, PROJECT/NAME, of which latest is taken or the tag whose push started the run."},
	}, containerKeys),
}

// ContainerTrigger says which images start a run.
var ContainerTrigger = &Object{
	Name: "trigger of a container", Doc: "Which images start a run when they are pushed to this server's registry.",
	Keys: []Key{
		{Name: "enabled", Value: boolean(), Doc: "Whether they do at all; true by default."},
		{Name: "tags", Value: Value{List: &Value{Text: true}, Maps: filter("tags of trigger of a container", "Tags that count.").Maps}, Doc: "Tags that count; all of them by default."},
	},
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
	Elsewhere: map[string]string{"name": "write pipeline: ALIAS", "alias": "write pipeline: ALIAS"},
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
