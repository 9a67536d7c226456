package repos

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/repos/policy"
)

// reviewed is diverged in a project with members, and an open pull request.
type reviewWorld struct {
	*world
	users map[string]slipway.Actor
	pr    slipway.PullRequestID
}

func newReviewWorld(t *testing.T, d *db.DB) *reviewWorld {
	t.Helper()
	w := &reviewWorld{world: setup(t, d), users: map[string]slipway.Actor{}}
	ctx := context.Background()
	ident, err := identity.Open(ctx, d, w.events, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ident.CreateProject(ctx, slipway.System, "Tools", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Ada", "Ben", "Cleo"} {
		u, err := ident.CreateUser(ctx, slipway.System, identity.NewUser{Name: name, Password: "battery staple", Email: strings.ToLower(name) + "@example.org"})
		if err != nil {
			t.Fatal(err)
		}
		if err := ident.SetRole(ctx, slipway.System, p.ID, u.ID, identity.RoleContributor); err != nil {
			t.Fatal(err)
		}
		w.users[name] = slipway.Actor{Kind: slipway.ActorUser, ID: string(u.ID), Name: name}
	}
	w.People = ident
	if w.repo, err = w.Create(ctx, CreateRequest{Project: p.ID, Name: "Shop", Actor: ada}); err != nil {
		t.Fatal(err)
	}
	base := w.commit("base", "a", "1\n", "CODEOWNERS", "*.go @ben\n/docs/ cleo@example.org\n")
	w.branch("topic", base)
	w.push("Ben", "topic", "a", "2\n")
	pr, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Source: "topic", Title: "Topic", Actor: w.users["Ada"]})
	if err != nil {
		t.Fatal(err)
	}
	w.pr = pr.ID
	return w
}

// push commits a file to a branch in somebody's name.
func (w *reviewWorld) push(who, branch, path, content string) slipway.CommitID {
	w.t.Helper()
	id, err := w.CommitFiles(context.Background(), CommitRequest{Repository: w.repo.ID, Branch: branch, Message: path,
		Changes: []Change{{Path: path, Content: []byte(content)}}, Author: cleo, Actor: w.users[who]})
	if err != nil {
		w.t.Fatal(err)
	}
	w.follow()
	return id
}

// target brings a file to main, as a completion does.
func (w *reviewWorld) target(path, content string) {
	w.t.Helper()
	main := w.git("", "rev-parse", "main")
	w.branch("side", slipway.CommitID(main))
	head := w.push("Ada", "side", path, content)
	w.git("", "update-ref", "refs/heads/main", string(head))
	w.git("", "update-ref", "-d", "refs/heads/side")
	w.announce("refs/heads/main", "refs/heads/side")
}

func (w *reviewWorld) policy(kind policy.Kind, s policy.Settings) policy.Policy {
	w.t.Helper()
	p, err := w.CreatePolicy(context.Background(), ada, policy.Policy{Project: w.repo.Project, Kind: kind, Enabled: true, Blocking: true, Settings: s,
		Scope: policy.Scope{Repository: w.repo.ID, Match: policy.Exact, Ref: "refs/heads/main"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *reviewWorld) vote(who string, v Vote) {
	w.t.Helper()
	if err := w.VotePullRequest(context.Background(), w.users[who], w.pr, v); err != nil {
		w.t.Fatal(err)
	}
}

// states are what the policies say, by their order.
func (w *reviewWorld) states() string {
	w.t.Helper()
	all, err := w.Evaluations(context.Background(), w.pull(w.pr))
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, e := range all {
		list = append(list, string(e.State))
		again, p, err := w.Evaluation(context.Background(), e.ID)
		if err != nil || again.Policy.ID != e.Policy.ID || p.ID != w.pr {
			w.t.Errorf("evaluation %s: %+v, %v", e.ID, again, err)
		}
	}
	return strings.Join(list, " ")
}

func (w *reviewWorld) complete(who string, change ...func(*CompleteRequest)) error {
	req := CompleteRequest{Actor: w.users[who], Committer: cleo}
	for _, f := range change {
		f(&req)
	}
	_, err := w.CompletePullRequest(context.Background(), w.pr, req)
	return err
}

func (w *reviewWorld) wantStates(want string) {
	w.t.Helper()
	if got := w.states(); got != want {
		w.t.Errorf("policies say %q, want %q", got, want)
	}
}

func TestReviewersHoldACompletionUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newReviewWorld(t, d)
		w.policy(policy.MinimumReviewers, policy.Settings{MinimumApproverCount: 1, ResetOnSourcePush: true, BlockLastPusherVote: true})
		w.vote("Ada", VoteApproved) // who asks
		w.vote("Ben", VoteApproved) // who pushed last
		w.wantStates("queued")
		err := w.complete("Ada")
		wantCode(t, "completing", err, slipway.CodeConflict)
		if err == nil || !strings.Contains(err.Error(), "Minimum number of reviewers (1): 0 of 1 approvals are there") {
			t.Errorf("it does not say what is missing: %v", err)
		}
		w.vote("Cleo", VoteApproved)
		w.wantStates("approved")
		w.push("Cleo", "topic", "a", "3\n") // takes approvals back
		w.wantStates("queued")
		w.vote("Cleo", VoteApproved) // pushed last herself
		w.wantStates("queued")
		w.vote("Ben", VoteApproved)
		w.wantStates("approved")
		if err := w.complete("Ada"); err != nil {
			t.Fatal(err)
		}
		if p := w.pull(w.pr); p.Status != PullRequestCompleted {
			t.Errorf("it is %s", p.Status)
		}
	})
}

func TestMergeTypesAreKept(t *testing.T) {
	t.Parallel()
	w := newReviewWorld(t, dbtest.SQLite(t))
	w.policy(policy.MergeTypes, policy.Settings{AllowSquash: true})
	err := w.complete("Ada", func(r *CompleteRequest) { r.Strategy = Rebase })
	if slipway.CodeOf(err) != slipway.CodeConflict || !strings.Contains(err.Error(), "by squash here, not by rebase") {
		t.Errorf("rebase: %v", err)
	}
	if err := w.complete("Ada", func(r *CompleteRequest) { r.Strategy = Squash }); err != nil {
		t.Error(err)
	}
}

func TestBypassOnCompletion(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newReviewWorld(t, d)
		ctx := context.Background()
		w.policy(policy.WorkItems, policy.Settings{})
		bypass := func(r *CompleteRequest) { r.Bypass = "the shop is down" }
		wantCode(t, "without the right", w.complete("Ada", bypass), slipway.CodeForbidden)
		if err := w.SetBypass(ctx, ada, w.repo.ID, slipway.UserID(w.users["Ada"].ID), false, true); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "with that on push", w.complete("Ada", bypass), slipway.CodeForbidden)
		if err := w.SetBypass(ctx, ada, w.repo.ID, slipway.UserID(w.users["Ada"].ID), true, false); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "without a reason", w.complete("Ada", func(r *CompleteRequest) { r.Bypass = " " }), slipway.CodeInvalid)
		if err := w.complete("Ada", bypass); err != nil {
			t.Fatal(err)
		}
		list, err := w.events.List(ctx, events.Filter{Kind: EventPolicyBypassed})
		if err != nil || len(list) != 1 {
			t.Fatalf("events %+v, %v", list, err)
		}
		var b BypassPayload
		if err := list[0].Decode(&b); err != nil || b.Reason != "the shop is down" || b.On != "completion" || len(b.Policies) != 1 || list[0].Actor.Name != "Ada" ||
			b.Commit != w.pull(w.pr).MergeCommit {
			t.Errorf("%+v by %s, %v", b, list[0].Actor.Name, err)
		}
	})
}

func TestAutoCompleteWaitsForPolicies(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newReviewWorld(t, d)
		ctx := context.Background()
		comments := w.policy(policy.Comments, policy.Settings{})
		items := w.policy(policy.WorkItems, policy.Settings{})
		items.Blocking = false
		if _, err := w.UpdatePolicy(ctx, ada, items); err != nil {
			t.Fatal(err)
		}
		thread, err := w.StartThread(ctx, NewThread{PullRequest: w.pr, Text: "why?", Actor: w.users["Ben"]})
		if err != nil {
			t.Fatal(err)
		}
		set := func(ignore ...int64) {
			t.Helper()
			_, err := w.SetAutoComplete(ctx, w.users["Ada"], w.pr, &AutoComplete{Completion: Completion{Strategy: Squash, DeleteSource: true}, By: w.users["Ada"],
				Committer: cleo, Ignore: ignore})
			if err != nil {
				t.Fatal(err)
			}
		}
		try := func(want PullRequestStatus) {
			t.Helper()
			if err := w.TryAutoComplete(ctx, w.pr); err != nil {
				t.Fatal(err)
			}
			if got := w.pull(w.pr).Status; got != want {
				t.Fatalf("it is %s, want %s; policies say %s", got, want, w.states())
			}
		}
		set(comments.ID) // required: it is waited for all the same
		w.wantStates("rejected rejected")
		try(PullRequestActive)
		if err := w.SetThreadStatus(ctx, w.users["Ben"], w.pr, thread.ID, ThreadFixed); err != nil {
			t.Fatal(err)
		}
		try(PullRequestActive) // for the optional one
		set(items.ID)
		try(PullRequestCompleted)
		p := w.pull(w.pr)
		if p.AutoComplete != nil || p.Completion.Strategy != Squash || p.ClosedBy.Name != "Ada" {
			t.Errorf("completed as %+v by %s", p.Completion, p.ClosedBy.Name)
		}
		if _, err := w.Resolve(ctx, w.repo.ID, "refs/heads/topic"); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("the source is still there: %v", err)
		}
	})
}

func TestAutoCompleteIsTakenBack(t *testing.T) {
	t.Parallel()
	w := newReviewWorld(t, dbtest.SQLite(t))
	ctx := context.Background()
	w.policy(policy.WorkItems, policy.Settings{})
	for _, a := range []*AutoComplete{{By: w.users["Ada"], Committer: cleo}, nil} {
		if _, err := w.SetAutoComplete(ctx, w.users["Ada"], w.pr, a); err != nil {
			t.Fatal(err)
		}
	}
	if news, err := w.LinkedWorkItems(ctx, w.pr, 1); err != nil || !news {
		t.Errorf("linking is no news: %v", err)
	}
	if err := w.TryAutoComplete(ctx, w.pr); err != nil || w.pull(w.pr).Status != PullRequestActive {
		t.Errorf("it is %s, %v", w.pull(w.pr).Status, err)
	}
	if err := w.complete("Ada"); err != nil { // the policy itself holds
		t.Error(err)
	}
}

func TestBuildValidation(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newReviewWorld(t, d)
		ctx := context.Background()
		w.policy(policy.Build, policy.Settings{BuildDefinitionID: 3}) // valid until the target moves
		w.policy(policy.Build, policy.Settings{BuildDefinitionID: 4, FilenamePatterns: []string{"/docs/*"}})
		w.policy(policy.Build, policy.Settings{BuildDefinitionID: 5, ManualQueueOnly: true})
		wanted := func(again string) WantedBuild {
			t.Helper()
			list, err := w.WantedBuilds(ctx, w.pull(w.pr))
			if err != nil || len(list) != 1 || list[0].Pipeline != 3 || list[0].Again != again {
				t.Fatalf("wanted %+v, %v", list, err)
			}
			return list[0]
		}
		w.wantStates("queued notApplicable queued")
		one := wanted("")
		for range 2 { // told again it changes nothing
			if err := w.BuildQueued(ctx, one, 11, w.pull(w.pr).MergeCommit, slipway.System); err != nil {
				t.Fatal(err)
			}
		}
		w.wantStates("running notApplicable queued")
		changed, err := w.BuildChanged(ctx, w.pr, 11, ValidationSucceeded, slipway.System)
		if err != nil || !changed {
			t.Fatal(changed, err)
		}
		w.wantStates("approved notApplicable queued")
		w.target("other", "x\n")
		w.wantStates("queued notApplicable queued") // of another merge
		if err := w.BuildQueued(ctx, wanted("1"), 12, w.pull(w.pr).MergeCommit, slipway.System); err != nil {
			t.Fatal(err)
		}
		if _, err := w.BuildChanged(ctx, w.pr, 12, ValidationFailed, slipway.System); err != nil {
			t.Fatal(err)
		}
		w.wantStates("rejected notApplicable queued")
		list, err := w.WantedBuilds(ctx, w.pull(w.pr))
		if err != nil || len(list) != 0 { // nobody asks for a failed one again by itself
			t.Fatalf("wanted %+v, %v", list, err)
		}
		all, err := w.Evaluations(ctx, w.pull(w.pr))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := w.BuildAgain(ctx, all[0], w.pull(w.pr)); err != nil || again.Again != "2" {
			t.Errorf("again %+v, %v", again, err)
		}
		w.push("Ben", "topic", "docs/a.md", "x\n")
		w.wantStates("queued queued queued")
	})
}

func TestCodeOwnersAreIncluded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newReviewWorld(t, d)
		ctx := context.Background()
		w.policy(policy.CodeOwners, policy.Settings{})
		w.policy(policy.RequiredReviewers, policy.Settings{RequiredReviewerIDs: []string{w.users["Cleo"].ID}, FilenamePatterns: []string{"*.go"}})
		include := func() []Reviewer {
			t.Helper()
			if _, err := w.IncludeReviewers(ctx, w.pull(w.pr)); err != nil {
				t.Fatal(err)
			}
			list, err := w.Reviewers(ctx, w.pr)
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		w.wantStates("notApplicable notApplicable")
		if got := include(); len(got) != 0 {
			t.Errorf("reviewers %+v", got)
		}
		w.push("Ada", "topic", "shop.go", "package shop\n")
		w.push("Ada", "topic", "docs/a.md", "x\n")
		w.wantStates("queued queued")
		got := include()
		if len(got) != 2 || !got[0].Required || got[0].Policy == 0 || !got[0].Voted.IsZero() {
			t.Errorf("reviewers %+v", got)
		}
		wantCode(t, "removing one", w.RemoveReviewer(ctx, ada, w.pr, w.users["Ben"].ID), slipway.CodeConflict)
		// Nor is one whom a policy included made an optional one by hand, and then removed with the vote.
		if err := w.SetReviewer(ctx, ada, w.pr, w.users["Ben"].ID, false); err != nil {
			t.Fatal(err)
		}
		if again := include(); !cmp.Equal(got, again) {
			t.Errorf("reviewers %+v, want %+v", again, got)
		}
		wantCode(t, "removing one made optional", w.RemoveReviewer(ctx, ada, w.pr, w.users["Ben"].ID), slipway.CodeConflict)
		w.vote("Ben", VoteApproved)
		w.wantStates("queued queued") // Cleo owns the other file
		w.vote("Cleo", VoteApproved)
		w.wantStates("approved approved")
		// The pull request cannot name its owners itself.
		w.push("Ada", "topic", "CODEOWNERS", "* @ada\n")
		w.wantStates("approved approved")
		// An owner whom nobody knows is no way round.
		w.target("CODEOWNERS", "*.go @acme/team\n")
		w.wantStates("broken approved")
	})
}

func TestRequiredReviewerByHand(t *testing.T) {
	t.Parallel()
	w := newReviewWorld(t, dbtest.SQLite(t))
	ctx := context.Background()
	if err := w.SetReviewer(ctx, ada, w.pr, w.users["Ben"].ID, true); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "somebody else", w.SetReviewer(ctx, ada, w.pr, "nobody", true), slipway.CodeNotFound)
	err := w.complete("Ada")
	if slipway.CodeOf(err) != slipway.CodeConflict || !strings.Contains(err.Error(), "Ben is a required reviewer") {
		t.Errorf("completing: %v", err)
	}
	if err := w.RemoveReviewer(ctx, ada, w.pr, w.users["Ben"].ID); err != nil {
		t.Fatal(err)
	}
	if err := w.complete("Ada"); err != nil {
		t.Error(err)
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newReviewWorld(t, d)
		ctx := context.Background()
		w.policy(policy.Status, policy.Settings{StatusName: "lint", InvalidateOnSourceUpdate: true})
		post := func(s Status) error {
			s.Repository, s.Name, s.CreatedBy = w.repo.ID, "lint", w.users["Ben"]
			_, err := w.PostStatus(ctx, s)
			return err
		}
		w.wantStates("queued")
		wantCode(t, "no such iteration", post(Status{PullRequest: w.pr, Iteration: 2, State: StatusSucceeded}), slipway.CodeInvalid)
		wantCode(t, "no such commit", post(Status{Commit: slipway.CommitID(strings.Repeat("1", 40)), State: StatusSucceeded}), slipway.CodeNotFound)
		wantCode(t, "no such state", post(Status{PullRequest: w.pr, State: "fine"}), slipway.CodeInvalid)
		wantCode(t, "a script's address", post(Status{PullRequest: w.pr, State: StatusFailed, URL: "javascript:alert(1)"}), slipway.CodeInvalid)
		for _, s := range []struct {
			status Status
			want   string
		}{{Status{PullRequest: w.pr, State: StatusPending}, "running"}, {Status{PullRequest: w.pr, State: StatusFailed}, "rejected"},
			{Status{Commit: w.pull(w.pr).SourceCommit, State: StatusSucceeded}, "approved"}} {
			if err := post(s.status); err != nil {
				t.Fatal(err)
			}
			w.wantStates(s.want)
		}
		ids, err := w.PullRequestsOf(ctx, w.repo.ID, w.pull(w.pr).SourceCommit)
		if err != nil || len(ids) != 1 || ids[0] != w.pr {
			t.Errorf("pull requests of the commit: %v, %v", ids, err)
		}
		w.push("Ben", "topic", "a", "4\n")
		w.wantStates("queued")
	})
}

// A status that a policy binds to a pipeline counts if the token that posted it was of a run of that pipeline for the same pull request.
func TestStatusesBoundToTheirPoster(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newReviewWorld(t, d)
		ctx := context.Background()
		w.policy(policy.Status, policy.Settings{StatusName: "lint", AuthorID: w.users["Cleo"].ID})
		w.policy(policy.Status, policy.Settings{StatusName: "scan", AuthorID: "pipeline:12"})
		for _, author := range []string{"nobody", "pipeline:x", "pipeline:0"} {
			_, err := w.CreatePolicy(ctx, ada, policy.Policy{Project: w.repo.Project, Kind: policy.Status, Scope: policy.Scope{Match: policy.DefaultBranch},
				Settings: policy.Settings{StatusName: "x", AuthorID: author}})
			wantCode(t, author, err, slipway.CodeInvalid)
		}
		p := w.pull(w.pr)
		bot := slipway.Actor{Kind: slipway.ActorJob, ID: "31", Name: "shop 1, scan"}
		run := func(pipeline slipway.PipelineID, ref string, commit slipway.CommitID) *StatusOrigin {
			return &StatusOrigin{Run: 7, Pipeline: pipeline, Ref: ref, Commit: commit}
		}
		other := slipway.CommitID(strings.Repeat("1", 40))
		for _, c := range []struct {
			name   string
			by     slipway.Actor
			origin *StatusOrigin
			want   string
		}{
			{"lint", w.users["Ben"], nil, "queued queued"},
			{"lint", w.users["Cleo"], nil, "approved queued"},
			{"scan", w.users["Cleo"], nil, "approved queued"},
			{"scan", bot, run(13, p.MergeRef(), other), "approved queued"},
			{"scan", bot, run(12, "refs/heads/main", other), "approved queued"},
			{"scan", bot, run(12, p.MergeRef(), other), "approved approved"},
		} {
			_, err := w.PostStatus(ctx, Status{Repository: w.repo.ID, PullRequest: w.pr, State: StatusSucceeded, Name: c.name, CreatedBy: c.by, Origin: c.origin})
			if err != nil {
				t.Fatal(err)
			}
			w.wantStates(c.want)
		}
		if _, err := w.PostStatus(ctx, Status{Repository: w.repo.ID, Commit: p.SourceCommit, State: StatusFailed, Name: "scan", CreatedBy: bot, Origin: run(12, "refs/heads/topic", p.SourceCommit)}); err != nil {
			t.Fatal(err)
		}
		w.wantStates("approved rejected")
	})
}

func TestProtectedBranchTakesNoCommitFromPages(t *testing.T) {
	t.Parallel()
	w := newReviewWorld(t, dbtest.SQLite(t))
	p := w.policy(policy.Comments, policy.Settings{})
	_, err := w.CommitFiles(context.Background(), CommitRequest{Repository: w.repo.ID, Branch: "main", Message: "x", Changes: []Change{{Path: "x", Content: []byte("x")}},
		Author: cleo, Actor: ada})
	if slipway.CodeOf(err) != slipway.CodeConflict || !strings.Contains(err.Error(), "Comment requirements") {
		t.Errorf("commit: %v", err)
	}
	if err := w.DeletePolicy(context.Background(), ada, w.repo.Project, p.ID); err != nil {
		t.Fatal(err)
	}
	w.push("Ada", "main", "x", "x")
}
