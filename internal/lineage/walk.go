package lineage

import (
	"context"
	"slices"
	"time"

	"slipway"
)

// Limits of a walk.
const (
	maxDepth   = 12  // steps from the start
	maxPerKind = 25  // neighbours of one kind that are followed from one thing, the latest first
	maxNodes   = 400 // found in each direction
)

// Direction says on which side of the start a thing lies.
type Direction string

// The directions.
const (
	Start  Direction = "start"
	Before Direction = "before" // it led to the start
	After  Direction = "after"  // the start led to it
)

// Node is a thing that the start is joined with.
type Node struct {
	slipway.Reference
	Direction Direction
	Path      []slipway.Reference // the shortest way from the start, both ends included
	Time      time.Time           // when the last step of the way was seen; zero for the start
}

// Graph is what is joined with one thing.
type Graph struct {
	Start     slipway.Reference
	Nodes     []Node // the start first, then in the order of the loop, the latest of a kind first
	Edges     []Edge // all known between the nodes that the walk has used
	Truncated bool   // there is more than was followed
}

// neighbours returns the edges from r to (or, backwards, into r from) things of the kind, the latest first, one more
// than limit when there are more.
type neighbours func(ctx context.Context, r slipway.Reference, kind slipway.ReferenceKind, backwards bool, limit int) ([]Edge, error)

// walk finds what the start led to and what led to it. It goes one way at a time and never turns round on the way:
// two items that went out with one deployment are both on that deployment's graph, but not on each other's. And it
// does not go through work items, for behind them begins another round of the loop.
func walk(ctx context.Context, start slipway.Reference, find neighbours) (Graph, error) {
	g := Graph{Start: start, Nodes: []Node{{Reference: start, Direction: Start, Path: []slipway.Reference{start}}}}
	for _, backwards := range []bool{false, true} {
		if err := g.follow(ctx, backwards, find); err != nil {
			return g, err
		}
	}
	slices.SortStableFunc(g.Nodes[1:], func(a, b Node) int {
		if c := slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind); c != 0 {
			return c
		}
		return b.Time.Compare(a.Time)
	})
	return g, nil
}

func (g *Graph) follow(ctx context.Context, backwards bool, find neighbours) error {
	direction, around := After, func(k slipway.ReferenceKind) []slipway.ReferenceKind { return next[k] }
	if backwards {
		direction, around = Before, previous
	}
	seen := map[slipway.Reference]bool{g.Start: true}
	found := 0
	for queue := []Node{g.Nodes[0]}; len(queue) > 0; queue = queue[1:] {
		node := queue[0]
		if node.Kind == slipway.RefWorkItem && node.Direction != Start {
			continue
		}
		if len(node.Path) > maxDepth {
			g.Truncated = true
			continue
		}
		for _, kind := range around(node.Kind) {
			edges, err := find(ctx, node.Reference, kind, backwards, maxPerKind)
			if err != nil {
				return err
			}
			if len(edges) > maxPerKind {
				edges, g.Truncated = edges[:maxPerKind], true
			}
			for _, e := range edges {
				to := e.To
				if backwards {
					to = e.From
				}
				if !seen[to] && found >= maxNodes {
					g.Truncated = true
					continue
				}
				g.Edges = append(g.Edges, e)
				if seen[to] {
					continue
				}
				seen[to] = true
				found++
				n := Node{Reference: to, Direction: direction, Path: append(slices.Clone(node.Path), to), Time: e.Time}
				queue = append(queue, n)
				if !slices.ContainsFunc(g.Nodes, func(o Node) bool { return o.Reference == to }) { // on both sides: the loop is a ring
					g.Nodes = append(g.Nodes, n)
				}
			}
		}
	}
	return nil
}

// Of lists the graph's nodes of one kind, the start included.
func (g Graph) Of(kind slipway.ReferenceKind) []Node {
	var list []Node
	for _, n := range g.Nodes {
		if n.Kind == kind {
			list = append(list, n)
		}
	}
	return list
}

// Kinds lists the kinds of things that the graph can hold, in the order of the loop.
func Kinds() []slipway.ReferenceKind { return slices.Clone(kinds) }
