package jobserver_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/coverage"
	"slipway/internal/pipelines/schedule"
)

// report is what coverage.py or JaCoCo wrote.
func report(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "pipelines", "coverage", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPublishCodeCoverage(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), context.Background()
	tl := w.completed(w.one(w.push(`
jobs:
- job: python
  steps:
  - task: PublishCodeCoverageResults@2
    displayName: publish
    inputs:
      summaryFileLocation: |
        reports/coverage*.xml
        !**/nothing.xml
- job: java
  steps:
  - task: PublishCodeCoverageResults@1
    displayName: publish
    inputs:
      summaryFileLocation: $(System.DefaultWorkingDirectory)/**/jacoco.xml
      reportDirectory: app/target/site
      additionalCodeCoverageFiles: '*.exec'
- job: none
  steps:
  - task: PublishCodeCoverageResults@2
    displayName: warn
    inputs: {summaryFileLocation: nothing.xml}
  - task: PublishCodeCoverageResults@2
    displayName: fail
    inputs: {summaryFileLocation: nothing.xml, failIfCoverageEmpty: true}
  - task: PublishCodeCoverageResults@2
    displayName: other
    condition: always()
    inputs: {summaryFileLocation: app/pom.xml}
`, "shop/price.py", "def price", "shop/stock.py", "class", "reports/coverage.xml", report(t, "coveragepy.xml"), "reports/coverage2.xml", report(t, "coveragepy-more.xml"),
		"app/src/main/java/com/example/Price.java", "class", "app/target/site/jacoco.xml", report(t, "jacoco.xml"), "app/target/a.exec", "x", "app/pom.xml", "<project/>")))
	run := tl.Run
	c, err := w.Coverage(ctx, &run)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.describe(tl))
	}
	// 17 of 19 lines of Python (coverage combine), 8 of 12 of Java (JaCoCo's counter).
	if diff := cmp.Diff(coverage.Sum{Lines: 31, Covered: 25, Branches: 16, Taken: 6}, c.Sum); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	files, err := w.CoverageFiles(ctx, run.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"app/src/main/java/com/example/Price.java", "shop/price.py", "shop/stock.py"}, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if j := w.job(tl, "__default.python"); j.Result != schedule.Succeeded || !strings.Contains(w.log(j, "publish"), "Published code coverage: 17 of 19 lines, 4 of 8 branches\n") {
		t.Errorf("python: %s\n%s", j.Result, w.log(j, "publish"))
	}
	for artifact, path := range map[string]string{"Code Coverage Report_" + run.ID.String(): "jacoco.xml", "Code Coverage Files_" + run.ID.String(): "app/target/a.exec"} {
		list, err := w.ArtifactFiles(ctx, run.ID, artifact)
		if err != nil || len(list) != 1 || list[0].Path != path {
			t.Errorf("%s: %+v, %v", artifact, list, err)
		}
	}
	none := w.job(tl, "__default.none")
	if none.Result != schedule.Failed {
		t.Errorf("none: %s", none.Result)
	}
	for step, want := range map[string]string{"warn": "##[warning]There is no code coverage to publish.\n", "fail": "##[error]There is no code coverage to publish.\n",
		"other": "pom.xml: it is no report of Cobertura or JaCoCo: its root is \"project\".\n"} {
		if log := w.log(none, step); !strings.Contains(log, want) {
			t.Errorf("%s has no %q:\n%s", step, want, log)
		}
	}
}
