package localrun_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// A build that publishes coverage succeeds without a server, and the report says what the reports come to together. The counts are those of the two files:
// three lines, of which two were run.
func TestCoverageIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
steps:
- task: PublishCodeCoverageResults@2
  inputs: {summaryFileLocation: one.xml, failIfCoverageEmpty: true}
- task: PublishCodeCoverageResults@1
  inputs: {codeCoverageTool: Cobertura, summaryFileLocation: two.xml}
`)
	const report = `<coverage line-rate="0.5" version="1"><packages><package name="p"><classes><class name="c" filename="%"><lines>*</lines></class></classes></package></packages></coverage>`
	file := func(name, lines string) string { return strings.NewReplacer("%", name, "*", lines).Replace(report) }
	w.write("one.xml", file("a.go", `<line number="1" hits="1"/><line number="2" hits="0"/>`))
	w.write("two.xml", file("b.go", `<line number="1" hits="3"/>`))
	w.write("a.go", "a\nb\n")
	w.write("b.go", "b\n")
	w.git("add", ".")
	r := w.run(context.Background())
	if !r.Succeeded() {
		t.Fatalf("the run ended as %s", r.Result)
	}
	var text, data bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "\n  coverage: 66.7 % of 3 lines\n") {
		t.Errorf("%v\n%s", err, &text)
	}
	var out struct {
		Stages []struct {
			Jobs []struct{ Coverage struct{ Lines, Covered int } }
		}
	}
	if err := r.WriteJSON(&data); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data.Bytes(), &out); err != nil || out.Stages[0].Jobs[0].Coverage != struct{ Lines, Covered int }{3, 2} {
		t.Errorf("%v\n%s", err, &data)
	}
}
