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
	runs, err := t.readTests(in, folder, found)
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
		if in.flag("publishRunAttachments", true) {
			t.attachRunFiles(run)
		}
	}
	if failed > 0 && in.flag("failTaskOnFailedTests", false) {
		return fmt.Errorf("%d tests failed", failed)
	}
	return nil
}

// readTests reads the files below the folder: one run for each, or one of all when they are merged. A file that cannot be read does not keep the others
// from being published.
func (t *task) readTests(in inputs, folder string, files []string) ([]job.TestRun, error) {
	var runs []job.TestRun
	var errs []error
	format := testresult.Format(cmp.Or(in.text("testResultsFormat"), in.text("testRunner"), string(testresult.JUnit)))
	merge := in.flag("mergeTestResults", false) || len(files) > mergedFrom
	names := runNames{format: format, title: t.mask.Mask(in.text("testRunTitle")), folder: folder, files: files, merged: merge, build: t.vars.Text(variable.BuildBuildID)}
	platform := t.mask.Mask(cmp.Or(in.text("buildPlatform"), in.text("platform")))
	configuration := t.mask.Mask(cmp.Or(in.text("buildConfiguration"), in.text("configuration")))
	total := 0
	for i, path := range files {
		run, err := readTestFile(format, path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if total += len(run.Results); total > job.MaxTestResults {
			errs = append(errs, fmt.Errorf("more than %d test results: the rest is left out", job.MaxTestResults))
			break
		}
		t.maskTests(run.Results)
		if merge && len(runs) > 0 {
			runs[0].Results, runs[0].Files = append(runs[0].Results, run.Results...), append(runs[0].Files, run.Files...)
			continue
		}
		run.Step, run.Title, run.Configuration = t.step.ID, t.tests.title(names.of(i)), configuration
		switch {
		case platform != "":
			run.Platform = platform
		case merge: // the other files may name others
			run.Platform = ""
		}
		runs = append(runs, run)
	}
	return runs, errors.Join(errs...)
}

// runNames are the names of the runs that files become: those of LegacyTestRunDataPublisher.cs in azure-pipelines-agent, but for one of a file without a
// title, which is the file's, and its path if another has the same name.
type runNames struct {
	format        testresult.Format
	title, folder string
	build         string // the number of Slipway's run
	files         []string
	merged        bool
}

func (n runNames) of(i int) string {
	switch {
	case n.title == "" && n.merged && len(n.files) > 1:
		return fmt.Sprintf("%s_TestResults_%s", n.format, n.build)
	case n.title != "" && !n.merged && len(n.files) > 1:
		return fmt.Sprintf("%s_%d", n.title, i+1)
	case n.title != "":
		return n.title
	}
	base := filepath.Base(n.files[i])
	for other, path := range n.files {
		if other != i && filepath.Base(path) == base {
			if below, err := filepath.Rel(n.folder, n.files[i]); err == nil {
				return filepath.ToSlash(below)
			}
		}
	}
	return base
}

func (t *task) maskTests(results []job.TestResult) {
	for i := range results {
		r := &results[i]
		r.Message, r.Detail = t.mask.Mask(r.Message), t.mask.Mask(r.Detail)
	}
}

// readTestFile reads one file of results, which is itself the last of the run's files.
func readTestFile(format testresult.Format, path string) (job.TestRun, error) {
	info, err := os.Stat(path)
	if err != nil {
		return job.TestRun{}, err
	}
	if info.Size() > maxResultFile {
		return job.TestRun{}, fmt.Errorf("%s has more than %d bytes", path, maxResultFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return job.TestRun{}, err
	}
	defer file.Close()
	run, err := testresult.Read(format, file)
	if err != nil {
		return job.TestRun{}, fmt.Errorf("%s: %w", path, err)
	}
	for i := range run.Results {
		run.Results[i].Files = testFiles(path, run.Results[i].Files)
	}
	run.Files = append(testFiles(path, run.Files), path)
	return run, nil
}
