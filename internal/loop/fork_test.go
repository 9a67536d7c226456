package loop

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
)

// forkedPull opens a pull request of somebody who may read the project alone, from a fork in a project of their own.
func (w *reviewWorld) forkedPull() (repos.PullRequest, repos.Repository, slipway.Actor) {
	w.t.Helper()
	ctx := w.t.Context()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	u, err := w.Identity.CreateUser(ctx, slipway.System, identity.NewUser{Name: "Dora", Password: "battery staple"})
	must(err)
	dora := slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: "Dora"}
	own, err := w.Identity.CreateProject(ctx, dora, "Forks", "")
	must(err)
	must(w.Identity.SetRole(ctx, slipway.System, w.project, u.ID, identity.RoleReader))
	copied, stop := w.log.Watch(func(e events.Event) bool { return e.Kind == repos.EventForkSynced })
	defer stop()
	fork, _, err := w.Repos.Fork(ctx, repos.ForkRequest{Source: w.repo.ID, Project: own.ID, Actor: dora})
	must(err)
	<-copied
	w.forkCommit(fork, dora, "hats", "straw\n")
	p, err := w.Repos.CreatePullRequest(ctx, repos.NewPullRequest{Repository: w.repo.ID, Fork: fork.ID, Source: "topic", Target: "main", Title: "Sell hats", Actor: dora})
	must(err)
	return p, fork, dora
}

func (w *reviewWorld) forkCommit(fork repos.Repository, by slipway.Actor, path, content string) {
	w.t.Helper()
	_, err := w.Repos.CommitFiles(w.t.Context(), repos.CommitRequest{Repository: fork.ID, Branch: "topic", Message: path,
		Changes: []repos.Change{{Path: path, Content: []byte(content)}}, Author: repos.Signature{Name: by.Name}, Actor: by})
	if err != nil {
		w.t.Fatal(err)
	}
}

func newForkWorld(t *testing.T) *reviewWorld {
	w := newReviewWorld(t)
	ctx, done := t.Context(), make(chan error, 1)
	go func() { done <- w.Repos.Run(ctx) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// Neither the push that makes a fork nor its pull request runs anything, until somebody who may push says so, each time anew.
func TestForksAreBuiltWhenSomebodySaysSo(t *testing.T) {
	t.Parallel()
	w := newForkWorld(t)
	ctx := t.Context()
	w.policy(policy.Build, policy.Settings{BuildDefinitionID: int64(w.pipeline), QueueOnSourceUpdateOnly: true})
	p, fork, dora := w.forkedPull()
	w.deliver()
	runs := func(want int) []pipelines.Run {
		t.Helper()
		list, err := w.Pipelines.List(ctx, pipelines.RunFilter{Project: w.project, Ref: p.MergeRef()})
		if err != nil || len(list) != want {
			t.Fatalf("%d runs, %v; want %d", len(list), err, want)
		}
		return list
	}
	say := func(by slipway.Actor, text string) {
		t.Helper()
		if _, err := w.Repos.StartThread(ctx, repos.NewThread{PullRequest: p.ID, Text: text, Actor: by}); err != nil {
			t.Fatal(err)
		}
		w.deliver()
	}
	runs(0)
	say(dora, "/azp run")
	runs(0) // who opened it may not push
	say(w.ada, "I would not say /azp run yet")
	say(w.ada, "/azp run other")
	runs(0)
	say(w.ada, "/azp run SHOP\nlooks harmless")
	first := runs(1)[0]
	if first.Fork == nil || *first.Fork != (pipelines.ForkAccess{}) || !first.Untrusted() {
		t.Errorf("it may %+v", first.Fork)
	}
	w.forkCommit(fork, dora, "more", "hats\n")
	w.deliver()
	runs(1) // the comment was about what was there then
	say(w.ada, "/azp run")
	runs(2)
	if all, err := w.Pipelines.List(ctx, pipelines.RunFilter{Project: fork.Project}); err != nil || len(all) != 0 {
		t.Errorf("runs of the fork itself: %v, %v", all, err)
	}
}

func TestCommanded(t *testing.T) {
	t.Parallel()
	type said struct {
		All   bool
		Names []string
	}
	for text, want := range map[string]said{
		"/azp run": {All: true}, " /azp run \nplease": {All: true}, "/azp run shop, shop tests": {Names: []string{"shop", "shop tests"}},
		"/azp runs": {}, "/azp help": {}, "please /azp run": {}, "": {},
	} {
		all, names := commanded(text)
		if diff := cmp.Diff(want, said{all, names}); diff != "" {
			t.Errorf("%q:\n%s", text, diff)
		}
	}
}
