package localrun

import (
	"bytes"
	"fmt"
	"strings"

	"slipway/internal/pipelines/plan"
)

// title is an instance's name without what every file of jobs or steps has.
func title(instance string) string {
	return strings.TrimPrefix(strings.TrimPrefix(instance, plan.DefaultStage+"."), plan.DefaultJob)
}

// say writes a line of the run itself.
func (e *execution) say(format string, args ...any) {
	e.out.Lock()
	defer e.out.Unlock()
	fmt.Fprintf(e.options.Out, format+"\n", args...)
}

// lines writes a job's log without the times, each line with the job's name before it when there are several.
func (e *execution) lines(instance string) func([]byte) {
	prefix := ""
	if several(e.plan) {
		prefix = title(instance) + " | "
	}
	var out []byte // room for the lines, used while e.out is held
	return func(text []byte) {
		e.out.Lock()
		defer e.out.Unlock()
		out = out[:0]
		for line := range bytes.Lines(text) {
			if _, rest, ok := bytes.Cut(line, []byte(" ")); ok {
				line = rest
			}
			out = append(append(out, prefix...), line...)
		}
		_, _ = e.options.Out.Write(out) // who reads no more has his reasons
	}
}

func several(p *plan.Plan) bool {
	n := 0
	for i := range p.Stages {
		for k := range p.Stages[i].Jobs {
			n++
			if p.Stages[i].Jobs[k].Strategy != nil {
				n++
			}
		}
	}
	return n > 1
}
