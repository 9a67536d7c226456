package web

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/schedule"
)

// run runs the service of the site until the test ends.
func (s *pipelineSite) run() {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Service.Run(ctx) }()
	s.Cleanup(func() { stop(); <-done })
}

// until waits until the run's timeline is as wanted.
func (s *pipelineSite) until(run slipway.RunID, is func(*pipelines.Timeline) bool) {
	s.Helper()
	changes, end := s.Watch(run)
	defer end()
	for deadline := time.After(30 * time.Second); ; {
		t, err := s.Timeline(context.Background(), run)
		if err != nil {
			s.Fatal(err)
		}
		if is(t) {
			return
		}
		select {
		case <-changes:
		case <-time.After(time.Second):
		case <-deadline:
			s.Fatalf("the run does not get there: %+v", t.Stages)
		}
	}
}

func TestValidationPage(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	s.run()
	const asking = "pool: server\nsteps:\n- task: ManualValidation@1\n  displayName: Ship <b>it</b>?\n  inputs:\n    notifyUsers: grace@example.com\n    instructions: 'Read **all** of it <script>alert(1)</script>'\n"
	waits := func(t *pipelines.Timeline) bool { return t.Run.Waiting }
	over := func(t *pipelines.Timeline) bool { return t.Run.State == pipelines.RunCompleted }
	for do, want := range map[string]schedule.Result{"resume": schedule.Succeeded, "reject": schedule.Failed} {
		run := s.push(asking)
		s.until(run, waits)
		page := fmt.Sprintf("/_build/results?buildId=%d", run)
		if body := s.get(page, "Ship &lt;b&gt;it&lt;/b&gt;?", "Read <strong>all</strong> of it", "if nobody does, it is rejected", "for grace@example.com", `value="resume"`, `value="reject"`, "waiting"); strings.Contains(body, "<script>alert") {
			t.Error("the script of instructions is in the page")
		}
		list, err := s.Validations(context.Background(), run)
		if err != nil || len(list) != 1 {
			t.Fatalf("%d validations, %v", len(list), err)
		}
		s.post("/_build/results", url.Values{"buildId": {run.String()}, "validation": {fmt.Sprint(list[0].ID)}, "do": {do}, "comment": {"as agreed"}})
		s.until(run, over)
		if r, err := s.Get(context.Background(), run); err != nil || r.Result != want {
			t.Errorf("%s: %s, %v", do, r.Result, err)
		}
		if body := s.get(page); strings.Contains(body, `value="resume"`) {
			t.Error("the page still asks")
		}
		s.get(fmt.Sprintf("%s&j=%d&s=1", page, list[0].Job), "ada "+map[string]string{"resume": "resumed", "reject": "rejected"}[do]+" the run: as agreed")
	}
}
