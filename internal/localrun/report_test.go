package localrun_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// A display name may be a block of YAML, whose line breaks do not break the summary.
func TestSummaryOfNamesWithLineBreaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
steps:
- checkout: none
- bash: exit 0
  displayName: |
    Build
    and test
`)
	r := w.run(context.Background())
	if !r.Succeeded() {
		t.Fatalf("the run ended as %s", r.Result)
	}
	if out := w.out.String(); !strings.Contains(out, "##[section]Starting: Build and test\n") || !strings.Contains(out, "##[section]Finishing: Build and test\n") {
		t.Errorf("the log\n%s", out)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "\n  ✓ Build and test") {
		t.Errorf("the summary\n%s", &text)
	}
}
