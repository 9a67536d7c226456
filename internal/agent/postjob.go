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
	t.posts = append(slices.DeleteFunc(t.posts, func(p postStep) bool { return p.of == t.of }), postStep{t.of, body})
}

// lastStep is the highest number of a step so far; those of tasks' other parts follow it.
func (r *runner) lastStep() int {
	number := 0
	for i := range r.work.Steps {
		number = max(number, r.work.Steps[i].ID)
	}
	return number + len(r.preJobs)
}

// runPres runs the parts of tasks that come before the job's first step.
func (r *runner) runPres() {
	number := r.lastStep()
	var steps []plan.Step
	var of []*plan.Step
	for i := range r.work.Steps {
		st := &r.work.Steps[i]
		if st.Task == nil || st.Task.Package == nil || !st.Task.Package.PreJob || st.Disabled {
			continue
		}
		steps = append(steps, plan.Step{ID: number + 1 + len(of), DisplayName: "Pre-job: " + st.DisplayName, Env: st.Env, ContinueOnError: st.ContinueOnError,
			TimeoutInMinutes: st.TimeoutInMinutes, Target: st.Target})
		of = append(of, st)
		r.preJobs = append(r.preJobs, steps[len(steps)-1].ID)
	}
	for i := range steps {
		r.reports.put(job.StepRecord{ID: steps[i].ID, DisplayName: r.expand(steps[i].DisplayName), PreJob: true})
	}
	for i := range steps {
		r.step(&steps[i], func(t *task) error {
			t.of = of[i]
			return t.uploadedTask(of[i].Task, partPreJob)
		})
	}
}

// runPosts does what steps asked for after the last one, in reverse order, whatever became of the job.
func (r *runner) runPosts() {
	r.mu.Lock()
	posts := slices.Clone(r.posts)
	r.mu.Unlock()
	slices.Reverse(posts)
	number := r.lastStep()
	steps := make([]plan.Step, len(posts))
	for i, p := range posts {
		steps[i] = plan.Step{ID: number + 1 + i, DisplayName: "Post-job: " + p.of.DisplayName, Condition: "always()", Env: p.of.Env,
			ContinueOnError: p.of.ContinueOnError, TimeoutInMinutes: p.of.TimeoutInMinutes, Target: p.of.Target}
		r.reports.put(job.StepRecord{ID: steps[i].ID, DisplayName: r.expand(steps[i].DisplayName)})
	}
	for i := range steps {
		r.step(&steps[i], func(t *task) error {
			t.of = posts[i].of
			return posts[i].body(t)
		})
	}
}
