package loop

import (
	"context"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
	"slipway/internal/secret"
)

// fakeExecutor starts pods that run and do nothing.
type fakeExecutor struct{}

func (fakeExecutor) Start(context.Context, pipelines.Pod) error { return nil }
func (fakeExecutor) Stop(context.Context, string) error         { return nil }
func (fakeExecutor) Inspect(context.Context, string) (pipelines.PodStatus, error) {
	return pipelines.PodStatus{Phase: pipelines.PodRunning}, nil
}

// reviewWorld is the part of the loop that pull requests go round, with a repository and its pipeline.
type reviewWorld struct {
	*Loop
	t         *testing.T
	log       *events.Log
	project   slipway.ProjectID
	repo      repos.Repository
	pipeline  slipway.PipelineID
	ada       slipway.Actor
	delivered int64
}

func newReviewWorld(t *testing.T) *reviewWorld {
	t.Helper()
	return newReviewWorldAt(t, clock.System{})
}

func newReviewWorldAt(t *testing.T, c clock.Clock) *reviewWorld {
	t.Helper()
	ctx, d, logger := t.Context(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &reviewWorld{Loop: &Loop{}, t: t}
	var err error
	w.log, err = events.Open(ctx, d, c, logger)
	must(err)
	w.Identity, err = identity.Open(ctx, d, w.log, c)
	must(err)
	folder := t.TempDir()
	w.Repos, err = repos.Open(ctx, d, w.log, c, folder, logger)
	must(err)
	t.Cleanup(func() { _ = w.Repos.Close() })
	w.Repos.People = w.Identity
	w.Boards, err = boards.Open(ctx, d, w.log, c)
	must(err)
	blobs, err := blob.OpenFiles(t.TempDir())
	must(err)
	box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	must(err)
	w.Environments, err = environments.Open(ctx, d, w.log, box, c, logger)
	must(err)
	w.Pipelines, err = pipelines.Open(ctx, pipelines.Deps{DB: d, Log: w.log, Blobs: blobs, Clock: c, Secrets: box,
		Source: Source{Repos: w.Repos, Identity: w.Identity, URL: "http://slipway"}, Environments: Environments{w.Environments}, Tokens: w.Identity,
		Executor: fakeExecutor{}, Logger: logger, URL: "http://slipway", Registry: "localhost:8080"})
	must(err)
	u, err := w.Identity.CreateUser(ctx, slipway.System, identity.NewUser{Name: "Ada", Password: "battery staple"})
	must(err)
	w.ada = slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: "Ada"}
	p, err := w.Identity.CreateProject(ctx, w.ada, "Tools", "")
	must(err)
	w.project = p.ID
	w.repo, err = w.Repos.Create(ctx, repos.CreateRequest{Project: p.ID, Name: "Shop", Actor: w.ada})
	must(err)
	w.commit("main", "azure-pipelines.yml", "trigger: none\nsteps:\n- script: make\n")
	bare, err := filepath.Glob(filepath.Join(folder, "*", "*.git"))
	must(err)
	if out, err := exec.CommandContext(ctx, "git", "-C", bare[0], "branch", "topic", "main").CombinedOutput(); err != nil {
		t.Fatalf("make branch: %v\n%s", err, out)
	}
	definition, err := w.Pipelines.CreateDefinition(ctx, pipelines.Definition{Project: p.ID, Name: "shop", Repository: w.repo.ID, Path: "azure-pipelines.yml"})
	must(err)
	w.pipeline = definition.ID
	return w
}

func (w *reviewWorld) commit(branch, path, content string) {
	w.t.Helper()
	_, err := w.Repos.CommitFiles(w.t.Context(), repos.CommitRequest{Repository: w.repo.ID, Branch: branch, Message: path,
		Changes: []repos.Change{{Path: path, Content: []byte(content)}}, Author: repos.Signature{Name: "Ada"}, Actor: w.ada})
	if err != nil {
		w.t.Fatal(err)
	}
}

// deliver gives the subscribers of reviews all events that they have not had, those that come of them too.
func (w *reviewWorld) deliver() {
	w.t.Helper()
	for {
		list, err := w.log.List(w.t.Context(), events.Filter{Limit: 1000})
		if err != nil {
			w.t.Fatal(err)
		}
		list = slices.DeleteFunc(list, func(e events.Event) bool { return e.ID <= w.delivered })
		if len(list) == 0 {
			return
		}
		slices.Reverse(list)
		for _, e := range list {
			w.delivered = max(w.delivered, e.ID)
			var errs []error
			switch {
			case e.Kind == repos.EventPushed:
				errs = append(errs, w.followPush(w.t.Context(), e))
			case e.Kind == repos.EventPolicyChanged:
				errs = append(errs, w.considerPolicy(w.t.Context(), e))
			case e.Kind == pipelines.EventRunStarted || e.Kind == pipelines.EventRunCompleted:
				errs = append(errs, w.noteBuild(w.t.Context(), e))
			case strings.HasPrefix(string(e.Kind), "repos.pull_request") || e.Kind == repos.EventStatusPosted || strings.HasPrefix(string(e.Kind), "boards."):
				if e.Kind == repos.EventPullRequestCreated || e.Kind == repos.EventPullRequestUpdated {
					errs = append(errs, w.linkPullRequest(w.t.Context(), e))
				}
				errs = append(errs, w.considerEvent(w.t.Context(), e))
			}
			for _, err := range errs {
				if err != nil {
					w.t.Fatalf("event %s: %v", e.Kind, err)
				}
			}
		}
	}
}

func (w *reviewWorld) policy(kind policy.Kind, s policy.Settings) {
	w.t.Helper()
	_, err := w.Repos.CreatePolicy(w.t.Context(), w.ada, policy.Policy{Project: w.project, Kind: kind, Enabled: true, Blocking: true, Settings: s,
		Scope: policy.Scope{Match: policy.DefaultBranch}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// end ends the only job of a run, as its agent does.
func (w *reviewWorld) end(run slipway.RunID, result schedule.Result) {
	w.t.Helper()
	timeline, err := w.Pipelines.Timeline(w.t.Context(), run)
	if err != nil {
		w.t.Fatal(err)
	}
	id := timeline.Stages[0].Jobs[0].ID
	if _, err := w.Pipelines.Assign(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Pipelines.Complete(w.t.Context(), id, job.Completion{Result: result}); err != nil {
		w.t.Fatal(err)
	}
}

// A pull request with auto-complete goes through as soon as its build has succeeded and a work item is linked, though its file has
// no pr section and nobody looks.
func TestBuildAndWorkItemCompleteAPullRequest(t *testing.T) {
	t.Parallel()
	w := newReviewWorld(t)
	ctx := t.Context()
	item, err := w.Boards.Create(ctx, w.ada, boards.NewItem{Project: w.project, Type: boards.Task, Title: "Hats"})
	if err != nil {
		t.Fatal(err)
	}
	w.commit("topic", "azure-pipelines.yml", "trigger: none\nsteps:\n- script: make hats\n")
	p, err := w.Repos.CreatePullRequest(ctx, repos.NewPullRequest{Repository: w.repo.ID, Source: "topic", Target: "main", Title: "Sell hats", Actor: w.ada})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Repos.SetAutoComplete(ctx, w.ada, p.ID, &repos.AutoComplete{Completion: repos.Completion{Strategy: repos.Squash}, By: w.ada, Committer: repos.Signature{Name: "Ada"}})
	if err != nil {
		t.Fatal(err)
	}
	w.policy(policy.WorkItems, policy.Settings{})
	w.policy(policy.Build, policy.Settings{BuildDefinitionID: int64(w.pipeline), QueueOnSourceUpdateOnly: true})
	w.deliver()
	runs := func() []pipelines.Run {
		t.Helper()
		list, err := w.Pipelines.List(ctx, pipelines.RunFilter{Project: w.project, Ref: p.MergeRef()})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := runs(); len(list) != 1 || list[0].Commit != p.MergeCommit {
		t.Fatalf("runs %+v", list)
	}
	w.end(runs()[0].ID, schedule.Failed)
	w.deliver()
	w.commit("topic", "hats", "1\n") // mends it
	w.deliver()
	list := runs()
	if len(list) != 2 {
		t.Fatalf("after the push there are %d runs", len(list))
	}
	w.end(list[0].ID, schedule.Succeeded)
	w.deliver()
	status := func() repos.PullRequestStatus {
		t.Helper()
		now, err := w.Repos.PullRequest(ctx, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		return now.Status
	}
	if got := status(); got != repos.PullRequestActive {
		t.Fatalf("without a work item it is %s", got)
	}
	description := "AB#" + item.ID.String()
	if _, err := w.Repos.UpdatePullRequest(ctx, w.ada, p.ID, repos.PullRequestChange{Description: &description}); err != nil {
		t.Fatal(err)
	}
	w.deliver()
	if got := status(); got != repos.PullRequestCompleted {
		all, _ := w.Repos.Evaluations(ctx, p)
		t.Fatalf("at the end it is %s: %+v", got, all)
	}
}
