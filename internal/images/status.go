package images

import (
	"fmt"

	"slipway/internal/images/progress"

	"github.com/moby/buildkit/client"
)

// statusOf is BuildKit's message in our words.
func statusOf(s *client.SolveStatus) progress.Status {
	var out progress.Status
	for _, v := range s.Vertexes {
		out.Steps = append(out.Steps, progress.StepStatus{Key: v.Digest.String(), Name: v.Name, Started: v.Started, Completed: v.Completed, Cached: v.Cached, Error: v.Error})
	}
	for _, l := range s.Logs {
		out.Logs = append(out.Logs, progress.LogPart{Key: l.Vertex.String(), Stream: l.Stream, Data: l.Data})
	}
	for _, w := range s.Warnings {
		line := string(w.Short)
		if len(w.Range) > 0 && w.SourceInfo != nil {
			line = fmt.Sprintf("%s:%d: %s", w.SourceInfo.Filename, w.Range[0].Start.Line, line)
		}
		out.Warnings = append(out.Warnings, line)
	}
	return out
}
