package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/commandline"
)

// explainRun prints why everything in a run is as it is.
func explainRun(cmd *cobra.Command, a access, project, run string) error {
	var found listOf[api.Explanation]
	if err := a.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(project)+"/_apis/slipway/runs/"+url.PathEscape(run)+"/explanation", nil, &found); err != nil {
		return err
	}
	if len(found.Value) == 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "nothing began, since the pipeline's file has mistakes: `slipway runs %s` says which\n", run)
	}
	writeExplanation(cmd.OutOrStdout(), found.Value)
	return nil
}

func writeExplanation(out io.Writer, list []api.Explanation) {
	for _, e := range list {
		kind, indent := "stage", ""
		switch {
		case e.Step != "":
			kind, indent = "step", "    "
		case e.Job != "":
			kind, indent = "job", "  "
		}
		fmt.Fprintf(out, "%s%s %s %s\n", indent, kind, e.Name, e.Reason)
		if e.Condition != "succeeded()" {
			fmt.Fprintf(out, "%s  condition: %s\n", indent, e.Condition)
		}
	}
}

// replayRun prints what was decided in a run, moment by moment, and what would be decided otherwise today.
func replayRun(cmd *cobra.Command, a access, project, run string) error {
	var found listOf[api.Decision]
	if err := a.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(project)+"/_apis/slipway/runs/"+url.PathEscape(run)+"/decisions", nil, &found); err != nil {
		return err
	}
	if differ := writeReplay(cmd.OutOrStdout(), found.Value); differ > 0 {
		return &commandline.ExitError{Code: 1}
	}
	return nil
}

// writeReplay returns how many moments would be decided otherwise.
func writeReplay(out io.Writer, list []api.Decision) (differ int) {
	for _, d := range list {
		fmt.Fprintf(out, "%d  %s\n", d.Number, d.Time.Local().Format(time.DateTime))
		for _, text := range d.Changes {
			fmt.Fprintf(out, "   fact      %s\n", text)
		}
		for _, text := range d.Decisions {
			fmt.Fprintf(out, "   decision  %s\n", text)
		}
		if d.Difference != "" {
			differ++
			fmt.Fprintf(out, "   DIFFERS   %s\n", d.Difference)
		}
	}
	if differ == 0 {
		fmt.Fprintf(out, "%d moments, all decided as they were\n", len(list))
	} else {
		fmt.Fprintf(out, "%d moments, %d of them would be decided otherwise today\n", len(list), differ)
	}
	return differ
}
