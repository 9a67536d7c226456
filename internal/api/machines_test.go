package api_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/taskagent"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/clock"
	"slipway/internal/environments"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/pipelinestest"
	"slipway/internal/secret"
)

// machineWorld is the API over a pool of machines and the environment production.
func machineWorld(t *testing.T) (world, *pipelinestest.World, environments.Environment) {
	t.Helper()
	p := pipelinestest.Open(t, "Shop", "steps: [{script: x}]\n")
	box := must[*secret.Box](t)(secret.NewBox(bytes.Repeat([]byte{7}, 32)))
	s := must[*environments.Service](t)(environments.Open(t.Context(), p.DB, p.Log, box, clock.System{}, slog.New(slog.DiscardHandler)))
	e := must[environments.Environment](t)(s.Create(t.Context(), environments.NewEnvironment{Project: p.Project.ID, ProjectName: "Shop", Name: "Production"}, slipway.System))
	server := api.New(p.Identity, p.Logger, "http://localhost")
	server.AddPipelines(p.Pipelines)
	server.AddMachines(p.Pipelines, s)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	return world{t, listener.URL, p.Identity, p.Project}, p, e
}

// register makes a machine by a token that the API made.
func register(t *testing.T, p *pipelinestest.World, token string, r job.MachineRegistration) {
	t.Helper()
	r.Version = job.Version
	if _, err := p.Pipelines.RegisterMachine(t.Context(), token, r); err != nil {
		t.Fatal(err)
	}
}

// Azure DevOps' own Go client lists, disables and deletes the machines of a pool as agents.
func TestAgentsByTheAzureDevOpsClient(t *testing.T) {
	t.Parallel()
	w, p, _ := machineWorld(t)
	ctx, token := t.Context(), p.Token(t)
	w.call(token, http.MethodPut, "/_apis/slipway/pools/metal", `{"machines": true}`, http.StatusCreated, nil)
	var made api.Registration
	w.call(token, http.MethodPost, "/_apis/slipway/pools/metal/registrations", `{}`, http.StatusCreated, &made)
	register(t, p, made.Token, job.MachineRegistration{Name: "truck", Capabilities: map[string]string{"Agent.OS": "Linux", "wheels": "4"}})

	client := must[taskagent.Client](t)(taskagent.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	name := "metal"
	pools := must[*[]taskagent.TaskAgentPool](t)(client.GetAgentPools(ctx, taskagent.GetAgentPoolsArgs{PoolName: &name}))
	if len(*pools) != 1 || *(*pools)[0].Size != 1 || *(*pools)[0].IsHosted || *(*pools)[0].PoolType != taskagent.TaskAgentPoolTypeValues.Automation {
		t.Fatalf("pools %+v", *pools)
	}
	pool, with := (*pools)[0].Id, true
	agents := *must[*[]taskagent.TaskAgent](t)(client.GetAgents(ctx, taskagent.GetAgentsArgs{PoolId: pool, IncludeCapabilities: &with}))
	if len(agents) != 1 || *agents[0].Name != "truck" || !*agents[0].Enabled || *agents[0].Status != taskagent.TaskAgentStatusValues.Online || (*agents[0].SystemCapabilities)["wheels"] != "4" {
		t.Fatalf("agents %+v", agents)
	}
	off := false
	changed := must[*taskagent.TaskAgent](t)(client.UpdateAgent(ctx, taskagent.UpdateAgentArgs{PoolId: pool, AgentId: agents[0].Id, Agent: &taskagent.TaskAgent{Enabled: &off}}))
	again := must[*taskagent.TaskAgent](t)(client.GetAgent(ctx, taskagent.GetAgentArgs{PoolId: pool, AgentId: agents[0].Id}))
	if *changed.Enabled || *again.Enabled {
		t.Errorf("the agent is enabled: %+v, %+v", changed, again)
	}
	if err := client.DeleteAgent(ctx, taskagent.DeleteAgentArgs{PoolId: pool, AgentId: agents[0].Id}); err != nil {
		t.Fatal(err)
	}
	if agents = *must[*[]taskagent.TaskAgent](t)(client.GetAgents(ctx, taskagent.GetAgentsArgs{PoolId: pool})); len(agents) != 0 {
		t.Errorf("agents %+v", agents)
	}
}

// The machines of an environment are read and changed below it, by who administers the project.
func TestVirtualMachines(t *testing.T) {
	t.Parallel()
	w, p, e := machineWorld(t)
	token, path := p.Token(t), "/Shop/_apis/pipelines/environments/"+fmt.Sprint(int64(e.ID))+"/providers/virtualmachines"
	registrations := "/Shop/_apis/slipway/environments/" + fmt.Sprint(int64(e.ID)) + "/registrations"
	member := w.user("member", false)
	w.call(member, http.MethodPost, registrations, `{}`, http.StatusNotFound, nil)
	var made api.Registration
	w.call(token, http.MethodPost, registrations, `{}`, http.StatusCreated, &made)
	register(t, p, made.Token, job.MachineRegistration{Name: "web-1", Environment: "Shop/production", Tags: []string{"web"}})
	var found struct{ Value []api.VirtualMachine }
	w.call(token, http.MethodGet, path+"?name=WEB-1", "", http.StatusOK, &found)
	if len(found.Value) != 1 || found.Value[0].Environment.Name != "Production" || found.Value[0].Agent.Status != "online" {
		t.Fatalf("machines %+v", found)
	}
	one := path + "/" + slipway.JobID(found.Value[0].ID).String()
	var changed api.VirtualMachine
	w.call(token, http.MethodPatch, one, `{"tags": ["web", "EU", "eu"], "enabled": false}`, http.StatusOK, &changed)
	if diff := cmp.Diff([]string{"web", "EU"}, changed.Tags); diff != "" || changed.Agent.Enabled {
		t.Errorf("changed to %+v, tags -want +got\n%s", changed, diff)
	}
	w.call(token, http.MethodPatch, one, `{"tags": ["a,b"]}`, http.StatusBadRequest, nil)
	w.call(token, http.MethodDelete, one, "", http.StatusNoContent, nil)
	w.call(token, http.MethodGet, one, "", http.StatusNotFound, nil)
	machines, err := p.Pipelines.Machines(t.Context(), pipelines.MachineTarget{Project: p.Project.ID, Environment: "production"})
	if err != nil || len(machines) != 0 {
		t.Errorf("machines %+v, %v", machines, err)
	}
}
