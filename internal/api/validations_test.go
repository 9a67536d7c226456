package api_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/pipelinestest"
)

func TestValidations(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorldOf(t, "pool: server\nsteps:\n- task: ManualValidation@1\n  displayName: Sure?\n  inputs: {notifyUsers: ada}\n")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	reader, err := w.identity.CreateUser(ctx, slipway.System, identity.NewUser{Name: "eve", Password: pipelinestest.Password})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.identity.SetRole(ctx, slipway.System, w.project.ID, reader.ID, identity.RoleReader); err != nil {
		t.Fatal(err)
	}
	readers, err := w.identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(reader.ID), Name: reader.Name}})
	if err != nil {
		t.Fatal(err)
	}
	const path = "/Shop/_apis/slipway/validations"
	run, err := s.Pushed(ctx, pipelines.Push{Event: 1, Repository: pipelinestest.RepositoryID, Ref: "refs/heads/main", After: pipelinestest.Commit, PathsUnknown: true, Actor: slipway.System})
	if err != nil || len(run) != 1 {
		t.Fatalf("%d runs, %v", len(run), err)
	}
	var list struct{ Value []api.Validation }
	changes, end := s.Watch(run[0].ID)
	defer end()
	w.call(token, http.MethodGet, path, "", http.StatusOK, &list)
	for deadline := time.After(30 * time.Second); len(list.Value) == 0; w.call(token, http.MethodGet, path, "", http.StatusOK, &list) {
		select {
		case <-changes:
		case <-deadline:
			t.Fatal("nothing waits")
		}
	}
	v := list.Value[0]
	if v.Status != "pending" || v.Run != int64(run[0].ID) || v.Title != "Sure?" || v.OnTimeout != "reject" || v.NotifyUsers[0] != "ada" || v.ExpiresOn == nil {
		t.Errorf("validation %+v", v)
	}
	one := fmt.Sprintf("%s/%d", path, v.ID)
	w.call(readers, http.MethodGet, path, "", http.StatusOK, &list)
	w.call(readers, http.MethodPatch, one, `{"status":"resumed"}`, http.StatusForbidden, nil)
	w.call(token, http.MethodPatch, one, `{"status":"approved"}`, http.StatusBadRequest, nil)
	w.call(token, http.MethodPatch, path+"/99", `{"status":"resumed"}`, http.StatusNotFound, nil)
	var decided api.Validation
	w.call(token, http.MethodPatch, one, `{"status":"resumed","comment":"yes"}`, http.StatusOK, &decided)
	if decided.Status != "resumed" || decided.DecidedBy != "ada" || decided.Comment != "yes" || decided.CompletedOn == nil {
		t.Errorf("decided %+v", decided)
	}
	w.call(token, http.MethodPatch, one, `{"status":"rejected"}`, http.StatusConflict, nil)
	w.call(token, http.MethodGet, fmt.Sprintf("%s?run=%d", path, run[0].ID), "", http.StatusOK, &list)
	if len(list.Value) != 1 || list.Value[0].Status != "resumed" {
		t.Errorf("of the run: %+v", list.Value)
	}
	// The event is the called one's, who has the job's token.
	events := fmt.Sprintf("/Shop/_apis/distributedtask/hubs/build/plans/%d/events", run[0].ID)
	body := `{"name":"TaskCompleted","taskId":"1","jobId":"1","result":"succeeded"}`
	w.call(token, http.MethodPost, events, body, http.StatusForbidden, nil)
	jobs, err := w.identity.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenJob, Project: w.project.ID, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1"}, Life: time.Hour,
		Binding: identity.Binding{Run: run[0].ID, Job: 1}})
	if err != nil {
		t.Fatal(err)
	}
	w.call(jobs, http.MethodPost, events, body, http.StatusConflict, nil) // it waits for no event
	w.call(jobs, http.MethodPost, events, `{"name":"TaskCompleted","taskId":"1","jobId":"2","result":"succeeded"}`, http.StatusForbidden, nil)
	w.call(jobs, http.MethodPost, events, `{"name":"TaskStarted"}`, http.StatusBadRequest, nil)
}
