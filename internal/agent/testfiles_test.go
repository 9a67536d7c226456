package agent

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTestFiles(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "TestResults/run.trx", "", "TestResults/ada_box/In/e1/a.png", "", "TestResults/run/In/e2/b.png", "", "shots/c.png", "")
	results, shot := w.absolute("TestResults/run.trx"), w.absolute("shots/c.png")
	got := testFiles(results, []string{"ada_box/In/e1/a.png", "In/e2/b.png", shot, `..\shots\c.png`, "gone.png", "../shots"})
	want := []string{w.absolute("TestResults/ada_box/In/e1/a.png"), w.absolute("TestResults/run/In/e2/b.png"), shot, filepath.Join(filepath.Dir(results), "..", "shots", "c.png")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAttachmentName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ test, file, want string }{
		{"Adds - ", "a.png", "Adds - a.png"},
		{"", "a.png", "a.png"},
		{"", strings.Repeat("a", 151), strings.Repeat("a", 150)},
		{"Sums(\"a/b\", 2)\n - ", "a.png", "Sums(\"a_b\", 2)_ - a.png"},
		{strings.Repeat("é", 100) + " - ", "a.png", strings.Repeat("é", 69) + "… - a.png"},
	} {
		if got := attachmentName(tt.test, tt.file); got != tt.want {
			t.Errorf("%q, %q: %q, want %q", tt.test, tt.file, got, tt.want)
		}
	}
}
