package loop

import (
	"fmt"
	"strings"

	"slipway/internal/insights"
)

// evidenceText is what a bug says of the alert that opened it, in Markdown.
func evidenceText(a insights.AlertPayload) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", a.Message)
	fmt.Fprintf(&b, "- rule: %s (%s)\n- environment: %s\n- deployment: %d, run %d, commit %s\n- measured: %.4g, threshold %.4g, over %d s\n",
		a.RuleName, a.RuleKind, a.EnvironmentName, a.Deployment, a.Run, a.Commit.Short(), a.Value, a.Threshold, a.WindowSeconds)
	e := a.Evidence
	fmt.Fprintf(&b, "- requests: %d, of them %d failed; p95 %.0f ms\n- pods: %d of %d up, %d restarts\n", e.Requests, e.Failed, e.P95, e.PodsUp, e.Pods, e.Restarts)
	for _, reason := range e.Reasons {
		fmt.Fprintf(&b, "- %s\n", reason)
	}
	if len(e.Exceptions) > 0 {
		b.WriteString("\nExceptions:\n\n")
		for _, x := range e.Exceptions {
			fmt.Fprintf(&b, "- %s\n", x)
		}
	}
	return b.String()
}
