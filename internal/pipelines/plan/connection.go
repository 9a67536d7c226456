package plan

import (
	"strings"

	"slipway"
)

// Connection is a place of the plan that names a service connection.
type Connection struct {
	// Name may hold macros, known when the job starts.
	Name string `json:"name"`
	// Types are those that the connection may be of, by Azure's names in lower case; empty allows every type.
	Types []string `json:"types,omitempty"`
	// Optional says that a name of no connection means something of this server: its registry, or the environment's cluster.
	Optional bool `json:"optional,omitempty"`
	// At is where the name is written.
	At slipway.Position `json:"at"`
}

// The types of connections that places other than tasks name.
const (
	ConnectionRegistry   = "dockerregistry"
	ConnectionKubernetes = "kubernetes"
)

// Allows reports whether a connection of that type may stand there.
func (c Connection) Allows(kind string) bool {
	if len(c.Types) == 0 {
		return true
	}
	for _, t := range c.Types {
		if strings.EqualFold(t, kind) {
			return true
		}
	}
	return false
}

// Connection is the service connection with which a container's image is pulled; ok is false without one.
func (c *Container) Connection() (connection Connection, ok bool) {
	return Connection{Name: c.Endpoint, Types: []string{ConnectionRegistry}, At: c.At}, c.Endpoint != ""
}

// StepConnections are what the steps of the instance name.
func (i Instance) StepConnections() []Connection {
	var list []Connection
	for _, st := range i.Steps() {
		list = append(list, st.Connections...)
	}
	return list
}

// Connections are the service connections that anything in the plan names, in the order of the file.
func (p *Plan) Connections() []Connection {
	var list []Connection
	for _, r := range p.Resources.Repositories {
		if c, ok := r.Connection(); ok {
			list = append(list, c)
		}
	}
	for k := range p.Resources.Packages {
		list = append(list, p.Resources.Packages[k].Connection())
	}
	container := func(c *Container) {
		if c, ok := c.Connection(); ok {
			list = append(list, c)
		}
	}
	for k := range p.Resources.Containers {
		container(&p.Resources.Containers[k])
	}
	p.eachJob(func(j *Job) {
		if j.Container != nil && j.Container.Alias == "" {
			container(j.Container)
		}
		for k := range j.Services {
			container(&j.Services[k])
		}
		for _, st := range j.AllSteps() {
			list = append(list, st.Connections...)
		}
	})
	return list
}

// ChecksOut reports whether a step checks out the repository of that alias.
func (p *Plan) ChecksOut(alias string) bool {
	found := false
	p.eachJob(func(j *Job) {
		for _, st := range j.AllSteps() {
			found = found || st.Checkout != nil && strings.EqualFold(st.Checkout.Repository, alias)
		}
	})
	return found
}

// Vaults are the steps that take the variables of a group (AzureKeyVault), of all jobs.
func (p *Plan) Vaults() []*Step {
	var list []*Step
	p.eachJob(func(j *Job) { list = append(list, j.vaults()...) })
	return list
}

// VaultGroups are the names of the variable groups that the steps of a job take by AzureKeyVault; they may hold macros.
func (j *Job) VaultGroups() []string {
	var names []string
	for _, st := range j.vaults() {
		names = append(names, st.Task.Inputs["KeyVaultName"])
	}
	return names
}

func (j *Job) vaults() []*Step {
	var list []*Step
	for _, st := range j.AllSteps() {
		if st.Task != nil && st.Task.Name == "AzureKeyVault" && !st.Disabled {
			list = append(list, st)
		}
	}
	return list
}

// AllSteps are those of the job, or of all hooks of a deployment.
func (j *Job) AllSteps() []*Step {
	var list []*Step
	for k := range j.Steps {
		list = append(list, &j.Steps[k])
	}
	if j.Deployment != nil {
		for h := range j.Deployment.Hooks {
			steps := j.Deployment.Hooks[h].Steps
			for k := range steps {
				list = append(list, &steps[k])
			}
		}
	}
	return list
}

func (p *Plan) eachJob(f func(*Job)) {
	for k := range p.Stages {
		for n := range p.Stages[k].Jobs {
			f(&p.Stages[k].Jobs[n])
		}
	}
}
