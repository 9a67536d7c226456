package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"slipway/internal/agent/testresult"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/variable"
)

const (
	// maxResultFile bounds one file of test results, in bytes.
	maxResultFile = 64 << 20
	// mergedFrom is the number of files above which they become one run whatever mergeTestResults says: MERGE_THRESHOLD of the task.
	mergedFrom = 100
)

// publishTestResults is the tasks PublishTestResults@1 and @2.
func (t *task) publishTestResults(in inputs) error {
	return t.publishResultsOf(in, newPatterns(in.m["testresultsfiles"]))
}

// publishResultsOf publishes what the files that the patterns choose tell.
func (t *task) publishResultsOf(in inputs, list patterns) error {
	folder := t.absolute(in.text("searchFolder"))
	if len(list) == 0 {
		list = patterns{"**/TEST-*.xml"}
	}
	found, err := find(folder, list)
	if err != nil {
		found = nil
	}
	if len(found) == 0 {
		if in.flag("failTaskOnMissingResultsFile", false) {
			return fmt.Errorf("no file of test results matches %s below %s", list, folder)
		}
		t.log.Printf("##[warning]No file of test results matches %s below %s.", list, folder)
		return nil
	}
	runs, err := t.readTests(in, found)
	if err != nil {
		t.log.Printf("##[error]%v", err)
		if in.flag("failTaskOnFailureToPublishResults", false) {
			return err
		}
	}
	failed := 0
	for _, run := range runs {
		for _, r := range run.Results {
			if r.Outcome == job.TestFailed {
				failed++
			}
		}
		if err := t.client.again(t.ctx, func() error { return t.client.call(t.ctx, "POST", "/tests", run, nil) }); err != nil {
			return fmt.Errorf("publish test results: %w", err)
		}
		t.log.Printf("Published %d test results as %s", len(run.Results), run.Title)
		t.attachTestFiles(run.Results)
	}
	if failed > 0 && in.flag("failTaskOnFailedTests", false) {
		return fmt.Errorf("%d tests failed", failed)
	}
	return nil
}

// readTests reads the files: one run for each, or one of all when they are merged. A file that cannot be read does not
// keep the others from being published.
func (t *task) readTests(in inputs, files []string) ([]job.TestRun, error) {
	var runs []job.TestRun
	var errs []error
	title := in.text("testRunTitle")
	format := testresult.Format(cmp.Or(in.text("testResultsFormat"), in.text("testRunner"), string(testresult.JUnit)))
	merge := in.flag("mergeTestResults", false) || len(files) > mergedFrom
	total := 0
	for i, path := range files {
		results, err := readTestFile(format, path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if total += len(results); total > job.MaxTestResults {
			errs = append(errs, fmt.Errorf("more than %d test results: the rest is left out", job.MaxTestResults))
			break
		}
		t.maskTests(results)
		if merge && len(runs) > 0 {
			runs[0].Results = append(runs[0].Results, results...)
			continue
		}
		name := title // the names are those of LegacyTestRunDataPublisher.cs in azure-pipelines-agent, but for a single file's
		switch {
		case name == "" && merge && len(files) > 1:
			name = fmt.Sprintf("%s_TestResults_%s", format, t.vars.Text(variable.BuildBuildID))
		case name == "":
			name = filepath.Base(path)
		case len(files) > 1 && !merge:
			name = fmt.Sprintf("%s_%d", title, i+1)
		}
		runs = append(runs, job.TestRun{Step: t.step.ID, Title: name, Results: results})
	}
	return runs, errors.Join(errs...)
}

func (t *task) maskTests(results []job.TestResult) {
	for i := range results {
		r := &results[i]
		r.Message, r.Detail = t.mask.Mask(r.Message), t.mask.Mask(r.Detail)
	}
}

func readTestFile(format testresult.Format, path string) ([]job.TestResult, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxResultFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxResultFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	results, err := testresult.Read(format, file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i := range results {
		results[i].Files = testFiles(path, results[i].Files)
	}
	return results, nil
}
