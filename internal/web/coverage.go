package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/coverage"
	"slipway/internal/repos"
)

// coverageView is the code coverage of a run.
type coverageView struct {
	Sum     coverage.Sum
	Change  string // against Before, "" without one
	Better  bool
	Before  string // URL of the run that it is compared with
	All     string // URL of the page with every file
	Parts   []coverageRow
	More    int
	Heading string // of what the parts are
}

type coverageRow struct {
	Name, URL, Change string
	Sum               coverage.Sum
	Worse             bool
}

// packagesOnPage is how many packages the page of a run shows.
const packagesOnPage = 25

// coverageOf is what the page of a run shows, nil when nothing was published.
func (p pipelinesPages) coverageOf(ctx context.Context, v View, id slipway.RunID) (*coverageView, error) {
	run, err := p.pipelines.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := p.pipelines.Coverage(ctx, &run)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	view := &coverageView{Sum: c.Sum, All: fmt.Sprintf("%s?buildId=%d", v.URL("_build", "coverage"), id), Heading: "Package", More: max(len(c.Packages)-packagesOnPage, 0)}
	view.compare(v, c)
	for _, part := range c.Packages[:min(len(c.Packages), packagesOnPage)] {
		view.Parts = append(view.Parts, newCoverageRow(part, ""))
	}
	return view, nil
}

func (view *coverageView) compare(v View, c pipelines.Coverage) {
	if c.BeforeRun == 0 {
		return
	}
	change := c.Percent() - c.Before.Percent()
	view.Before, view.Change, view.Better = runURL(v, c.BeforeRun), fmt.Sprintf("%+.1f", change), change >= 0
}

func newCoverageRow(p pipelines.PartCoverage, link string) coverageRow {
	row := coverageRow{Name: p.Name, Sum: p.Sum, URL: link}
	if p.Before != nil {
		if change := p.Percent() - p.Before.Percent(); change != 0 {
			row.Change, row.Worse = fmt.Sprintf("%+.1f", change), change < 0
		}
	}
	return row
}

// share is a percentage with the counts that it is of.
func share(percent float64, part, whole int) string {
	if whole == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f %% (%d of %d)", percent, part, whole)
}

type coverageFileView struct {
	Run, RunTitle, All, Path string
	Sum                      coverage.Sum
	Source                   bool // Lines are those of the file, not only the ones that can be covered
	Lines                    []coverageLine
}

type coverageLine struct {
	Number                  int
	Hits, Text, Class, Note string
}

// coverage is the page of all files of a run, or with ?path= of the lines of one.
func (p pipelinesPages) coverage(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	all := fmt.Sprintf("%s?buildId=%d", v.URL("_build", "coverage"), t.Run.ID)
	title := t.Run.PipelineName + " " + t.Run.Number
	if path := r.URL.Query().Get("path"); path != "" {
		view := coverageFileView{Run: runURL(v, t.Run.ID), RunTitle: title, All: all, Path: path}
		if err := p.coveredLines(r.Context(), &t.Run, &view); err != nil {
			return err
		}
		return p.Render(w, r, v.Titled("Coverage of "+path, "pipelines"), coverageFilePage(view))
	}
	c, err := p.pipelines.Coverage(r.Context(), &t.Run)
	if err != nil {
		return err
	}
	files, err := p.pipelines.CoverageFiles(r.Context(), t.Run.ID, c.BeforeRun)
	if err != nil {
		return err
	}
	view := coverageView{Sum: c.Sum, Heading: "File"}
	view.compare(v, c)
	for _, f := range files {
		view.Parts = append(view.Parts, newCoverageRow(f, all+"&path="+url.QueryEscape(f.Name)))
	}
	return p.Render(w, r, v.Titled("Coverage of "+title, "pipelines"), coveragePage(view, runURL(v, t.Run.ID), title))
}

// coveredLines fills in the lines of a file: all of them with their text if the repository has it at the run's commit.
func (p pipelinesPages) coveredLines(ctx context.Context, run *pipelines.Run, view *coverageFileView) error {
	lines, err := p.pipelines.CoverageLines(ctx, run.ID, view.Path)
	if err != nil {
		return err
	}
	file := coverage.File{Lines: lines}
	view.Sum = file.Sum()
	known := map[int]coverage.Line{}
	for _, l := range lines {
		known[l.Number] = l
	}
	if p.repos != nil {
		if f, err := p.repos.File(ctx, run.Repository, run.Commit, view.Path, maxShown); err == nil && !f.Binary && !f.TooLarge {
			view.Source = true
			for i, text := range strings.Split(strings.TrimSuffix(string(f.Content), "\n"), "\n") {
				line := coverageLine{Number: i + 1, Text: text}
				if l, ok := known[i+1]; ok {
					line.judge(l)
				}
				view.Lines = append(view.Lines, line)
			}
			return nil
		}
	}
	for _, l := range lines {
		line := coverageLine{Number: l.Number}
		line.judge(l)
		view.Lines = append(view.Lines, line)
	}
	return nil
}

func (line *coverageLine) judge(l coverage.Line) {
	line.Hits, line.Class = fmt.Sprint(l.Hits), "covered"
	switch {
	case l.Hits == 0:
		line.Class = "uncovered"
	case l.Taken < l.Branches:
		line.Class = "partly"
	}
	if l.Branches > 0 {
		line.Note = fmt.Sprintf("%d of %d branches", l.Taken, l.Branches)
	}
}

// addLineCoverage marks the lines of a pull request's difference that its latest run with coverage says something about. The run is
// of the trial merge: a file counts only if it is the same there as in the source, so that its lines are.
func (p codePages) addLineCoverage(ctx context.Context, view *pullView) error {
	runs, err := p.runs.List(ctx, pipelines.RunFilter{Project: view.View.Project.ID, Ref: view.MergeRef(), Limit: 20})
	if err != nil {
		return err
	}
	for i := range runs {
		var sum coverage.Sum
		known := false
		covered, err := p.coveredFiles(ctx, runs[i].ID, len(view.Files.Files))
		if err != nil {
			return err
		}
		for k := range view.Files.Files {
			f := &view.Files.Files[k]
			if covered != nil && !covered[f.Path] {
				continue
			}
			lines, err := p.runs.CoverageLines(ctx, runs[i].ID, f.Path)
			if slipway.CodeOf(err) == slipway.CodeNotFound {
				continue
			}
			if err != nil {
				return err
			}
			same, err := p.sameFile(ctx, view.id, f.Path, runs[i].Commit, view.SourceCommit)
			if err != nil {
				return err
			}
			if same {
				known = true
				sum.Add(f.cover(lines))
			}
		}
		if known {
			view.Files.Coverage, view.Files.CoverageURL = share(sum.Percent(), sum.Covered, sum.Lines), runURL(view.View, runs[i].ID)
			return nil
		}
	}
	return nil
}

// coveredFiles are the files whose coverage a run knows; nil for any of few, which are asked for one by one.
func (p codePages) coveredFiles(ctx context.Context, run slipway.RunID, files int) (map[string]bool, error) {
	const few = 20
	if files <= few {
		return nil, nil
	}
	list, err := p.runs.CoverageFiles(ctx, run, 0)
	covered := map[string]bool{}
	for _, one := range list {
		covered[one.Name] = true
	}
	return covered, err
}

// sameFile reports whether a file is the same in a trial merge, which may be gone since another one took its place, and in
// the source.
func (p codePages) sameFile(ctx context.Context, id slipway.RepositoryID, path string, merge, source slipway.CommitID) (bool, error) {
	merged, err := p.repos.File(ctx, id, merge, path, maxShown)
	if err != nil || merged.TooLarge || merged.Binary {
		return false, ctx.Err()
	}
	f, err := p.repos.File(ctx, id, source, path, maxShown)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return false, nil
	}
	return err == nil && !f.TooLarge && !f.Binary && bytes.Equal(merged.Content, f.Content), err
}

// cover marks lines of the new side, and adds up those that were added.
func (f *changedFile) cover(lines []coverage.Line) coverage.Sum {
	known := map[int]coverage.Line{}
	for _, l := range lines {
		known[l.Number] = l
	}
	added := coverage.File{}
	f.cells(func(side repos.Side, c *changeCell) {
		l, ok := known[c.Number]
		if !ok || side != repos.Right {
			return
		}
		var judged coverageLine
		judged.judge(l)
		c.Covered, c.CoveredNote = judged.Class, strings.TrimSuffix(judged.Class+", "+judged.Note, ", ")
		if c.Class == "added" {
			added.Lines = append(added.Lines, l)
		}
	})
	for _, number := range f.added {
		if l, ok := known[number]; ok {
			added.Lines = append(added.Lines, l)
		}
	}
	return added.Sum()
}
