package schema

import (
	"maps"
	"slices"
)

// Limits of the language, in minutes, tries and legs.
const (
	MostMinutes = 60 * 24 * 365
	MostRetries = 10
	MostLegs    = 256
)

// Jobs is a list of jobs.
var Jobs = list(object(JobObject, DeploymentObject, TemplateReference))

// What to write instead of keys that stand elsewhere.
const (
	inJob     = "write it in a job under jobs"
	inPool    = "write pool: {vmImage: ubuntu-latest}"
	inStep    = "write it in a step under steps"
	inRunOnce = "write them under strategy.runOnce.deploy.steps"
)

// foreignJobKeys are keys of a job in other languages, and of its parts in this.
var foreignJobKeys = map[string]string{
	"name": "write job: NAME, or displayName", "vmImage": inPool, "runs-on": inPool, "needs": "write dependsOn", "if": "write condition",
	"matrix": "write it under strategy", "parallel": "write it under strategy", "maxParallel": "write it under strategy", "env": "write variables, or env in a step",
	"image": "write container", "demands": "write it under pool", "script": inStep, "bash": inStep, "task": inStep, "inputs": inStep, "checkout": inStep,
	"environment": "write deployment instead of job", "timeout-minutes": "write timeoutInMinutes", "timeout": "write timeoutInMinutes",
}

// StageObject is a stage.
var StageObject = &Object{
	Name: "a stage", Mark: "stage", Doc: "Jobs that begin together, after the stages before them.",
	Keys: []Key{
		{Name: "stage", Value: text(), Doc: "The name, in dependsOn and conditions: letters, digits and underscores."},
		{Name: "displayName", Value: text(), Doc: "What people see."},
		{Name: "dependsOn", Value: dependsOn(Stage), Doc: "Stages that come before; the stage above by default, and [] starts at once."},
		{Name: "condition", Value: condition(), Doc: "When the stage runs; succeeded() by default."},
		{Name: "variables", Value: Variables, Doc: "Variables of the stage's jobs."},
		{Name: "jobs", Value: Jobs, Doc: "The jobs, side by side unless dependsOn says otherwise."},
		{Name: "pool", Value: Pool, Doc: "The pool of the stage's jobs that name none."},
		{Name: "lockBehavior", Value: option("sequential", "runLatest"), Doc: "How runs that wait for an exclusive lock queue."},
		{Name: "trigger", Value: option("automatic", "manual"), Doc: "manual: somebody has to start the stage."},
		{Name: "isSkippable", Value: boolean(), Doc: "Whether the stage may be left out when a run is queued; true by default."},
		{Name: "templateContext", Value: anything(), Doc: "Data for templates; Slipway does not read it."},
	},
	Refused: map[string]string{"group": "leave it out", "checks": "put checks on the environment"},
	Elsewhere: map[string]string{
		"steps": "write them in a job under jobs", "name": "write stage: NAME, or displayName", "environment": "write it in a deployment job under jobs",
		"strategy": inJob, "container": inJob, "services": inJob, "workspace": inJob, "timeoutInMinutes": inJob, "continueOnError": inJob,
		"needs": "write dependsOn", "if": "write condition",
	},
}

// sharedJobKeys are the keys of jobs and deployment jobs.
func sharedJobKeys(strategy Value, strategyDoc string) []Key {
	return []Key{
		{Name: "displayName", Value: text(), Doc: "What people see."},
		{Name: "dependsOn", Value: dependsOn(Job), Doc: "Jobs of the same stage that come before; none by default."},
		{Name: "condition", Value: condition(), Doc: "When the job runs; succeeded() by default."},
		{Name: "strategy", Value: strategy, Doc: strategyDoc},
		{Name: "continueOnError", Value: whenQueued(boolean()), Doc: "Whether later jobs go on if this one fails; false by default."},
		{Name: "pool", Value: Pool, Doc: "Where the job runs; server: without an agent, for tasks that the server runs."},
		{Name: "workspace", Value: object(Workspace), Doc: "What is cleaned before the job."},
		{Name: "container", Value: Value{Text: true, Refers: Container, Maps: []*Object{JobContainer}}, Doc: "The image, or the name of a container resource, in which the steps run."},
		{Name: "services", Value: names(Value{Text: true, Refers: Container, Maps: []*Object{ServiceContainer}}), Doc: "Containers that run beside the job, under their host names."},
		{Name: "timeoutInMinutes", Value: whenQueued(integer(0, MostMinutes)), Doc: "How long the job may take; 60 by default, 0 is as long as the server allows."},
		{Name: "cancelTimeoutInMinutes", Value: whenQueued(integer(0, MostMinutes)), Doc: "How long steps may take that run after a cancel; 5 by default."},
		{Name: "variables", Value: Variables, Doc: "Variables of the job."},
		{Name: "uses", Value: object(Uses), Doc: "Repositories and pools that the job uses without a checkout or a pool naming them."},
		{Name: "templateContext", Value: anything(), Doc: "Data for templates; Slipway does not read it."},
	}
}

// JobObject is a job with steps.
var JobObject = &Object{
	Name: "a job", Mark: "job", Doc: "Steps that run one after the other in one place.",
	Keys: slices.Concat([]Key{
		{Name: "job", Value: text(), Doc: "The name, in dependsOn and conditions: letters, digits and underscores."},
		{Name: "steps", Value: Steps, Doc: "The steps, one after the other."},
	}, sharedJobKeys(object(Strategy), "Runs the job several times: matrix or parallel.")),
	Refused:   map[string]string{"server": "write pool: server", "phase": "write job", "queue": "write pool", "target": "write container"},
	Elsewhere: foreignJobKeys,
}

// DeploymentObject is a deployment job.
var DeploymentObject = &Object{
	Name: "a deployment job", Mark: "deployment", Doc: "A job that deploys to an environment, whose approvals and checks it waits for.",
	Keys: slices.Concat([]Key{
		{Name: "deployment", Value: text(), Doc: "The name, in dependsOn and conditions: letters, digits and underscores."},
		{Name: "environment", Required: true, Value: Value{Text: true, Maps: []*Object{Environment}}, Doc: "The environment, or ENVIRONMENT.RESOURCE."},
	}, sharedJobKeys(object(DeploymentStrategy), "How it deploys: runOnce, rolling or canary, with its hooks.")),
	Elsewhere: deploymentElsewhere(),
}

// deploymentElsewhere are the keys of foreignJobKeys with the names of a deployment job.
func deploymentElsewhere() map[string]string {
	m := maps.Clone(foreignJobKeys)
	m["name"], m["steps"] = "write deployment: NAME, or displayName", inRunOnce
	delete(m, "environment")
	return m
}

// Workspace says what is cleaned before a job.
var Workspace = &Object{Name: "workspace", Doc: "What is cleaned before the job.", Keys: []Key{
	{Name: "clean", Value: option("outputs", "resources", "all"), Doc: "outputs: built files; resources: sources; all: everything."},
}}

// Uses names what a job uses.
var Uses = &Object{Name: "uses", Doc: "What the job uses without saying so elsewhere.", Keys: []Key{
	{Name: "repositories", Value: Value{Text: true, Refers: Repository, List: &Value{Text: true, Refers: Repository}}, Doc: "Repositories that the job's token may read."},
	{Name: "pools", Value: texts(), Doc: "Pools that the job uses."},
}}

// Strategy runs a job several times.
var Strategy = &Object{
	Name: "strategy of a job", Doc: "Runs the job several times.",
	Keys: []Key{
		{Name: "matrix", Value: Value{Text: true, Names: &Value{Names: &Value{Text: true}}}, Doc: "A leg for each name, with its variables; or one $[ ] that gives them as JSON."},
		{Name: "parallel", Value: whenQueued(integer(1, MostLegs)), Doc: "That many legs, told apart by System.JobPositionInPhase."},
		{Name: "maxParallel", Value: whenQueued(integer(0, MostLegs)), Doc: "How many legs of the matrix run at once; 0 is all."},
	},
	Elsewhere: map[string]string{"runOnce": "write deployment instead of job", "rolling": "write deployment instead of job", "canary": "write deployment instead of job"},
}

// DeploymentStrategy says how a deployment job deploys.
var DeploymentStrategy = &Object{
	Name: "strategy of a deployment job", Doc: "How the job deploys.",
	Keys: []Key{
		{Name: "runOnce", Value: object(RunOnce), Doc: "Each hook once, in order."},
		{Name: "canary", Value: object(Canary), Doc: "A growing share of the whole: deploy, routeTraffic and postRouteTraffic once for each increment."},
		{Name: "rolling", Value: object(Rolling), Doc: "One batch of virtual machines after the other."},
	},
	Elsewhere: map[string]string{
		"matrix": "write one deployment job for each", "parallel": "write runOnce", "maxParallel": "write it under rolling", "deploy": "write it under runOnce", "steps": inRunOnce,
	},
}

// RunOnce runs each hook of a deployment once.
var RunOnce = &Object{
	Name: "runOnce", Doc: "Each hook once, in order; each is a job of its own.", Keys: hooks,
	Elsewhere: map[string]string{"steps": "write them under deploy"},
}

// Canary runs the hooks of a deployment for a growing share of the whole.
var Canary = &Object{
	Name: "canary", Doc: "Hooks for a growing share of the whole; $(strategy.increment) and $(strategy.action) tell them which.",
	Keys: slices.Concat([]Key{
		{Name: "increments", Value: list(text()), Doc: "The shares in percent, in growing order; the whole, 100, follows by itself."},
	}, hooks),
}

// Rolling runs the hooks of a deployment on one batch of virtual machines after the other.
var Rolling = &Object{
	Name: "rolling", Doc: "Hooks on each virtual machine of the environment, one batch after the other; after a batch with a failure the rest is left as it was.",
	Keys: slices.Concat([]Key{
		{Name: "maxParallel", Value: text(), Doc: "How many machines are in a batch: a number, or a share of all as 25%; 1 by default."},
	}, hooks),
}

// hooks are the keys of all strategies.
var hooks = []Key{
	{Name: "preDeploy", Value: hook("preDeploy"), Doc: "Steps before the deployment."},
	{Name: "deploy", Required: true, Value: hook("deploy"), Doc: "Steps that deploy; the artifacts of the run are downloaded first."},
	{Name: "routeTraffic", Value: hook("routeTraffic"), Doc: "Steps that send traffic to what was deployed."},
	{Name: "postRouteTraffic", Value: hook("postRouteTraffic"), Doc: "Steps after that, such as a watch on health."},
	{Name: "on", Value: object(&Object{Name: "on", Doc: "Steps at the end.", Keys: []Key{
		{Name: "success", Value: hook("success"), Doc: "Steps if all hooks succeeded."},
		{Name: "failure", Value: hook("failure"), Doc: "Steps if one failed."},
	}}), Doc: "Steps at the end: success or failure."},
}

func hook(name string) Value {
	return object(&Object{Name: name, Doc: "A hook of the deployment, a job of its own.", Keys: []Key{
		{Name: "steps", Value: Steps, Doc: "The steps, one after the other."},
		{Name: "pool", Value: Pool, Doc: "The pool of this hook, if it is not the job's."},
	}})
}

// Environment is where a deployment job deploys.
var Environment = &Object{Name: "an environment", Doc: "Where the job deploys.", Keys: []Key{
	{Name: "name", Required: true, Value: text(), Doc: "The environment, or ENVIRONMENT.RESOURCE."},
	{Name: "resourceName", Value: text(), Doc: "The resource in it: a namespace of a cluster, or one virtual machine."},
	{Name: "resourceType", Value: option("Kubernetes", "VirtualMachine"), Doc: "Kubernetes, or virtualMachine: the steps run on each machine that resourceName and tags choose."},
	{Name: "resourceId", Value: text(), Doc: "The number of one virtual machine."},
	{Name: "tags", Value: texts(), Doc: "Tags that a virtual machine must have, all of them."},
}}

// Pool says where a job runs: the name of a pool, or a map.
var Pool = Value{Text: true, Maps: []*Object{{
	Name: "a pool", Doc: "Where a job runs.",
	Elsewhere: map[string]string{"container": "write it in the job, beside pool", "strategy": "write it in the job, beside pool", "matrix": "write it under strategy of the job, beside pool"},
	Keys: []Key{
		{Name: "name", Value: text(), Doc: "The name of the pool."},
		{Name: "vmImage", Value: text(), Doc: "The image: ubuntu-latest, or another name beginning with ubuntu-."},
		{Name: "demands", Value: texts(), Doc: "What the agent must have: NAME, or NAME -equals VALUE. The pool's capabilities must have it."},
		{Name: "vmImageName", Value: text(), Doc: "The old name of vmImage."},
		{Name: "image", Value: text(), Doc: "The image of a managed pool: the installation may map it as it maps vmImage, else it is that of ubuntu-latest."},
		{Name: "os", Value: text(), Doc: "The system of a managed pool: linux."},
		{Name: "type", Value: text(), Doc: "The kind of a pool in templates of companies: linux, docker and others, which have no effect."},
		{Name: "isCustom", Value: boolean(), Doc: "Says in templates of companies that the pool is their own; it has no effect."},
		{Name: "hostArchitecture", Value: text(), Doc: "The processor of a managed pool; it has no effect."},
		{Name: "timeoutInMinutes", Value: Value{Integer: true, Most: MostMinutes, Macro: true}, Doc: "Has no effect here: it stands in the job."},
	},
}}}

// PhaseObject is a job as files had it before jobs were called so.
var PhaseObject = &Object{
	Name: "a phase", Mark: "phase", Doc: "The old form of a job.",
	Keys: []Key{
		{Name: "phase", Value: text(), Doc: "The name, in dependsOn and conditions: letters, digits and underscores."},
		{Name: "displayName", Value: text(), Doc: "What people see."},
		{Name: "dependsOn", Value: dependsOn(Job), Doc: "Phases that come before; none by default."},
		{Name: "condition", Value: condition(), Doc: "When the phase runs; succeeded() by default."},
		{Name: "continueOnError", Value: whenQueued(boolean()), Doc: "Whether later phases go on if this one fails; false by default."},
		{Name: "queue", Value: Queue, Doc: "Where the phase runs."},
		{Name: "server", Value: Server, Doc: "true, or a map: the server runs the phase's tasks, without an agent; in place of queue."},
		{Name: "variables", Value: Variables, Doc: "Variables of the phase."},
		{Name: "steps", Value: Steps, Doc: "The steps, one after the other."},
	},
	Refused: map[string]string{"deployment": "write a deployment job under jobs"},
}

// Queue is the old form of a pool, which held keys of the job too.
var Queue = Value{Text: true, Maps: []*Object{{
	Name: "a queue", Doc: "The old form of a pool.",
	Keys: []Key{
		{Name: "name", Value: text(), Doc: "The name of the pool."},
		{Name: "vmImage", Value: text(), Doc: "The image, as in a pool."},
		{Name: "demands", Value: texts(), Doc: "What the agent must have: NAME, or NAME -equals VALUE. The pool's capabilities must have it."},
		{Name: "timeoutInMinutes", Value: whenQueued(integer(0, MostMinutes)), Doc: "How long the phase may take; 60 by default."},
		{Name: "cancelTimeoutInMinutes", Value: whenQueued(integer(0, MostMinutes)), Doc: "How long steps may take that run after a cancel; 5 by default."},
		{Name: "parallel", Value: whenQueued(integer(1, MostLegs)), Doc: "How many legs of the matrix run at once; without a matrix, that many legs."},
		{Name: "matrix", Value: Value{Text: true, Names: &Value{Names: &Value{Text: true}}}, Doc: "A leg for each name, with its variables."},
		{Name: "container", Value: Value{Text: true, Refers: Container}, Doc: "The image, or the name of a container resource, in which the steps run."},
		{Name: "workspace", Value: object(Workspace), Doc: "What is cleaned before the phase."},
	},
}}}

// Server is the old form of `pool: server`, which held keys of the job too.
var Server = Value{Boolean: true, Maps: []*Object{{
	Name: "server", Doc: "The old form of pool: server.",
	Keys: queueKeys("timeoutInMinutes", "cancelTimeoutInMinutes", "parallel", "matrix"),
}}}

// queueKeys are some of the keys of a queue.
func queueKeys(names ...string) []Key {
	keys := make([]Key, len(names))
	for i, name := range names {
		keys[i] = *Queue.Maps[0].Key(name)
	}
	return keys
}
