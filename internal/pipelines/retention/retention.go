// Package retention decides how long runs of pipelines are kept, and says why. It is pure.
//
// The settings are those of Azure DevOps' project settings: how many days runs, runs of pull requests and artifacts are kept, and
// how many of a pipeline's newest runs are kept whatever their age.
package retention

import (
	"fmt"
	"time"

	"slipway"
)

// Settings are a project's. Days count from the end of a run.
type Settings struct {
	Runs            int // days
	PullRequestRuns int // days
	Artifacts       int // days; never longer than the run
	Recent          int // newest runs of the default branch that succeeded, of each pipeline
}

// Default is what projects have that set nothing: Azure DevOps' own.
var Default = Settings{Runs: 30, PullRequestRuns: 10, Artifacts: 30, Recent: 3}

// Bounds are the least and the most of each setting.
type Bounds struct{ Min, Max int }

// The bounds of the settings.
var (
	RunsBounds            = Bounds{1, 3650}
	PullRequestRunsBounds = Bounds{1, 3650}
	ArtifactsBounds       = Bounds{1, 3650}
	RecentBounds          = Bounds{0, 50}
)

// Check says which setting is out of its bounds.
func (s Settings) Check() error {
	for _, one := range []struct {
		name   string
		value  int
		bounds Bounds
	}{
		{"days to keep runs", s.Runs, RunsBounds}, {"days to keep runs of pull requests", s.PullRequestRuns, PullRequestRunsBounds},
		{"days to keep artifacts", s.Artifacts, ArtifactsBounds}, {"recent runs to keep", s.Recent, RecentBounds},
	} {
		if one.value < one.bounds.Min || one.value > one.bounds.Max {
			return slipway.Invalid("%s: %d is not from %d to %d", one.name, one.value, one.bounds.Min, one.bounds.Max)
		}
	}
	return nil
}

// Run is what is known of a run of one pipeline.
type Run struct {
	ID            slipway.RunID
	Finished      time.Time // zero while it is under way
	Succeeded     bool
	PullRequest   bool
	DefaultBranch bool
	Schedule      int64         // that started it, 0 for none
	Lease         string        // the owner of one that holds, "" for none
	TakenBy       slipway.RunID // a run that takes artifacts from it, 0 for none
	HasFiles      bool          // artifacts or attachments
}

// Action is what becomes of a run.
type Action string

// The actions.
const (
	Keep   Action = "keep"
	Purge  Action = "purge" // its artifacts and attachments go
	Delete Action = "delete"
)

// Fate is what becomes of a run, and why.
type Fate struct {
	Run    slipway.RunID
	Action Action
	Reason string
}

// Decide gives the fate of each run of a pipeline; runs are all of its runs, newest first.
func Decide(s Settings, now time.Time, runs []Run) []Fate {
	recent, scheduled := 0, map[int64]bool{}
	out := make([]Fate, 0, len(runs))
	for i := range runs {
		r := &runs[i]
		held := ""
		if r.Succeeded && r.DefaultBranch && !r.PullRequest {
			if recent++; recent <= s.Recent {
				held = fmt.Sprintf("it is one of the %d newest of the default branch that succeeded", s.Recent)
			}
		}
		if r.Succeeded && r.Schedule != 0 && !scheduled[r.Schedule] {
			scheduled[r.Schedule] = true
			held = "it is the last of its schedule that succeeded"
		}
		out = append(out, decide(&s, now, r, held))
	}
	return out
}

func decide(s *Settings, now time.Time, r *Run, held string) Fate {
	f := Fate{Run: r.ID, Action: Keep, Reason: held}
	days := s.Runs
	if r.PullRequest {
		days = s.PullRequestRuns
	}
	age := int(now.Sub(r.Finished) / (24 * time.Hour))
	switch {
	case r.Finished.IsZero():
		f.Reason = "it is not over"
	case r.Lease != "":
		f.Reason = "it is retained by " + r.Lease
	case r.TakenBy != 0:
		f.Reason = fmt.Sprintf("run %d takes artifacts from it", r.TakenBy)
	case held != "":
	case age >= days:
		f.Action, f.Reason = Delete, fmt.Sprintf("it ended %d days ago, and is kept for %d", age, days)
	case age >= s.Artifacts && r.HasFiles:
		f.Action, f.Reason = Purge, fmt.Sprintf("it ended %d days ago, and artifacts are kept for %d", age, s.Artifacts)
	default:
		f.Reason = fmt.Sprintf("it ended %d days ago, and is kept for %d", age, days)
	}
	return f
}
