package job

import "slipway/internal/pipelines/plan"

// MachineRegistration is what an agent says of its machine when it registers.
type MachineRegistration struct {
	Version int    `json:"version"` // Version
	Name    string `json:"name"`
	// Pool or Environment (PROJECT/NAME) must be what the registration token is for; both may be empty.
	Pool        string `json:"pool,omitempty"`
	Environment string `json:"environment,omitempty"`
	// Tags choose machines of environments.
	Tags         []string          `json:"tags,omitempty"`
	Capabilities map[string]string `json:"capabilities"`
	// Replace takes the place of a machine of that name, whose credentials end.
	Replace bool `json:"replace,omitempty"`
}

// MachineCredentials are what a registered machine gets. Token opens nothing but the jobs of its pool or environment.
type MachineCredentials struct {
	Machine int64  `json:"machine"`
	Name    string `json:"name"`
	Target  string `json:"target"` // "pool NAME" or "environment PROJECT/NAME"
	Token   string `json:"token"`
}

// MachineAsk is what an agent says when it is idle and asks for a job, and while it does one.
type MachineAsk struct {
	Version int `json:"version"` // Version
	// Capabilities replace those that are known; nil leaves them.
	Capabilities map[string]string `json:"capabilities,omitempty"`
	// Leaving says that the agent ends: the machine is offline from now on.
	Leaving bool `json:"leaving,omitempty"`
}

// MachineJob is the job that a machine is given; none yet when Job is 0.
type MachineJob struct {
	PodAssignment
	// Container is where the steps run, and Services run beside it; the machine's docker or podman runs both.
	Container *plan.Container  `json:"container,omitempty"`
	Services  []plan.Container `json:"services,omitempty"`
	// Targets are containers in which steps of the job run.
	Targets []plan.Container `json:"targets,omitempty"`
	// Logins open registries that the images are pulled from.
	Logins []RegistryLogin `json:"logins,omitempty"`
}

// RegistryLogin opens a registry by its host.
type RegistryLogin struct {
	Host     string `json:"host"`
	User     string `json:"user"`
	Password string `json:"password"`
}
