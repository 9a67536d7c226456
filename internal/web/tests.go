package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
)

// testRow is a publication of test results on the page of its run.
type testRow struct {
	Title, URL, For                string
	Total, Passed, Failed, Skipped int
	Took                           string
}

// testChanges are what the tests of a run came to beside those of the run before.
type testChanges struct {
	Baseline, BaselineURL string // "" without one
	New, Fixed, Flaky     []testLink
}

func (c testChanges) empty() bool { return len(c.New)+len(c.Fixed)+len(c.Flaky) == 0 }

type testLink struct{ Name, Suite, For, URL string }

func linkOfTest(v View, pipeline slipway.PipelineID, t pipelines.TestName) testLink {
	return testLink{t.Name, t.Suite, runFor(t.Platform, t.Configuration), testURL(v, pipeline, t)}
}

// runFor says for which platform and configuration tests were run, "" if nobody named them.
func runFor(platform, configuration string) string {
	if platform == "" || configuration == "" {
		return platform + configuration
	}
	return platform + " " + configuration
}

type testsView struct {
	Run, RunTitle, Title, For string
	Files                     []artifactFile
	Results                   []testResultRow
	Slowest                   []slowTest
}

type slowTest struct {
	testLink
	Took string
}

type testResultRow struct {
	Suite, Name, URL, State, Took, Message, Detail string
	New, Flaky                                     bool
}

// addTests adds the test results of a run to its page.
func (p pipelinesPages) addTests(ctx context.Context, v View, view *runView, run *pipelines.Run) error {
	list, err := p.pipelines.TestRuns(ctx, run.ID)
	if err != nil || len(list) == 0 {
		return err
	}
	for _, t := range list {
		view.Tests = append(view.Tests, testRow{Title: t.Title, For: runFor(t.Platform, t.Configuration), Total: t.Total, Passed: t.Passed, Failed: t.Failed, Skipped: t.Skipped, Took: Duration(t.Duration),
			URL: fmt.Sprintf("%s?buildId=%d&testRun=%d", v.URL("_build", "tests"), run.ID, t.ID)})
	}
	c, err := p.pipelines.CompareTests(ctx, run.ID)
	if err != nil {
		return err
	}
	if c.Baseline != 0 {
		before, err := p.pipelines.Get(ctx, c.Baseline)
		if err != nil {
			return err
		}
		view.TestChanges.Baseline, view.TestChanges.BaselineURL = before.Number, runURL(v, before.ID)
	}
	for _, part := range []struct {
		from []pipelines.TestName
		to   *[]testLink
	}{{c.New, &view.TestChanges.New}, {c.Fixed, &view.TestChanges.Fixed}, {c.Flaky, &view.TestChanges.Flaky}} {
		for _, t := range part.from {
			*part.to = append(*part.to, linkOfTest(v, run.Pipeline, t))
		}
	}
	return nil
}

// testURL is the page of a test's history.
func testURL(v View, pipeline slipway.PipelineID, t pipelines.TestName) string {
	q := url.Values{"definitionId": {pipeline.String()}, "suite": {t.Suite}, "name": {t.Name}}
	if t.Platform != "" {
		q.Set("platform", t.Platform)
	}
	if t.Configuration != "" {
		q.Set("configuration", t.Configuration)
	}
	return v.URL("_build", "test") + "?" + q.Encode()
}

const slowestOnPage = 10

func (p pipelinesPages) tests(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	published, err := p.foundTests(r, t.Run.ID)
	if err != nil {
		return err
	}
	view := testsView{Run: runURL(v, t.Run.ID), RunTitle: t.Run.PipelineName + " " + t.Run.Number, Title: published.Title, For: runFor(published.Platform, published.Configuration)}
	files, err := p.pipelines.TestAttachments(r.Context(), published.ID)
	if err != nil {
		return err
	}
	for _, f := range files {
		view.Files = append(view.Files, artifactFile{Path: f.Name, Size: f.Size,
			URL: fmt.Sprintf("%s/attachment?buildId=%d&testRun=%d&id=%d", v.URL("_build", "tests"), t.Run.ID, published.ID, f.ID)})
	}
	results, err := p.pipelines.TestResults(r.Context(), published.ID)
	if err != nil {
		return err
	}
	slowest, err := p.pipelines.SlowestTests(r.Context(), t.Run.ID, slowestOnPage)
	if err != nil {
		return err
	}
	changes, err := p.pipelines.CompareTests(r.Context(), t.Run.ID)
	if err != nil {
		return err
	}
	marks := func(names []pipelines.TestName) map[pipelines.TestName]bool {
		m := map[pipelines.TestName]bool{}
		for _, name := range names {
			m[name] = true
		}
		return m
	}
	fresh, flaky := marks(changes.New), marks(changes.Flaky)
	row := func(one job.TestResult) testResultRow {
		name := pipelines.TestName{Suite: one.Suite, Name: one.Name, Platform: published.Platform, Configuration: published.Configuration}
		return testResultRow{Suite: one.Suite, Name: one.Name, URL: testURL(v, t.Run.Pipeline, name), State: testState(one.Outcome), Message: one.Message,
			Detail: one.Detail, Took: Duration(time.Duration(one.Duration) * time.Microsecond), New: fresh[name], Flaky: flaky[name]}
	}
	for _, one := range results {
		view.Results = append(view.Results, row(one))
	}
	for _, one := range slowest {
		view.Slowest = append(view.Slowest, slowTest{linkOfTest(v, t.Run.Pipeline, one.TestName), Duration(one.Duration)})
	}
	return p.Render(w, r, v.Titled(view.Title, "pipelines"), testsPage(view))
}

// foundTests is the publication of the run that the query names.
func (p pipelinesPages) foundTests(r *http.Request, run slipway.RunID) (pipelines.TestRun, error) {
	id, _ := strconv.ParseInt(r.URL.Query().Get("testRun"), 10, 64)
	list, err := p.pipelines.TestRuns(r.Context(), run)
	if err != nil {
		return pipelines.TestRun{}, err
	}
	for _, one := range list {
		if one.ID == id {
			return one, nil
		}
	}
	return pipelines.TestRun{}, slipway.NotFound("this run has no such test results")
}

// testAttachment answers with a file of test results. Nothing in it is shown as a page of this server.
func (p pipelinesPages) testAttachment(w http.ResponseWriter, r *http.Request, v View) error {
	t, err := p.found(r, v)
	if err != nil {
		return err
	}
	published, err := p.foundTests(r, t.Run.ID)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(r.URL.Query().Get("id"), 10, 64)
	if err != nil {
		return slipway.Invalid("%q is no attachment's number", r.URL.Query().Get("id"))
	}
	a, content, err := p.pipelines.OpenTestAttachment(r.Context(), published.ID, id)
	if err != nil {
		return err
	}
	defer content.Close()
	sendAttachment(w, a.Name, a.Size, content)
	return nil
}

func testState(o job.TestOutcome) string {
	if o == job.TestPassed {
		return "succeeded"
	}
	return string(o)
}

type testHistoryView struct {
	Name, Suite, Pipeline string
	For                   string
	Others                []testLink // the test of this name for other platforms and configurations
	Counts                string     // how often it passed, failed and was skipped
	Outcomes              []testOutcomeRow
}

type testOutcomeRow struct {
	Run, URL, Branch, Commit, CommitURL, State, Took, Message string
	Attempt                                                   int
	When                                                      time.Time
}

// test shows what a test came to in the latest runs of its pipeline.
func (p pipelinesPages) test(w http.ResponseWriter, r *http.Request, v View) error {
	query := r.URL.Query()
	id, err := strconv.ParseInt(query.Get("definitionId"), 10, 64)
	if err != nil {
		return slipway.Invalid("%q is no pipeline's number", query.Get("definitionId"))
	}
	d, err := p.pipelines.Definition(r.Context(), slipway.PipelineID(id))
	if err == nil && d.Project != v.Project.ID {
		err = slipway.NotFound("there is no pipeline %d in this project", id)
	}
	if err != nil {
		return err
	}
	name := pipelines.TestName{Suite: query.Get("suite"), Name: query.Get("name"), Platform: query.Get("platform"), Configuration: query.Get("configuration")}
	list, err := p.pipelines.TestHistory(r.Context(), d.ID, name, query.Get("branchName"))
	if err != nil {
		return err
	}
	others, err := p.pipelines.TestConfigurations(r.Context(), d.ID, name)
	if err != nil {
		return err
	}
	if len(list)+len(others) == 0 {
		return slipway.NotFound("no run of pipeline %s has a test of this name", d.Name)
	}
	view := testHistoryView{Name: name.Name, Suite: name.Suite, Pipeline: d.Name, For: runFor(name.Platform, name.Configuration)}
	for _, other := range others {
		view.Others = append(view.Others, linkOfTest(v, d.ID, other))
	}
	counts := map[job.TestOutcome]int{}
	for _, o := range list {
		counts[o.Outcome]++
		view.Outcomes = append(view.Outcomes, testOutcomeRow{Run: o.Number, URL: runURL(v, o.Run), Branch: branchName(o.Ref), Commit: o.Commit.Short(),
			CommitURL: p.commitURL(r.Context(), v, d.Repository, o.Commit), State: testState(o.Outcome), Took: Duration(o.Duration), Message: o.Message, Attempt: o.Attempt, When: o.Finished})
	}
	view.Counts = fmt.Sprintf("%d passed, %d failed, %d skipped.", counts[job.TestPassed], counts[job.TestFailed], len(list)-counts[job.TestPassed]-counts[job.TestFailed])
	return p.Render(w, r, v.Titled(name.Name, "pipelines"), testHistoryPage(view))
}

// testOf says of which suite, for which platform and configuration, in which pipeline, a test is.
func testOf(view testHistoryView) string {
	text := "in the runs of " + view.Pipeline
	if view.For != "" {
		text = "for " + view.For + ", " + text
	}
	if view.Suite != "" {
		return view.Suite + ", " + text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// orUnnamed names the platform and configuration of tests that were published without.
func orUnnamed(runFor string) string {
	return cmp.Or(runFor, "no platform or configuration")
}

// firstLine is the first line of the first text that has one.
func firstLine(texts ...string) string {
	for _, text := range texts {
		if line, _, _ := strings.Cut(strings.TrimSpace(text), "\n"); line != "" {
			return line
		}
	}
	return "details"
}
