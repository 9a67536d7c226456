package web

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

const logStamp = "2026-03-01T12:00:00.0000000Z "

// logged is a run whose only step has the lines as its log.
func (s *pipelineSite) logged(lines ...string) (slipway.RunID, slipway.JobID) {
	s.Helper()
	ctx := context.Background()
	run := s.push("steps:\n- bash: talk\n")
	id := s.job(run, "__default.Job")
	if err := s.Report(ctx, id, job.Report{Steps: []job.StepRecord{{ID: 1, DisplayName: "Talk", State: schedule.Running, Started: 1}}}); err != nil {
		s.Fatal(err)
	}
	text := logStamp + strings.Join(lines, "\n"+logStamp) + "\n"
	for offset := 0; offset < len(text); offset += 1 << 20 {
		if _, err := s.AppendLog(ctx, id, 1, int64(offset), []byte(text[offset:min(offset+1<<20, len(text))])); err != nil {
			s.Fatal(err)
		}
	}
	if err := s.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
		s.Fatal(err)
	}
	return run, id
}

// A line's permalink shows the line with what stands round it, wherever in the log it is.
func TestLogPermalink(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	lines := make([]string, 20_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("this is line %d of the log", i+1)
	}
	run, id := s.logged(lines...)
	page := fmt.Sprintf("/_build/results?buildId=%d&j=%d&s=1", run, id)
	end := s.get(page, "line 20000 of", `id="L20000"`, "s=1&amp;l=20000#L20000\">20000</a>", "Lines before these")
	if strings.Contains(end, "line 700 of") || strings.Contains(end, "Lines after these") {
		t.Error("the end of the log has its beginning, or something after it")
	}
	middle := s.get(page+"&l=700", `<span class="line chosen" id="L700">`, "line 700 of", "line 500 of", "line 900 of", "Lines before these", "Lines after these")
	if strings.Contains(middle, "line 499 of") {
		t.Error("more than 200 lines stand before the chosen one")
	}
	if first := s.get(page+"&l=1", `<span class="line chosen" id="L1">`); strings.Contains(first, "Lines before these") {
		t.Error("there are lines before the first")
	}
	s.get(page+"&l=99999999", "line 20000 of")
}

func TestLogColoursAndGroups(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	run, id := s.logged("##[group]Install", "\x1b[1;32mok\x1b[0m <i>", "##[endgroup]", "##[group]Broken", "##[error]no", "##[endgroup]", "outside", "##[endgroup]", "##[group]No end", "last")
	page := fmt.Sprintf("/_build/results?buildId=%d&j=%d&s=1", run, id)
	row := func(number int, class, text string) string {
		return fmt.Sprintf(`<span class="%s" id="L%d"><a class="no" href="/Shop%s&amp;l=%d#L%d">%d</a><span class="at">12:00:00</span>%s</span>`,
			class, number, strings.ReplaceAll(page, "&", "&amp;"), number, number, number, text)
	}
	want := `<details class="group"><summary>` + row(1, "line section", "Install") + `</summary>` + row(2, "line", `<span class="f3 t-b">ok</span> &lt;i&gt;`) + `</details>` +
		`<details class="group" open><summary>` + row(4, "line section", "Broken") + `</summary>` + row(5, "line bad", "no") + `</details>` +
		row(7, "line", "outside") + `<details class="group" open><summary>` + row(9, "line section", "No end") + `</summary>` + row(10, "line", "last") + `</details>`
	_, got, _ := strings.Cut(s.get(page), `<pre class="log lines" tabindex="0">`)
	got, _, _ = strings.Cut(got, "</pre>")
	if diff := cmp.Diff(want, strings.TrimSpace(got)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	// The group of a chosen line is open.
	s.get(page+"&l=2", `<details class="group" open><summary>`+row(1, "line section", "Install"))
}

// What comes of a group in a later part of the log is indented, until the group's end.
func TestLogGroupInParts(t *testing.T) {
	t.Parallel()
	p := logPainter{line: 1}
	first := p.items("##[group]Build\none\n")
	if len(first) != 1 || !first[0].Grouped || !first[0].Open || len(first[0].Group) != 1 {
		t.Errorf("first part: %+v", first)
	}
	second := p.items("two\n##[endgroup]\nthree\n")
	if len(second) != 2 || second[0].Class != "inside" || second[1].Class != "" || second[1].Number != 5 {
		t.Errorf("second part: %+v", second)
	}
}

func TestSearchLogsPage(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	run, id := s.logged("one", "two <b>", "Two again")
	page := fmt.Sprintf("/_build/results?buildId=%d", run)
	s.get(page, `action="/Shop/_build/logs"`, fmt.Sprintf("/Shop/_build/logs/zip?buildId=%d", run))
	body := s.get(fmt.Sprintf("/_build/logs?buildId=%d&text=TWO", run), "Talk", "two &lt;b&gt;", "Two again", fmt.Sprintf(`href="/Shop%s&amp;j=%d&amp;s=1&amp;l=2#L2"`, page, id), `value="TWO"`)
	if strings.Contains(body, ">one") {
		t.Error("a line without the text is found")
	}
	s.get(fmt.Sprintf("/_build/logs?buildId=%d&text=nowhere", run), "No line of this run")
	zipped := s.get(fmt.Sprintf("/_build/logs/zip?buildId=%d&timestamps=false", run))
	archive, err := zip.NewReader(bytes.NewReader([]byte(zipped)), int64(len(zipped)))
	if err != nil || len(archive.File) != 1 {
		t.Fatalf("zip file: %v", err)
	}
	text := fmt.Sprintf("/_build/log?buildId=%d&j=%d&s=1&download=true", run, id)
	if got := s.get(text + "&timestamps=false"); got != "one\ntwo <b>\nTwo again\n" {
		t.Errorf("without times: %q", got)
	}
	resp, err := s.client.Get(s.server.URL + "/Shop" + text)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got, want := resp.Header.Get("Content-Disposition"), fmt.Sprintf("attachment; filename*=UTF-8''run-%d-job-%d-step-1.txt", run, id); got != want {
		t.Errorf("file %q, want %q", got, want)
	}
}
