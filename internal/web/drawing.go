package web

import (
	"fmt"

	"slipway"
	"slipway/internal/lineage"
)

// drawing is a lineage graph as an SVG: a column for each kind that it has, in the order of the loop.
type drawing struct {
	Width, Height int
	Columns       []drawnColumn
	Nodes         []drawnNode
	Lines         []string // paths
}

type drawnColumn struct {
	Title string
	X     int
}

type drawnNode struct {
	X, Y         int
	Label, Title string
	URL          string
	Start        bool
}

const (
	boxWidth   = 132
	boxHeight  = 30
	columnStep = 176
	rowStep    = 42
	headRoom   = 34
	drawnRows  = 12 // of a column; the list below the drawing has the rest
)

// draw places the nodes in their columns and joins them.
func draw(v View, g lineage.Graph, named map[slipway.Reference]thing) drawing {
	d := drawing{}
	at := map[slipway.Reference]drawnNode{}
	rows := 0
	for _, kind := range lineage.Kinds() {
		nodes := g.Of(kind)
		if len(nodes) == 0 {
			continue
		}
		x := 8 + len(d.Columns)*columnStep
		d.Columns = append(d.Columns, drawnColumn{Title: kindNames[kind][1], X: x})
		for i, n := range nodes[:min(len(nodes), drawnRows)] {
			t := named[n.Reference]
			node := drawnNode{X: x, Y: headRoom + i*rowStep, Label: shortened(t.Label, 18), Title: t.Label + " " + t.Detail, URL: traceURL(v, n.Reference), Start: n.Reference == g.Start}
			at[n.Reference] = node
			d.Nodes = append(d.Nodes, node)
			rows = max(rows, i+1)
		}
	}
	drawn := map[[2]slipway.Reference]bool{}
	for _, e := range g.Edges {
		from, there := at[e.From]
		to, here := at[e.To]
		if !there || !here || drawn[[2]slipway.Reference{e.From, e.To}] {
			continue
		}
		drawn[[2]slipway.Reference{e.From, e.To}] = true
		d.Lines = append(d.Lines, line(from, to))
	}
	d.Width, d.Height = 16+max(len(d.Columns)-1, 0)*columnStep+boxWidth, headRoom+rows*rowStep
	return d
}

// line is the path from one box's right edge to the other's left edge; backwards, from an alert to the item that it
// opened, it leaves on the left.
func line(a, b drawnNode) string {
	x1, x2, y1, y2 := a.X+boxWidth, b.X, a.Y+boxHeight/2, b.Y+boxHeight/2
	bend := 22
	if x2 < x1 {
		x1, x2, bend = a.X, b.X+boxWidth, -22
	}
	return fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)
}
