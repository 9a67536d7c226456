package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

// runningJob starts a run of the pipeline and its first job.
func runningJob(t *testing.T, s *pipelines.Service) slipway.JobID {
	t.Helper()
	ctx := context.Background()
	run, err := s.Queue(ctx, pipelines.QueueRequest{Pipeline: 1})
	if err != nil {
		t.Fatal(err)
	}
	tl, err := s.Timeline(ctx, run.ID)
	if err != nil {
		t.Fatal(err)
	}
	id := tl.Stages[0].Jobs[0].ID
	if _, err := s.Assign(ctx, id); err != nil {
		t.Fatal(err)
	}
	return id
}

// member adds a user with a role in the project and returns their token.
func (w world) member(name string, role identity.Role) string {
	w.Helper()
	token := w.user(name, false)
	u, err := w.identity.UserByName(context.Background(), name)
	if err != nil {
		w.Fatal(err)
	}
	if err := w.identity.SetRole(context.Background(), slipway.System, w.project.ID, u.ID, role); err != nil {
		w.Fatal(err)
	}
	return token
}

func TestCaches(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	id := runningJob(t, s)
	for _, key := range []string{"npm|a", "npm|b", "npm|c"} {
		if _, err := s.PutCache(context.Background(), id, key, strings.NewReader("12345")); err != nil {
			t.Fatal(err)
		}
	}
	var answer struct{ Value []api.Cache }
	w.call(token, http.MethodGet, "/Shop/_apis/slipway/caches?pipeline=1", "", http.StatusOK, &answer)
	if len(answer.Value) != 3 {
		t.Fatalf("caches %+v", answer.Value)
	}
	if c := answer.Value[0]; c.Key != "npm|c" || c.Branch != "refs/heads/main" || c.Size != 5 || c.Pipeline.Name != "shop" || c.Hits != 0 || c.LastUsed == nil || c.Created == nil || c.Run == 0 {
		t.Errorf("cache %+v", c)
	}
	reader := w.member("rita", identity.RoleReader)
	one := fmt.Sprintf("/Shop/_apis/slipway/caches/%d", answer.Value[0].ID)
	w.call(reader, http.MethodGet, "/Shop/_apis/slipway/caches?pipeline=7", "", http.StatusOK, &answer)
	if len(answer.Value) != 0 {
		t.Errorf("another pipeline has caches %+v", answer.Value)
	}
	w.call(reader, http.MethodDelete, one, "", http.StatusForbidden, nil)
	w.call(token, http.MethodDelete, one, "", http.StatusNoContent, nil)
	w.call(token, http.MethodDelete, one, "", http.StatusNotFound, nil)
	var deleted struct{ Count int }
	w.call(token, http.MethodDelete, "/Shop/_apis/slipway/pipelines/1/caches", "", http.StatusOK, &deleted)
	if deleted.Count != 2 {
		t.Errorf("deleted %d", deleted.Count)
	}
	w.call(token, http.MethodGet, "/Shop/_apis/slipway/caches?pipeline=x", "", http.StatusBadRequest, nil)
}
