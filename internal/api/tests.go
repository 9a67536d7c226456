package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
)

func (b buildRoutes) addTestRoutes() {
	b.project("GET", "/test/runs", identity.Read, b.testRuns)
	b.project("GET", "/test/runs/{testrun}", identity.Read, b.testRun)
	b.project("GET", "/test/runs/{testrun}/results", identity.Read, b.testResults)
	b.project("GET", "/test/runs/{testrun}/attachments", identity.Read, b.testAttachments)
	b.project("GET", "/test/runs/{testrun}/attachments/{attachment}", identity.Read, b.testAttachment)
}

// buildURI is how Azure DevOps names a run outside of its own area.
const buildURI = "vstfs:///Build/Build/"

// TestRun is a publication of test results, as `GET test/runs` shows it.
type TestRun struct {
	ID          int64     `json:"id"`
	Name        string    `json:"name"`
	URL         string    `json:"url"`
	State       string    `json:"state"` // Completed
	IsAutomated bool      `json:"isAutomated"`
	Build       Reference `json:"build"`
	// BuildConfiguration says for what the tests were run.
	BuildConfiguration BuildConfiguration `json:"buildConfiguration"`
	TotalTests         int                `json:"totalTests"`
	PassedTests        int                `json:"passedTests"`
	FailedTests        int                `json:"failedTests"` // Slipway's own
	NotApplicable      int                `json:"notApplicableTests"`
	UnanalyzedTests    int                `json:"unanalyzedTests"` // those that failed
	CompletedDate      time.Time          `json:"completedDate"`
}

// BuildConfiguration is the run that test results are of, with the platform and the configuration that they were published for.
type BuildConfiguration struct {
	ID                int64     `json:"id"`
	Number            string    `json:"number"`
	URI               string    `json:"uri"`
	Flavor            string    `json:"flavor"`   // the configuration, as Release
	Platform          string    `json:"platform"` // as x64
	BuildDefinitionID int64     `json:"buildDefinitionId"`
	BranchName        string    `json:"branchName"`
	SourceVersion     string    `json:"sourceVersion"`
	Project           Reference `json:"project"`
}

// Reference leads to another thing.
type Reference struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	URL  string `json:"url,omitempty"`
}

// TestCaseResult is a test's result, as `GET test/runs/{id}/results` shows it.
type TestCaseResult struct {
	ID                   int       `json:"id"`
	TestCaseTitle        string    `json:"testCaseTitle"`
	AutomatedTestName    string    `json:"automatedTestName"`
	AutomatedTestStorage string    `json:"automatedTestStorage"` // the suite
	Outcome              string    `json:"outcome"`              // Passed, Failed, NotExecuted
	State                string    `json:"state"`                // Completed
	DurationInMs         float64   `json:"durationInMs"`
	ErrorMessage         string    `json:"errorMessage,omitempty"`
	StackTrace           string    `json:"stackTrace,omitempty"`
	TestRun              Reference `json:"testRun"`
	Build                Reference `json:"build"`
}

func (b buildRoutes) testRunOf(p identity.Project, t *pipelines.TestRun, run *pipelines.Run) TestRun {
	of := BuildConfiguration{ID: int64(run.ID), Number: run.Number, URI: buildURI + run.ID.String(), Flavor: t.Configuration, Platform: t.Platform, BuildDefinitionID: int64(run.Pipeline),
		BranchName: run.Ref, SourceVersion: string(run.Commit), Project: Reference{ID: string(p.ID), Name: p.Name}}
	return TestRun{ID: t.ID, Name: t.Title, State: "Completed", IsAutomated: true, Build: Reference{ID: run.ID.String(), Name: run.Number}, BuildConfiguration: of, TotalTests: t.Total, PassedTests: t.Passed, FailedTests: t.Failed,
		NotApplicable: t.Skipped, UnanalyzedTests: t.Failed, CompletedDate: t.Created, URL: fmt.Sprintf("%s/%s/_apis/test/Runs/%d", b.url, url.PathEscape(p.Name), t.ID)}
}

// testRuns lists the publications of the run that ?buildUri= (vstfs:///Build/Build/NUMBER) or ?buildIds= (parted by commas) names.
func (b buildRoutes) testRuns(w http.ResponseWriter, r request) error {
	ids := listed(r.URL.Query(), "buildIds")
	if uri := r.URL.Query().Get("buildUri"); uri != "" {
		ids = append(ids, strings.TrimPrefix(uri, buildURI))
	}
	if len(ids) == 0 || len(ids) > 100 {
		return slipway.Invalid("name the runs whose tests are wanted: ?buildUri=%sNUMBER, or ?buildIds= with up to 100 numbers", buildURI)
	}
	out := []TestRun{}
	for _, text := range ids {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return slipway.Invalid("%q is not the number of a run", text)
		}
		run, err := b.pipelines.Get(r.Context(), slipway.RunID(id))
		if err == nil && run.Project != r.project.ID {
			err = slipway.NotFound("there is no run %d", id)
		}
		if err != nil {
			return err
		}
		runs, err := b.pipelines.TestRuns(r.Context(), run.ID)
		if err != nil {
			return err
		}
		for i := range runs {
			out = append(out, b.testRunOf(r.project, &runs[i], &run))
		}
	}
	return list(w, out)
}

// foundTestRun is the publication of the path, which must be of the authorized project.
func (b buildRoutes) foundTestRun(r request) (pipelines.TestRun, pipelines.Run, error) {
	missing := slipway.NotFound("there is no test run %q", chi.URLParam(r.Request, "testrun"))
	id, err := strconv.ParseInt(chi.URLParam(r.Request, "testrun"), 10, 64)
	if err != nil {
		return pipelines.TestRun{}, pipelines.Run{}, missing
	}
	t, of, err := b.pipelines.TestRun(r.Context(), id)
	if err != nil {
		return t, pipelines.Run{}, err
	}
	run, err := b.pipelines.Get(r.Context(), of)
	if err == nil && run.Project != r.project.ID {
		err = missing
	}
	return t, run, err
}

func (b buildRoutes) testRun(w http.ResponseWriter, r request) error {
	t, run, err := b.foundTestRun(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.testRunOf(r.project, &t, &run))
	return nil
}

// outcomesOf are the words of Azure DevOps for what a test came to.
var outcomesOf = map[job.TestOutcome]string{job.TestPassed: "Passed", job.TestFailed: "Failed", job.TestSkipped: "NotExecuted"}

// testResults lists the results of a publication, of ?outcomes= alone, from ?$skip= on, up to ?$top= (1000).
func (b buildRoutes) testResults(w http.ResponseWriter, r request) error {
	t, run, err := b.foundTestRun(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	top, err := count(q, 1000, 1000, "$top")
	if err != nil {
		return err
	}
	skip, err := count(q, 0, job.MaxTestResults, "$skip")
	if err != nil {
		return err
	}
	var outcomes []job.TestOutcome
	for _, text := range listed(q, "outcomes") {
		before := len(outcomes)
		for outcome, word := range outcomesOf {
			if strings.EqualFold(word, text) {
				outcomes = append(outcomes, outcome)
			}
		}
		if len(outcomes) == before {
			return slipway.Invalid("outcomes %q: write Passed, Failed or NotExecuted", text)
		}
	}
	results, err := b.pipelines.NumberedTests(r.Context(), t.ID, outcomes, skip, top)
	if err != nil {
		return err
	}
	of := b.testRunOf(r.project, &t, &run)
	out := []TestCaseResult{}
	for _, one := range results {
		name := one.Name
		if one.Suite != "" {
			name = one.Suite + "." + name
		}
		out = append(out, TestCaseResult{ID: one.Number, TestCaseTitle: one.Name, AutomatedTestName: name, AutomatedTestStorage: one.Suite, Outcome: outcomesOf[one.Outcome], State: "Completed",
			DurationInMs: float64(one.Duration) / 1000, ErrorMessage: one.Message, StackTrace: one.Detail, TestRun: Reference{strconv.FormatInt(t.ID, 10), t.Title, of.URL}, Build: of.Build})
	}
	return list(w, out)
}
