package repos

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

// What a cherry-pick and a revert make is what git itself makes of the same commits.
func TestPicksDoAsGitDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		strategy MergeStrategy
		kind     PickKind
		commands func(p PullRequest) [][]string
	}{
		"a merge is reverted": {NoFastForward, Revert, func(p PullRequest) [][]string {
			return [][]string{{"revert", "--no-edit", "-m", "1", string(p.MergeCommit)}}
		}},
		"a squash is reverted": {Squash, Revert, func(p PullRequest) [][]string {
			return [][]string{{"revert", "--no-edit", string(p.MergeCommit)}}
		}},
		"rebased commits are reverted": {Rebase, Revert, func(p PullRequest) [][]string {
			return [][]string{{"revert", "--no-commit", string(p.TargetCommit) + ".." + string(p.MergeCommit)}, {"commit", "-q", "-m", "revert"}}
		}},
		"a merge is picked": {NoFastForward, CherryPick, func(p PullRequest) [][]string {
			return [][]string{{"switch", "-q", "release"}, {"cherry-pick", "-x", string(p.TargetCommit) + ".." + string(p.SourceCommit)}}
		}},
		"a squash is picked": {Squash, CherryPick, func(p PullRequest) [][]string {
			return [][]string{{"switch", "-q", "release"}, {"cherry-pick", "-x", string(p.MergeCommit)}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			w := diverged(t, dbtest.SQLite(t))
			w.branch("release", slipway.CommitID(w.git("", "rev-parse", "main~2")))
			w.commitOn("release", "release", "notes", "x\n")
			p := w.open()
			p, err := w.CompletePullRequest(ctx, p.ID, CompleteRequest{Completion: Completion{Strategy: c.strategy}, Committer: cleo, Actor: ada})
			if err != nil {
				t.Fatal(err)
			}
			onto := "main"
			if c.kind == CherryPick {
				onto = "release"
			}
			tree, log := w.gitDoes(c.commands(p)...)
			got, err := w.Pick(ctx, PickRequest{Repository: w.repo.ID, Kind: c.kind, PullRequest: p.ID, Onto: onto, Branch: "picked", Committer: cleo, Actor: ada})
			if err != nil || got.Reason != "" {
				t.Fatalf("%+v, %v", got, err)
			}
			if is := w.git("", "rev-parse", "picked^{tree}"); is != tree {
				t.Errorf("the tree is %s, git's %s", is, tree)
			}
			if c.kind == Revert {
				return
			}
			if diff := cmp.Diff(shape(log), shape(w.git("", "log", "--topo-order", "--format=%s|%an|%cn|%p", "picked"))); diff != "" {
				t.Errorf("the history (-git +slipway):\n%s", diff)
			}
		})
	}
}

func TestPicks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		first := w.commit("one", "a", "1\n")
		w.branch("release", first)
		second := w.commit("two", "a", "2\n")
		third := w.commit("three", "a", "3\n")
		ask := PickRequest{Repository: w.repo.ID, Kind: Revert, Commits: []slipway.CommitID{third, second}, Onto: "main", Branch: "back", Committer: cleo, Actor: ada}
		back, err := w.Pick(ctx, ask)
		if err != nil || back.Reason != "" || back.Branch != "refs/heads/back" {
			t.Fatalf("%+v, %v", back, err)
		}
		if got := w.git("", "cat-file", "blob", "back:a"); got != "1" {
			t.Errorf("reverted to %q", got)
		}
		if got := w.git("", "log", "-2", "--format=%B", "back"); got != "Revert \"two\"\n\nThis reverts commit "+string(second)+".\n\nRevert \"three\"\n\nThis reverts commit "+string(third)+"." {
			t.Errorf("messages %q", got)
		}
		_, err = w.Pick(ctx, ask)
		wantCode(t, "a branch that is there", err, slipway.CodeConflict)
		ask.Kind, ask.Commits, ask.Onto, ask.Branch = CherryPick, []slipway.CommitID{third}, "refs/heads/release", "refs/heads/onto"
		conflict, err := w.Pick(ctx, ask)
		if err != nil || conflict.Conflicting != third || strings.Join(conflict.Conflicts, " ") != "a" || conflict.Reason == "" {
			t.Errorf("a conflict gives %+v, %v", conflict, err)
		}
		if _, err := w.Resolve(ctx, w.repo.ID, "refs/heads/onto"); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("a branch of a conflict is there: %v", err)
		}
		for _, find := range []func() (Pick, error){
			func() (Pick, error) { return w.PickByID(ctx, w.repo.ID, CherryPick, conflict.ID) },
			func() (Pick, error) { return w.PickOfBranch(ctx, w.repo.ID, CherryPick, "refs/heads/onto") },
		} {
			got, err := find()
			if err != nil || got.ID != conflict.ID || got.Reason != conflict.Reason || got.Commits[0] != third || got.CreatedBy != ada {
				t.Errorf("found %+v, %v", got, err)
			}
		}
		ask.Commits, ask.Branch = []slipway.CommitID{first}, "again"
		if same, err := w.Pick(ctx, ask); err != nil || !strings.Contains(same.Reason, "no change") {
			t.Errorf("what is there already: %+v, %v", same, err)
		}
		for name, change := range map[string]func(r *PickRequest){
			"nothing":         func(r *PickRequest) { r.Commits = nil },
			"no branch":       func(r *PickRequest) { r.Onto = "nowhere" },
			"a bad name":      func(r *PickRequest) { r.Branch = "a..b" },
			"another kind":    func(r *PickRequest) { r.Kind = "merge" },
			"nobody":          func(r *PickRequest) { r.Committer = Signature{} },
			"commit and pull": func(r *PickRequest) { r.PullRequest = 7 },
		} {
			r := ask
			change(&r)
			_, err := w.Pick(ctx, r)
			wantCode(t, name, err, slipway.CodeInvalid)
		}
	})
}

func TestSourceIsRestored(t *testing.T) {
	t.Parallel()
	w := diverged(t, dbtest.SQLite(t))
	ctx := context.Background()
	p := w.open()
	wantCode(t, "a branch that is there", w.RestoreSource(ctx, ada, p.ID), slipway.CodeConflict)
	p, err := w.CompletePullRequest(ctx, p.ID, CompleteRequest{Completion: Completion{Strategy: Squash, DeleteSource: true}, Committer: cleo, Actor: ada})
	if err != nil {
		t.Fatal(err)
	}
	if there, err := w.HasSource(ctx, p); there || err != nil {
		t.Fatal(there, err)
	}
	if err := w.RestoreSource(ctx, ada, p.ID); err != nil {
		t.Fatal(err)
	}
	if got := w.git("", "rev-parse", "topic"); got != string(p.SourceCommit) {
		t.Errorf("topic is at %s, was at %s", got, p.SourceCommit)
	}
	if there, err := w.HasSource(ctx, p); !there || err != nil {
		t.Error(there, err)
	}
}

func TestConflictsAreResolved(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	base := w.commit("base", "text", "a\nb\nc\n", "both", "1\n", "gone", "1\n", "same", "1\n")
	w.branch("topic", base)
	w.commitOn("topic", "topic", "text", "a\ntopic\nc\n", "both", "topic\n", "gone", "topic\n", "pic", "\x00topic", "mine", "x\n")
	w.commit("main", "text", "a\nmain\nc\n", "both", "main\n", "pic", "\x00main", "theirs", "y\n")
	if _, err := w.CommitFiles(ctx, CommitRequest{Repository: w.repo.ID, Branch: "main", Changes: []Change{{Path: "gone", Delete: true}}, Message: "delete", Author: cleo, Actor: ada}); err != nil {
		t.Fatal(err)
	}
	p := w.open()
	found, err := w.PullRequestConflicts(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found.Files {
		line := f.Path
		if f.Text != nil {
			line += " text"
		}
		if f.Target.Missing() {
			line += " gone"
		}
		got = append(got, line)
	}
	if diff := cmp.Diff([]string{"both text", "gone gone", "pic", "text text"}, got); diff != "" {
		t.Fatalf("conflicts (-want +got):\n%s", diff)
	}
	if !bytes.Contains(found.Files[3].Text, []byte("<<<<<<<")) || !bytes.Contains(found.Files[3].Text, []byte("topic\n=======\nmain\n")) {
		t.Errorf("marks: %q", found.Files[3].Text)
	}
	ask := ResolveRequest{PullRequest: p.ID, Source: p.SourceCommit, Target: p.TargetCommit, Author: cleo, Actor: ada, Files: []Resolution{
		{Path: "both", Choose: Right}, {Path: "gone", Choose: Left}, {Path: "pic", Choose: Left}}}
	_, err = w.ResolveConflicts(ctx, ask)
	wantCode(t, "a file is left out", err, slipway.CodeInvalid)
	ask.Files = append(ask.Files, Resolution{Path: "text", Text: found.Files[3].Text})
	_, err = w.ResolveConflicts(ctx, ask)
	wantCode(t, "marks are left", err, slipway.CodeInvalid)
	ask.Files[3].Text = []byte("a\nboth\nc\n")
	moved := ask
	moved.Target = base
	_, err = w.ResolveConflicts(ctx, moved)
	wantCode(t, "the branches are elsewhere", err, slipway.CodeConflict)
	commit, err := w.ResolveConflicts(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.git("", "rev-parse", "topic^1", "topic^2"); got != string(p.SourceCommit)+"\n"+string(p.TargetCommit) {
		t.Errorf("parents %s", got)
	}
	var files []string
	for _, name := range strings.Fields(w.git("", "ls-tree", "-r", "--name-only", string(commit))) {
		files = append(files, name+"="+w.git("", "cat-file", "blob", string(commit)+":"+name))
	}
	if diff := cmp.Diff([]string{"both=topic", "mine=x", "pic=\x00main", "same=1", "text=a\nboth\nc", "theirs=y"}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	w.follow()
	if p = w.pull(p.ID); p.MergeStatus != MergeSucceeded || p.SourceCommit != commit {
		t.Errorf("the pull request: %s %s", p.MergeStatus, p.MergeReason)
	}
	ask.Source, ask.Target = p.SourceCommit, p.TargetCommit
	_, err = w.ResolveConflicts(ctx, ask)
	wantCode(t, "no conflict is left", err, slipway.CodeConflict)
}

func TestLabelsAndLists(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := newReviewWorld(t, d)
		p := w.pull(w.pr)
		w.push("Ben", "other", "b", "x\n")
		if _, err := w.CreatePullRequest(ctx, NewPullRequest{Repository: w.repo.ID, Source: "other", Title: "100% Hats_", Actor: w.users["Ben"]}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Later", "ünder", "later"} {
			if _, err := w.AddLabel(ctx, ada, p.ID, name); err != nil {
				t.Fatal(err)
			}
		}
		_, err := w.AddLabel(ctx, ada, p.ID, " ")
		wantCode(t, "no name", err, slipway.CodeInvalid)
		all, err := w.Labels(ctx, p.ID, 99)
		if diff := cmp.Diff(map[slipway.PullRequestID][]Label{p.ID: {{"Later"}, {"ünder"}}}, all); diff != "" || err != nil {
			t.Errorf("labels (-want +got): %v\n%s", err, diff)
		}
		if err := w.SetReviewer(ctx, ada, p.ID, w.users["Cleo"].ID, false); err != nil {
			t.Fatal(err)
		}
		w.vote("Ben", VoteApproved)
		ben, cleo := slipway.UserID(w.users["Ben"].ID), slipway.UserID(w.users["Cleo"].ID)
		for name, c := range map[string]struct {
			filter PullRequestFilter
			want   int
		}{
			"label":          {PullRequestFilter{Label: "LATER"}, 1},
			"no label":       {PullRequestFilter{Label: "late"}, 0},
			"text":           {PullRequestFilter{Text: "hats_"}, 1},
			"no wild cards":  {PullRequestFilter{Text: "0_"}, 0},
			"percent":        {PullRequestFilter{Text: "100%"}, 1},
			"reviewer":       {PullRequestFilter{Reviewer: ben}, 1},
			"has voted":      {PullRequestFilter{Reviewer: ben, Waiting: true}, 0},
			"still to vote":  {PullRequestFilter{Reviewer: cleo, Waiting: true, Status: PullRequestActive}, 1},
			"all of them":    {PullRequestFilter{Repository: w.repo.ID}, 2},
			"both must hold": {PullRequestFilter{Label: "later", Text: "hats"}, 0},
		} {
			if list, err := w.PullRequests(ctx, c.filter); err != nil || len(list) != c.want {
				t.Errorf("%s: %d, %v; want %d", name, len(list), err, c.want)
			}
		}
		if n, err := w.CountPullRequests(ctx, w.repo.ID); n != 2 || err != nil {
			t.Errorf("%d are active, %v", n, err)
		}
		if err := w.RemoveLabel(ctx, ada, p, Label{"LATER"}.ID(p.Project).String()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "no such label", w.RemoveLabel(ctx, ada, p, "later"), slipway.CodeNotFound)
		// Likes.
		thread, err := w.StartThread(ctx, NewThread{PullRequest: p.ID, Text: "good", Actor: ada})
		if err != nil {
			t.Fatal(err)
		}
		key := CommentKey{thread.ID, 1}
		for _, who := range []string{"Ben", "Cleo", "Ben"} {
			if err := w.Like(ctx, w.users[who], p.ID, key, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Like(ctx, w.users["Cleo"], p.ID, key, false); err != nil {
			t.Fatal(err)
		}
		likes, err := w.Likes(ctx, p.ID)
		if diff := cmp.Diff(map[CommentKey][]slipway.Actor{key: {w.users["Ben"]}}, likes); diff != "" || err != nil {
			t.Errorf("likes (-want +got): %v\n%s", err, diff)
		}
		if err := w.Delete(ctx, w.repo.ID, ada); err != nil {
			t.Errorf("deleting the repository: %v", err)
		}
	})
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := newReviewWorld(t, d)
		files, err := blob.OpenFiles(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		w.Objects = files
		p := w.pull(w.pr)
		a, err := w.Attach(ctx, ada, p, "pic.png", strings.NewReader("abc"))
		if err != nil || a.Size != 3 || a.Hash != "a9993e364706816aba3e25717850c26c9cd0d89d" { // FIPS 180's example
			t.Fatalf("%+v, %v", a, err)
		}
		_, err = w.Attach(ctx, ada, p, "pic.png", strings.NewReader("other"))
		wantCode(t, "the name again", err, slipway.CodeConflict)
		_, err = w.Attach(ctx, ada, p, "../pic", strings.NewReader("x"))
		wantCode(t, "a path", err, slipway.CodeInvalid)
		_, err = w.Attach(ctx, ada, p, "large", bytes.NewReader(make([]byte, MaxAttachment+1)))
		wantCode(t, "too large", err, slipway.CodeLimit)
		if list, err := w.Attachments(ctx, p.ID); err != nil || len(list) != 1 || list[0].Name != "pic.png" || list[0].CreatedBy != ada {
			t.Errorf("attachments %+v, %v", list, err)
		}
		_, o, err := w.OpenAttachment(ctx, p, "pic.png")
		if err != nil || o.Size() != 3 {
			t.Fatal(err)
		}
		o.Close()
		wantCode(t, "another's", w.DeleteAttachment(ctx, w.users["Ben"], p, "pic.png"), slipway.CodeForbidden)
		if _, err := w.Attach(ctx, ada, p, "stays", strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteAttachment(ctx, ada, p, "pic.png"); err != nil {
			t.Fatal(err)
		}
		if err := w.Delete(ctx, w.repo.ID, ada); err != nil {
			t.Fatal(err)
		}
		if err := files.List(ctx, "", func(key string, _ int64) error { t.Errorf("object %s is left", key); return nil }); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPullRequestTemplates(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	template := func(target string) string {
		t.Helper()
		text, err := w.PullRequestTemplate(ctx, w.repo, target)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if got := template("main"); got != "" {
		t.Errorf("an empty repository's template is %q", got)
	}
	w.commit("templates", "docs/pull_request_template.md", "in docs", ".azuredevops/pull_request_template.md", "general\r\n",
		".azuredevops/pull_request_template/branches/release.md", "release")
	for target, want := range map[string]string{"main": "general\n", "refs/heads/release/1": "release", "release": "release"} {
		if got := template(target); got != want {
			t.Errorf("into %s begins with %q, want %q", target, got, want)
		}
	}
}
