package schedule

import (
	"cmp"
	"fmt"
	"time"

	"slipway"
)

// Limits say how many jobs run at once; 0 is no limit. Jobs without an agent do not count.
type Limits struct {
	// Jobs of the whole installation.
	Jobs int
	// ProjectJobs and RunJobs are those of one project and of one run.
	ProjectJobs, RunJobs int
	// Pools are those of one pool, by its name in lower case.
	Pools map[string]int
	// Projects are what projects set for themselves; of this and what the installation sets the lower one holds.
	Projects map[slipway.ProjectID]ProjectLimits
}

// ProjectLimits are what a project sets for itself; 0 is no limit.
type ProjectLimits struct{ Jobs, RunJobs int }

// Lane is the jobs of one run that want a machine of one pool, in the order in which they were queued.
type Lane struct {
	Project slipway.ProjectID
	Run     slipway.RunID
	Pool    string
	// Queued is when the first of the jobs was queued.
	Queued time.Time
	// Jobs are the first ones, as many as may start at once.
	Jobs []WaitingJob
}

// WaitingJob is a job that may run as soon as there is room.
type WaitingJob struct {
	ID     slipway.JobID
	Queued time.Time
}

// Busy counts the jobs that run.
type Busy struct {
	Total    int
	Projects map[slipway.ProjectID]int
	Runs     map[slipway.RunID]int
	Pools    map[string]int
}

// Add counts n jobs that run.
func (b *Busy) Add(project slipway.ProjectID, run slipway.RunID, pool string, n int) {
	if b.Projects == nil {
		b.Projects, b.Runs, b.Pools = map[slipway.ProjectID]int{}, map[slipway.RunID]int{}, map[string]int{}
	}
	b.Total += n
	b.Projects[project] += n
	b.Runs[run] += n
	b.Pools[pool] += n
}

// lower is the lower of two limits, of which 0 is none.
func lower(a, b int) int {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Full says in a few words which limit keeps one more job of the lane from starting; "" when none does.
func (l Limits) Full(b Busy, lane Lane) string {
	own := l.Projects[lane.Project]
	for _, limit := range []struct {
		most, now int
		what      string
	}{
		{l.Jobs, b.Total, "this installation runs %d jobs at once"},
		{l.Pools[lane.Pool], b.Pools[lane.Pool], "pool " + lane.Pool + " runs %d jobs at once"},
		{lower(l.ProjectJobs, own.Jobs), b.Projects[lane.Project], "the project runs %d jobs at once"},
		{lower(l.RunJobs, own.RunJobs), b.Runs[lane.Run], "a run runs %d jobs at once"},
	} {
		if limit.most > 0 && limit.now >= limit.most {
			return fmt.Sprintf(limit.what, limit.most)
		}
	}
	return ""
}

// Admit chooses the jobs that start now, in this order. Of the projects the one with the fewest jobs that run is next, so that
// none waits for the queue of another; in a project it is the job that was queued first and that no limit keeps from starting.
func Admit(lanes []Lane, busy Busy, l Limits) []slipway.JobID {
	var now Busy // a copy, which grows
	now.Add("", 0, "", 0)
	now.Total = busy.Total
	for k, n := range busy.Projects {
		now.Projects[k] = n
	}
	for k, n := range busy.Runs {
		now.Runs[k] = n
	}
	for k, n := range busy.Pools {
		now.Pools[k] = n
	}
	next := make([]int, len(lanes))
	var admitted []slipway.JobID
	for {
		best := -1
		for i, lane := range lanes {
			if next[i] == len(lane.Jobs) || l.Full(now, lane) != "" {
				continue
			}
			if best < 0 || comesBefore(now, lane, lane.Jobs[next[i]], lanes[best], lanes[best].Jobs[next[best]]) {
				best = i
			}
		}
		if best < 0 {
			return admitted
		}
		lane := lanes[best]
		admitted = append(admitted, lane.Jobs[next[best]].ID)
		next[best]++
		now.Add(lane.Project, lane.Run, lane.Pool, 1)
	}
}

func comesBefore(b Busy, lane Lane, job WaitingJob, than Lane, other WaitingJob) bool {
	return cmp.Or(cmp.Compare(b.Projects[lane.Project], b.Projects[than.Project]), job.Queued.Compare(other.Queued), cmp.Compare(job.ID, other.ID)) < 0
}
