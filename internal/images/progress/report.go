package progress

import (
	"strings"

	"slipway"
)

// Report is what the program that builds tells the server of a build, at its end or while it runs.
type Report struct {
	Tags      []string       `json:"tags,omitempty"`
	Target    string         `json:"target,omitempty"`
	Platforms []string       `json:"platforms,omitempty"`
	Digest    slipway.Digest `json:"digest,omitempty"`
	Error     string         `json:"error,omitempty"`  // "" when it went well
	Bytes     int64          `json:"bytes,omitempty"`  // of the layers, when it was pushed to the server's registry, which says so
	Layers    int            `json:"layers,omitempty"` // likewise
	Summary   Summary        `json:"summary"`
}

// Limits of a Report.
const (
	maxReportSteps = 500
	maxReportNames = 50
	maxReportText  = 1000 // bytes of a name or an error
)

// Bounded is the report within the limits: what is longer is cut.
func (r Report) Bounded() Report {
	r.Tags, r.Platforms = r.Tags[:min(len(r.Tags), maxReportNames)], r.Platforms[:min(len(r.Platforms), maxReportNames)]
	r.Error, r.Target = cut(r.Error), cut(r.Target)
	steps := make([]Step, 0, min(len(r.Summary.Steps), maxReportSteps))
	for _, s := range r.Summary.Steps[:cap(steps)] {
		s.Name = cut(s.Name)
		steps = append(steps, s)
	}
	r.Summary.Steps = steps
	return r
}

// cut shortens a text to the limit without halving a character.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxReportText)], "") }
