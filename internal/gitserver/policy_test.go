package gitserver_test

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/gitserver"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
)

// protect puts a required policy on main and on all branches of release/.
func (w *world) protect() {
	w.t.Helper()
	w.repos.People = w.identity
	for _, scope := range []policy.Scope{{Repository: w.repository.ID, Match: policy.Exact, Ref: "refs/heads/main"}, {Match: policy.Prefix, Ref: "refs/heads/release/"}} {
		_, err := w.repos.CreatePolicy(context.Background(), slipway.System, policy.Policy{Project: w.project.ID, Kind: policy.MinimumReviewers, Enabled: true, Blocking: true,
			Settings: policy.Settings{MinimumApproverCount: 2}, Scope: scope})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// What a policy refuses says so in the client's output, moves nothing and leaves no object behind.
func TestPushToProtectedBranch(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d, gitserver.Options{})
		dir := w.work(w.writer)
		mustGit(t, dir, "push", "-q", "origin", "main", "main:release/1")
		before := mustGit(t, dir, "rev-parse", "HEAD")
		w.protect()
		refused := commit(t, dir, "hats", "1\n", "sell hats")
		for name, args := range map[string][]string{"push": {"push", "origin", "main"}, "force": {"push", "--force", "origin", "main"},
			"delete": {"push", "origin", ":main"}, "by pattern": {"push", "origin", "HEAD:release/1"}, "with another": {"push", "origin", "HEAD:topic", "main"}} {
			out, err := git(t, dir, args...)
			if err == nil || !strings.Contains(out, "remote:   Minimum number of reviewers (2)") || !strings.Contains(out, "pre-receive hook declined") {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			if name == "push" && !strings.Contains(out, "git push origin HEAD:refs/heads/TOPIC") {
				t.Errorf("it does not say what to do:\n%s", out)
			}
		}
		if got := mustGit(t, dir, "ls-remote", "origin", "refs/heads/*"); strings.Contains(got, refused) || strings.Count(got, before) != 2 {
			t.Errorf("refs moved:\n%s", got)
		}
		if _, err := w.repos.Commit(context.Background(), w.repository.ID, slipway.CommitID(refused)); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("the refused commit is there: %v", err)
		}
		if len(w.pushed()) != 2 {
			t.Errorf("pushes %+v", w.pushed())
		}
		// Another branch takes it, and a new one that the pattern names may be made.
		mustGit(t, dir, "push", "-q", "origin", "HEAD:topic", "HEAD:release/2")
	})
}

func TestBypassOnPush(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t), gitserver.Options{})
	ctx := context.Background()
	dir := w.work(w.writer)
	mustGit(t, dir, "push", "-q", "origin", "main")
	w.protect()
	head := commit(t, dir, "hats", "1\n", "sell hats")
	option := "policy.bypass=the shop is down"
	if out, err := git(t, dir, "push", "-o", option, "origin", "main"); err == nil || !strings.Contains(out, "you may not bypass the policies") {
		t.Errorf("without the right: %v\n%s", err, out)
	}
	u, err := w.identity.UserByName(ctx, "Ada")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repos.SetBypass(ctx, slipway.System, w.repository.ID, u.ID, false, true); err != nil {
		t.Fatal(err)
	}
	if out, err := git(t, dir, "push", "origin", "main"); err == nil {
		t.Errorf("without a reason:\n%s", out)
	}
	if out, err := git(t, dir, "push", "-o", "ci.skip", "origin", "main:topic"); err == nil || !strings.Contains(out, `Push option "ci.skip" is not known`) {
		t.Errorf("another option: %v\n%s", err, out)
	}
	mustGit(t, dir, "push", "-q", "-o", option, "origin", "main")
	if list := w.pushed(); len(list) != 2 || string(list[1].After) != head {
		t.Errorf("pushes %+v", list)
	}
	all, err := w.log.List(ctx, events.Filter{Kind: repos.EventPolicyBypassed})
	if err != nil || len(all) != 1 {
		t.Fatalf("events %+v, %v", all, err)
	}
	var b repos.BypassPayload
	if err := all[0].Decode(&b); err != nil || b.Reason != "the shop is down" || b.On != "push" || b.Ref != "refs/heads/main" || string(b.Commit) != head || all[0].Actor.Name != "Ada" {
		t.Errorf("%+v, %v", b, err)
	}
}
