package trigger

import "slipway/internal/pipelines/plan"

// Waiting is a push that `batch: true` holds back, with the trigger section of its own file.
type Waiting struct {
	Trigger plan.Push
	Event   Event
}

// Batch is what becomes of the pushes that wait for one branch.
type Batch int

// The outcomes of NextBatch.
const (
	BatchWaits  Batch = iota // for the run that is under way, or for a push
	BatchStarts              // one run, of the newest push
	BatchEnds                // without a run: no path in any of them is among those that trigger
)

// NextBatch decides what becomes of the pushes that wait for a branch, oldest first. A run of the branch that a push
// started holds them back while it is under way. Then the file of the newest decides, over the paths of all of them.
func NextBatch(underWay bool, waiting []Waiting) Batch {
	if underWay || len(waiting) == 0 {
		return BatchWaits
	}
	newest := waiting[len(waiting)-1]
	all := newest.Event
	all.Paths = nil
	for _, w := range waiting {
		all.Paths = append(all.Paths, w.Event.Paths...)
		all.PathsUnknown = all.PathsUnknown || w.Event.PathsUnknown
	}
	if starts, _ := Match(newest.Trigger, all); starts {
		return BatchStarts
	}
	return BatchEnds
}
