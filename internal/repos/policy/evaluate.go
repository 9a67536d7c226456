package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is what a policy says of a pull request, in Azure DevOps' words.
type State string

// The states.
const (
	Queued        State = "queued"  // it waits for somebody or something that has not begun
	Running       State = "running" // what it waits for is under way
	Approved      State = "approved"
	Rejected      State = "rejected"
	NotApplicable State = "notApplicable"
	Broken        State = "broken" // it cannot be evaluated until somebody mends what Why names
)

// Holds says that the policy asks for nothing more.
func (s State) Holds() bool { return s == Approved || s == NotApplicable }

// Facts are what policies are evaluated on.
type Facts struct {
	Creator    string // ids of actors
	LastPusher string
	Iteration  int    // the last one
	Source     string // commits; the last two have changed when a branch moved
	Merge      string
	Paths      []string // that it changes
	AllPaths   bool     // Paths holds all of them
	Votes      []Vote
	Open       int      // threads that are not resolved
	WorkItems  int      // linked
	Builds     []Run    // of this policy, newest first
	Statuses   []Posted // newest first
	Owners     Owners
	Now        time.Time
}

// Vote is a reviewer's vote in Azure Repos' numbers.
type Vote struct {
	ID, Name  string
	Vote      int
	Iteration int // that it is of
}

// Run is a run that a policy asked for.
type Run struct {
	ID        int64
	Source    string // the commits that it is of
	Merge     string
	State     string // running, succeeded, failed
	Queued    time.Time
	Completed time.Time // zero while it runs
}

// Posted is a status.
type Posted struct {
	Name, Genre string
	State       string // in Azure Repos' words
	Description string
	Author      string // an actor's id
	AuthorName  string
	Pipeline    int64 // whose run posted it, by a job's token; 0 for people and other services
	OwnRun      bool  // that run is of the pull request's merge, or of its source commit
	Iteration   int   // 0 for one of the source commit itself
	Created     time.Time
}

// Owners are the owners of the files that a pull request changes.
type Owners struct {
	File   string // empty when the target has no CODEOWNERS
	Fault  string // why it cannot be read
	Groups []OwnedFiles
}

// OwnedFiles are changed files with the same owners.
type OwnedFiles struct {
	Line    int // of CODEOWNERS
	Owners  []Person
	Unknown []string // owners as written who are no members
	Paths   []string
}

// Person is somebody who may approve.
type Person struct{ ID, Name string }

// Result is what a policy says of a pull request.
type Result struct {
	State     State
	Why       string    // one sentence; empty when there is nothing to add
	Run       int64     // of a build
	Expired   bool      // of a build that succeeded
	Expires   time.Time // of a build that is valid for a while, as the target has moved; zero for one that is not
	Started   time.Time
	Completed time.Time // zero until it is approved or rejected
}

// Evaluate says what the policy says.
func (p Policy) Evaluate(f Facts) Result {
	if len(p.Settings.FilenamePatterns) > 0 && f.AllPaths && len(matching(p.Settings.FilenamePatterns, f.Paths)) == 0 {
		return Result{State: NotApplicable, Why: "it changes no file of " + strings.Join(p.Settings.FilenamePatterns, ", ")}
	}
	switch p.Kind {
	case MinimumReviewers:
		return p.reviewers(f)
	case RequiredReviewers:
		return p.required(f)
	case CodeOwners:
		return p.owners(f)
	case Build:
		return p.build(f)
	case Status:
		return p.status(f)
	case WorkItems:
		return says(f.WorkItems > 0, "link a work item: write AB# and its number into title or description")
	case Comments:
		if f.Open == 1 {
			return says(false, "one thread of the discussion is not resolved")
		}
		return says(f.Open == 0, "%d threads of the discussion are not resolved", f.Open)
	case MergeTypes:
		return Result{State: Approved, Why: "it may be completed by " + strings.Join(p.Settings.Strategies(), ", ")}
	}
	return Result{State: Broken, Why: fmt.Sprintf("there is no policy of the kind %q", p.Kind)}
}

func says(holds bool, why string, args ...any) Result {
	if holds {
		return Result{State: Approved}
	}
	return Result{State: Rejected, Why: fmt.Sprintf(why, args...)}
}

// mayApprove says whether a reviewer's approval counts.
func (p Policy) mayApprove(f Facts, id string) bool {
	return (p.Settings.CreatorVoteCounts || id != f.Creator) && (!p.Settings.BlockLastPusherVote || id != f.LastPusher)
}

func (p Policy) reviewers(f Facts) Result {
	approvals, onLast, rest := 0, false, ""
	for _, v := range f.Votes {
		switch {
		case v.Vote < 0 && !p.Settings.AllowDownvotes:
			word := "waits for the author"
			if v.Vote <= -10 {
				word = "has rejected it"
			}
			return Result{State: Rejected, Why: v.Name + " " + word}
		case v.Vote > 0 && p.mayApprove(f, v.ID):
			approvals++
			onLast = onLast || v.Iteration >= f.Iteration
		case v.Vote > 0:
			rest = fmt.Sprintf(", and %s's own does not count", v.Name)
		}
	}
	switch want := p.Settings.MinimumApproverCount; {
	case approvals < want:
		return Result{State: Queued, Why: fmt.Sprintf("%d of %d approvals are there%s", approvals, want, rest)}
	case p.Settings.RequireVoteOnLastIteration && !onLast:
		return Result{State: Queued, Why: "nobody has approved what was pushed last"}
	}
	return Result{State: Approved}
}

// required wants the reviewers whom the policy names, all of them or so many.
func (p Policy) required(f Facts) Result {
	want := p.Settings.RequiredReviewerIDs
	if !p.Settings.CreatorVoteCounts && len(want) > 1 { // others stand in for the one who asks
		want = slices.DeleteFunc(slices.Clone(want), func(id string) bool { return id == f.Creator })
	}
	need := len(want)
	if n := p.Settings.MinimumApproverCount; n > 0 {
		need = min(n, need)
	}
	approvals := 0
	for _, v := range f.Votes {
		switch {
		case !slices.Contains(want, v.ID):
		case v.Vote <= -10:
			return Result{State: Rejected, Why: v.Name + " has rejected it"}
		case v.Vote > 0 && p.mayApprove(f, v.ID):
			approvals++
		}
	}
	if approvals < need {
		return Result{State: Queued, Why: fmt.Sprintf("%d of %d approvals of the required reviewers are there", approvals, need)}
	}
	return Result{State: Approved}
}

func (p Policy) owners(f Facts) Result {
	switch {
	case f.Owners.Fault != "":
		return Result{State: Broken, Why: f.Owners.Fault}
	case !f.AllPaths:
		return Result{State: Broken, Why: "it changes more files than can be looked up in CODEOWNERS: split it"}
	case len(f.Owners.Groups) == 0:
		return Result{State: NotApplicable, Why: "nobody owns a file that it changes"}
	}
	for _, g := range f.Owners.Groups {
		if r := p.ownersOf(f, g); r.State != Approved {
			return r
		}
	}
	return Result{State: Approved}
}

func (p Policy) ownersOf(f Facts, g OwnedFiles) Result {
	of := g.Paths[0]
	if len(g.Paths) > 1 {
		of = fmt.Sprintf("%s and %d more files", of, len(g.Paths)-1)
	}
	var names []string
	for _, o := range g.Owners {
		if !p.mayApprove(f, o.ID) {
			continue
		}
		names = append(names, o.Name)
		for _, v := range f.Votes {
			if v.ID == o.ID && v.Vote > 0 {
				return Result{State: Approved}
			}
		}
	}
	switch {
	case len(names) > 0:
		return Result{State: Queued, Why: fmt.Sprintf("an owner of %s must approve: %s", of, strings.Join(names, " or "))}
	case len(g.Owners) > 0:
		return Result{State: Rejected, Why: fmt.Sprintf("only who asks owns %s: name another owner in line %d of %s", of, g.Line, f.Owners.File)}
	}
	return Result{State: Broken, Why: fmt.Sprintf("line %d of %s names no member of the project who could approve %s: %s", g.Line, f.Owners.File, of,
		strings.Join(g.Unknown, ", "))}
}

func (p Policy) build(f Facts) Result {
	i := slices.IndexFunc(f.Builds, func(b Run) bool { return b.Source == f.Source })
	if i < 0 {
		why := "the build has not been queued yet"
		if p.Settings.ManualQueueOnly {
			why = "queue the build"
		}
		return Result{State: Queued, Why: why}
	}
	b := f.Builds[i]
	r := Result{Run: b.ID, Started: b.Queued, Completed: b.Completed}
	outdated, expires := p.validity(f, b)
	if !outdated {
		r.Expires = expires
	}
	switch {
	case outdated:
		r.State, r.Expired, r.Why = Queued, true, fmt.Sprintf("run %d is of an older state of the target: queue the build again", b.ID)
	case b.State == "succeeded":
		r.State = Approved
	case b.State == "failed":
		r.State, r.Why = Rejected, fmt.Sprintf("run %d failed", b.ID)
	default:
		r.State, r.Why = Running, fmt.Sprintf("run %d is under way", b.ID)
	}
	return r
}

// validity says whether a build says nothing of the merge any more, though the source is what it was, and when that will be, zero for never.
// It is one of a build that failed too: with the target as it is now it may succeed.
func (p Policy) validity(f Facts, b Run) (outdated bool, expires time.Time) {
	switch {
	case b.Merge == f.Merge:
		return false, time.Time{}
	case !p.Settings.QueueOnSourceUpdateOnly:
		return true, time.Time{}
	case p.Settings.ValidDuration <= 0 || b.Completed.IsZero():
		return false, time.Time{}
	}
	expires = b.Completed.Add(time.Duration(p.Settings.ValidDuration * float64(time.Minute)))
	return !f.Now.Before(expires), expires
}

// counts says whether a status is of who may post it. One of a pipeline counts if its run is of the pull request itself: the token of a
// run says which it is, so that a run of something else says nothing here.
func (s Settings) counts(one Posted) bool {
	if pipeline, ok := s.AuthorPipeline(); ok {
		return one.Pipeline == pipeline && one.OwnRun
	}
	return s.AuthorID == "" || one.Pipeline == 0 && one.Author == s.AuthorID
}

func (p Policy) status(f Facts) Result {
	s, ignored := p.Settings, ""
	for _, one := range f.Statuses {
		if !strings.EqualFold(one.Name, s.StatusName) || !strings.EqualFold(one.Genre, s.StatusGenre) {
			continue
		}
		if !s.counts(one) {
			if ignored == "" {
				ignored = ", and what " + cmp.Or(one.AuthorName, one.Author) + " posted does not count"
			}
			continue
		}
		if s.InvalidateOnSourceUpdate && one.Iteration != 0 && one.Iteration != f.Iteration {
			continue
		}
		r := Result{Started: one.Created, Completed: one.Created, Why: one.Description}
		switch one.State {
		case "succeeded":
			r.State = Approved
		case "notApplicable":
			r.State = NotApplicable
		case "failed", "error":
			r.State = Rejected
		default: // pending, notSet
			r.State, r.Completed = Running, time.Time{}
		}
		return r
	}
	if s.PolicyApplicability == 1 {
		return Result{State: NotApplicable, Why: "no such status was posted"}
	}
	return Result{State: Queued, Why: "status " + s.statusName() + " has not been posted" + ignored}
}
