package repos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
)

// manyBranches is the input of git fast-import for main and n branches, each with a commit of its own on top of main's.
func manyBranches(n int) string {
	var b strings.Builder
	commit := func(ref, from string, i int) {
		fmt.Fprintf(&b, "commit %s\nmark :%d\ncommitter Ben <ben@example.org> %d +0000\ndata 1\nx\n%sM 644 inline file-%d\ndata 1\nx\n", ref, i+1, 1700000000+i, from, i)
	}
	commit("refs/heads/main", "", n)
	for i := range n {
		commit(fmt.Sprintf("refs/heads/topic-%04d", i), fmt.Sprintf("from :%d\n", n+1), i)
	}
	return b.String()
}

// together returns the events that tell of many refs, oldest first.
func (w *world) together() (list []PushedMany) {
	w.t.Helper()
	all, err := w.events.List(context.Background(), events.Filter{Kind: EventPushedMany})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Reverse(all)
	for _, e := range all {
		var m PushedMany
		if err := e.Decode(&m); err != nil {
			w.t.Fatal(err)
		}
		if len(e.Payload) > 64<<10 {
			w.t.Errorf("a payload of %d bytes", len(e.Payload))
		}
		list = append(list, m)
	}
	return list
}

// rowsAsGit are the rows of all refs, as git for-each-ref writes them.
func (w *world) rowsAsGit() string {
	w.t.Helper()
	list, err := w.refs(context.Background(), w.repo.ID, "refs/")
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, "%s %s\n", r.Target, r.Full)
	}
	return strings.TrimSpace(b.String())
}

// Of many refs at once each of the first hundred has an event, and all others are told by few; the rows are what git has after each step.
func TestAnnounceMany(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		const n = 700
		w.git(manyBranches(n), "fast-import", "--quiet")
		announce := func(names ...string) (alone []Pushed, many []PushedMany) {
			t.Helper()
			_, before := w.pushes()
			earlier := w.together()
			list, err := w.Announce(ctx, w.repo.ID, ada, names...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(w.git("", "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags"), w.rowsAsGit()); diff != "" {
				t.Errorf("rows (-git +rows):\n%s", diff)
			}
			_, alone = w.pushes()
			alone, many = alone[len(before):], w.together()[len(earlier):]
			told := len(alone)
			for _, m := range many {
				told += len(m.Updates)
			}
			if len(list) != told {
				t.Errorf("%d changes were returned, and %d told", len(list), told)
			}
			return alone, many
		}
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("refs/heads/topic-%04d", i))
		}
		alone, many := announce(append(slices.Clone(names), "refs/heads/main")...)
		if len(alone) != refsAlone || alone[0].Ref != "refs/heads/main" || len(many) != 2 {
			t.Errorf("%d events of one ref, %d of many", len(alone), len(many))
		}
		head := slipway.CommitID(w.git("", "rev-parse", names[n-1]))
		last := many[len(many)-1].Updates
		if diff := cmp.Diff(RefMoved{Ref: names[n-1], After: head}, last[len(last)-1]); diff != "" {
			t.Errorf("the last (-want +got):\n%s", diff)
		}

		main := slipway.CommitID(w.git("", "rev-parse", "main"))
		var moves strings.Builder
		for i, ref := range names {
			if i%2 == 0 {
				fmt.Fprintf(&moves, "update %s %s\n", ref, main)
			} else {
				fmt.Fprintf(&moves, "delete %s\n", ref)
			}
			fmt.Fprintf(&moves, "create refs/tags/%d %s\n", i, main)
		}
		w.git(moves.String(), "update-ref", "--stdin")
		alone, many = announce()
		counts := map[string]int{}
		for _, m := range many {
			for _, u := range m.Updates {
				switch {
				case u.Before.IsZero():
					counts["made"]++
				case u.After.IsZero():
					counts["deleted"]++
				default:
					counts["moved"]++
				}
			}
		}
		// The branches come first, and a hundred of them alone: 50 that moved and 50 that are gone.
		if diff := cmp.Diff(map[string]int{"made": n, "deleted": n/2 - 50, "moved": n/2 - 50}, counts); diff != "" || len(alone) != refsAlone {
			t.Errorf("%d alone; together (-want +got):\n%s", len(alone), diff)
		}
		gone, err := w.DeletedBranches(ctx, w.repo.ID)
		if err != nil || len(gone) != n/2 {
			t.Errorf("%d deleted branches, %v", len(gone), err)
		}
		if got := w.git("", "for-each-ref", "--format=x", keptPrefix); strings.Count(got, "x") != n/2 {
			t.Errorf("git keeps %d commits of deleted branches", strings.Count(got, "x"))
		}
		records, err := w.Pushes(ctx, w.repo.ID, 0, 1000)
		if err != nil || !slices.ContainsFunc(records, func(p PushRecord) bool { return p.Together && len(p.Updates) > 100 }) {
			t.Errorf("%d pushes, %v", len(records), err)
		}
	})
}

// A ref that another server announced meanwhile is noticed, and told once.
func TestMoveRowsOfAnother(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w := setup(t, d)
		first := w.commit("first", "a", "1")
		second := w.commit("second", "a", "2")
		at := func(name string, c slipway.CommitID) Ref {
			return Ref{Name: strings.TrimPrefix(name, branchPrefix), Full: name, Target: string(c), Commit: c}
		}
		const branch = "refs/heads/main"
		for what, c := range map[string]change{
			"made":    {after: at(branch, first)},
			"moved":   {before: at(branch, first), after: at(branch, first)},
			"deleted": {before: at(branch, first)},
		} {
			err := d.Tx(ctx, func(tx *db.Tx) error { return w.moveRows(ctx, tx, w.repo.ID, []change{c}, "{}") })
			if !errors.Is(err, errMoved) {
				t.Errorf("%s: %v, want %v", what, err, errMoved)
			}
		}
		if got := w.rowsAsGit(); got != string(second)+" "+branch {
			t.Errorf("rows: %s", got)
		}
	})
}
