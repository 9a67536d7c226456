package lineage

import (
	"slices"
	"time"

	"slipway"
	"slipway/internal/events"
)

// Edge says that From led to To.
type Edge struct {
	From, To slipway.Reference
	Event    int64 // by which it is known
	Time     time.Time
}

// next is the way of a change round the loop: what each kind of thing leads to. Only these pairs are joined. Things
// that nearly everything shares, as projects, users, branches, pipelines and environments, are not in it.
var next = map[slipway.ReferenceKind][]slipway.ReferenceKind{
	slipway.RefWorkItem:    {slipway.RefCommit, slipway.RefPullRequest, slipway.RefRun, slipway.RefDeployment},
	slipway.RefPullRequest: {slipway.RefCommit, slipway.RefRun},
	slipway.RefCommit:      {slipway.RefRun, slipway.RefImage, slipway.RefDeployment},
	slipway.RefRun:         {slipway.RefImage, slipway.RefDeployment},
	slipway.RefImage:       {slipway.RefDeployment, slipway.RefPod},
	slipway.RefDeployment:  {slipway.RefPod, slipway.RefTrace, slipway.RefAlert},
	slipway.RefPod:         {slipway.RefTrace, slipway.RefAlert},
	slipway.RefTrace:       {slipway.RefAlert},
	slipway.RefAlert:       {slipway.RefWorkItem},
}

// kinds lists the kinds of the graph in the order of the loop.
var kinds = []slipway.ReferenceKind{slipway.RefWorkItem, slipway.RefPullRequest, slipway.RefCommit, slipway.RefRun, slipway.RefImage,
	slipway.RefDeployment, slipway.RefPod, slipway.RefTrace, slipway.RefAlert}

// previous is next the other way round.
func previous(k slipway.ReferenceKind) []slipway.ReferenceKind {
	var list []slipway.ReferenceKind
	for _, from := range kinds {
		if slices.Contains(next[from], k) {
			list = append(list, from)
		}
	}
	return list
}

// Knows reports whether things of the kind are in the graph.
func Knows(k slipway.ReferenceKind) bool { return slices.Contains(kinds, k) }

// Edges are the joins that an event tells of: its subject with each of its references, as far as the pair is one of
// the loop's. References are not joined with each other, since an event lists what it touched and not what led to
// what: the commits of one push have nothing to do with one another. The exception is a pod and the trace that was
// seen from it. An item's own link to a deployment is no join either: it may stand for "shipped by" as well as for
// "broken by"; the deployment's event and the item's commits say which.
func Edges(e events.Event) []Edge {
	var list []Edge
	add := func(a, b slipway.Reference) {
		edge, ok := join(a, b, e)
		if ok && !slices.ContainsFunc(list, func(o Edge) bool { return o.From == edge.From && o.To == edge.To }) {
			list = append(list, edge)
		}
	}
	for _, r := range e.References {
		if e.Subject.Kind != slipway.RefWorkItem || r.Kind != slipway.RefDeployment {
			add(e.Subject, r)
		}
	}
	for _, a := range e.References {
		for _, b := range e.References {
			if a.Kind == slipway.RefPod && b.Kind == slipway.RefTrace {
				add(a, b)
			}
		}
	}
	return list
}

// join directs the pair the way of the loop. An item that is linked to an alert was opened by it.
func join(a, b slipway.Reference, e events.Event) (Edge, bool) {
	if a.ID == "" || b.ID == "" {
		return Edge{}, false
	}
	switch {
	case slices.Contains(next[a.Kind], b.Kind):
		return Edge{a, b, e.ID, e.Time}, true
	case slices.Contains(next[b.Kind], a.Kind):
		return Edge{b, a, e.ID, e.Time}, true
	}
	return Edge{}, false
}
