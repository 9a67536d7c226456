package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/api"
)

func limitsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "limits", GroupID: "project", Short: "show or set how many jobs of a project run at once, and what they reach", Args: cobra.NoArgs,
		Example: "  slipway limits\n  slipway limits --jobs 4 --run-jobs 2\n  slipway limits --jobs 0        # no limit\n" +
			"  slipway limits --limit-scope=false --installation\n  slipway limits --limit-scope=false",
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	jobs := cmd.Flags().Int("jobs", 0, "how many jobs of the project run at once; 0 is no limit")
	runJobs := cmd.Flags().Int("run-jobs", 0, "how many jobs of one run run at once; 0 is no limit")
	limited := cmd.Flags().Bool("limit-scope", true, "jobs reach their own project alone; they reach others only if the project and the installation say false")
	installation := cmd.Flags().Bool("installation", false, "with --limit-scope: say so for all projects")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		scopes := "/" + url.PathEscape(*project) + "/_apis/build/generalsettings"
		var scope api.GeneralSettings
		if cmd.Flags().Changed("limit-scope") {
			path := scopes
			if *installation {
				path = "/_apis/slipway/generalsettings"
			}
			if err := a.call(cmd.Context(), http.MethodPatch, path, api.GeneralSettings{EnforceJobAuthScope: *limited}, &scope); err != nil {
				return err
			}
		} else if *installation {
			return slipway.Invalid("--installation says whose --limit-scope is: give that, too")
		}
		if err := a.call(cmd.Context(), http.MethodGet, scopes, nil, &scope); err != nil {
			return err
		}
		path := "/" + url.PathEscape(*project) + "/_apis/slipway/limits"
		var l api.Limits
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &l); err != nil {
			return err
		}
		if cmd.Flags().Changed("jobs") || cmd.Flags().Changed("run-jobs") {
			if cmd.Flags().Changed("jobs") {
				l.Jobs = *jobs
			}
			if cmd.Flags().Changed("run-jobs") {
				l.RunJobs = *runJobs
			}
			if err := a.call(cmd.Context(), http.MethodPut, path, l, &l); err != nil {
				return err
			}
		}
		return showLimits(cmd.OutOrStdout(), l, scope)
	})
	return cmd
}

func showLimits(out io.Writer, l api.Limits, scope api.GeneralSettings) error {
	text := func(n int) string {
		if n == 0 {
			return "no limit"
		}
		return fmt.Sprint(n)
	}
	rows := [][]string{{"JOBS AT ONCE", "THIS PROJECT", "INSTALLATION"}, {"of the project", text(l.Jobs), text(l.Installation.ProjectJobs)},
		{"of one run", text(l.RunJobs), text(l.Installation.RunJobs)}, {"of all projects", "", text(l.Installation.Jobs)}}
	for _, name := range slices.Sorted(maps.Keys(l.Installation.Pools)) {
		rows = append(rows, []string{"of pool " + name, "", text(l.Installation.Pools[name])})
	}
	if err := tableTo(out, rows); err != nil {
		return err
	}
	reach := "this project alone"
	if !scope.EnforceJobAuthScope {
		reach = "all projects, to read"
	}
	fmt.Fprintf(out, "%d jobs of the project run, %d wait; they reach %s\n", l.Running, l.Waiting, reach)
	return nil
}
