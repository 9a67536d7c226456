package api

import (
	"net/http"
	"time"

	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

func (b buildRoutes) addExplainRoutes() {
	b.project("GET", "/slipway/runs/{build}/explanation", identity.Read, b.explain)
	b.project("GET", "/slipway/runs/{build}/decisions", identity.Read, b.decisions)
}

// Explanation says why a stage, job or step runs, waits or does not run.
type Explanation struct {
	Stage     string `json:"stage"`
	Job       string `json:"job,omitempty"`
	Instance  string `json:"instance,omitempty"`
	Step      string `json:"step,omitempty"`
	Name      string `json:"name"`
	State     string `json:"state"`            // as in a timeline
	Result    string `json:"result,omitempty"` // as in a timeline
	Condition string `json:"condition"`
	Reason    string `json:"reason"` // a sentence without its subject
}

func explanation(e pipelines.Explanation) Explanation {
	return Explanation{Stage: e.Stage, Job: e.Job, Instance: e.Instance, Step: e.Step, Name: e.Title, State: recordState(e.State), Result: recordResult(e.Result),
		Condition: e.Condition, Reason: e.Reason}
}

func (b buildRoutes) explain(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	found, err := b.pipelines.Explain(r.Context(), run.ID)
	if err != nil {
		return err
	}
	var out []Explanation
	for _, e := range found {
		out = append(out, explanation(e))
	}
	return list(w, out)
}

// Decision is one moment of a run, decided again.
type Decision struct {
	Number     int       `json:"number"`
	Time       time.Time `json:"time"`
	Changes    []string  `json:"changes"`
	Decisions  []string  `json:"decisions"`
	Difference string    `json:"difference,omitempty"` // what would be decided otherwise today
}

func (b buildRoutes) decisions(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	found, err := b.pipelines.Replay(r.Context(), run.ID)
	if err != nil {
		return err
	}
	var out []Decision
	for _, d := range found {
		out = append(out, Decision{Number: d.Number, Time: d.Time, Changes: d.Changes, Decisions: d.Decisions, Difference: d.Difference})
	}
	return list(w, out)
}
