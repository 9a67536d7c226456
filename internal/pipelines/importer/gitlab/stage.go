package gitlab

import (
	"slices"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// unit is a stage of the pipeline: the jobs of a stage of GitLab that begin together.
type unit struct {
	name  string
	title string
	when  string
	jobs  []*job
	after []*unit // all that come before, not only the nearest
}

// write makes the stages.
func write(units []*unit) []*yaml.Node {
	var names draft.Names
	var stages []*yaml.Node
	for _, u := range units {
		u.name = names.Take(u.name)
	}
	for _, u := range units {
		stages = append(stages, u.write())
	}
	return stages
}

// units are the stages. With needs each job is one; else those of a stage that run in the same case are, and each manual job.
func (f *file) units() []*unit {
	if slices.ContainsFunc(f.jobs, func(j *job) bool { return j.hasNeeds }) {
		return f.graph()
	}
	var all, before, now []*unit
	stage := ""
	for _, j := range f.jobs {
		if j.stage != stage {
			before = append(before, now...)
			now, stage = nil, j.stage
		}
		i := slices.IndexFunc(now, func(u *unit) bool { return u.when == j.when && j.when != "manual" })
		if i >= 0 {
			now[i].jobs = append(now[i].jobs, j)
			continue
		}
		u := &unit{name: j.stage, title: j.stage, when: j.when, jobs: []*job{j}, after: slices.Clone(before)}
		if j.when == "manual" {
			u.name, u.title = j.id, j.name
		} else if j.when != "on_success" {
			u.name, u.title = j.stage+"_"+j.when, j.stage+" ("+j.when+")"
		}
		all = append(all, u)
		if j.when != "manual" || !j.allowFails {
			now = append(now, u) // what comes later does not wait for a manual job that may fail
		}
	}
	return all
}

// graph makes a stage of each job.
func (f *file) graph() []*unit {
	byJob := map[*job]*unit{}
	var all []*unit
	for _, j := range f.jobs {
		u := &unit{name: j.id, title: j.name, when: j.when, jobs: []*job{j}}
		byJob[j] = u
		all = append(all, u)
	}
	for _, j := range f.jobs {
		u := byJob[j]
		if j.hasNeeds {
			for _, n := range j.needs {
				if other := f.byName[n.job]; other != nil && other != j {
					u.after = append(u.after, byJob[other])
				}
			}
			continue
		}
		for _, other := range f.jobs {
			if slices.Index(f.stages, other.stage) < slices.Index(f.stages, j.stage) && (other.when != "manual" || !other.allowFails) {
				u.after = append(u.after, byJob[other])
			}
		}
	}
	for _, u := range all {
		u.after = closure(u)
	}
	return all
}

// circle is a stage that waits for itself, nil without one.
func circle(units []*unit) *unit {
	for _, u := range units {
		for _, other := range u.after {
			if slices.Contains(other.after, u) {
				return u
			}
		}
	}
	return nil
}

// closure is all that a stage waits for, through others too, so that its condition sees a failure that made one between them be skipped.
func closure(u *unit) []*unit {
	var list []*unit
	todo := slices.Clone(u.after)
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		if next == u || slices.Contains(list, next) {
			continue
		}
		list = append(list, next)
		todo = append(todo, next.after...)
	}
	return list
}

func (u *unit) write() *yaml.Node {
	out := (&draft.Map{}).Text("stage", u.name)
	if u.title != u.name {
		out.Text("displayName", u.title)
	}
	var after []string
	for _, other := range u.after {
		after = append(after, other.name)
	}
	switch len(after) {
	case 0:
		out.Put("dependsOn", &yaml.Node{Kind: yaml.List})
	case 1:
		out.Text("dependsOn", after[0])
	default:
		out.Put("dependsOn", draft.Texts(after))
	}
	switch u.when {
	case "always":
		out.Text("condition", "always()")
	case "on_failure":
		out.Text("condition", "failed()")
	default:
		if len(after) > 0 {
			out.Text("condition", "not(or(failed(), canceled()))") // what was skipped is no failure
		}
	}
	if u.when == "manual" {
		out.Text("trigger", "manual")
	}
	var jobs []*yaml.Node
	for _, j := range u.jobs {
		jobs = append(jobs, j.write())
	}
	return out.Put("jobs", draft.List(jobs...)).Node()
}
