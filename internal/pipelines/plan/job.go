package plan

import (
	"strconv"
	"strings"

	"slipway"
)

// JobKind says where a job runs.
type JobKind string

// The kinds of jobs.
const (
	JobAgent      JobKind = "agent"      // steps on an agent
	JobDeployment JobKind = "deployment" // hooks on agents, recorded against an environment
	JobServer     JobKind = "server"     // agentless: `pool: server`
)

// Job is a unit that runs on one agent, or, with legs or hooks, several such units under one name. Each unit is an
// Instance; see Job.Instances.
type Job struct {
	Name        string  `json:"name"`
	DisplayName string  `json:"displayName,omitempty"`
	Kind        JobKind `json:"kind"`
	// DependsOn are names of jobs of the same stage.
	DependsOn []string `json:"dependsOn,omitempty"`
	// Condition is an expression without brackets; "" is succeeded().
	Condition string     `json:"condition,omitempty"`
	Variables []Variable `json:"variables,omitempty"`
	Pool      Pool       `json:"pool"`
	// Container is where the steps run; nil is the pool's own image.
	Container *Container `json:"container,omitempty"`
	// Services run beside the job; Alias is the host name.
	Services []Container `json:"services,omitempty"`
	// Workspace is what is cleaned before the job: "", outputs, resources or all.
	Workspace string `json:"workspace,omitempty"`
	// TimeoutInMinutes is 60 if the file does not say; 0 is the most that the installation allows.
	TimeoutInMinutes int `json:"timeoutInMinutes"`
	// CancelTimeoutInMinutes is the time that remains after a cancel, 5 if the file does not say.
	CancelTimeoutInMinutes int  `json:"cancelTimeoutInMinutes"`
	ContinueOnError        bool `json:"continueOnError,omitempty"`
	// Open are expressions of what is known when the run is queued, by the file's key: timeoutInMinutes,
	// cancelTimeoutInMinutes, continueOnError, maxParallel, parallel. The plan of a run has none, see schedule.Settle.
	Open map[string]string `json:"open,omitempty"`
	// UsesRepositories are aliases under `uses`, which the job token may read.
	UsesRepositories []string `json:"usesRepositories,omitempty"`

	// Strategy is set for a matrix or a parallel job.
	Strategy *Strategy `json:"strategy,omitempty"`
	// Deployment is set if and only if Kind is JobDeployment; the steps are then in its hooks.
	Deployment *Deployment `json:"deployment,omitempty"`
	Steps      []Step      `json:"steps,omitempty"`

	At slipway.Position `json:"at"`
}

// Title is the name for people.
func (j *Job) Title() string {
	if j.DisplayName != "" {
		return j.DisplayName
	}
	return j.Name
}

// Pool says what machine is wanted. Name and Image may hold macros.
type Pool struct {
	Name    string   `json:"name,omitempty"`
	Image   string   `json:"vmImage,omitempty"`
	Demands []string `json:"demands,omitempty"`
	// Managed says that the installation has a pool of that name, or had when the plan was made.
	Managed bool `json:"managed,omitempty"`
	// Server is `pool: server`: no machine, the steps are tasks that the server runs itself.
	Server bool             `json:"server,omitempty"`
	At     slipway.Position `json:"at"`
}

// Strategy runs a job several times.
type Strategy struct {
	// MaxParallel limits the legs that run at once; 0 is no limit.
	MaxParallel int `json:"maxParallel,omitempty"`
	// Legs are known when the plan is made; empty if MatrixExpression is set.
	Legs []Leg `json:"legs,omitempty"`
	// MatrixExpression is the inside of `$[ ]`: it gives the legs as JSON when the job is about to start.
	MatrixExpression string `json:"matrixExpression,omitempty"`
	// Sliced says `parallel: N`: the legs are slices, which differ by System.JobPositionInPhase alone.
	Sliced bool `json:"sliced,omitempty"`
}

// Leg is one run of a job with a strategy.
type Leg struct {
	// Name is letters, digits, dashes and underscores, and the key of the leg's outputs.
	Name string `json:"name"`
	// Title is the name as the file has it, if that differs.
	Title     string            `json:"title,omitempty"`
	Variables map[string]string `json:"variables,omitempty"`
}

// Label is the name for people.
func (l *Leg) Label() string {
	if l.Title != "" {
		return l.Title
	}
	return l.Name
}

// Deployment is what a deployment job adds to a job.
type Deployment struct {
	Environment EnvironmentReference `json:"environment"`
	// Strategy is runOnce, canary or rolling. Rolling is for machines alone, and canary for others.
	Strategy string `json:"strategy"`
	// MaxParallel of rolling is how many machines are in a batch: a number, or a share of all as 25%; "" is one.
	MaxParallel string `json:"maxParallel,omitempty"`
	// Hooks in their order, only those that have steps, deploy always: preDeploy, deploy, routeTraffic,
	// postRouteTraffic, success, failure. A canary has deploy, routeTraffic and postRouteTraffic once for each increment.
	Hooks []Hook `json:"hooks"`
}

// Machines reports a deployment whose hooks run on each of the chosen virtual machines of its environment.
func (d *Deployment) Machines() bool { return d.Environment.ResourceType == ResourceMachine }

// BatchSize is how many of that many machines are deployed to side by side, at least one.
func (d *Deployment) BatchSize(machines int) int {
	if d.Strategy != "rolling" {
		return max(machines, 1)
	}
	text, share := strings.CutSuffix(d.MaxParallel, "%")
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 1
	case share:
		n = machines * n / 100
	}
	return max(n, 1)
}

// ResourceMachine is the resource type of virtual machines.
const ResourceMachine = "VirtualMachine"

// EnvironmentReference names an environment and, if Resource is set, one resource in it. They may hold macros, as may tags.
type EnvironmentReference struct {
	Name     string `json:"name"`
	Resource string `json:"resource,omitempty"`
	// ResourceType is Kubernetes, VirtualMachine, or "" when not said.
	ResourceType string `json:"resourceType,omitempty"`
	// ResourceID is the number of a virtual machine, "" when not said.
	ResourceID string `json:"resourceId,omitempty"`
	// Tags are all on the virtual machines that are meant.
	Tags []string `json:"tags,omitempty"`
	// Review says that a run of a pull request deploys to a review app of the environment (a reviewApp step).
	Review bool             `json:"review,omitempty"`
	At     slipway.Position `json:"at"`
}

// HookName is a phase of a deployment.
type HookName string

// The hooks of a deployment in the order in which they run. Success and failure are those under `on`.
const (
	HookPreDeploy        HookName = "preDeploy"
	HookDeploy           HookName = "deploy"
	HookRouteTraffic     HookName = "routeTraffic"
	HookPostRouteTraffic HookName = "postRouteTraffic"
	HookSuccess          HookName = "success"
	HookFailure          HookName = "failure"
)

// HookOrder is every hook in the order in which they run.
var HookOrder = [...]HookName{HookPreDeploy, HookDeploy, HookRouteTraffic, HookPostRouteTraffic, HookSuccess, HookFailure}

// Hook is one phase of a deployment: a job on an agent of its own.
type Hook struct {
	Name HookName `json:"name"`
	// Increment is the share in percent that a canary deploys with this hook, 100 the last time; 0 for other hooks.
	Increment int `json:"increment,omitempty"`
	// Pool is the hook's own or the job's.
	Pool  Pool             `json:"pool"`
	Steps []Step           `json:"steps"`
	At    slipway.Position `json:"at"`
}

// Part is the hook's part of its instance's ID, and the key of its outputs in a canary: deploy, or deploy_10.
func (h *Hook) Part() string {
	if h.Increment == 0 {
		return string(h.Name)
	}
	return string(h.Name) + "_" + strconv.Itoa(h.Increment)
}

// Title is the name for people.
func (h *Hook) Title() string {
	if h.Increment == 0 {
		return string(h.Name)
	}
	return string(h.Name) + " " + strconv.Itoa(h.Increment) + " %"
}

// Action is what a canary does in the hook with the cluster: deploy an increment, promote the whole, or reject it; "" in
// hooks that do neither.
func (h *Hook) Action() string {
	switch {
	case h.Name == HookFailure:
		return "reject"
	case h.Increment == 100:
		return "promote"
	case h.Increment > 0:
		return "deploy"
	}
	return ""
}
