package repos

import (
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
)

func TestThreads(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := diverged(t, d)
		p := w.open()
		ben := slipway.Actor{Kind: slipway.ActorUser, ID: "u2", Name: "Ben"}
		start := func(at Place) Thread {
			t.Helper()
			thread, err := w.StartThread(ctx, NewThread{PullRequest: p.ID, Place: at, Text: "why?", Actor: ada})
			if err != nil {
				t.Fatal(err)
			}
			return thread
		}
		whole := start(Place{})
		last := start(Place{Path: "both", Side: Right, Line: 22})
		first := start(Place{Path: "/both", Line: 1})
		file := start(Place{Path: "topic/new"})
		left := start(Place{Path: "both", Side: Left, Line: 1})
		if whole.Status != ThreadActive || len(whole.Comments) != 1 || whole.Comments[0].Author != ada || whole.Comments[0].Number != 1 {
			t.Errorf("thread %+v", whole)
		}

		answer, err := w.AddComment(ctx, ben, p.ID, whole.ID, 1, "because")
		if err != nil || answer.Number != 2 || answer.Parent != 1 || answer.Author != ben {
			t.Errorf("answer %+v, %v", answer, err)
		}
		if err := w.EditComment(ctx, ada, p.ID, whole.ID, 2, "no"); slipway.CodeOf(err) != slipway.CodeForbidden {
			t.Errorf("another's comment is changed: %v", err)
		}
		if err := w.EditComment(ctx, ben, p.ID, whole.ID, 2, "because of hats"); err != nil {
			t.Fatal(err)
		}
		if err := w.EditComment(ctx, ada, p.ID, whole.ID, 1, ""); err != nil {
			t.Fatal(err)
		}
		if err := w.SetThreadStatus(ctx, ben, p.ID, whole.ID, ThreadFixed); err != nil {
			t.Fatal(err)
		}
		got, err := w.Thread(ctx, p.ID, whole.ID)
		if err != nil || got.Status != ThreadFixed || !got.Comments[0].Deleted || got.Comments[0].Text != "" || got.Comments[1].Text != "because of hats" || got.Comments[1].Edited.IsZero() {
			t.Errorf("thread %+v, %v", got, err)
		}

		// Two lines more above the last one; the first one is changed, and a file is renamed.
		lines := strings.Repeat("between\n", 20)
		w.commitOn("topic", "topic three", "both", "first again\nsecond\nthird\n"+lines+"last\n")
		renamed := []Change{{Path: "topic/new", Delete: true}, {Path: "topic/newer", Content: []byte("new\n")}}
		_, err = w.CommitFiles(ctx, CommitRequest{Repository: w.repo.ID, Branch: "topic", Changes: renamed, Message: "rename", Author: cleo, Actor: ada})
		if err != nil {
			t.Fatal(err)
		}
		w.follow()
		for _, c := range []struct {
			thread   Thread
			now      Place
			outdated bool
		}{
			{last, Place{"both", Right, 24, 0}, false},
			{first, Place{"both", Right, 1, 0}, true},
			{file, Place{"topic/newer", Right, 0, 0}, false},
			{left, Place{"both", Left, 1, 0}, false},
			{whole, Place{}, false},
		} {
			got, err := w.Thread(ctx, p.ID, c.thread.ID)
			if err != nil || got.Now != c.now || got.Outdated != c.outdated || got.Place != c.thread.Place {
				t.Errorf("thread about %+v is now at %+v, outdated %t, %v; want %+v, %t", c.thread.Place, got.Now, got.Outdated, err, c.now, c.outdated)
			}
		}
		if n := strings.Count(strings.Join(w.told(), " "), "commented"); n != 9 {
			t.Errorf("%d events of comments, want 9: %v", n, w.told())
		}
		if err := w.Delete(ctx, w.repo.ID, ada); err != nil {
			t.Errorf("deleting the repository: %v", err)
		}
	})
}

func TestThreadMistakes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := diverged(t, dbtest.SQLite(t))
	p := w.open()
	for says, n := range map[string]NewThread{
		"1 to 32768 bytes":  {Text: " \n"},
		"no file":           {Text: "x", Place: Place{Path: "nowhere", Line: 1}},
		"and no line 30":    {Text: "x", Place: Place{Path: "both", Line: 30}},
		"left or the right": {Text: "x", Place: Place{Path: "both", Side: "middle", Line: 3}},
		"no pull request":   {PullRequest: 9, Text: "x"},
	} {
		if n.PullRequest == 0 {
			n.PullRequest = p.ID
		}
		if _, err := w.StartThread(ctx, n); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
	if _, err := w.AddComment(ctx, ada, p.ID, 5, 0, "x"); slipway.CodeOf(err) != slipway.CodeNotFound {
		t.Errorf("a comment in no thread: %v", err)
	}
	if _, err := ParseThreadStatus("done"); slipway.CodeOf(err) != slipway.CodeInvalid {
		t.Errorf("an unknown state: %v", err)
	}
}
