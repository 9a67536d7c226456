package retention_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/retention"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	settings := retention.Settings{Runs: 30, PullRequestRuns: 10, Artifacts: 20, Recent: 2}
	runs := []retention.Run{
		{ID: 20},
		{ID: 19, Finished: ago(1), PullRequest: true, HasFiles: true},
		{ID: 18, Finished: ago(10), PullRequest: true},
		{ID: 17, Finished: ago(25), HasFiles: true},
		{ID: 16, Finished: ago(25)},
		{ID: 15, Finished: ago(40), Succeeded: true, DefaultBranch: true},
		{ID: 14, Finished: ago(41), DefaultBranch: true},
		{ID: 13, Finished: ago(42), Succeeded: true, DefaultBranch: true, HasFiles: true},
		{ID: 12, Finished: ago(43), Succeeded: true, DefaultBranch: true},
		{ID: 11, Finished: ago(44), Lease: "Ada"},
		{ID: 10, Finished: ago(45), TakenBy: 15},
		{ID: 9, Finished: ago(46), Succeeded: true, Schedule: 3},
		{ID: 8, Finished: ago(47), Succeeded: true, Schedule: 3},
		{ID: 7, Finished: ago(48), Succeeded: true, Schedule: 4},
	}
	var got []string
	for _, f := range retention.Decide(settings, now, runs) {
		got = append(got, f.Run.String()+" "+string(f.Action)+": "+f.Reason)
	}
	want := []string{
		"20 keep: it is not over",
		"19 keep: it ended 1 days ago, and is kept for 10",
		"18 delete: it ended 10 days ago, and is kept for 10",
		"17 purge: it ended 25 days ago, and artifacts are kept for 20",
		"16 keep: it ended 25 days ago, and is kept for 30",
		"15 keep: it is one of the 2 newest of the default branch that succeeded",
		"14 delete: it ended 41 days ago, and is kept for 30",
		"13 keep: it is one of the 2 newest of the default branch that succeeded",
		"12 delete: it ended 43 days ago, and is kept for 30",
		"11 keep: it is retained by Ada",
		"10 keep: run 15 takes artifacts from it",
		"9 keep: it is the last of its schedule that succeeded",
		"8 delete: it ended 47 days ago, and is kept for 30",
		"7 keep: it is the last of its schedule that succeeded",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := retention.Default.Check(); err != nil {
		t.Error(err)
	}
	s := retention.Default
	s.Recent = 51
	if err := s.Check(); err == nil || err.Error() != "recent runs to keep: 51 is not from 0 to 50" {
		t.Error(err)
	}
}
