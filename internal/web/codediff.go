package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/repos"
)

// compared is what a page compares: the page's own address, and the two commits.
type compared struct {
	from, to slipway.CommitID
	address  string
	query    url.Values
}

// difference compares two commits in the layout that the reader has chosen. When a click asks for one file alone, that part of the page comes back too.
func (p codePages) difference(w http.ResponseWriter, r *http.Request, c codeView, what compared) (changesView, templ.Component, error) {
	view := changesView{Address: what.address, Query: what.query}
	view.Sides, view.IgnoreSpace = p.chosenLayout(w, r)
	one, was := r.FormValue("file"), r.FormValue("was")
	around, _ := strconv.Atoi(r.FormValue("context"))
	around = min(max(around, 0), wholeContext)
	request := repos.DiffRequest{From: what.from, To: what.to, IgnoreSpace: view.IgnoreSpace}
	wide := request
	wide.Path, wide.Was, wide.Context = one, was, around
	fragment := r.Header.Get("HX-Request") != "" && one != ""
	if fragment {
		request = wide
	}
	d, err := p.repos.Compare(r.Context(), c.id, request)
	if err != nil {
		return view, nil, err
	}
	if !fragment && one != "" && around > 0 { // without JavaScript: the whole page with one file that is shown wider
		only, err := p.repos.Compare(r.Context(), c.id, wide)
		if err != nil {
			return view, nil, err
		}
		for i := range d.Files {
			if len(only.Files) == 1 && d.Files[i].Path() == only.Files[0].Path() {
				d.Files[i] = only.Files[0]
			}
		}
	}
	left, right := c, c
	left.Version, right.Version = "GC"+string(what.from), "GC"+string(what.to)
	view = newChanges(d, left, right, view, one, around, nil)
	if fragment {
		for _, f := range view.Files {
			if f.Path == one {
				return view, changedFilePart(view, f), nil
			}
		}
	}
	return view, nil, nil
}
