package agent

import (
	"slices"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// postStep is what a step wants done after the job's last step.
type postStep struct {
	of   *plan.Step
	body func(*task) error
}

// afterJob asks for something to be done after the job's last step, as a step of its own. What a step asks for again,
// because it was tried again, is done once.
func (t *task) afterJob(body func(*task) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.posts = append(slices.DeleteFunc(t.posts, func(p postStep) bool { return p.of == t.step }), postStep{t.step, body})
}

// runPosts does what steps asked for after the last one, in reverse order, whatever became of the job.
func (r *runner) runPosts() {
	r.mu.Lock()
	posts := slices.Clone(r.posts)
	r.mu.Unlock()
	slices.Reverse(posts)
	number := 0
	for i := range r.work.Steps {
		number = max(number, r.work.Steps[i].ID)
	}
	steps := make([]plan.Step, len(posts))
	for i, p := range posts {
		steps[i] = plan.Step{ID: number + 1 + i, DisplayName: "Post-job: " + p.of.DisplayName, Condition: "always()", Env: p.of.Env,
			ContinueOnError: p.of.ContinueOnError, TimeoutInMinutes: p.of.TimeoutInMinutes}
		r.reports.put(job.StepRecord{ID: steps[i].ID, DisplayName: r.expand(steps[i].DisplayName)})
	}
	for i := range steps {
		r.step(&steps[i], posts[i].body)
	}
}
