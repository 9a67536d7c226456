package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/repos"
)

// filesView is what the files of a pull request are looked at in.
type filesView struct {
	changesView
	All     []repos.Iteration
	Span    repos.Span
	Visited int // the newest iteration when the reader looked before; 0 when they never did, or nothing came since
	Voted   int // that their vote is of
	Pending int // comments that wait to be submitted
	Failed  []testLink
	RunURL  string // of the run whose tests failed
}

// SpanURL looks at what came between two iterations.
func (v filesView) SpanURL(from, to int) string {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	return v.With("from", number(from), "to", number(to))
}

// diffCookie keeps how somebody likes to look at differences.
const diffCookie = "slipway-diff"

// chosenLayout reads how a difference is shown, by the address or else as it was shown last, and keeps it.
func (p codePages) chosenLayout(w http.ResponseWriter, r *http.Request) (sides, ignoreSpace bool) {
	if c, err := r.Cookie(diffCookie); err == nil {
		sides, ignoreSpace = c.Value == "side" || c.Value == "side-space", c.Value == "space" || c.Value == "side-space"
	}
	view, space := r.FormValue("view"), r.FormValue("space")
	if view == "" && space == "" {
		return sides, ignoreSpace
	}
	if view != "" {
		sides = view == "side"
	}
	if space != "" {
		ignoreSpace = space == "ignore"
	}
	value := map[[2]bool]string{{false, false}: "inline", {true, false}: "side", {false, true}: "space", {true, true}: "side-space"}[[2]bool{sides, ignoreSpace}]
	http.SetCookie(w, &http.Cookie{Name: diffCookie, Value: value, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode})
	return sides, ignoreSpace
}

// pullFiles answers with the files of a pull request, or with the part of the page that a click asks for.
func (p codePages) pullFiles(w http.ResponseWriter, r *http.Request, view *pullView) (done bool, err error) {
	one, part := r.FormValue("file"), r.Header.Get("HX-Request") != ""
	if err := p.openSpan(w, r, view); err != nil {
		return false, err
	}
	if part && r.FormValue("line") != "" {
		asked := p.asked(r, view)
		if asked == nil {
			return false, slipway.Forbidden("only contributors comment")
		}
		return true, p.Fragment(w, r, changeNotesRow(view.Files.Sides, lineNotes{Ask: asked}, lineNotes{}))
	}
	if err := p.addPullFiles(r, view, one, part && one != ""); err != nil {
		return false, err
	}
	for i := range view.Files.Files {
		f := &view.Files.Files[i]
		if f.Path != one {
			continue
		}
		f.Asked = true
		if part {
			return true, p.Fragment(w, r, changedFilePart(view.Files.changesView, *f))
		}
	}
	return false, nil
}

// openSpan reads what is compared, and how it is shown.
func (p codePages) openSpan(w http.ResponseWriter, r *http.Request, view *pullView) error {
	files := &view.Files
	var err error
	if files.All, err = p.repos.Iterations(r.Context(), view.ID); err != nil {
		return err
	}
	from, _ := strconv.Atoi(r.FormValue("from"))
	to, _ := strconv.Atoi(r.FormValue("to"))
	if files.Span, err = repos.SpanOf(files.All, from, to); err != nil {
		return err
	}
	files.Address, files.Query = view.pullURL(view.ID), url.Values{"_a": {"files"}}
	for _, name := range []string{"from", "to"} {
		if value := r.FormValue(name); value != "" {
			files.Query.Set(name, value)
		}
	}
	files.Sides, files.IgnoreSpace = p.chosenLayout(w, r)
	files.MayMark = view.MayVote
	return nil
}

// addPullFiles compares, and puts everything known about the lines beside them. one is a file that is shown with the lines that the address asks for; with
// alone only that is looked at.
func (p codePages) addPullFiles(r *http.Request, view *pullView, one string, alone bool) error {
	ctx, files, was := r.Context(), &view.Files, r.FormValue("was")
	around, _ := strconv.Atoi(r.FormValue("context"))
	around = min(max(around, 0), wholeContext)
	req := repos.DiffRequest{IgnoreSpace: files.IgnoreSpace}
	if alone {
		req.Path, req.Was, req.Context = one, was, around
	}
	d, err := p.repos.CompareSpan(ctx, view.PullRequest, files.Span, req)
	if err != nil {
		return err
	}
	if !alone && one != "" && around > 0 { // without JavaScript: the whole page with one file that is shown wider
		if err := p.widen(ctx, view, &d, req, one, was, around); err != nil {
			return err
		}
	}
	notes, err := p.notes(r, view)
	if err != nil {
		return err
	}
	asked := p.asked(r, view)
	noted := map[string]bool{}
	for at := range notes {
		noted[at.Path] = true
	}
	if asked != nil {
		noted[asked.Path] = true
	}
	leftCommit, rightCommit := files.Span.Commits()
	left, right := view.codeView, view.codeView
	left.Version, right.Version = "GC"+string(leftCommit), "GC"+string(rightCommit)
	files.changesView = newChanges(d, left, right, files.changesView, one, around, noted)
	if files.Span.Latest(files.All) {
		if err := p.addLineCoverage(ctx, view); err != nil {
			return err
		}
		if !alone {
			if files.Failed, files.RunURL, err = p.failedTests(ctx, view); err != nil {
				return err
			}
		}
	}
	if err := p.addViewed(ctx, view, alone); err != nil {
		return err
	}
	view.addLineNotes(notes, asked)
	return nil
}

// widen puts a file with more lines around its changes in place of the one that is there.
func (p codePages) widen(ctx context.Context, view *pullView, d *repos.Diff, req repos.DiffRequest, one, was string, around int) error {
	req.Path, req.Was, req.Context = one, was, around
	wide, err := p.repos.CompareSpan(ctx, view.PullRequest, view.Files.Span, req)
	if err != nil {
		return err
	}
	for i := range d.Files {
		for _, f := range wide.Files {
			if d.Files[i].Path() == f.Path() {
				d.Files[i] = f
			}
		}
	}
	return nil
}

// addViewed marks the files that the reader has looked at, and says what came since they were here.
func (p codePages) addViewed(ctx context.Context, view *pullView, alone bool) error {
	if !view.SignedIn() {
		return nil
	}
	files, user := &view.Files, slipway.UserID(view.Caller.ID)
	viewed, err := p.repos.Viewed(ctx, user, view.ID)
	if err != nil {
		return err
	}
	for i := range files.Files {
		f := &files.Files[i]
		object, marked := viewed[f.Path]
		f.Viewed, f.Changed = marked && object == f.Object, marked && object != f.Object
		if f.Viewed {
			files.Viewed++
		}
	}
	if alone {
		return nil
	}
	newest := files.All[len(files.All)-1].Number
	if files.Visited, err = p.repos.Visit(ctx, user, view.ID, newest); err != nil {
		return err
	}
	reviewers, err := p.repos.Reviewers(ctx, view.ID)
	for _, one := range reviewers {
		if one.Actor.ID == view.Caller.ID && one.Iteration < newest {
			files.Voted = one.Iteration
		}
	}
	return err
}

// markViewed notes that the reader has looked at a file, or takes the mark away.
func (p codePages) markViewed(w http.ResponseWriter, r *http.Request, v View, c codeView, pull repos.PullRequest) error {
	if err := userCaller(v); err != nil {
		return err
	}
	path := r.FormValue("file")
	if err := p.repos.SetViewed(r.Context(), slipway.UserID(v.Caller.ID), pull.ID, path, r.FormValue("object"), r.FormValue("viewed") != ""); err != nil {
		return err
	}
	q := url.Values{"_a": {"files"}}
	for _, name := range []string{"from", "to"} {
		if value := r.FormValue(name); value != "" {
			q.Set(name, value)
		}
	}
	return p.Redirect(w, r, fmt.Sprintf("%s?%s#%s", c.pullURL(pull.ID), q.Encode(), fileID(path)))
}

// failedTests names the tests that fail in the latest run of the trial merge, and passed on the target before.
func (p codePages) failedTests(ctx context.Context, view *pullView) (failed []testLink, run string, err error) {
	runs, err := p.runs.List(ctx, pipelines.RunFilter{Project: view.View.Project.ID, Ref: view.MergeRef(), Limit: 20})
	if err != nil {
		return nil, "", err
	}
	for _, one := range runs { // newest first
		if one.State != pipelines.RunCompleted {
			continue
		}
		changes, err := p.runs.CompareTests(ctx, one.ID)
		if err != nil {
			return nil, "", err
		}
		for _, t := range changes.New[:min(len(changes.New), maxFailedTests)] {
			failed = append(failed, linkOfTest(view.View, one.Pipeline, t))
		}
		return failed, runURL(view.View, one.ID), nil
	}
	return nil, "", nil
}

const maxFailedTests = 50 // that a page names

// Applies says that a suggestion below some line can become a commit.
func (v filesView) Applies() bool {
	for i := range v.Files {
		found := applies(v.Files[i].Notes.Threads)
		v.Files[i].cells(func(_ repos.Side, c *changeCell) { found = found || applies(c.Notes.Threads) })
		if found {
			return true
		}
	}
	return false
}
