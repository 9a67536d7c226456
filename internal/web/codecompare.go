package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"slipway"
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
}

const comparedCommits = 100

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
	from, err := p.fillCompare(r, &view)
	if err != nil {
		return err
	}
	query := url.Values{"baseVersion": {plainVersion(view.Base.Version)}, "targetVersion": {plainVersion(view.Target.Version)}}
	if view.Direct {
		query.Set("mode", "direct")
	}
	var part templ.Component
	if view.Changes, part, err = p.difference(w, r, c, compared{from, view.Target.Commit, c.pageURL("branchCompare"), query}); err != nil {
		return err
	}
	if part != nil {
		return p.Fragment(w, r, part)
	}
	return p.Render(w, r, v.Titled(view.Base.Shown+"..."+view.Target.Shown, "repos"), codeComparePage(view))
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

// fillCompare counts and lists the commits, and says with which one the target's files are compared.
func (p codePages) fillCompare(r *http.Request, view *compareView) (from slipway.CommitID, err error) {
	ctx, base, target := r.Context(), view.Base.Commit, view.Target.Commit
	if view.Counts, err = p.repos.AheadBehind(ctx, view.id, base, target); err != nil {
		return "", err
	}
	found, err := p.repos.History(ctx, repos.HistoryRequest{Repository: view.id, Commit: target, Not: base, Limit: comparedCommits})
	if err != nil {
		return "", err
	}
	for _, e := range found.Entries {
		view.Commits = append(view.Commits, view.row(e.Commit))
	}
	view.More = found.More
	from = base
	if !view.Direct {
		common, err := p.repos.MergeBase(ctx, view.id, base, target)
		if err != nil {
			return "", err
		}
		if view.Unrelated = common.IsZero(); !view.Unrelated {
			from = common
		}
	}
	view.SwapURL = view.compareURL(view.Target.Version, view.Base.Version)
	if view.MayEdit && view.Base.Branch != "" && view.Target.Branch != "" && view.Counts.Ahead > 0 {
		view.PullURL = view.newPullURL(view.Target.Branch) + "&" + url.Values{"targetRef": {view.Base.Branch}}.Encode()
	}
	return from, nil
}

// codeLineURL is a line of a file.
func codeLineURL(c codeView, path string, line int) string {
	return c.With("", path, "line", strconv.Itoa(line)) + "#L" + strconv.Itoa(line)
}
