package boards_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
)

const project = slipway.ProjectID("p")

var ada = slipway.Actor{Kind: slipway.ActorUser, ID: "ada", Name: "Ada"}

type world struct {
	*testing.T
	*boards.Service
	log *events.Log
}

func setup(t *testing.T, d *db.DB) world {
	t.Helper()
	ctx := context.Background()
	log, err := events.Open(ctx, d, clock.System{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s, err := boards.Open(ctx, d, log, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	return world{t, s, log}
}

func (w world) create(t boards.Type, title string) boards.Item {
	w.Helper()
	i, err := w.Create(context.Background(), ada, boards.NewItem{Project: project, Type: t, Title: title})
	if err != nil {
		w.Fatal(err)
	}
	return i
}

func (w world) state(id slipway.WorkItemID) boards.State {
	w.Helper()
	i, err := w.Get(context.Background(), id)
	if err != nil {
		w.Fatal(err)
	}
	return i.State
}

func wantCode(t *testing.T, what string, err error, want slipway.Code) {
	t.Helper()
	if got := slipway.CodeOf(err); got != want {
		t.Errorf("%s: %v, want code %q", what, err, want)
	}
}

// count is the number of events of a kind.
func (w world) count(kind events.Kind) int {
	w.Helper()
	list, err := w.log.List(context.Background(), events.Filter{Kind: kind})
	if err != nil {
		w.Fatal(err)
	}
	return len(list)
}

func TestItemsRememberEachRevision(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		feature := w.create(boards.Feature, "Checkout")
		i, err := w.Create(ctx, ada, boards.NewItem{Project: project, Type: boards.UserStory, Title: "  Pay by card ", Description: "as a *buyer*",
			Tags: []string{"pay", "", "Pay", " card "}, Parent: feature.ID, Assigned: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		if i.Title != "Pay by card" || i.State != boards.New || i.Priority != 2 || i.Revision != 1 || strings.Join(i.Tags, "+") != "pay+card" {
			t.Errorf("created %+v", i)
		}
		state, title := boards.Active, "Pay by credit card"
		i, err = w.Update(ctx, ada, i.ID, boards.Change{Revision: 1, State: &state, Title: &title})
		if err != nil || i.Revision != 2 {
			t.Fatalf("update: %+v, %v", i, err)
		}
		if same, err := w.Update(ctx, ada, i.ID, boards.Change{Title: &title}); err != nil || same.Revision != 2 {
			t.Errorf("a change of nothing: revision %d, %v", same.Revision, err)
		}
		_, err = w.Update(ctx, ada, i.ID, boards.Change{Revision: 1, Title: &title})
		wantCode(t, "update of what was changed meanwhile", err, slipway.CodeConflict)
		history, err := w.History(ctx, i.ID)
		if err != nil || len(history) != 2 || history[0].By != ada {
			t.Fatalf("history: %+v, %v", history, err)
		}
		want := []boards.FieldChange{{Field: "state", Old: "New", New: "Active"}, {Field: "title", Old: "Pay by card", New: "Pay by credit card"}}
		if diff := cmp.Diff(want, history[0].Changes); diff != "" {
			t.Error(diff)
		}
		got, err := w.List(ctx, boards.Filter{Project: project, Parent: feature.ID, Tag: "PAY", Text: "CREDIT c", Assigned: "ada", State: boards.Active, Type: boards.UserStory, IDs: []slipway.WorkItemID{i.ID, 99}})
		if err != nil || len(got) != 1 || cmp.Diff(i, got[0]) != "" {
			t.Errorf("found %+v, %v\n%s", got, err, cmp.Diff([]boards.Item{i}, got))
		}
		if none, err := w.List(ctx, boards.Filter{Text: "c%d"}); err != nil || len(none) != 0 {
			t.Errorf("a percent sign is a percent sign: %v, %v", none, err)
		}
		if w.count(boards.EventItemCreated) != 2 || w.count(boards.EventItemChanged) != 1 {
			t.Errorf("%d created, %d changed", w.count(boards.EventItemCreated), w.count(boards.EventItemChanged))
		}
	})
}

func TestWhatItemsMayBe(t *testing.T) {
	t.Parallel()
	w, ctx := setup(t, dbtest.SQLite(t)), context.Background()
	bug, task := w.create(boards.Bug, "b"), w.create(boards.Task, "t")
	bad := func(what string, id slipway.WorkItemID, c boards.Change) {
		t.Helper()
		if _, err := w.Update(ctx, ada, id, c); slipway.CodeOf(err) != slipway.CodeInvalid && slipway.CodeOf(err) != slipway.CodeLimit {
			t.Errorf("%s: %v", what, err)
		}
	}
	removed, resolved, done := boards.Removed, boards.Resolved, boards.State("Done")
	empty, long, lines := " ", strings.Repeat("x", 256), "a\nb"
	zero, five := 0, 5
	tags := []string{"a;b"}
	bad("a removed bug", bug.ID, boards.Change{State: &removed})
	bad("a resolved task", task.ID, boards.Change{State: &resolved})
	bad("an unknown state", task.ID, boards.Change{State: &done})
	bad("no title", task.ID, boards.Change{Title: &empty})
	bad("a long title", task.ID, boards.Change{Title: &long})
	bad("two lines", task.ID, boards.Change{Title: &lines})
	bad("priority 0", task.ID, boards.Change{Priority: &zero})
	bad("priority 5", task.ID, boards.Change{Priority: &five})
	bad("a tag with a semicolon", task.ID, boards.Change{Tags: &tags})
	bad("its own child", task.ID, boards.Change{Parent: &task.ID})
	if _, err := w.Update(ctx, ada, task.ID, boards.Change{Parent: &bug.ID}); err != nil {
		t.Fatal(err)
	}
	bad("a circle", bug.ID, boards.Change{Parent: &task.ID})
	other, err := w.Create(ctx, ada, boards.NewItem{Project: "other", Type: boards.Epic, Title: "e"})
	if err != nil {
		t.Fatal(err)
	}
	bad("a parent elsewhere", bug.ID, boards.Change{Parent: &other.ID})
	// A bug that becomes a task while it is resolved starts anew: tasks are never resolved.
	if _, err := w.Update(ctx, ada, bug.ID, boards.Change{State: &resolved}); err != nil {
		t.Fatal(err)
	}
	becomes := boards.Task
	if i, err := w.Update(ctx, ada, bug.ID, boards.Change{Type: &becomes}); err != nil || i.State != boards.New {
		t.Errorf("resolved bug as a task: %+v, %v", i, err)
	}
}

func TestConcurrentUpdatesDoNotOverwrite(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		i := w.create(boards.Bug, "b")
		var all sync.WaitGroup
		results := make([]error, 8)
		for n := range results {
			all.Go(func() {
				title := fmt.Sprint("title ", n)
				_, results[n] = w.Update(ctx, ada, i.ID, boards.Change{Revision: 1, Title: &title})
			})
		}
		all.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else {
				wantCode(t, "the losers", err, slipway.CodeConflict)
			}
		}
		if won != 1 {
			t.Errorf("%d updates of revision 1 won", won)
		}
	})
}

func TestBoard(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		a, b, c := w.create(boards.UserStory, "a"), w.create(boards.Bug, "b"), w.create(boards.UserStory, "c")
		w.create(boards.Task, "not on this board")
		board := func() string {
			t.Helper()
			columns, err := w.Board(ctx, project, boards.Stories)
			if err != nil {
				t.Fatal(err)
			}
			var list []string
			for _, column := range columns {
				titles := ""
				for _, i := range column.Items {
					titles += i.Title
				}
				list = append(list, string(column.State)+":"+titles)
			}
			return strings.Join(list, " ")
		}
		move := func(i boards.Item, to boards.State, before slipway.WorkItemID, want string) {
			t.Helper()
			if _, err := w.Move(ctx, ada, i.ID, to, before, 0); err != nil {
				t.Fatal(err)
			}
			if got := board(); got != want {
				t.Errorf("board %q, want %q", got, want)
			}
		}
		move(a, boards.New, 0, "New:bca Active: Resolved: Closed:")
		move(a, boards.New, c.ID, "New:bac Active: Resolved: Closed:")
		move(c, boards.Active, 0, "New:ba Active:c Resolved: Closed:")
		move(b, boards.Active, c.ID, "New:a Active:bc Resolved: Closed:")
		move(a, boards.Active, c.ID, "New: Active:bac Resolved: Closed:")
		for range 30 { // until the gap between neighbours is used up
			move(b, boards.Active, c.ID, "New: Active:abc Resolved: Closed:")
			move(a, boards.Active, c.ID, "New: Active:bac Resolved: Closed:")
		}
		_, err := w.Move(ctx, ada, a.ID, boards.New, c.ID, 0)
		wantCode(t, "before an item of another column", err, slipway.CodeConflict)
		_, err = w.Move(ctx, ada, a.ID, boards.Closed, 0, 1)
		wantCode(t, "move of an old revision", err, slipway.CodeConflict)
		_, err = w.Board(ctx, project, "sprints")
		wantCode(t, "unknown board", err, slipway.CodeNotFound)
	})
}

// The table of "Link to work items from GitHub" in Azure Boards' documentation, and what may not be mistaken.
func TestMentions(t *testing.T) {
	t.Parallel()
	f := func(text, want string) {
		t.Helper()
		var got []string
		for _, m := range boards.Mentions(text) {
			got = append(got, strings.TrimSpace(fmt.Sprint(m.Word, " ", m.ID)))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %q, want %q", text, strings.Join(got, ", "), want)
		}
	}
	f("Fixed AB#123", "fixed 123")
	f("Closed AB#123", "closed 123")
	f("Adds a new feature, fixes AB#123.", "fixes 123")
	f("Fixes AB#123, AB#124, and AB#126", "fixes 123, 124, 126")
	f("Fixes AB#123, Fixes AB#124, Fixes AB#125", "fixes 123, fixes 124, fixes 125")
	f("Fixing multiple bugs: issue #123 and user story AB#234", "234")
	f("resolves ab#7", "resolves 7")
	f("AB#1\nfixes AB#1", "fixes 1")
	f("(AB#1)[AB#2]AB#3 AB#4", "1, 2, 3, 4")
	f("CAB#1 AB#2x AB#3_ AB# 4 AB#0 AB#99999999999 http://x/AB#5 A-AB#6", "")
	f("AB#12AB#13", "")
	f("prefix AB#1, unfixed AB#2", "1, 2")
}

func TestMentionsLinkAndMove(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		bug, task, story := w.create(boards.Bug, "b"), w.create(boards.Task, "t"), w.create(boards.UserStory, "s")
		foreign, err := w.Create(ctx, ada, boards.NewItem{Project: "other", Type: boards.Bug, Title: "f"})
		if err != nil {
			t.Fatal(err)
		}
		m := boards.Mentioned{Project: project, By: ada, Link: boards.Link{To: slipway.Ref(slipway.RefCommit, "c1"), Title: "commit", URL: "/p/_git/r/commit/c1"},
			Text: fmt.Sprintf("fixes AB#%d, resolves AB#%d, AB#%d, fixes AB#%d, fixes AB#999", bug.ID, task.ID, story.ID, foreign.ID)}
		for range 2 {
			list, err := w.LinkMentions(ctx, m)
			if err != nil || len(list) != 3 {
				t.Fatalf("linked %v, %v", list, err)
			}
		}
		if w.state(bug.ID) != boards.New || w.count(boards.EventItemLinked) != 3 {
			t.Errorf("not final yet: bug %s, %d links", w.state(bug.ID), w.count(boards.EventItemLinked))
		}
		m.Final = true
		if _, err := w.LinkMentions(ctx, m); err != nil {
			t.Fatal(err)
		}
		if w.state(bug.ID) != boards.Resolved || w.state(task.ID) != boards.Closed || w.state(story.ID) != boards.New || w.state(foreign.ID) != boards.New {
			t.Errorf("bug %s, task %s, story %s, foreign %s", w.state(bug.ID), w.state(task.ID), w.state(story.ID), w.state(foreign.ID))
		}
		active := boards.Active
		if _, err := w.Update(ctx, ada, bug.ID, boards.Change{State: &active}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.LinkMentions(ctx, m); err != nil || w.state(bug.ID) != boards.Active {
			t.Errorf("told again after it was reopened: %s, %v", w.state(bug.ID), err)
		}
		found, err := w.List(ctx, boards.Filter{Reference: m.Link.To})
		if err != nil || len(found) != 3 {
			t.Errorf("items of the commit: %v, %v", found, err)
		}
		links, err := w.Links(ctx, story.ID)
		if err != nil || len(links) != 1 || links[0].URL != m.Link.URL || links[0].By != ada {
			t.Errorf("links: %+v, %v", links, err)
		}
		for _, url := range []string{"https://x", "//x", "javascript:x"} {
			_, err := w.Link(ctx, ada, story.ID, boards.Link{To: slipway.Ref(slipway.RefRun, 1), URL: url})
			wantCode(t, "link to "+url, err, slipway.CodeInvalid)
		}
	})
}

func TestDeploymentsMoveItemsOn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		story, task, closed, other := w.create(boards.UserStory, "s"), w.create(boards.Task, "t"), w.create(boards.Bug, "c"), w.create(boards.Bug, "o")
		commit := slipway.Ref(slipway.RefCommit, "c1")
		for _, i := range []boards.Item{story, task, closed} {
			if _, err := w.Link(ctx, ada, i.ID, boards.Link{To: commit}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Move(ctx, ada, closed.ID, boards.Closed, 0, 0); err != nil {
			t.Fatal(err)
		}
		ship := func(deployment int, production bool) {
			t.Helper()
			list, err := w.MoveOn(ctx, boards.Shipped{Project: project, By: slipway.System, Production: production,
				Deployment: boards.Link{To: slipway.Ref(slipway.RefDeployment, deployment), Title: "d"}, Because: []slipway.Reference{commit, commit}})
			if err != nil || len(list) != 3 {
				t.Fatalf("moved %v, %v", list, err)
			}
		}
		ship(1, false)
		if w.state(story.ID) != boards.New {
			t.Errorf("dev moved the story to %s", w.state(story.ID))
		}
		ship(2, true)
		if w.state(story.ID) != boards.Resolved || w.state(task.ID) != boards.Closed || w.state(closed.ID) != boards.Closed || w.state(other.ID) != boards.New {
			t.Errorf("after production: %s %s %s %s", w.state(story.ID), w.state(task.ID), w.state(closed.ID), w.state(other.ID))
		}
		if _, err := w.Move(ctx, ada, story.ID, boards.Active, 0, 0); err != nil {
			t.Fatal(err)
		}
		ship(2, true)
		if w.state(story.ID) != boards.Active {
			t.Error("the same deployment moved a reopened story again")
		}
		ship(3, true)
		if w.state(story.ID) != boards.Resolved {
			t.Error("another deployment did not move it")
		}
	})
}

func TestOneBugForOneAlert(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		evidence := func(alert int, text string) boards.Evidence {
			return boards.Evidence{Project: project, Key: "rule/1/deployment/2", Title: "Failed requests\nover 5 %", Text: text,
				Links: []boards.Link{{To: slipway.Ref(slipway.RefAlert, alert), Title: "alert"}}}
		}
		var all sync.WaitGroup
		ids := make([]slipway.WorkItemID, 6)
		for n := range ids {
			all.Go(func() {
				bug, _, err := w.OpenBug(ctx, slipway.System, evidence(1, "12 %"))
				if err != nil {
					t.Errorf("open: %v", err)
				}
				ids[n] = bug.ID
			})
		}
		all.Wait()
		if w.count(boards.EventItemCreated) != 1 || ids[0] != ids[5] {
			t.Fatalf("%d bugs: %v", w.count(boards.EventItemCreated), ids)
		}
		comments := func(want int) {
			t.Helper()
			if list, err := w.Comments(ctx, ids[0]); err != nil || len(list) != want {
				t.Errorf("comments %v, %v, want %d", list, err, want)
			}
		}
		comments(0)
		if _, err := w.Move(ctx, ada, ids[0], boards.Closed, 0, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.OpenBug(ctx, slipway.System, evidence(1, "12 %")); err != nil || w.state(ids[0]) != boards.Closed {
			t.Errorf("the same alert told again: %s, %v", w.state(ids[0]), err)
		}
		bug, isNew, err := w.OpenBug(ctx, slipway.System, evidence(2, "20 %"))
		if err != nil || isNew || bug.State != boards.Active || bug.Title != "Failed requests over 5 %" || bug.Priority != 1 {
			t.Errorf("the next alert: %+v, %v, %v", bug, isNew, err)
		}
		comments(1)
		for range 2 {
			if err := w.CommentBug(ctx, slipway.System, project, "rule/1/deployment/2", "alert 2 is over"); err != nil {
				t.Fatal(err)
			}
		}
		comments(2)
		if err := w.CommentBug(ctx, slipway.System, project, "rule/9/deployment/9", "no bug has this key"); err != nil {
			t.Errorf("an alert without a bug: %v", err)
		}
	})
}
