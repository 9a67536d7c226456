package plan

import (
	"encoding/json"
	"fmt"
	"slices"

	"slipway"
)

// Version is the version of the JSON form. It grows when a reader of the version before would misread the plan.
const Version = 1

// Plan is one compiled pipeline file.
type Plan struct {
	Version int `json:"version"`

	// File is the path of the root file in its repository.
	File string `json:"file"`
	// Sources are the files that were read, the root file first, each once, in the order of first use.
	Sources []string `json:"sources,omitempty"`

	// Name is the format of the run's number (`name:`), macros not expanded; "" is the default, see variable.DefaultFormat.
	Name string `json:"name,omitempty"`
	// PlainName says that the commit's message is not to be appended to the run's name (appendCommitMessageToRunName: false).
	PlainName bool `json:"plainName,omitempty"`
	// LockBehavior is how exclusive locks queue: "sequential", "runLatest" or "" when the file does not say (runLatest).
	LockBehavior string `json:"lockBehavior,omitempty"`

	Triggers   Triggers    `json:"triggers"`
	Parameters []Parameter `json:"parameters,omitempty"`
	Resources  Resources   `json:"resources"`
	// Variables of the root, in the order of the file; the last of a name wins.
	Variables []Variable `json:"variables,omitempty"`
	// Warnings are what the language allows and is most likely a mistake, or has no effect here.
	Warnings []Warning `json:"warnings,omitempty"`
	// Stages in the order of the file, at least one. A file of jobs or steps has the one stage __default (and job Job).
	Stages []Stage `json:"stages"`
}

// The name of the only stage of a file without stages, of the only job of a file without jobs, and of the only leg of a job without legs.
const (
	DefaultStage = "__default"
	DefaultJob   = "Job"
	DefaultLeg   = "__default"
)

// Warning is a sentence for the author of the file.
type Warning struct {
	Message string           `json:"message"`
	At      slipway.Position `json:"at"`
}

// Parameter is a run-time parameter with the value that this plan was compiled with.
type Parameter struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	// Type is string, number, boolean, object, step, stepList, job, jobList, deployment, deploymentList, stage, stageList or stringList.
	Type string `json:"type"`
	// Values are the allowed values, if they are limited.
	Values []string `json:"values,omitempty"`
	// Default is set when the parameter may be left out.
	Default json.RawMessage  `json:"default,omitempty"`
	Value   json.RawMessage  `json:"value,omitempty"`
	At      slipway.Position `json:"at"`
}

// Variable is one entry of a `variables` list: a value, an expression or a reference to a variable group. Exactly one of
// Group and Name is set.
type Variable struct {
	Name string `json:"name,omitempty"`
	// Value is the text as written; it may hold macros.
	Value string `json:"value,omitempty"`
	// Expression is the inside of `$[ ]`, evaluated by the server when the run, stage or job starts; Value is then empty.
	Expression string `json:"expression,omitempty"`
	ReadOnly   bool   `json:"readonly,omitempty"`
	// Group names a variable group whose variables stand here.
	Group string           `json:"group,omitempty"`
	At    slipway.Position `json:"at"`
}

// Stage is a set of jobs that start together.
type Stage struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	// DependsOn are the names of stages that must be over before this one, defaults filled in; empty starts at once.
	DependsOn []string `json:"dependsOn,omitempty"`
	// Condition is an expression without brackets; "" is succeeded().
	Condition    string     `json:"condition,omitempty"`
	Variables    []Variable `json:"variables,omitempty"`
	LockBehavior string     `json:"lockBehavior,omitempty"`
	// Manual says that a person must start the stage (`trigger: manual`).
	Manual bool `json:"manual,omitempty"`
	// Unskippable says that the stage may not be left out when a run is queued (`isSkippable: false`).
	Unskippable bool             `json:"unskippable,omitempty"`
	Jobs        []Job            `json:"jobs"`
	At          slipway.Position `json:"at"`
}

// Title is the name for people.
func (s *Stage) Title() string {
	if s.DisplayName != "" {
		return s.DisplayName
	}
	if s.Name == DefaultStage {
		return "Stage"
	}
	return s.Name
}

// Deploys reports whether the stage has a deployment job, so that it asks for the checks of environments.
func (s *Stage) Deploys() bool {
	return slices.ContainsFunc(s.Jobs, func(j Job) bool { return j.Deployment != nil })
}

// Stage finds a stage by its name, nil without one.
func (p *Plan) Stage(name string) *Stage {
	for i := range p.Stages {
		if p.Stages[i].Name == name {
			return &p.Stages[i]
		}
	}
	return nil
}

// Job finds a job of the stage by its name, nil without one.
func (s *Stage) Job(name string) *Job {
	for i := range s.Jobs {
		if s.Jobs[i].Name == name {
			return &s.Jobs[i]
		}
	}
	return nil
}

// Groups are the names of all variable groups that the plan refers to, each once, in the order of the file.
func (p *Plan) Groups() []string {
	var names []string
	seen := map[string]bool{}
	add := func(vars []Variable) {
		for _, v := range vars {
			if v.Group != "" && !seen[v.Group] {
				seen[v.Group] = true
				names = append(names, v.Group)
			}
		}
	}
	add(p.Variables)
	for _, s := range p.Stages {
		add(s.Variables)
		for _, j := range s.Jobs {
			add(j.Variables)
		}
	}
	return names
}

// Encode is the plan as JSON, the same bytes for the same plan.
func (p *Plan) Encode() ([]byte, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode plan of %s: %w", p.File, err)
	}
	return b, nil
}

// Decode reads what Encode wrote. A plan of another version is an error.
func Decode(data []byte) (*Plan, error) {
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	if p.Version != Version {
		return nil, fmt.Errorf("decode plan: version %d, this program reads %d", p.Version, Version)
	}
	return &p, nil
}
