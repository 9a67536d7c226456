package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/environments"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

type machineRoutes struct {
	*Server
	pipelines    *pipelines.Service
	environments *environments.Service
}

// AddMachines serves the machines of pools as Azure DevOps' agents, and those of environments as its virtual machines.
func (s *Server) AddMachines(p *pipelines.Service, e *environments.Service) {
	m := machineRoutes{s, p, e}
	s.installation("GET", "/distributedtask/pools", identity.Read, m.listPools)
	s.installation("GET", "/distributedtask/pools/{pool}", identity.Read, m.getPool)
	const agents = "/distributedtask/pools/{pool}/agents"
	s.installation("GET", agents, identity.Read, m.listAgents)
	s.installation("GET", agents+"/{machine}", identity.Read, m.getAgent)
	s.installation("PATCH", agents+"/{machine}", identity.Administer, m.updateAgent)
	s.installation("DELETE", agents+"/{machine}", identity.Administer, m.removeAgent)
	s.installation("POST", "/slipway/pools/{pool}/registrations", identity.Administer, m.registerInPool)
	for _, environments := range []string{"/distributedtask/environments", "/pipelines/environments"} {
		virtual := environments + "/{environment}/providers/virtualmachines"
		s.project("GET", virtual, identity.Read, m.listVirtual)
		s.project("GET", virtual+"/{machine}", identity.Read, m.getVirtual)
		s.project("PATCH", virtual+"/{machine}", identity.Administer, m.updateVirtual)
		s.project("DELETE", virtual+"/{machine}", identity.Administer, m.removeVirtual)
	}
	s.project("POST", "/slipway/environments/{environment}/registrations", identity.Administer, m.registerInEnvironment)
}

// AgentPool is a pool as Azure DevOps' distributedtask/pools shows it.
type AgentPool struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	PoolType string `json:"poolType"` // automation
	IsHosted bool   `json:"isHosted"` // its jobs run in pods
	Size     int    `json:"size"`     // how many machines it has
}

// Agent is a machine as Azure DevOps' distributedtask/pools/{pool}/agents shows it.
type Agent struct {
	ID                int64             `json:"id"`
	Name              string            `json:"name"`
	Enabled           bool              `json:"enabled"`
	Status            string            `json:"status"` // online or offline
	OSDescription     string            `json:"osDescription"`
	Version           string            `json:"version"`
	ProvisioningState string            `json:"provisioningState"`
	CreatedOn         *time.Time        `json:"createdOn"`
	StatusChangedOn   *time.Time        `json:"statusChangedOn"` // when it was heard of last
	Capabilities      map[string]string `json:"systemCapabilities,omitempty"`
	AssignedRequest   *AgentRequest     `json:"assignedRequest,omitempty"`
	LastRequest       *AgentRequest     `json:"lastCompletedRequest,omitempty"`
}

// AgentRequest is a job that a machine has or had.
type AgentRequest struct {
	RequestID  int64      `json:"requestId"` // number of the job
	JobName    string     `json:"jobName"`
	Result     string     `json:"result,omitempty"`
	Run        int64      `json:"runId"`
	Definition AgentRun   `json:"definition"`
	AssignTime *time.Time `json:"assignTime,omitempty"`
	FinishTime *time.Time `json:"finishTime,omitempty"`
}

// AgentRun is the pipeline of a machine's job, with the number of its run.
type AgentRun struct {
	Name string `json:"name"`
	Run  string `json:"run"`
}

// VirtualMachine is a machine as Azure DevOps' environments/{environment}/providers/virtualmachines shows it.
type VirtualMachine struct {
	ID          int64                `json:"id"`
	Name        string               `json:"name"`
	Type        string               `json:"type"` // virtualMachine
	Tags        []string             `json:"tags"`
	Environment EnvironmentReference `json:"environmentReference"`
	Agent       Agent                `json:"agent"`
	Deployed    *AgentRequest        `json:"lastDeployed,omitempty"` // what its last successful deployment was
}

// EnvironmentReference names an environment.
type EnvironmentReference struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// MachineChange is what a PATCH of a machine may say; what is left out stays.
type MachineChange struct {
	Enabled *bool    `json:"enabled"`
	Tags    []string `json:"tags"`
}

// Registration is a token with which one machine registers.
type Registration struct {
	Token     string    `json:"token"`
	ExpiresOn time.Time `json:"expiresOn"`
}

func machineRequest(w pipelines.MachineWork) *AgentRequest {
	return &AgentRequest{RequestID: int64(w.Job.ID), JobName: w.Job.Instance, Result: strings.ToLower(string(w.Job.Result)), Run: int64(w.Job.Run),
		Definition: AgentRun{w.Pipeline, w.Number}, AssignTime: when(w.Job.Started), FinishTime: when(w.Job.Finished)}
}

// agents shows machines with what they do or did last.
func (m machineRoutes) agents(ctx context.Context, machines []pipelines.Machine) ([]Agent, error) {
	last, err := m.pipelines.LastJobs(ctx, machines, false)
	if err != nil {
		return nil, err
	}
	var out []Agent
	for _, one := range machines {
		a := Agent{ID: one.ID, Name: one.Name, Enabled: one.Enabled, Status: "offline", OSDescription: one.Capabilities["Agent.OS"], Version: one.Capabilities["Agent.Version"],
			ProvisioningState: "Provisioned", CreatedOn: when(one.Created), StatusChangedOn: when(one.Heard), Capabilities: one.Capabilities}
		if one.Online {
			a.Status = "online"
		}
		if work, ok := last[one.ID]; ok && work.Job.ID == one.Job {
			a.AssignedRequest = machineRequest(work)
		} else if ok {
			a.LastRequest = machineRequest(work)
		}
		out = append(out, a)
	}
	return out, nil
}

func (m machineRoutes) agentPools(ctx context.Context) ([]AgentPool, error) {
	pools, err := m.pipelines.Pools(ctx)
	if err != nil {
		return nil, err
	}
	var out []AgentPool
	for _, p := range pools {
		one := AgentPool{ID: p.ID, Name: p.Name, PoolType: "automation", IsHosted: !p.Machines}
		if p.Machines {
			machines, err := m.pipelines.Machines(ctx, pipelines.MachineTarget{Pool: p.Name})
			if err != nil {
				return nil, err
			}
			one.Size = len(machines)
		}
		out = append(out, one)
	}
	return out, nil
}

// listPools lists all pools, or that of ?poolName=.
func (m machineRoutes) listPools(w http.ResponseWriter, r request) error {
	out, err := m.agentPools(r.Context())
	if err != nil {
		return err
	}
	if name := r.URL.Query().Get("poolName"); name != "" {
		out = slices.DeleteFunc(out, func(p AgentPool) bool { return !strings.EqualFold(p.Name, name) })
	}
	return list(w, out)
}

// numberedPool is the pool of the path.
func (m machineRoutes) numberedPool(r request) (AgentPool, error) {
	id, err := r.number("pool")
	if err != nil {
		return AgentPool{}, err
	}
	pools, err := m.agentPools(r.Context())
	if err != nil {
		return AgentPool{}, err
	}
	for _, p := range pools {
		if p.ID == id {
			return p, nil
		}
	}
	return AgentPool{}, slipway.NotFound("there is no pool %d", id)
}

func (m machineRoutes) getPool(w http.ResponseWriter, r request) error {
	p, err := m.numberedPool(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, p)
	return nil
}

// listAgents lists the machines of a pool, or that of ?agentName=; includeCapabilities=true shows what they have.
func (m machineRoutes) listAgents(w http.ResponseWriter, r request) error {
	p, err := m.numberedPool(r)
	if err != nil {
		return err
	}
	machines, err := m.pipelines.Machines(r.Context(), pipelines.MachineTarget{Pool: p.Name})
	if err != nil {
		return err
	}
	if name := r.URL.Query().Get("agentName"); name != "" {
		machines = slices.DeleteFunc(machines, func(one pipelines.Machine) bool { return !strings.EqualFold(one.Name, name) })
	}
	out, err := m.agents(r.Context(), machines)
	if err != nil {
		return err
	}
	if !strings.EqualFold(r.URL.Query().Get("includeCapabilities"), "true") {
		for i := range out {
			out[i].Capabilities = nil
		}
	}
	return list(w, out)
}

// agent is the machine of the path in the pool of the path.
func (m machineRoutes) agent(r request) (pipelines.Machine, error) {
	p, err := m.numberedPool(r)
	if err != nil {
		return pipelines.Machine{}, err
	}
	return m.machineOf(r, pipelines.MachineTarget{Pool: p.Name})
}

func (m machineRoutes) machineOf(r request, of pipelines.MachineTarget) (pipelines.Machine, error) {
	id, err := r.number("machine")
	if err != nil {
		return pipelines.Machine{}, err
	}
	return m.pipelines.MachineOf(r.Context(), of, id)
}

func (m machineRoutes) writeAgent(w http.ResponseWriter, r request, one pipelines.Machine) error {
	out, err := m.agents(r.Context(), []pipelines.Machine{one})
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, out[0])
	return nil
}

func (m machineRoutes) getAgent(w http.ResponseWriter, r request) error {
	one, err := m.agent(r)
	if err != nil {
		return err
	}
	return m.writeAgent(w, r, one)
}

// change does what a PATCH says.
func (m machineRoutes) change(w http.ResponseWriter, r request, one pipelines.Machine) (pipelines.Machine, error) {
	var body MachineChange
	if err := httpx.ReadJSON(w, r.Request, maxPool, &body); err != nil {
		return one, err
	}
	if body.Tags != nil && one.Pool != "" {
		return one, slipway.Invalid("tags are for machines of environments: the capabilities of a machine of a pool are what its agent says")
	}
	return m.pipelines.UpdateMachine(r.Context(), one.ID, pipelines.MachineUpdate{Enabled: body.Enabled, Tags: body.Tags}, r.caller.Actor)
}

func (m machineRoutes) updateAgent(w http.ResponseWriter, r request) error {
	one, err := m.agent(r)
	if err != nil {
		return err
	}
	if one, err = m.change(w, r, one); err != nil {
		return err
	}
	return m.writeAgent(w, r, one)
}

func (m machineRoutes) removeAgent(w http.ResponseWriter, r request) error {
	one, err := m.agent(r)
	if err != nil {
		return err
	}
	return m.remove(w, r, one)
}

func (m machineRoutes) remove(w http.ResponseWriter, r request, one pipelines.Machine) error {
	if err := m.pipelines.RemoveMachine(r.Context(), one.ID, r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (m machineRoutes) register(w http.ResponseWriter, r request, of pipelines.MachineTarget) error {
	made, err := m.pipelines.NewRegistration(r.Context(), of, r.caller.Actor)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	httpx.WriteJSON(w, http.StatusCreated, Registration{made.Token, made.Expires})
	return nil
}

func (m machineRoutes) registerInPool(w http.ResponseWriter, r request) error {
	return m.register(w, r, pipelines.MachineTarget{Pool: chi.URLParam(r.Request, "pool")})
}

// environment is that of the path, with its machines' target.
func (m machineRoutes) environment(r request) (environments.Environment, pipelines.MachineTarget, error) {
	e, err := approvalRoutes{m.Server, m.environments}.environment(r, chi.URLParam(r.Request, "environment"))
	return e, pipelines.MachineTarget{Project: r.project.ID, ProjectName: r.project.Name, Environment: e.Name}, err
}

func (m machineRoutes) registerInEnvironment(w http.ResponseWriter, r request) error {
	_, of, err := m.environment(r)
	if err != nil {
		return err
	}
	return m.register(w, r, of)
}

func (m machineRoutes) virtual(ctx context.Context, e environments.Environment, machines []pipelines.Machine) ([]VirtualMachine, error) {
	agents, err := m.agents(ctx, machines)
	if err != nil {
		return nil, err
	}
	deployed, err := m.pipelines.LastJobs(ctx, machines, true)
	if err != nil {
		return nil, err
	}
	var out []VirtualMachine
	for i, one := range machines {
		v := VirtualMachine{ID: one.ID, Name: one.Name, Type: "virtualMachine", Tags: one.Tags, Environment: EnvironmentReference{int64(e.ID), e.Name}, Agent: agents[i]}
		if work, ok := deployed[one.ID]; ok {
			v.Deployed = machineRequest(work)
		}
		out = append(out, v)
	}
	return out, nil
}

func (m machineRoutes) listVirtual(w http.ResponseWriter, r request) error {
	e, of, err := m.environment(r)
	if err != nil {
		return err
	}
	machines, err := m.pipelines.Machines(r.Context(), of)
	if err != nil {
		return err
	}
	if name := r.URL.Query().Get("name"); name != "" {
		machines = slices.DeleteFunc(machines, func(one pipelines.Machine) bool { return !strings.EqualFold(one.Name, name) })
	}
	out, err := m.virtual(r.Context(), e, machines)
	if err != nil {
		return err
	}
	return list(w, out)
}

// virtualOf is the machine of the path, in the environment of the path.
func (m machineRoutes) virtualOf(r request) (environments.Environment, pipelines.Machine, error) {
	e, of, err := m.environment(r)
	if err != nil {
		return e, pipelines.Machine{}, err
	}
	one, err := m.machineOf(r, of)
	return e, one, err
}

func (m machineRoutes) getVirtual(w http.ResponseWriter, r request) error {
	e, one, err := m.virtualOf(r)
	if err != nil {
		return err
	}
	return m.writeVirtual(w, r, e, one)
}

func (m machineRoutes) writeVirtual(w http.ResponseWriter, r request, e environments.Environment, one pipelines.Machine) error {
	out, err := m.virtual(r.Context(), e, []pipelines.Machine{one})
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, out[0])
	return nil
}

func (m machineRoutes) updateVirtual(w http.ResponseWriter, r request) error {
	e, one, err := m.virtualOf(r)
	if err != nil {
		return err
	}
	if one, err = m.change(w, r, one); err != nil {
		return err
	}
	return m.writeVirtual(w, r, e, one)
}

func (m machineRoutes) removeVirtual(w http.ResponseWriter, r request) error {
	_, one, err := m.virtualOf(r)
	if err != nil {
		return err
	}
	return m.remove(w, r, one)
}
