package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func retentionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "retention", GroupID: "project", Short: "show or set how long runs and their artifacts are kept, and what that means now", Args: cobra.NoArgs,
		Example: "  slipway retention\n  slipway retention --days 90 --artifact-days 14\n  slipway retention --dry-run      # which runs would go now, and why",
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	var u api.RetentionUpdate
	for _, f := range []struct {
		name, help string
		into       **api.RetentionValue
	}{
		{"days", "for how many days after its end a run is kept", &u.Runs},
		{"pull-request-days", "for how many days a run of a pull request is kept", &u.PullRequestRuns},
		{"artifact-days", "for how many days artifacts and attachments are kept", &u.Artifacts},
		{"recent", "how many of each pipeline's newest successful runs of the default branch are kept whatever their age", &u.Recent},
	} {
		cmd.Flags().Func(f.name, f.help, func(text string) error {
			var v api.RetentionValue
			if _, err := fmt.Sscan(text, &v.Value); err != nil {
				return fmt.Errorf("%q is not a whole number", text)
			}
			*f.into = &v
			return nil
		})
	}
	dry := cmd.Flags().Bool("dry-run", false, "list the runs with what would become of them now")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		base := "/" + url.PathEscape(*project) + "/_apis"
		if *dry {
			return showFates(cmd, a, base)
		}
		var s api.ProjectRetention
		method, body := http.MethodGet, any(nil)
		if u != (api.RetentionUpdate{}) {
			method, body = http.MethodPatch, u
		}
		if err := a.call(cmd.Context(), method, base+"/build/retention", body, &s); err != nil {
			return err
		}
		return showRetention(cmd.OutOrStdout(), s)
	})
	return cmd
}

func showRetention(out io.Writer, s api.ProjectRetention) error {
	days := func(v api.RetentionSetting) string { return fmt.Sprintf("%d days", v.Value) }
	return tableTo(out, [][]string{{"KEPT", "FOR"}, {"runs", days(s.Runs)}, {"runs of pull requests", days(s.PullRequestRuns)}, {"artifacts and attachments", days(s.Artifacts)},
		{"newest successful runs of the default branch", fmt.Sprintf("the last %d", s.Recent.Value)}})
}

func showFates(cmd *cobra.Command, a access, base string) error {
	var fates listOf[api.RunFate]
	if err := a.call(cmd.Context(), http.MethodGet, base+"/slipway/retention", nil, &fates); err != nil {
		return err
	}
	rows := [][]string{{"RUN", "PIPELINE", "BRANCH", "", "WHY"}}
	for _, f := range fates.Value {
		rows = append(rows, []string{fmt.Sprint(f.Run), f.Pipeline, f.Branch, f.Action, f.Reason})
	}
	return tableTo(cmd.OutOrStdout(), rows)
}
