package repos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

// A server that dies between git's moving the refs and the events leaves the refs on disk, the rows as they were,
// and the note of who pushes.
func TestRecoverPublishesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		first := w.commit("first", "a", "1")
		ben := slipway.Actor{Kind: slipway.ActorUser, ID: "u2", Name: "Ben"}
		if _, err := w.notePush(ctx, w.repo.ID, ben); err != nil {
			t.Fatal(err)
		}
		tree := w.git("", "rev-parse", string(first)+"^{tree}")
		second := w.git("second", "commit-tree", tree, "-p", string(first))
		w.git("", "update-ref", "refs/heads/main", second)
		w.git("", "update-ref", "refs/heads/topic", second)
		w.git("", "update-ref", "refs/notes/commits", second) // neither branch nor tag

		again := open(t, d, w.events, w.folder) // the server after its restart
		for range 2 {                           // the second time there is nothing left
			if err := again.Recover(ctx); err != nil {
				t.Fatal(err)
			}
		}
		list, pushes := w.pushes()
		if len(pushes) != 3 {
			t.Fatalf("%d events, want 3: %+v", len(pushes), pushes)
		}
		if p := pushes[1]; p.Ref != "refs/heads/main" || p.Before != first || string(p.After) != second || len(p.Commits) != 1 || list[1].Actor != ben {
			t.Errorf("event %+v by %+v", p, list[1].Actor)
		}
		if p := pushes[2]; p.Ref != "refs/heads/topic" || p.Before != "" || len(p.Commits) != 0 {
			t.Errorf("event %+v", p)
		}
		if id, ok := list[2].Reference(slipway.RefCommit); !ok || id != second {
			t.Errorf("the event of a branch made of known commits refers to commit %q", id)
		}
		if id, _ := list[2].Reference(slipway.RefBranch); id != string(w.repo.ID)+"/refs/heads/topic" {
			t.Errorf("it refers to branch %q", id)
		}
	})
}

// A ref that moved while nobody had noted a push is announced in the system's name.
func TestRecoverWithoutANote(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	first := w.commit("first", "a", "1")
	w.git("", "update-ref", "refs/heads/topic", string(first))
	w.git("", "update-ref", "-d", "refs/heads/main")
	if err := w.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	list, pushes := w.pushes()
	if len(pushes) != 3 || !pushes[1].Deleted() || pushes[1].Ref != "refs/heads/main" || list[1].Actor != slipway.System {
		t.Errorf("events %+v", pushes)
	}
}

// Two servers over the same folder and database find the same differences; each is announced once.
func TestTwoServersAnnounceOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		first := w.commit("first", "a", "1")
		for i := range 30 {
			w.git("", "update-ref", fmt.Sprintf("refs/heads/topic-%d", i), string(first))
		}
		var wait sync.WaitGroup
		for _, s := range []*Service{w.Service, open(t, d, w.events, w.folder)} {
			wait.Go(func() {
				if _, err := s.Announce(ctx, w.repo.ID, ada); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		seen := map[string]int{}
		_, pushes := w.pushes()
		for _, p := range pushes {
			seen[p.Ref]++
		}
		for ref, n := range seen {
			if n != 1 {
				t.Errorf("%s was announced %d times", ref, n)
			}
		}
		if len(seen) != 31 {
			t.Errorf("%d refs were announced, want 31", len(seen))
		}
	})
}

// fastImport is the input of git fast-import for n commits with long messages, each with a file of its own.
func fastImport(n int) string {
	var b strings.Builder
	for i := range n {
		message := fmt.Sprintf("commit %d AB#%d\n%s", i, i, strings.Repeat("why it was done\n", 200))
		fmt.Fprintf(&b, "commit refs/heads/main\ncommitter Ben <ben@example.org> %d +0000\ndata %d\n%s\nM 644 inline folder/file-%d\ndata 1\nx\n", 1700000000+i, len(message), message, i)
	}
	return b.String()
}

func TestLargePushesAreBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		w.git(fastImport(1500), "fast-import", "--quiet")
		if _, err := w.Announce(context.Background(), w.repo.ID, ada, "refs/heads/main"); err != nil {
			t.Fatal(err)
		}
		list, pushes := w.pushes()
		p := pushes[0]
		if !p.MoreCommits || !p.MorePaths || len(p.Commits) == 0 || len(p.Paths) == 0 || !strings.HasPrefix(p.Commits[0].Message, "commit 1499 AB#1499\n") {
			t.Errorf("%d commits (more: %v), %d paths (more: %v)", len(p.Commits), p.MoreCommits, len(p.Paths), p.MorePaths)
		}
		if n := len(list[0].Payload); n > 64<<10 {
			t.Errorf("payload of %d bytes", n)
		}
		commits := 0
		for _, r := range list[0].References {
			if r.Kind == slipway.RefCommit {
				commits++
			}
		}
		if commits != maxPushedCommits {
			t.Errorf("refers to %d commits, want %d", commits, maxPushedCommits)
		}
		all, more, err := w.Commits(context.Background(), w.repo.ID, "", p.After, 2000)
		if err != nil || more || len(all) != 1500 {
			t.Errorf("%d commits, %v, %v", len(all), more, err)
		}
	})
}

func TestFirstPushChoosesTheDefaultBranch(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	w.git(strings.ReplaceAll(fastImport(1), "refs/heads/main", "refs/heads/trunk"), "fast-import", "--quiet")
	if _, err := w.Announce(ctx, w.repo.ID, ada); err != nil {
		t.Fatal(err)
	}
	r, err := w.Get(ctx, w.repo.ID)
	if err != nil || r.DefaultBranch != "trunk" || w.git("", "symbolic-ref", "HEAD") != "refs/heads/trunk" {
		t.Errorf("default branch %q, %v", r.DefaultBranch, err)
	}
	if _, pushes := w.pushes(); !pushes[0].DefaultRef || !pushes[0].FirstPush {
		t.Errorf("event %+v", pushes[0])
	}
}

func TestReadersEndWithTheirContext(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	first := w.commit("first", "a", "1")
	ctx, cancel := context.WithCancel(context.Background())
	err := w.readers.with(ctx, w.dir(w.repo.ID), func(r *reader) error {
		cancel()
		_, err := r.out.ReadString('\n') // would wait for ever: nothing was asked
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := w.Commit(context.Background(), w.repo.ID, first); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(context.Background(), w.repo.ID, first); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestTidyNotesTheSize(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	w.commit("first", "a", strings.Repeat("x", 5000))
	<-w.upkeep // it was asked for
	if err := w.upkeepDue(ctx); err != nil {
		t.Fatal(err)
	}
	r, err := w.Get(ctx, w.repo.ID)
	if err != nil || r.Size < 200 {
		t.Errorf("size %d, %v", r.Size, err)
	}
}

// A tag may name a tree: that is no commit to build, and no event.
func TestTagOfATree(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	first := w.commit("first", "a", "1")
	tree := w.git("", "rev-parse", string(first)+"^{tree}")
	w.git("", "update-ref", "refs/tags/tree", tree)
	if list, err := w.Announce(ctx, w.repo.ID, ada); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if tags, err := w.Tags(ctx, w.repo.ID); err != nil || len(tags) != 1 || tags[0].Target != tree || tags[0].Commit != "" {
		t.Errorf("tags %+v, %v", tags, err)
	}
	w.git("", "update-ref", "-d", "refs/tags/tree")
	if list, err := w.Announce(ctx, w.repo.ID, ada); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
	if tags, err := w.Tags(ctx, w.repo.ID); err != nil || len(tags) != 0 {
		t.Errorf("tags %+v, %v", tags, err)
	}
}

// Branches that are made at one commit in one push all tell of its paths, and the first of them alone of the commit.
func TestAnnounceManyBranchesAtOneCommit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := setup(t, dbtest.SQLite(t))
	first := w.commit("first", "a", "1")
	tree := w.git("", "rev-parse", string(first)+"^{tree}")
	second := w.git("second", "commit-tree", w.git("100644 blob "+w.git("x", "hash-object", "-w", "--stdin")+"\tb\n", "mktree"), "-p", string(first))
	third := w.git("third", "commit-tree", tree, "-p", second)
	for i := range 20 {
		w.git("", "update-ref", fmt.Sprintf("refs/heads/many/%02d", i), second)
		w.git("", "update-ref", fmt.Sprintf("refs/heads/same/%02d", i), string(first))
	}
	w.git("", "update-ref", "refs/heads/next", third)
	done, err := w.Announce(ctx, w.repo.ID, slipway.System)
	if err != nil || len(done) != 41 {
		t.Fatalf("%d events, %v", len(done), err)
	}
	for i, p := range done {
		commits, paths := 0, "a, b"
		switch {
		case i == 0:
			commits = 1
		case strings.HasPrefix(p.Ref, "refs/heads/same/"):
			paths = ""
		case p.Ref == "refs/heads/next":
			commits, paths = 1, ""
		}
		if got := strings.Join(p.Paths, ", "); len(p.Commits) != commits || got != paths || p.Before != "" || p.EventID == 0 {
			t.Errorf("%s: %d commits, paths %q; want %d, %q", p.Ref, len(p.Commits), got, commits, paths)
		}
	}
}
