package pipelines_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

const stamp = "2026-03-01T12:00:00.0000000Z "

// logged is a job whose step 1 has the text as its log, which came in pieces of random lengths.
func logged(w *world, text string, longest int) (slipway.RunID, slipway.JobID) {
	w.Helper()
	ctx := context.Background()
	run := w.push("steps:\n- bash: x\n  displayName: Talk\n")[0].ID
	id := w.timeline(run)["__default.Job"].ID
	if _, err := w.Assign(ctx, id); err != nil {
		w.Fatal(err)
	}
	if err := w.Report(ctx, id, job.Report{Steps: []job.StepRecord{{ID: 1, DisplayName: "Talk: one/two", State: schedule.Running, Started: 1}}}); err != nil {
		w.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for sent := 0; sent < len(text); {
		to := min(sent+1+random.IntN(longest), len(text))
		if _, err := w.AppendLog(ctx, id, 1, int64(sent), []byte(text[sent:to])); err != nil {
			w.Fatal(err)
		}
		sent = to
	}
	return run, id
}

// Lines are found by number and by offset, however the log came, and also in logs of servers that did not count lines.
func TestLogLines(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		var b strings.Builder
		for i := range 400 {
			fmt.Fprintf(&b, "%sline %d %s\n", stamp, i+1, strings.Repeat("x", i*7%90))
		}
		text := b.String() + stamp + "no end"
		_, id := logged(w, text, 1500)
		offsets := []int64{0} // where lines begin
		for i, c := range []byte(text) {
			if c == '\n' {
				offsets = append(offsets, int64(i)+1)
			}
		}
		check := func() {
			t.Helper()
			for line := 1; line <= len(offsets)+3; line += 1 + line%5 {
				want := min(line, len(offsets))
				got, err := w.LogLineAt(ctx, id, 1, line)
				if diff := cmp.Diff(pipelines.LogPlace{Offset: offsets[want-1], Line: want}, got); err != nil || diff != "" {
					t.Fatalf("line %d: %v, -want +got\n%s", line, err, diff)
				}
			}
			for offset := int64(-1); offset < offsets[len(offsets)-1]; offset += 37 {
				want := 0
				for offsets[want] < offset {
					want++
				}
				got, err := w.LogLineAfter(ctx, id, 1, offset)
				if diff := cmp.Diff(pipelines.LogPlace{Offset: offsets[want], Line: want + 1}, got); err != nil || diff != "" {
					t.Fatalf("offset %d: %v, -want +got\n%s", offset, err, diff)
				}
			}
		}
		check()
		if _, err := d.ExecContext(ctx, `UPDATE pipeline_logs SET lines = -1`); err != nil {
			t.Fatal(err)
		}
		check()
	})
}

func TestSearchLogs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		long := strings.Repeat("ü", 400) + "Needle" + strings.Repeat("é", 400)
		text := strings.Repeat(stamp+"hay\n", 300) + stamp + "a \x1b[31mNEE\x1b[0mdle here\n" + strings.Repeat(stamp+"hay\n", 300) + stamp + long + "\n" + stamp + "last needle"
		run, id := logged(w, text, 700)
		found, err := w.SearchLogs(ctx, run, "needle", 0)
		if err != nil || found.More {
			t.Fatalf("%v, more %v", err, found.More)
		}
		var got []string
		for _, m := range found.Matches {
			if m.Job != id || m.Step != 1 || m.Name != "Talk: one/two" || m.Time != strings.TrimSpace(stamp) {
				t.Errorf("match %+v", m)
			}
			short := strings.ReplaceAll(strings.ReplaceAll(m.Text, "ü", ""), "é", "")
			got = append(got, fmt.Sprintf("%d %s", m.Line, short))
		}
		if diff := cmp.Diff([]string{"301 a NEEdle here", "602 …Needle…", "603 last needle"}, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		// A time is no text.
		if found, err := w.SearchLogs(ctx, run, "2026-03-01", 0); err != nil || len(found.Matches) > 0 {
			t.Errorf("times are searched: %d, %v", len(found.Matches), err)
		}
		if found, err := w.SearchLogs(ctx, run, "HAY", 10); err != nil || len(found.Matches) != 10 || !found.More {
			t.Errorf("%d lines of the first 10, more %v, %v", len(found.Matches), found.More, err)
		}
		for _, text := range []string{"", "  ", "a\nb", strings.Repeat("x", 501)} {
			if _, err := w.SearchLogs(ctx, run, text, 0); slipway.CodeOf(err) != slipway.CodeInvalid {
				t.Errorf("%.10q is looked for: %v", text, err)
			}
		}
	})
}

// The zip file has each step's log, byte by byte, of all attempts.
func TestWriteLogs(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		text := stamp + "one\n" + stamp + "zwei \xff\x00\n" + stamp + "three\n"
		run, id := logged(w, text, 20)
		if err := w.Complete(ctx, id, job.Completion{Result: schedule.Failed}); err != nil {
			t.Fatal(err)
		}
		if err := w.RetryFailed(ctx, run, slipway.System); err != nil {
			t.Fatal(err)
		}
		again := w.timeline(run)["__default.Job"].ID
		if _, err := w.Assign(ctx, again); err != nil {
			t.Fatal(err)
		}
		if _, err := w.AppendLog(ctx, again, 1, 0, []byte(stamp+"again\n")); err != nil {
			t.Fatal(err)
		}
		for times, want := range map[bool]map[string]string{
			true:  {"1_Stage/1_Job/1_Talk_ one_two.txt": text, "1_Stage/1_Job (attempt 2)/1__.txt": stamp + "again\n"},
			false: {"1_Stage/1_Job/1_Talk_ one_two.txt": "one\nzwei \xff\x00\nthree\n", "1_Stage/1_Job (attempt 2)/1__.txt": "again\n"},
		} {
			var b bytes.Buffer
			if err := w.WriteLogs(ctx, run, &b, times); err != nil {
				t.Fatal(err)
			}
			archive, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, f := range archive.File {
				r, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				content, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				got[f.Name] = string(content)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("times %v: -want +got\n%s", times, diff)
			}
		}
	})
}
