package repos

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/repos/policy"
)

func TestDraftsAreSubmittedAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := newReviewWorld(t, d)
		ben, p := w.users["Ben"], w.pull(w.pr)
		first, err := w.StartThread(ctx, NewThread{PullRequest: p.ID, Text: "why?", Actor: ada})
		if err != nil {
			t.Fatal(err)
		}
		line := Place{Path: "a", Side: Right, Line: 1}
		for _, draft := range []struct {
			place  Place
			thread int64
		}{{line, 0}, {Place{}, first.ID}, {Place{Path: "a", Side: Left, Line: 1}, 0}} {
			if _, err := w.AddDraft(ctx, NewThread{PullRequest: p.ID, Place: draft.place, Text: "draft", Actor: ben}, draft.thread); err != nil {
				t.Fatal(err)
			}
		}
		iterations, err := w.Iterations(ctx, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		span, err := SpanOf(iterations, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		drafts, err := w.Drafts(ctx, ben, p, span)
		if err != nil || len(drafts) != 3 || drafts[0].Now != line || drafts[1].Thread != first.ID {
			t.Fatalf("drafts %+v, %v", drafts, err)
		}
		if others, err := w.Drafts(ctx, ada, p, span); err != nil || len(others) != 0 {
			t.Errorf("somebody else sees %+v, %v", others, err)
		}
		if err := w.DeleteDraft(ctx, ada, p.ID, drafts[2].ID); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteDraft(ctx, ben, p.ID, drafts[2].ID); err != nil {
			t.Fatal(err)
		}
		threads, err := w.Threads(ctx, p.ID)
		if err != nil || len(threads) != 1 || len(threads[0].Comments) != 1 {
			t.Fatalf("drafts are seen: %+v, %v", threads, err)
		}
		bad, wait := Vote(3), VoteWaitingForAuthor
		wantCode(t, "a vote that is none", w.SubmitReview(ctx, ben, p.ID, Review{Vote: &bad}), slipway.CodeInvalid)
		if err := w.SubmitReview(ctx, ben, p.ID, Review{Text: "Almost.", Vote: &wait}); err != nil {
			t.Fatal(err)
		}
		threads, err = w.Threads(ctx, p.ID)
		if err != nil || len(threads) != 3 || len(threads[0].Comments) != 2 || threads[1].Comments[0].Text != "Almost." || threads[2].Place != line {
			t.Fatalf("threads %+v, %v", threads, err)
		}
		reviewers, err := w.Reviewers(ctx, p.ID)
		if err != nil || len(reviewers) != 1 || reviewers[0].Vote != wait {
			t.Errorf("reviewers %+v, %v", reviewers, err)
		}
		wantCode(t, "nothing to submit", w.SubmitReview(ctx, ben, p.ID, Review{}), slipway.CodeInvalid)
		if err := w.Delete(ctx, w.repo.ID, ada); err != nil {
			t.Errorf("deleting the repository: %v", err)
		}
	})
}

func TestViewedAndVisits(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := diverged(t, d)
		p := w.open()
		object := w.git("", "rev-parse", "topic:both")
		for _, c := range []struct {
			path, object string
			viewed       bool
		}{{"both", "1111111111111111111111111111111111111111", true}, {"both", object, true}, {"gone", "", true}, {"only", object, true}, {"only", object, false}} {
			if err := w.SetViewed(ctx, "u1", p.ID, c.path, c.object, c.viewed); err != nil {
				t.Fatal(err)
			}
		}
		got, err := w.Viewed(ctx, "u1", p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"both": object, "gone": ""}, got); diff != "" {
			t.Errorf("viewed (-want +got):\n%s", diff)
		}
		wantCode(t, "no object", w.SetViewed(ctx, "u1", p.ID, "both", "x", true), slipway.CodeInvalid)
		for _, v := range []struct{ at, previous int }{{1, 0}, {1, 0}, {3, 1}, {3, 1}, {4, 3}} {
			if previous, err := w.Visit(ctx, "u1", p.ID, v.at); err != nil || previous != v.previous {
				t.Errorf("a visit at %d gives %d, %v; want %d", v.at, previous, err, v.previous)
			}
		}
	})
}

func TestIterationsAreCompared(t *testing.T) {
	t.Parallel()
	w := diverged(t, dbtest.SQLite(t))
	ctx := context.Background()
	p := w.open()
	thread, err := w.StartThread(ctx, NewThread{PullRequest: p.ID, Place: Place{Path: "both", Side: Right, Line: 21, End: 22}, Text: "these", Actor: ada})
	if err != nil {
		t.Fatal(err)
	}
	w.commitOn("topic", "topic three", "topic/new", "newer\n", "both", "zero\nfirst of topic\n"+strings.Repeat("between\n", 20)+"last\n")
	// The target comes to the source: what it brings is no change of the pull request.
	merge := w.git("", "commit-tree", "-p", "topic", "-p", "main", "-m", "merge", w.git("", "merge-tree", "--write-tree", "topic", "main"))
	w.branch("topic", slipway.CommitID(merge))
	p = w.pull(p.ID)
	all, err := w.Iterations(ctx, p.ID)
	if err != nil || len(all) != 3 {
		t.Fatalf("iterations %+v, %v", all, err)
	}
	for _, c := range []struct {
		from, to int
		want     string
	}{
		{0, 0, "both topic/new"},
		{1, 2, "both topic/new"},
		{1, 3, "both topic/new"}, // and not `only`, which main changed
		{2, 3, "both"},           // of whose last line main is the author
	} {
		span, err := SpanOf(all, c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		d, err := w.CompareSpan(ctx, p, span, DiffRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, f := range d.Files {
			paths = append(paths, f.Path())
		}
		if got := strings.Join(paths, " "); got != c.want {
			t.Errorf("from %d to %d changes %q, want %q", c.from, c.to, got, c.want)
		}
	}
	for _, c := range []struct{ from, to int }{{2, 2}, {3, 1}, {1, 9}, {9, 0}} {
		if _, err := SpanOf(all, c.from, c.to); err == nil {
			t.Errorf("%d to %d is compared", c.from, c.to)
		}
	}
	// The thread was about the last line, which main changed; in the iteration before it is one line further down.
	span, err := SpanOf(all, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	threads, err := w.ThreadsIn(ctx, p, span)
	if err != nil || threads[0].Outdated || threads[0].Now != (Place{"both", Right, 22, 23}) {
		t.Errorf("in iteration 2: %+v, %v", threads, err)
	}
	now, err := w.Thread(ctx, p.ID, thread.ID)
	if err != nil || !now.Outdated {
		t.Errorf("now: %+v, %v", now, err)
	}
	lines, err := w.ThreadContext(ctx, p, now)
	want := []ThreadLine{{18, "between", false}, {19, "between", false}, {20, "between", false}, {21, "between", true}, {22, "last", true}}
	if diff := cmp.Diff(want, lines); diff != "" || err != nil {
		t.Errorf("context (-want +got): %v\n%s", err, diff)
	}
	// A comment on what an earlier iteration had.
	early, err := w.StartThread(ctx, NewThread{PullRequest: p.ID, Place: Place{Path: "topic/new", Side: Right, Line: 1}, Commit: all[0].SourceCommit, Text: "x", Actor: ada})
	if err != nil || early.Commit != all[0].SourceCommit || !early.Outdated {
		t.Errorf("thread %+v, %v", early, err)
	}
	_, err = w.StartThread(ctx, NewThread{PullRequest: p.ID, Place: Place{Path: "both", Line: 1}, Commit: slipway.CommitID(strings.Repeat("1", 40)), Text: "x", Actor: ada})
	wantCode(t, "a comment on another commit", err, slipway.CodeConflict)
	// Iterations stay when the branch is pushed over and git tidies up.
	w.branch("topic", all[0].SourceCommit)
	w.git("", "reflog", "expire", "--expire=now", "--all")
	w.git("", "gc", "-q", "--prune=now")
	if _, err := w.Diff(ctx, w.repo.ID, all[1].SourceCommit, all[2].SourceCommit); err != nil {
		t.Errorf("earlier iterations are gone: %v", err)
	}
}

func TestWhiteSpaceIsIgnored(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	first := w.commit("one", "a", "x\n\ty\nz\n", "b", "1\n")
	second := w.commit("two", "a", "x\n  y\nz z\n", "b", "1 \n")
	count := func(req DiffRequest) (files, lines int) {
		t.Helper()
		req.From, req.To = first, second
		d, err := w.Compare(context.Background(), w.repo.ID, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range d.Files {
			if f.Additions+f.Deletions > 0 {
				files++
			}
			lines += f.Additions
		}
		return files, lines
	}
	if files, lines := count(DiffRequest{}); files != 2 || lines != 3 {
		t.Errorf("%d files, %d lines", files, lines)
	}
	if files, lines := count(DiffRequest{IgnoreSpace: true}); files != 1 || lines != 1 {
		t.Errorf("without white space: %d files, %d lines", files, lines)
	}
	if files, lines := count(DiffRequest{Path: "b"}); files != 1 || lines != 1 {
		t.Errorf("of one file: %d files, %d lines", files, lines)
	}
}

func TestCommentParts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]CommentPart{
		"plain": {{"plain", false}},
		"so:\n```suggestion\na\n\nb\n```\nor not":      {{"so:", false}, {"a\n\nb", true}, {"or not", false}},
		"```suggestion\r\n```":                         {{"", true}},
		"````suggestion\n```go\nx\n```\n````":          {{"```go\nx\n```", true}},
		"```\n```suggestion\n```":                      {{"```\n```suggestion\n```", false}},
		"```suggestion\nopen":                          {{"open", true}},
		"```suggestion\na\n```\n```suggestion\nb\n```": {{"a", true}, {"b", true}},
	} {
		if diff := cmp.Diff(want, CommentParts(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestSuggestionsAreApplied(t *testing.T) {
	t.Parallel()
	w := newReviewWorld(t, dbtest.SQLite(t))
	ctx := context.Background()
	w.push("Ben", "topic", "text", "one\r\ntwo\r\nthree\r\nfour")
	suggest := func(who string, first, last int, text string) Thread {
		t.Helper()
		thread, err := w.StartThread(ctx, NewThread{PullRequest: w.pr, Place: Place{Path: "text", Side: Right, Line: first, End: last},
			Text: "better:\n```suggestion\n" + text + "\n```", Actor: w.users[who]})
		if err != nil {
			t.Fatal(err)
		}
		return thread
	}
	apply := func(threads ...Thread) error {
		req := ApplyRequest{PullRequest: w.pr, Author: Signature{Name: "Ada", Email: "ada@example.org"}, Actor: w.users["Ada"]}
		for _, one := range threads {
			req.Suggestions = append(req.Suggestions, SuggestionRef{one.ID, 1, 0})
		}
		_, err := w.ApplySuggestions(ctx, req)
		w.follow()
		return err
	}
	pair, overlapping, last := suggest("Cleo", 1, 2, "1\n1.5\n2"), suggest("Ben", 2, 2, "zwei"), suggest("Ada", 4, 0, "4\n5")
	wantCode(t, "overlapping suggestions", apply(pair, overlapping), slipway.CodeConflict)
	if err := apply(pair, last); err != nil {
		t.Fatal(err)
	}
	if got := w.git("", "cat-file", "blob", "topic:text"); got != "1\r\n1.5\r\n2\r\nthree\r\n4\n5" {
		t.Errorf("the file is %q", got)
	}
	// git itself reads the trailers.
	if got := w.git("", "log", "-1", "--format=%an|%s|%(trailers:key=Co-authored-by,valueonly)", "topic"); got != "Ada|Apply 2 suggestions from review|Cleo <cleo@example.org>" {
		t.Errorf("the commit is %q", got)
	}
	for _, thread := range []Thread{pair, last} {
		if got, err := w.Thread(ctx, w.pr, thread.ID); err != nil || got.Status != ThreadFixed {
			t.Errorf("thread %d is %s, %v", thread.ID, got.Status, err)
		}
	}
	wantCode(t, "changed lines", apply(overlapping), slipway.CodeConflict)
	if err := apply(suggest("Ben", 1, 6, "")); err != nil { // an empty suggestion takes lines away
		t.Fatal(err)
	}
	if got := w.git("", "cat-file", "-s", "topic:text"); got != "0" {
		t.Errorf("the file has %s bytes", got)
	}
	left, err := w.StartThread(ctx, NewThread{PullRequest: w.pr, Place: Place{Path: "a", Side: Left, Line: 1}, Text: "```suggestion\nx\n```", Actor: ada})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a suggestion for the target", apply(left), slipway.CodeInvalid)
	wantCode(t, "no suggestion", apply(), slipway.CodeInvalid)
	p, err := w.CreatePolicy(ctx, ada, policy.Policy{Project: w.repo.Project, Kind: policy.Comments, Enabled: true, Blocking: true,
		Scope: policy.Scope{Repository: w.repo.ID, Match: policy.Exact, Ref: "refs/heads/topic"}})
	if err != nil {
		t.Fatal(err, p)
	}
	right, err := w.StartThread(ctx, NewThread{PullRequest: w.pr, Place: Place{Path: "a", Side: Right, Line: 1}, Text: "```suggestion\nx\n```", Actor: ada})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a protected source", apply(right), slipway.CodeConflict)
}
