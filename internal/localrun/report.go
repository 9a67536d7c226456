package localrun

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/agent"
	"slipway/internal/pipelines/coverage"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
)

// Report is what became of a run.
type Report struct {
	File   string          `json:"file"`
	Number string          `json:"number"`
	Result schedule.Result `json:"result"`
	// Duration is in seconds, as are the others.
	Duration float64       `json:"duration"`
	Stages   []StageReport `json:"stages"`
	// Artifacts are the names of those that were published.
	Artifacts []string `json:"artifacts,omitempty"`

	door *door
}

// StageReport is what became of a stage.
type StageReport struct {
	Name   string          `json:"name"`
	Title  string          `json:"title,omitempty"`
	Result schedule.Result `json:"result"`
	Reason string          `json:"reason,omitempty"`
	Jobs   []JobReport     `json:"jobs,omitempty"`
}

// JobReport is what became of a job, a leg of it or a hook.
type JobReport struct {
	Name     string            `json:"name"`
	Title    string            `json:"title,omitempty"`
	Result   schedule.Result   `json:"result"`
	Reason   string            `json:"reason,omitempty"`
	Duration float64           `json:"duration"`
	Outputs  map[string]string `json:"outputs,omitempty"`
	Steps    []StepReport      `json:"steps,omitempty"`
	Tests    []TestReport      `json:"tests,omitempty"`
	// Coverage is that of all reports of the job together, nil without one.
	Coverage *CoverageReport `json:"coverage,omitempty"`
}

// CoverageReport counts the lines of code that tests ran.
type CoverageReport struct {
	Lines   int     `json:"lines"`
	Covered int     `json:"covered"`
	Percent float64 `json:"percent"`
}

// StepReport is what became of a step.
type StepReport struct {
	Number   int             `json:"number"`
	Name     string          `json:"name,omitempty"`
	Title    string          `json:"title"`
	Result   schedule.Result `json:"result"`
	Reason   string          `json:"reason,omitempty"`
	Duration float64         `json:"duration"`
	Issues   []job.Issue     `json:"issues,omitempty"`
}

// TestReport counts the results of one publication of tests.
type TestReport struct {
	Title   string   `json:"title"`
	Passed  int      `json:"passed"`
	Failed  int      `json:"failed"`
	Skipped int      `json:"skipped"`
	Failing []string `json:"failing,omitempty"`
}

func (e *execution) report() *Report {
	r := &Report{File: e.plan.File, Number: e.number, Result: e.facts.Result, Duration: time.Since(e.began).Seconds(), Artifacts: e.door.names(), door: e.door}
	for i := range e.plan.Stages {
		s := &e.plan.Stages[i]
		facts := e.facts.Stage(s)
		sr := StageReport{Name: s.Name, Title: s.DisplayName, Result: facts.Result, Reason: facts.Reason}
		for k := range s.Jobs {
			sr.Jobs = append(sr.Jobs, e.jobReports(s, &s.Jobs[k])...)
		}
		r.Stages = append(r.Stages, sr)
	}
	return r
}

// jobReports are those of a job's instances, or one of the whole job if none of them started.
func (e *execution) jobReports(s *plan.Stage, j *plan.Job) []JobReport {
	whole := plan.InstanceID(s.Name, j.Name, "")
	var list []JobReport
	for _, i := range plan.Instances(s, j, e.facts.Jobs[whole].Legs) {
		f, ok := e.facts.Jobs[i.ID]
		if !ok || f.State != schedule.Completed {
			continue
		}
		jr := JobReport{Name: title(i.ID), Title: i.Title(), Result: f.Result, Reason: f.Reason, Outputs: f.Outputs}
		if w := e.jobs[i.ID]; w != nil {
			w.report(&jr)
		}
		list = append(list, jr)
	}
	if f := e.facts.Jobs[whole]; len(list) == 0 && f.State == schedule.Completed {
		list = append(list, JobReport{Name: title(whole), Title: j.Title(), Result: f.Result, Reason: f.Reason})
	}
	return list
}

func (w *work) report(r *JobReport) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var first, last int64
	ids := slices.Sorted(maps.Keys(w.steps))
	slices.SortStableFunc(ids, func(a, b int) int {
		x, y := w.steps[a], w.steps[b]
		return cmp.Compare(x.Place(), y.Place())
	})
	for _, id := range ids {
		st := w.steps[id]
		if st.Started != 0 && (first == 0 || st.Started < first) {
			first = st.Started
		}
		last = max(last, st.Finished)
		if id == 0 {
			continue // the job's own start
		}
		r.Steps = append(r.Steps, StepReport{Number: id, Name: st.Name, Title: st.DisplayName, Result: st.Result, Reason: st.Reason,
			Duration: seconds(st.Started, st.Finished), Issues: st.Issues})
	}
	r.Duration = seconds(first, last)
	for _, tests := range w.tests {
		t := TestReport{Title: tests.Title}
		for _, one := range tests.Results {
			switch one.Outcome {
			case job.TestPassed:
				t.Passed++
			case job.TestSkipped:
				t.Skipped++
			default:
				t.Failed++
				t.Failing = append(t.Failing, strings.TrimPrefix(one.Suite+"."+one.Name, "."))
			}
		}
		r.Tests = append(r.Tests, t)
	}
	if len(w.covered) > 0 {
		var reports [][]coverage.File
		for _, c := range w.covered {
			reports = append(reports, c.Files)
		}
		sum := coverage.SumOf(coverage.Merge(reports...))
		r.Coverage = &CoverageReport{Lines: sum.Lines, Covered: sum.Covered, Percent: sum.Percent()}
	}
}

// seconds is the time between two times in microseconds.
func seconds(from, to int64) float64 {
	if from == 0 || to < from {
		return 0
	}
	return float64(to-from) / 1e6
}

// Succeeded says whether the run did, with or without issues.
func (r *Report) Succeeded() bool {
	return r.Result == schedule.Succeeded || r.Result == schedule.SucceededWithIssues || r.Result == schedule.Skipped
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, s := range r.Stages {
		indent := ""
		if len(r.Stages) > 1 || s.Name != plan.DefaultStage {
			fmt.Fprintf(&b, "%s\n", line(s.Result, "stage "+s.Name, 0, s.Reason))
			indent = "  "
		}
		for _, j := range s.Jobs {
			name := j.Title
			if name == "" {
				name = j.Name
			}
			fmt.Fprintf(&b, "%s%s\n", indent, line(j.Result, name, j.Duration, j.Reason))
			for _, st := range j.Steps {
				fmt.Fprintf(&b, "%s  %s\n", indent, line(st.Result, st.Title, st.Duration, st.Reason))
			}
			for _, t := range j.Tests {
				fmt.Fprintf(&b, "%s  tests %s: %d passed, %d failed, %d skipped\n", indent, oneLine(t.Title), t.Passed, t.Failed, t.Skipped)
				for _, name := range t.Failing[:min(len(t.Failing), 20)] {
					fmt.Fprintf(&b, "%s    failed: %s\n", indent, oneLine(name))
				}
			}
			if c := j.Coverage; c != nil {
				fmt.Fprintf(&b, "%s  coverage: %.1f %% of %d lines\n", indent, c.Percent, c.Lines)
			}
		}
	}
	if len(r.Artifacts) > 0 {
		fmt.Fprintf(&b, "artifacts: %s\n", strings.Join(r.Artifacts, ", "))
	}
	fmt.Fprintf(&b, "%s %s: %s in %.1f s\n", r.File, r.Number, words[r.Result], r.Duration)
	_, err := io.WriteString(w, b.String())
	return err
}

var (
	signs = map[schedule.Result]string{schedule.Succeeded: "✓", schedule.SucceededWithIssues: "!", schedule.Failed: "✗", schedule.Abandoned: "✗", schedule.Canceled: "⊘", schedule.Skipped: "–"}
	words = map[schedule.Result]string{schedule.Succeeded: "succeeded", schedule.SucceededWithIssues: "succeeded with issues", schedule.Failed: "failed",
		schedule.Abandoned: "failed", schedule.Canceled: "canceled", schedule.Skipped: "skipped"}
)

func line(result schedule.Result, name string, duration float64, reason string) string {
	text := signs[result] + " " + oneLine(name)
	if duration >= 0.05 {
		text += fmt.Sprintf("  %.1f s", duration)
	}
	if reason != "" {
		text += "  (" + oneLine(reason) + ")"
	}
	return text
}

// oneLine is a text of several lines in one: a display name may be a block of YAML, which has a line break at its end.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(r)
}

// WriteJUnit writes a suite for each job with a case for each step, in the format of JUnit's Ant task.
func (r *Report) WriteJUnit(w io.Writer) error {
	type message struct {
		Message string `xml:"message,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
	type testCase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Time    string   `xml:"time,attr"`
		Failure *message `xml:"failure,omitempty"`
		Skipped *message `xml:"skipped,omitempty"`
	}
	type suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"` // none: a step that does not run is skipped or has failed
		Skipped  int        `xml:"skipped,attr"`
		Time     string     `xml:"time,attr"`
		Cases    []testCase `xml:"testcase"`
	}
	type suites struct {
		XMLName xml.Name `xml:"testsuites"`
		Name    string   `xml:"name,attr"`
		Time    string   `xml:"time,attr"`
		Suites  []suite  `xml:"testsuite"`
	}
	all := suites{Name: r.File, Time: fmt.Sprintf("%.3f", r.Duration)}
	for _, st := range r.Stages {
		for _, j := range st.Jobs {
			s := suite{Name: cmp.Or(j.Name, j.Title), Time: fmt.Sprintf("%.3f", j.Duration)}
			steps := j.Steps
			if len(steps) == 0 { // nothing of it ran
				steps = []StepReport{{Title: j.Title, Result: j.Result, Reason: j.Reason}}
			}
			for _, step := range steps {
				c := testCase{Name: step.Title, Class: s.Name, Time: fmt.Sprintf("%.3f", step.Duration)}
				switch step.Result {
				case schedule.Succeeded, schedule.SucceededWithIssues:
				case schedule.Failed, schedule.Abandoned:
					s.Failures++
					c.Failure = &message{Message: step.Reason}
					for _, issue := range step.Issues {
						if issue.Kind == job.IssueError {
							c.Failure.Text += issue.Message + "\n"
						}
					}
				default:
					s.Skipped++
					c.Skipped = &message{Message: step.Reason}
				}
				s.Cases = append(s.Cases, c)
			}
			s.Tests = len(s.Cases)
			all.Suites = append(all.Suites, s)
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", "  ")
	if err := out.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// Unpack writes the artifacts into a folder, each into one of its own name.
func (r *Report) Unpack(folder string) error {
	for _, name := range r.Artifacts {
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\`) {
			return slipway.Invalid("artifact %q cannot be the name of a folder", name)
		}
		if err := r.unpack(name, filepath.Join(folder, name)); err != nil {
			return fmt.Errorf("unpack artifact %q: %w", name, err)
		}
	}
	return nil
}

func (r *Report) unpack(name, folder string) error {
	file, err := os.Open(r.door.file(name))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = agent.UnpackArtifact(file, folder)
	return err
}
