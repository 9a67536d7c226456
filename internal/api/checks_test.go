package api_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/pipelineschecks"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/secret"
)

// environmentWorld is the API over the environments of a project.
func environmentWorld(t *testing.T) (world, *environments.Service) {
	t.Helper()
	ctx, d, logger := context.Background(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	log := must[*events.Log](t)(events.Open(ctx, d, clock.System{}, logger))
	ids := must[*identity.Service](t)(identity.Open(ctx, d, log, clock.System{}))
	box := must[*secret.Box](t)(secret.NewBox(bytes.Repeat([]byte{7}, 32)))
	s := must[*environments.Service](t)(environments.Open(ctx, d, log, box, clock.System{}, logger))
	project := must[identity.Project](t)(ids.CreateProject(ctx, slipway.System, "Shop", ""))
	server := api.New(ids, logger, "http://localhost")
	server.AddEnvironments(s)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	return world{t, listener.URL, ids, project}, s
}

// Azure DevOps' own Go client puts an exclusive lock before an environment.
func TestExclusiveLockByTheAzureDevOpsClient(t *testing.T) {
	t.Parallel()
	w, s := environmentWorld(t)
	ctx, project, token := t.Context(), "Shop", w.user("root", true)
	e := must[environments.Environment](t)(s.Create(ctx, environments.NewEnvironment{Project: w.project.ID, ProjectName: project, Name: "production"}, slipway.System))
	client := must[pipelineschecks.Client](t)(pipelineschecks.NewClient(ctx, azuredevops.NewPatConnection(w.url, token)))
	// The identifier is that of Azure DevOps' exclusive lock.
	kind, name, resource, timeout := uuid.MustParse("2EF31AD6-BAA0-403A-8B45-2CBC9B4E5563"), "ExclusiveLock", "environment", 60
	id := fmt.Sprint(int64(e.ID))
	made := must[*pipelineschecks.CheckConfiguration](t)(client.AddCheckConfiguration(ctx, pipelineschecks.AddCheckConfigurationArgs{Project: &project,
		Configuration: &pipelineschecks.CheckConfiguration{Type: &pipelineschecks.CheckType{Id: &kind, Name: &name}, Resource: &pipelineschecks.Resource{Type: &resource, Id: &id}, Timeout: &timeout}}))
	if *made.Type.Id != kind || *made.Timeout != 60 || *made.Resource.Name != "production" {
		t.Errorf("made %+v", made)
	}
	if c := must[*environments.LockCheck](t)(s.LockOf(ctx, e.ID)); c == nil || c.TimeoutMinutes != 60 {
		t.Errorf("the lock is %+v", c)
	}
	list := must[*[]pipelineschecks.CheckConfiguration](t)(client.GetCheckConfigurationsOnResource(ctx, pipelineschecks.GetCheckConfigurationsOnResourceArgs{Project: &project, ResourceType: &resource, ResourceId: &id}))
	if len(*list) != 1 || *(*list)[0].Id != *made.Id {
		t.Errorf("list %+v", *list)
	}
	if one := must[*pipelineschecks.CheckConfiguration](t)(client.GetCheckConfiguration(ctx, pipelineschecks.GetCheckConfigurationArgs{Project: &project, Id: made.Id})); *one.Id != *made.Id {
		t.Errorf("got %+v", one)
	}
	for run := slipway.RunID(1); run <= 2; run++ {
		err := s.RequestChecks(ctx, environments.CheckRequest{Project: w.project.ID, ProjectName: project, Run: run, Stage: "Deploy", Attempt: 1, Environments: []string{"production"},
			RequestedBy: slipway.System, Commit: "c0ffee", Pipeline: 1, LockBehavior: environments.Sequential})
		if err != nil {
			t.Fatal(err)
		}
	}
	var found struct{ Value []api.Environment }
	w.call(token, http.MethodGet, "/Shop/_apis/pipelines/environments", "", http.StatusOK, &found)
	want := []api.EnvironmentLock{{Run: 1, Stage: "Deploy", Attempt: 1, Status: "held"}, {Run: 2, Stage: "Deploy", Attempt: 1, Status: "waiting"}}
	if len(found.Value) != 1 || !found.Value[0].Locked {
		t.Fatalf("environments %+v", found.Value)
	}
	if diff := cmp.Diff(want, found.Value[0].Locks); diff != "" {
		t.Errorf("locks (-want +got)\n%s", diff)
	}
	if err := client.DeleteCheckConfiguration(ctx, pipelineschecks.DeleteCheckConfigurationArgs{Project: &project, Id: made.Id}); err != nil {
		t.Fatal(err)
	}
	if c := must[*environments.LockCheck](t)(s.LockOf(ctx, e.ID)); c != nil {
		t.Errorf("the lock is still %+v", c)
	}
}

func TestCheckRoutes(t *testing.T) {
	t.Parallel()
	w, s := environmentWorld(t)
	root := w.user("root", true)
	e := must[environments.Environment](t)(s.Create(t.Context(), environments.NewEnvironment{Project: w.project.ID, ProjectName: "Shop", Name: "production"}, slipway.System))
	if err := s.SetApproval(t.Context(), e.ID, &environments.ApprovalCheck{Minimum: 1, TimeoutMinutes: 5}, slipway.System); err != nil {
		t.Fatal(err)
	}
	const path = "/Shop/_apis/pipelines/checks/configurations"
	lock := fmt.Sprintf(`{"type":{"name":"ExclusiveLock"},"resource":{"type":"environment","id":"%d"}}`, e.ID)
	w.call(w.member("carl", identity.RoleContributor), http.MethodPost, path, lock, http.StatusForbidden, nil)
	w.call(root, http.MethodPost, path, `{"type":{"name":"ExclusiveLock"},"resource":{"type":"endpoint","id":"1"}}`, http.StatusBadRequest, nil)
	w.call(root, http.MethodPost, path, fmt.Sprintf(`{"type":{"name":"Approval"},"resource":{"type":"environment","id":"%d"}}`, e.ID), http.StatusBadRequest, nil)
	w.call(root, http.MethodPost, path, `{"type":{"name":"ExclusiveLock"},"resource":{"type":"environment","id":"77"}}`, http.StatusNotFound, nil)
	w.call(root, http.MethodPost, path, lock, http.StatusOK, nil)
	var found struct{ Value []api.CheckConfiguration }
	w.call(root, http.MethodGet, path, "", http.StatusOK, &found)
	if len(found.Value) != 2 || found.Value[0].Type.Name != "Approval" || found.Value[0].Timeout != 5 || found.Value[1].Timeout != 43200 {
		t.Fatalf("checks %+v", found.Value)
	}
	one := fmt.Sprintf("%s/%d", path, found.Value[1].ID)
	var changed api.CheckConfiguration
	w.call(root, http.MethodPatch, one, `{"timeout":9}`, http.StatusOK, &changed)
	if changed.Timeout != 9 || changed.ID != found.Value[1].ID {
		t.Errorf("changed %+v", changed)
	}
	w.call(root, http.MethodDelete, fmt.Sprintf("%s/%d", path, found.Value[0].ID), "", http.StatusNoContent, nil)
	w.call(root, http.MethodGet, path, "", http.StatusOK, &found)
	if len(found.Value) != 1 {
		t.Errorf("left %+v", found.Value)
	}
	w.call(root, http.MethodGet, path+"/999", "", http.StatusNotFound, nil)
}
