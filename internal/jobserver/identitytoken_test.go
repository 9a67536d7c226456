package jobserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// A job shows who it is by a token that a verifier of others accepts who knows only the server's address.
func TestIdentityToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	var ids []string
	for _, c := range []pipelines.Connection{{Name: "cloud/eu", AllPipelines: true}, {Name: "closed"}} {
		c.Project, c.Type, c.URL, c.Scheme = w.source.repository.Project, "azurerm", "https://cloud.example.com", "WorkloadIdentityFederation"
		made, err := w.CreateConnection(ctx, c, slipway.System)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, made.ID)
	}
	run := w.one(w.push(fmt.Sprintf(`
stages:
- stage: Ship
  jobs:
  - deployment: go
    environment: dev
    strategy:
      runOnce:
        deploy:
          steps:
          - bash: |
              ask() { curl -sS --fail-with-body -X POST -d '' -H 'Content-Type: application/json' -H "Authorization: Bearer $1" "$SYSTEM_OIDCREQUESTURI?api-version=7.1$2" -o $3 || true; }
              ask "$TOKEN" "" plain.json
              ask "$TOKEN" "&audience=https://vault.example.com" vault.json
              ask "$TOKEN" "&serviceConnectionId=7d0b1f4c-30b1-4b60-9e35-6d4fd1e27c7e" unknown.json
              ask "$TOKEN" "&serviceConnectionId=%s" connection.json
              ask "$TOKEN" "&serviceConnectionId=%s" closed.json
              ask "$TOKEN" "&audience=two%%20words" audience.json
              ask "nobody" "" nobody.json
              mkdir out && mv *.json out
            env: {TOKEN: $(System.AccessToken)}
            displayName: ask
          - publish: out
            artifact: tokens
`, ids[0], ids[1])))
	w.approve(run, "Ship")
	tl := w.completed(run)
	if tl.Run.Result != schedule.Succeeded {
		t.Fatalf("result %s:\n%s", tl.Run.Result, w.describe(tl))
	}
	j := w.job(tl, "Ship.go.deploy")
	provider, err := oidc.NewProvider(ctx, "http://"+w.address)
	if err != nil {
		t.Fatal(err)
	}
	for file, audience := range map[string]string{
		"plain.json": "api://AzureADTokenExchange", "vault.json": "https://vault.example.com", "connection.json": "api://AzureADTokenExchange",
	} {
		var answer struct {
			Token string `json:"oidcToken"`
		}
		if err := json.Unmarshal([]byte(w.artifactFile(run, "tokens", file)), &answer); err != nil {
			t.Fatal(err)
		}
		verified, err := provider.Verifier(&oidc.Config{ClientID: audience}).Verify(ctx, answer.Token)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if life := verified.Expiry.Sub(verified.IssuedAt); life != 10*time.Minute {
			t.Errorf("%s is good for %v", file, life)
		}
		var claims map[string]any
		if err := verified.Claims(&claims); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"iat", "nbf", "exp", "jti", "requested_for"} {
			if claims[name] == nil {
				t.Errorf("%s has no %s", file, name)
			}
			delete(claims, name)
		}
		want := map[string]any{"iss": "http://" + w.address, "sub": "p://slipway/Shop/shop", "aud": audience, "org": "slipway", "project": "Shop",
			"project_id": string(tl.Run.Project), "pipeline": "shop", "pipeline_id": tl.Run.Pipeline.String(), "run_id": run.String(), "run_number": tl.Run.Number,
			"reason": "IndividualCI", "stage": "Ship", "job": "Ship.go.deploy", "job_id": j.ID.String(), "attempt": 1.0, "repository": "shop",
			"repository_id": string(tl.Run.Repository), "ref": "refs/heads/main", "commit": string(tl.Run.Commit), "environment": "dev"}
		if file == "connection.json" {
			want["sub"], want["service_connection"] = "sc://slipway/Shop/cloud%2Feu", "cloud/eu"
		}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
		if _, err := provider.Verifier(&oidc.Config{ClientID: "https://other.example.com"}).Verify(ctx, answer.Token); err == nil {
			t.Errorf("%s is good for another audience", file)
		}
	}
	for file, want := range map[string]string{
		"unknown.json": "there is no service connection", "closed.json": "may not use the service connection", "audience.json": "plain characters without spaces", "nobody.json": "unauthenticated",
	} {
		if got := w.artifactFile(run, "tokens", file); !strings.Contains(got, want) {
			t.Errorf("%s: %s", file, got)
		}
	}
	if _, err := w.IdentityToken(ctx, j.ID, pipelines.IdentityRequest{}); slipway.CodeOf(err) != slipway.CodeConflict {
		t.Errorf("a token of a job that is over: %v", err)
	}
}

// artifactFile is the text of a file in an artifact.
func (w *world) artifactFile(run slipway.RunID, name, path string) string {
	w.t.Helper()
	r, _, err := w.OpenArtifactFile(context.Background(), run, name, path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// A token is given to the job that it is about, and to nobody else.
func TestIdentityTokenIsTheJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.person("ada", "administrator")
	run := ada.queue("steps:\n- bash: exit 1\n")
	stop := ada.stopped(run, 1)
	own := w.executor.get(pipelines.PodName(run, stop.Job)).pod.Token
	for _, c := range []struct {
		token    string
		run, job int64
		status   int
	}{
		{own, int64(run), int64(stop.Job), 200}, {own, int64(run) + 1, int64(stop.Job), 403}, {own, int64(run), int64(stop.Job) + 1, 403}, {ada.token, int64(run), int64(stop.Job), 403}, {"", int64(run), int64(stop.Job), 401},
	} {
		r, err := http.NewRequest("POST", fmt.Sprintf("http://%s/%s/_apis/distributedtask/hubs/build/plans/%d/jobs/%d/oidctoken?api-version=7.1", w.address, w.source.repository.Project, c.run, c.job), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("run %d, job %d: status %d, want %d", c.run, c.job, resp.StatusCode, c.status)
		}
	}
	ada.decide(stop.Job, "continue")
	w.completed(run)
}
