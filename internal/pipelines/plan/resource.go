package plan

import (
	"slices"
	"strings"

	"slipway"
)

// Resources are what the pipeline uses beside its own repository.
type Resources struct {
	Repositories []Repository `json:"repositories,omitempty"`
	Containers   []Container  `json:"containers,omitempty"`
	Pipelines    []Pipeline   `json:"pipelines,omitempty"`
	Packages     []Package    `json:"packages,omitempty"`
}

// Repository is a repository that templates or checkout steps refer to by its alias.
type Repository struct {
	Alias string `json:"alias"`
	// Type is git, or the host: github, githubenterprise, bitbucket.
	Type string `json:"type"`
	// Name is REPOSITORY or PROJECT/REPOSITORY, or what the other host calls it: OWNER/REPOSITORY.
	Name string `json:"name"`
	Ref  string `json:"ref,omitempty"`
	// Endpoint names the service connection of a repository of another host; "" is anonymous, or of this server for type git.
	Endpoint string `json:"endpoint,omitempty"`
	// Implied says that a checkout names it in place, as git://PROJECT/REPOSITORY@REF, which is its alias, and no resource does: Ref is "" for
	// its default branch.
	Implied bool             `json:"implied,omitempty"`
	At      slipway.Position `json:"at"`
}

// Foreign reports whether the repository is of another host.
func (r *Repository) Foreign() bool { return r.Endpoint != "" || r.Type != "git" && r.Type != "" }

// Connection is the service connection by which the repository is reached; ok is false without one.
func (r *Repository) Connection() (connection Connection, ok bool) {
	types := map[string][]string{"github": {"github"}, "githubenterprise": {"githubenterprise"}, "bitbucket": {"bitbucket"}}[r.Type]
	if types == nil {
		types = []string{"externalgit", "generic", "git"}
	}
	return Connection{Name: r.Endpoint, Types: types, At: r.At}, r.Endpoint != ""
}

// RepositoryVariable is the name of the variable that holds what is known of a repository when a run is queued: its id, url
// and version. Together with name, ref and type they are resources.repositories of expressions.
func RepositoryVariable(alias, key string) string {
	return "resources.repositories." + alias + "." + key
}

// ContainerVariable is the name of the variable that holds what is known of the image whose push started the run.
func ContainerVariable(alias, key string) string {
	return "resources.container." + alias + "." + key
}

// ReadsResources reports whether an expression that the server evaluates reads resources.
func (p *Plan) ReadsResources() bool {
	found := false
	look := func(text string) { found = found || strings.Contains(strings.ToLower(text), "resources") }
	all := func(list []Variable) {
		for _, v := range list {
			look(v.Expression)
		}
	}
	all(p.Variables)
	for _, s := range p.Stages {
		all(s.Variables)
		look(s.Condition)
		for _, j := range s.Jobs {
			all(j.Variables)
			look(j.Condition)
			if j.Strategy != nil {
				look(j.Strategy.MatrixExpression)
			}
		}
	}
	return found
}

// Pipeline is another pipeline whose artifacts are used, or whose completion starts a run.
type Pipeline struct {
	Alias   string `json:"alias"`
	Source  string `json:"source"`
	Project string `json:"project,omitempty"`
	Branch  string `json:"branch,omitempty"`
	Version string `json:"version,omitempty"`
	// Tags are those that a run must have to be taken.
	Tags []string `json:"tags,omitempty"`
	// Trigger is nil when the other pipeline's completion starts nothing.
	Trigger *PipelineTrigger `json:"trigger,omitempty"`
	// Implied says that a download task names it, and no resource: only that task downloads of it.
	Implied bool             `json:"implied,omitempty"`
	At      slipway.Position `json:"at"`
}

// PipelineTrigger says which completions of the other pipeline start a run.
type PipelineTrigger struct {
	Branches Filter   `json:"branches"`
	Stages   []string `json:"stages,omitempty"`
	Tags     []string `json:"tags,omitempty"`
}

// ContainerOf is a job's container or service when the job starts: macros in it expanded by expand, and what was written as
// a macro and turns out to be an alias of resources.containers replaced by that.
func (p *Plan) ContainerOf(c Container, expand func(string) string) Container {
	image := expand(c.Image)
	for _, r := range p.Resources.Containers {
		if c.Image == r.Image { // a push of it may have started the run
			if pushed := ContainerVariable(r.Alias, "URI"); expand("$("+pushed+")") != "$("+pushed+")" {
				image = expand("$(" + pushed + ")")
			}
		}
		if strings.EqualFold(r.Alias, image) {
			at, alias := c.At, c.Alias
			c = r
			c.At = at
			if alias != "" {
				c.Alias = alias
			}
			image = expand(c.Image)
		}
	}
	c.Image, c.Endpoint = image, expand(c.Endpoint)
	env := make(map[string]string, len(c.Env))
	for name, text := range c.Env {
		env[name] = expand(text)
	}
	c.Env = env
	return c
}

// Targets are the containers beside the job's own in which steps of the instance run, each once, in the order of the steps. That of
// TargetHost has no image: it is the pool's.
func (p *Plan) Targets(i Instance) []Container {
	var list []Container
	for _, st := range i.Steps() {
		if st.Target == nil || st.Target.Container == "" || st.Disabled ||
			slices.ContainsFunc(list, func(c Container) bool { return strings.EqualFold(c.Alias, st.Target.Container) }) {
			continue
		}
		c := Container{Alias: TargetHost, At: st.At}
		for _, r := range p.Resources.Containers {
			if strings.EqualFold(r.Alias, st.Target.Container) && !strings.EqualFold(r.Alias, TargetHost) {
				c = r
			}
		}
		list = append(list, c)
	}
	return list
}

// Container is an image that a job or a service runs in. Text may hold macros, known when the job starts: see
// Plan.ContainerOf.
type Container struct {
	// Alias is the name under resources.containers or services; "" for an image written in place.
	Alias string `json:"alias,omitempty"`
	Image string `json:"image"`
	// Endpoint names the service connection (a container registry) to pull with.
	Endpoint string            `json:"endpoint,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	// Ports are HOST:CONTAINER or CONTAINER.
	Ports []string `json:"ports,omitempty"`
	// User is the number of the user that the container's program runs as; nil leaves it to the image.
	User    *int64           `json:"user,omitempty"`
	Volumes []Volume         `json:"volumes,omitempty"`
	Options ContainerOptions `json:"options,omitzero"`
	// At is where the container is written.
	At slipway.Position `json:"at"`
}

// Volume is a folder that the containers of a job share, for as long as the job runs.
type Volume struct {
	Name     string `json:"name,omitempty"` // "" for one of the container's own
	Path     string `json:"path"`           // in the container
	ReadOnly bool   `json:"readOnly,omitempty"`
}

// ContainerOptions are the options of docker create that have a meaning in a pod. Zero fields leave it to the pool or the image.
type ContainerOptions struct {
	Memory           int64        `json:"memory,omitempty"`       // bytes at most
	MilliCPU         int64        `json:"milliCPU,omitempty"`     // thousandths of a processor at most
	SharedMemory     int64        `json:"sharedMemory,omitempty"` // bytes of /dev/shm
	Tmpfs            []string     `json:"tmpfs,omitempty"`        // folders that lie in memory
	Hosts            []Host       `json:"hosts,omitempty"`
	Entrypoint       string       `json:"entrypoint,omitempty"`       // of a service
	WorkingDirectory string       `json:"workingDirectory,omitempty"` // of a service
	Health           *HealthCheck `json:"health,omitempty"`           // of a service
}

// Host is a name that means an address inside of the containers of a job.
type Host struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// HealthCheck says when a service is there: a job begins when the checks of its services have succeeded.
type HealthCheck struct {
	Command  string `json:"command"`  // for the container's shell
	Interval int    `json:"interval"` // seconds between checks
	Timeout  int    `json:"timeout"`  // seconds that one may take
	Retries  int    `json:"retries"`  // how often it may fail
	Start    int    `json:"start"`    // seconds in which failures do not count
}

// Patience is after how many seconds a service that fails all checks has failed.
func (h *HealthCheck) Patience() int { return h.Start + h.Interval*h.Retries }

// PipelineKeys are what variables tell of the run of a pipeline resource: resources.pipeline.ALIAS.KEY.
var PipelineKeys = []string{"projectName", "projectID", "pipelineName", "pipelineID", "runName", "runID", "runURI", "sourceBranch", "sourceCommit",
	"sourceProvider", "requestedFor", "requestedForID"}
