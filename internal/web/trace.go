package web

import (
	"fmt"
	"net/http"
	"net/url"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/identity"
	"slipway/internal/lineage"
)

type tracePages struct {
	*Server
	lineage *lineage.Service
	things  Things
}

// AddTrace serves the page on which one walks from any thing of the loop to all the others.
func (s *Server) AddTrace(l *lineage.Service, t Things) {
	p := tracePages{s, l, t}
	s.Project("GET", "/_trace", identity.Read, p.trace)
}

type traceView struct {
	Asked     string
	Start     thing
	Groups    []traceGroup
	Truncated bool
	Choices   []traceChoice // when what was asked for may be several things, or nothing was asked for
	Drawing   drawing
}

type traceGroup struct {
	Title  string
	Things []traceThing
}

type traceThing struct {
	thing
	TraceURL  string
	Direction lineage.Direction
	Way       string // the hops from the start, for the eye
}

type traceChoice struct {
	thing
	TraceURL string
}

func traceURL(v View, r slipway.Reference) string {
	return v.URL("_trace") + "?thing=" + url.QueryEscape(r.String())
}

func (p tracePages) trace(w http.ResponseWriter, r *http.Request, v View) error {
	view := traceView{Asked: r.URL.Query().Get("thing")}
	list, err := p.asked(r, v, view.Asked)
	if err != nil {
		return err
	}
	if view.Asked == "" || len(list) != 1 {
		for _, one := range list {
			view.Choices = append(view.Choices, traceChoice{p.things.describe(r.Context(), v, one), traceURL(v, one)})
		}
		return p.Render(w, r, v.Titled("Trace", "trace"), tracePage(v, view))
	}
	g, err := p.lineage.Trace(r.Context(), v.Project.ID, list[0])
	if err != nil {
		return err
	}
	view.Start, view.Truncated = p.things.describe(r.Context(), v, g.Start), g.Truncated
	named := map[slipway.Reference]thing{g.Start: view.Start}
	for _, kind := range lineage.Kinds() {
		group := traceGroup{Title: kindNames[kind][1]}
		for _, n := range g.Of(kind) {
			t, ok := named[n.Reference]
			if !ok {
				t = p.things.describe(r.Context(), v, n.Reference)
				named[n.Reference] = t
			}
			group.Things = append(group.Things, traceThing{thing: t, TraceURL: traceURL(v, n.Reference), Direction: n.Direction, Way: way(n, named)})
		}
		if len(group.Things) > 0 {
			view.Groups = append(view.Groups, group)
		}
	}
	view.Drawing = draw(v, g, named)
	return p.Render(w, r, v.Titled("Trace of "+view.Start.Label, "trace"), tracePage(v, view))
}

// asked reads what is to be traced; without a question it offers the latest work items.
func (p tracePages) asked(r *http.Request, v View, text string) ([]slipway.Reference, error) {
	if text != "" {
		return p.lineage.Resolve(r.Context(), v.Project.ID, text)
	}
	items, err := p.things.Boards.List(r.Context(), boards.Filter{Project: v.Project.ID, Limit: 10})
	if err != nil {
		return nil, err
	}
	list := []slipway.Reference{}
	for _, i := range items {
		list = append(list, slipway.Ref(slipway.RefWorkItem, i.ID))
	}
	return list, nil
}

// way writes the hops from the start to a node.
func way(n lineage.Node, named map[slipway.Reference]thing) string {
	if n.Direction == lineage.Start {
		return "what you asked for"
	}
	s := ""
	for i, r := range n.Path {
		if i > 0 {
			s += " → "
		}
		s += fmt.Sprintf("%s %s", kindNames[r.Kind][0], hopLabel(r, named))
	}
	return s
}

func hopLabel(r slipway.Reference, named map[slipway.Reference]thing) string {
	if t, ok := named[r]; ok {
		return shortened(t.Label, 30)
	}
	return shortened(r.ID, 30)
}
