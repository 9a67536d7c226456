// Package pipelinestest gives the tests of doors a service of pipelines: records and events are real, what is outside of
// it is fake, a repository with one file and a cluster whose pods never do anything.
package pipelinestest

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/variable"
	"slipway/internal/secret"
)

// World is a service of pipelines with a project, an administrator and a repository.
type World struct {
	Pipelines     *pipelines.Service
	Identity      *identity.Service
	Log           *events.Log
	DB            *db.DB
	Logger        *slog.Logger
	Project       identity.Project
	Administrator identity.User // ada, with Password
	Source        *FakeRepository
}

// Password is the administrator's.
const Password = "correct horse"

// Open makes a world with a project of that name and the repository shop, whose azure-pipelines.yml has the text.
func Open(t *testing.T, project, text string) *World {
	t.Helper()
	ctx, d := context.Background(), dbtest.SQLite(t)
	w := &World{Logger: slog.New(slog.DiscardHandler), DB: d}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.Log, err = events.Open(ctx, d, clock.System{}, w.Logger)
	must(err)
	w.Identity, err = identity.Open(ctx, d, w.Log, clock.System{})
	must(err)
	w.Project, err = w.Identity.CreateProject(ctx, slipway.System, project, "")
	must(err)
	w.Administrator, err = w.Identity.CreateUser(ctx, slipway.System, identity.NewUser{Name: "ada", Password: Password, Administrator: true})
	must(err)
	blobs, err := blob.OpenFiles(t.TempDir())
	must(err)
	box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	must(err)
	w.Source = &FakeRepository{Text: text, Message: "Sell hats", repository: pipelines.Repository{ID: RepositoryID, Project: w.Project.ID, ProjectName: project, Name: "shop",
		DefaultBranch: "refs/heads/main"}}
	w.Pipelines, err = pipelines.Open(ctx, pipelines.Deps{DB: d, Log: w.Log, Blobs: blobs, Clock: clock.System{}, Secrets: box, Source: w.Source,
		Environments: fakeEnvironments{}, Tokens: w.Identity, Executor: fakeExecutor{}, Logger: w.Logger, URL: "http://slipway", Registry: "localhost:8080"})
	must(err)
	return w
}

// Token is a personal access token of the administrator.
func (w *World) Token(t *testing.T) string {
	t.Helper()
	token, err := w.Identity.IssueToken(context.Background(), identity.TokenRequest{Kind: identity.TokenPersonal, Name: "test",
		Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(w.Administrator.ID), Name: w.Administrator.Name}})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// What the repository is, and the commit of all its branches.
const (
	RepositoryID = slipway.RepositoryID("r")
	Commit       = slipway.CommitID("1111111111111111111111111111111111111111")
)

// FakeRepository is a repository with the branches main and next, both of one commit with the file azure-pipelines.yml.
type FakeRepository struct {
	Text       string // of the file
	Message    string // of the commit
	repository pipelines.Repository
}

// Repository implements pipelines.Source.
func (f *FakeRepository) Repository(context.Context, slipway.RepositoryID) (pipelines.Repository, error) {
	return f.repository, nil
}

// FindRepository implements pipelines.Source.
func (f *FakeRepository) FindRepository(_ context.Context, _ slipway.ProjectID, name string) (pipelines.Repository, error) {
	if name != f.repository.Name && name != string(f.repository.ID) {
		return pipelines.Repository{}, slipway.NotFound("there is no repository %q", name)
	}
	return f.repository, nil
}

// Branches implements pipelines.Source.
func (f *FakeRepository) Branches(context.Context, slipway.RepositoryID) ([]pipelines.Branch, error) {
	return []pipelines.Branch{{Ref: "refs/heads/main", Commit: Commit}, {Ref: "refs/heads/next", Commit: Commit}}, nil
}

// Resolve implements pipelines.Source.
func (f *FakeRepository) Resolve(_ context.Context, _ slipway.RepositoryID, ref string) (slipway.CommitID, error) {
	if ref != "refs/heads/main" && ref != "refs/heads/next" && !strings.HasPrefix(string(Commit), ref) {
		return "", slipway.NotFound("there is no %s", ref)
	}
	return Commit, nil
}

// ReadFile implements pipelines.Source.
func (f *FakeRepository) ReadFile(_ context.Context, _ slipway.RepositoryID, _ slipway.CommitID, path string, _ int64) ([]byte, error) {
	if path != pipelines.DefaultPath {
		return nil, slipway.NotFound("there is no %s", path)
	}
	return []byte(f.Text), nil
}

// List implements pipelines.Source.
func (f *FakeRepository) List(context.Context, slipway.RepositoryID, slipway.CommitID, string) ([]string, error) {
	return []string{pipelines.DefaultPath}, nil
}

// Commit implements pipelines.Source.
func (f *FakeRepository) Commit(_ context.Context, _ slipway.RepositoryID, commit slipway.CommitID) (pipelines.Commit, error) {
	if commit != Commit {
		return pipelines.Commit{}, slipway.NotFound("there is no commit %s", commit)
	}
	return pipelines.Commit{Message: f.Message, Author: "Ada"}, nil
}

// fakeExecutor starts pods that run and do nothing.
type fakeExecutor struct{}

func (fakeExecutor) Start(context.Context, pipelines.Pod) error { return nil }
func (fakeExecutor) Stop(context.Context, string) error         { return nil }
func (fakeExecutor) Inspect(context.Context, string) (pipelines.PodStatus, error) {
	return pipelines.PodStatus{Phase: pipelines.PodRunning}, nil
}

// fakeEnvironments have no variables, and nothing waits for them.
type fakeEnvironments struct{}

func (fakeEnvironments) Waits(context.Context, slipway.RunID) (map[string]string, error) {
	return nil, nil
}

func (fakeEnvironments) Variables(context.Context, slipway.ProjectID, string) (variable.Set, error) {
	return variable.Set{}, nil
}
