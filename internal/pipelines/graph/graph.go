// Package graph draws a plan: its stages and jobs with what they wait for, as a tree for the terminal, as JSON, and in the
// languages of Graphviz (DOT) and Mermaid.
//
// It draws what the plan says and decides nothing.
package graph

import (
	"cmp"

	"slipway/internal/pipelines/plan"
)

// Graph is what is drawn of a plan.
type Graph struct {
	File   string  `json:"file"`
	Stages []Stage `json:"stages"`
}

// Stage is a stage with its jobs.
type Stage struct {
	Name        string   `json:"name"`
	DisplayName string   `json:"displayName,omitempty"`
	DependsOn   []string `json:"dependsOn"`
	// Condition is "" for succeeded().
	Condition string `json:"condition,omitempty"`
	Manual    bool   `json:"manual,omitempty"`
	Jobs      []Job  `json:"jobs"`
}

// Job is a job, with the places in which it runs several times.
type Job struct {
	Name        string       `json:"name"`
	DisplayName string       `json:"displayName,omitempty"`
	Kind        plan.JobKind `json:"kind"`
	DependsOn   []string     `json:"dependsOn"`
	Condition   string       `json:"condition,omitempty"`
	// Environment is NAME or NAME.RESOURCE of a deployment.
	Environment string `json:"environment,omitempty"`
	// Pool is the pool's name or image, "" for the default.
	Pool      string   `json:"pool,omitempty"`
	Container string   `json:"container,omitempty"`
	Services  []string `json:"services,omitempty"`
	// Legs are the names of a matrix or of slices; Matrix is the expression that gives them when the run is on.
	Legs   []string `json:"legs,omitempty"`
	Matrix string   `json:"matrix,omitempty"`
	// Hooks of a deployment, with their steps.
	Hooks []Hook `json:"hooks,omitempty"`
	// Steps are those that the file states; the implied checkout and download are not counted.
	Steps int `json:"steps"`
}

// Hook is a phase of a deployment.
type Hook struct {
	Name  string `json:"name"`
	Steps int    `json:"steps"`
}

// Of is the graph of a plan.
func Of(p *plan.Plan) Graph {
	g := Graph{File: p.File, Stages: make([]Stage, len(p.Stages))}
	for i := range p.Stages {
		s := &p.Stages[i]
		g.Stages[i] = Stage{Name: s.Name, DisplayName: s.DisplayName, DependsOn: list(s.DependsOn), Condition: s.Condition, Manual: s.Manual, Jobs: make([]Job, len(s.Jobs))}
		for k := range s.Jobs {
			g.Stages[i].Jobs[k] = jobOf(&s.Jobs[k])
		}
	}
	return g
}

func jobOf(j *plan.Job) Job {
	job := Job{Name: j.Name, DisplayName: j.DisplayName, Kind: j.Kind, DependsOn: list(j.DependsOn), Condition: j.Condition,
		Pool: cmp.Or(j.Pool.Image, j.Pool.Name), Steps: stated(j.Steps)}
	if j.Container != nil {
		job.Container = cmp.Or(j.Container.Image, j.Container.Alias)
	}
	for _, s := range j.Services {
		job.Services = append(job.Services, s.Alias)
	}
	if j.Strategy != nil {
		job.Matrix = j.Strategy.MatrixExpression
		for _, l := range j.Strategy.Legs {
			job.Legs = append(job.Legs, cmp.Or(l.Title, l.Name))
		}
	}
	if d := j.Deployment; d != nil {
		job.Environment = d.Environment.Name
		if d.Environment.Resource != "" {
			job.Environment += "." + d.Environment.Resource
		}
		for _, h := range d.Hooks {
			job.Hooks = append(job.Hooks, Hook{h.Title(), stated(h.Steps)})
			job.Steps += stated(h.Steps)
		}
	}
	return job
}

func stated(steps []plan.Step) int {
	n := 0
	for _, s := range steps {
		if s.Checkout != nil && s.Checkout.Implicit || s.Download != nil && s.Download.Implicit {
			continue
		}
		n++
	}
	return n
}

// list is never nil, so that JSON has [] and not null.
func list(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}
