package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/sync/errgroup"

	"slipway/internal/repos"
)

// compareURL is the page that compares two versions, as GBmain and GBtopic.
func (c codeView) compareURL(base, target string) string {
	return c.pageURL("branchCompare") + "?" + url.Values{"baseVersion": {plainVersion(base)}, "targetVersion": {plainVersion(target)}}.Encode()
}

// plainVersion is a version as people write it, which versionOf reads: main for GBmain. A tag is written in full, since a branch may have its name.
func plainVersion(version string) string {
	kind, name := version[:min(2, len(version))], version[min(2, len(version)):]
	switch {
	case kind == "GT":
		return "refs/tags/" + name
	case kind == "GB" && hasKind(name):
		return "refs/heads/" + name
	}
	return name
}

// hasKind says that a version is written as Azure Repos does, with what it is before its name.
func hasKind(version string) bool {
	return strings.HasPrefix(version, "GB") || strings.HasPrefix(version, "GT") || strings.HasPrefix(version, "GC")
}

type compareView struct {
	codeView
	Changes      changesView
	Choice       refChoice
	Base, Target codeView
	Direct       bool // the two themselves (two dots), else what the target has since it left the base (three dots)
	Counts       repos.AheadBehind
	Commits      []commitRow
	More         bool
	SwapURL      string
	PullURL      string // of the form for a pull request, empty where none can be
	Unrelated    bool   // they have no commit in common
	Late         bool   // there was no time for all of it
	WaitURL      string // of the same page with more time; empty when it had that
}

const (
	comparedCommits = 100
	// compareNow is how long the page waits for what is compared; what takes longer is brought by compareLater.
	compareNow   = 700 * time.Millisecond
	compareLater = time.Minute
)

// compareVersions is the page with what one version has and another has not. The address is that of Azure Repos, with mode=direct for the files themselves.
func (p codePages) compareVersions(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := p.open(r, v, "compare")
	if err != nil {
		return err
	}
	if c.Empty {
		return p.Render(w, r, v.Titled(c.Repo, "repos"), codeEmptyPage(c))
	}
	view := compareView{codeView: c, Base: c, Target: c, Direct: r.FormValue("mode") == "direct"}
	branches, err := p.repos.Branches(r.Context(), c.id)
	if err != nil {
		return err
	}
	tags, err := p.repos.Tags(r.Context(), c.id)
	if err != nil {
		return err
	}
	for _, side := range []struct {
		at   *codeView
		name string
	}{{&view.Base, "baseVersion"}, {&view.Target, "targetVersion"}} {
		side.at.Version, side.at.Branch = versionOf(r.FormValue(side.name), c.Default, branches, tags), ""
		if err := p.resolve(r.Context(), side.at); err != nil {
			return err
		}
	}
	if view.Choice, err = p.choice(r.Context(), c.id); err != nil {
		return err
	}
	query := url.Values{"baseVersion": {plainVersion(view.Base.Version)}, "targetVersion": {plainVersion(view.Target.Version)}}
	if view.Direct {
		query.Set("mode", "direct")
	}
	return p.sendCompared(w, r, &view, query)
}

// sendCompared answers with the page, with what comes later of it, or with one file.
func (p codePages) sendCompared(w http.ResponseWriter, r *http.Request, view *compareView, query url.Values) error {
	within := compareNow
	if r.FormValue("wait") != "" || r.FormValue("file") != "" {
		within = compareLater
	}
	limited, cancel := context.WithTimeout(r.Context(), within)
	defer cancel()
	part, err := p.fillCompare(w, r.WithContext(limited), view, query)
	view.SwapURL = view.compareURL(view.Target.Version, view.Base.Version)
	if err != nil && errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil {
		view.Late = true
		if within == compareNow {
			view.WaitURL = view.Changes.With("wait", "yes")
		}
		err = nil
	}
	if view.MayEdit && view.Base.Branch != "" && view.Target.Branch != "" && (view.Late || view.Counts.Ahead > 0) {
		view.PullURL = view.newPullURL(view.Target.Branch) + "&" + url.Values{"targetRef": {view.Base.Branch}}.Encode()
	}
	switch {
	case err != nil:
		return err
	case part != nil:
		return p.Fragment(w, r, part)
	case r.FormValue("wait") != "" && r.Header.Get("HX-Request") != "":
		return p.Fragment(w, r, comparedPart(*view))
	}
	return p.Render(w, r, view.Titled(view.Base.Shown+"..."+view.Target.Shown, "repos"), codeComparePage(*view))
}

// versionOf takes what people type for a version: a branch, tag or commit as it is, in this order, or GBmain. Nothing is the branch.
func versionOf(text, branch string, branches, tags []repos.Ref) string {
	text = strings.TrimSpace(text)
	named := func(r repos.Ref) bool { return r.Name == text || r.Full == text }
	switch {
	case text == "":
		return "GB" + branch
	case hasKind(text):
		return text
	}
	if i := slices.IndexFunc(branches, named); i >= 0 {
		return "GB" + branches[i].Name
	}
	if i := slices.IndexFunc(tags, named); i >= 0 {
		return "GT" + tags[i].Name
	}
	return "GC" + text // resolved as anything that names a commit
}

// fillCompare counts and lists the commits, beside comparing the files. When a click asks for one file alone, that part of the page comes back.
func (p codePages) fillCompare(w http.ResponseWriter, r *http.Request, view *compareView, query url.Values) (part templ.Component, err error) {
	view.Changes = changesView{Address: view.pageURL("branchCompare"), Query: query}
	g, ctx := errgroup.WithContext(r.Context())
	g.Go(func() (err error) {
		view.Changes, part, err = p.compareFiles(w, r.WithContext(ctx), view, query)
		return err
	})
	if r.Header.Get("HX-Request") == "" || r.FormValue("file") == "" {
		g.Go(func() (err error) {
			view.Counts, err = p.repos.AheadBehind(ctx, view.id, view.Base.Commit, view.Target.Commit)
			return err
		})
		g.Go(func() error { return p.listCompared(ctx, view) })
	}
	err = g.Wait()
	return part, err
}

// compareFiles compares the target's files with those of the base, or with those of the commit at which the two parted.
func (p codePages) compareFiles(w http.ResponseWriter, r *http.Request, view *compareView, query url.Values) (changesView, templ.Component, error) {
	from := view.Base.Commit
	if !view.Direct {
		common, err := p.repos.Parted(r.Context(), view.id, view.Base.Commit, view.Target.Commit)
		if err != nil {
			return view.Changes, nil, err
		}
		if view.Unrelated = common.IsZero(); !view.Unrelated {
			from = common
		}
	}
	return p.difference(w, r, view.codeView, compared{from, view.Target.Commit, view.pageURL("branchCompare"), query})
}

// listCompared lists the latest commits that the target has and the base has not.
func (p codePages) listCompared(ctx context.Context, view *compareView) error {
	found, err := p.repos.History(ctx, repos.HistoryRequest{Repository: view.id, Commit: view.Target.Commit, Not: view.Base.Commit, Limit: comparedCommits})
	if err != nil {
		return err
	}
	for _, e := range found.Entries {
		view.Commits = append(view.Commits, view.row(e.Commit))
	}
	view.More = found.More
	return nil
}

// codeLineURL is a line of a file.
func codeLineURL(c codeView, path string, line int) string {
	return c.With("", path, "line", strconv.Itoa(line)) + "#L" + strconv.Itoa(line)
}
