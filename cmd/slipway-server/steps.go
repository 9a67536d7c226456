package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/clusters"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/insights"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/schedule"
	"slipway/internal/registry"
	"slipway/internal/repos"
)

// narrator tells on the terminal how a change goes round the loop, step by step, from the events of the log.
type narrator struct {
	terminal  *Terminal
	identity  *identity.Service
	pipelines *pipelines.Service
	url       string

	mu     sync.Mutex
	last   time.Time // when the step before was complete
	closed chan struct{}
	failed chan struct{}
	ending sync.Once // of closed or failed

	first              slipway.RunID // the run whose bad end ends the round; 0 before it
	item               string        // the work item of the line before, if it was about one
	deployed, measured bool          // what closes the ring: a deployment has succeeded, and telemetry has come
}

// reached notes one of the two and closes the ring when both are there.
func (n *narrator) reached(what *bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	*what = true
	if n.deployed && n.measured {
		n.ending.Do(func() { close(n.closed) })
	}
}

func newNarrator(t *Terminal, ident *identity.Service, p *pipelines.Service, url string) *narrator {
	return &narrator{terminal: t, identity: ident, pipelines: p, url: url, last: time.Now(), closed: make(chan struct{}), failed: make(chan struct{})}
}

// Run tells until ctx ends.
func (n *narrator) Run(ctx context.Context, log *events.Log) {
	happened, stop := log.Watch(nil)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-happened:
			n.tell(ctx, e)
		}
	}
}

// Closed is closed when a change has gone round the whole ring once: a deployment has succeeded and sends telemetry.
func (n *narrator) Closed() <-chan struct{} { return n.closed }

// Failed is closed when the first run ended badly before any change went round.
func (n *narrator) Failed() <-chan struct{} { return n.failed }

// Begin starts the measuring of a round.
func (n *narrator) Begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = time.Now()
}

func (n *narrator) step(number int, e events.Event, what, link string) {
	n.mu.Lock()
	took := e.Time.Sub(n.last)
	n.last = e.Time
	n.mu.Unlock()
	n.terminal.Step(number, max(0, took), what, link)
}

// link is a page of the event's project.
func (n *narrator) link(ctx context.Context, e events.Event, path string) string {
	p, err := n.identity.Project(ctx, e.Project)
	if err != nil {
		return n.url
	}
	return n.url + "/" + url.PathEscape(p.Name) + "/" + path
}

func (n *narrator) tell(ctx context.Context, e events.Event) {
	switch e.Kind {
	case repos.EventPushed:
		n.pushed(ctx, e)
	case pipelines.EventRunQueued, pipelines.EventRunCompleted:
		n.run(ctx, e)
	case pipelines.EventJobStarted, pipelines.EventJobCompleted:
		n.job(ctx, e)
	case registry.EventPushed:
		n.image(ctx, e)
	case environments.DeploymentStarted, environments.DeploymentCompleted:
		n.deployment(ctx, e)
	case environments.ApprovalRequested:
		n.approval(ctx, e)
	case pipelines.EventValidationRequested:
		n.validation(ctx, e)
	case clusters.PodStarted:
		pod, _ := e.Reference(slipway.RefPod)
		n.step(7, e, "Container started in pod "+pod, n.link(ctx, e, "_environments"))
	case insights.EventTelemetrySeen:
		deployment, _ := e.Reference(slipway.RefDeployment)
		n.step(8, e, "Telemetry of deployment "+deployment+" is coming in", n.link(ctx, e, "_insights"))
		n.step(9, e, "Health, performance and usage are there to review", n.link(ctx, e, "_insights/performance"))
		n.reached(&n.measured)
	case boards.EventItemLinked:
		item, _ := e.Reference(slipway.RefWorkItem)
		if item == n.item { // one line for all of its new links
			return
		}
		n.item = item
		n.step(10, e, "Work item "+item+" knows of it", n.link(ctx, e, "_workitems/edit/"+item))
	}
}

func (n *narrator) pushed(ctx context.Context, e events.Event) {
	var p repos.Pushed
	if e.Decode(&p) != nil || p.Deleted() {
		return
	}
	n.item = "" // a new round
	subject := ""
	if len(p.Commits) > 0 {
		subject = p.Commits[0].Message
	}
	n.step(1, e, "Source changed: "+firstLine(subject), n.link(ctx, e, "_git/"+url.PathEscape(p.Name)))
	n.step(2, e, fmt.Sprintf("Commit %s pushed to %s", p.After.Short(), p.Ref), n.link(ctx, e, "_git/"+url.PathEscape(p.Name)+"/commit/"+string(p.After)))
}

func (n *narrator) run(ctx context.Context, e events.Event) {
	var r pipelines.RunPayload
	if e.Decode(&r) != nil {
		return
	}
	link := n.link(ctx, e, fmt.Sprintf("_build/results?buildId=%d", r.Run))
	if e.Kind == pipelines.EventRunQueued {
		if n.first == 0 {
			n.first = r.Run
		}
		n.step(3, e, fmt.Sprintf("Run %s of pipeline %s started", r.Number, r.Name), link)
		return
	}
	n.terminal.Done()
	n.terminal.Say("     Run %s has ended: %s  %s", r.Number, r.Result, link)
	if r.Run == n.first && r.Result != string(schedule.Succeeded) && r.Result != string(schedule.SucceededWithIssues) {
		n.ending.Do(func() { close(n.failed) })
	}
}

func (n *narrator) job(ctx context.Context, e events.Event) {
	var j pipelines.JobPayload
	if e.Decode(&j) != nil {
		return
	}
	if e.Kind == pipelines.EventJobStarted {
		n.terminal.Busy("run %d: %s", j.Run, jobTitle(j))
		return
	}
	n.terminal.Done()
	what := fmt.Sprintf("Run %d, %s: %s", j.Run, jobTitle(j), j.Result)
	if j.Reason != "" {
		what += " (" + j.Reason + ")"
	}
	n.step(3, e, what, n.link(ctx, e, fmt.Sprintf("_build/results?buildId=%d", j.Run)))
	if j.Result == string(schedule.Failed) {
		n.explain(ctx, j)
	}
}

// explain shows how the failed step of a job ends.
func (n *narrator) explain(ctx context.Context, j pipelines.JobPayload) {
	const shown = 12 // lines
	t, err := n.pipelines.Timeline(ctx, j.Run)
	if err != nil {
		return
	}
	for _, stage := range t.Stages {
		for _, job := range stage.Jobs {
			for _, step := range job.Steps {
				if job.ID != j.JobID || step.Result != schedule.Failed {
					continue
				}
				lines, err := n.pipelines.LastLines(ctx, job.ID, step.ID, shown)
				if err != nil {
					return
				}
				n.terminal.Block(append([]string{fmt.Sprintf("Its step %q failed:", step.DisplayName)}, lines...)...)
				return // what fails after it fails because of it, more often than not
			}
		}
	}
}

// jobTitle names a job; what the pipeline left unnamed it leaves out.
func jobTitle(j pipelines.JobPayload) string {
	switch {
	case j.Stage != plan.DefaultStage:
		return fmt.Sprintf("stage %s, job %s", j.Stage, j.Job)
	case j.Job != plan.DefaultJob:
		return "job " + j.Job
	}
	return "its job"
}

func (n *narrator) image(ctx context.Context, e events.Event) {
	if e.Project == "" { // Slipway's own images and base images
		return
	}
	var p registry.Pushed
	if e.Decode(&p) != nil || p.Tag == "" {
		return
	}
	n.step(4, e, fmt.Sprintf("Image %s:%s is in the registry", p.Repository, p.Tag), n.link(ctx, e, "_images"))
}

func (n *narrator) deployment(ctx context.Context, e events.Event) {
	var d environments.DeploymentPayload
	if e.Decode(&d) != nil {
		return
	}
	link := n.link(ctx, e, "_environments/"+url.PathEscape(d.Environment))
	if e.Kind == environments.DeploymentStarted {
		n.step(5, e, fmt.Sprintf("Deployment %s to %s started with its parameters", e.Subject.ID, d.Environment), link)
		return
	}
	n.item = ""
	what := fmt.Sprintf("Deployment %s to %s: %s", e.Subject.ID, d.Environment, d.Result)
	if d.Reason != "" {
		what += " (" + firstLine(d.Reason) + ")"
	}
	n.step(6, e, what, link)
	if d.Result == environments.Succeeded {
		n.reached(&n.deployed)
	}
}

func (n *narrator) approval(ctx context.Context, e events.Event) {
	var a environments.ApprovalPayload
	if e.Decode(&a) != nil {
		return
	}
	n.terminal.Done()
	n.terminal.Say("     %s waits for an approval: slipway approve %d, or %s", a.Environment, a.Approval, n.link(ctx, e, "_environments/"+url.PathEscape(a.Environment)))
}

func (n *narrator) validation(ctx context.Context, e events.Event) {
	var v pipelines.ValidationPayload
	if e.Decode(&v) != nil {
		return
	}
	n.terminal.Done()
	n.terminal.Say("     Run %s waits at %s: slipway resume %d, or %s", v.Number, v.Title, v.Run, n.link(ctx, e, fmt.Sprintf("_build/results?buildId=%d", v.Run)))
}

func firstLine(s string) string {
	for i, r := range s {
		if r == '\n' || i > 60 {
			return s[:i]
		}
	}
	return s
}
