package compile

import (
	"fmt"

	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/yaml"
)

// Report is what a check found.
type Report struct {
	// Plan is nil if there are problems, and for a template that does nothing by itself.
	Plan     *plan.Plan
	Problems Problems
	// Warnings are what is allowed and most likely a mistake, and what could not be checked.
	Warnings []plan.Warning
	// Sources are the files that were read, the root file first.
	Sources []string
}

// Check says everything that is wrong with a file, before there is a run: a parameter without a value gets one of its type,
// about which nothing is said, and templates of repositories that in.Repository does not give (it may be nil, or return nil
// files) are left out with a warning. The file may be a template that others include.
func Check(in Input) Report {
	c := &compiler{in: in, draft: true}
	p := c.compile()
	r := Report{Sources: c.sources, Problems: c.problems.Sorted()}
	for _, u := range c.unread {
		r.Warnings = append(r.Warnings, plan.Warning{At: u.At, Message: fmt.Sprintf("templates of repository %s are not checked, since it is not here", u.Repository)})
	}
	if p == nil {
		return r
	}
	found := c.warnings
	if !c.open() && len(c.problems) == 0 { // otherwise what is read may be there
		found = append(found, warnings(p)...)
	}
	for _, w := range found {
		if w.At.File != yaml.Nowhere.File {
			r.Warnings = append(r.Warnings, w)
		}
	}
	if len(r.Problems) == 0 && len(p.Stages) > 0 {
		p.Warnings, r.Plan = r.Warnings, p
	}
	return r
}
