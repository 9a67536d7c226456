package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "audit", GroupID: "project", Short: "list who did what in a project, newest first", Args: cobra.NoArgs,
		Example: `  slipway audit --project shop
  slipway audit --project shop --action pipelines.variable_group_changed --since 24h
  slipway audit --installation --everybody            # jobs and the server itself, too`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	installation := cmd.Flags().Bool("installation", false, "of all projects, and of what is of none")
	everybody := cmd.Flags().Bool("everybody", false, "with what jobs, machines and the server did")
	action := cmd.Flags().String("action", "", "only this kind of event")
	since := cmd.Flags().Duration("since", 0, "only what is younger (24h)")
	top := cmd.Flags().Int("top", 50, "how many at most, up to 999")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		q := url.Values{"batchSize": {strconv.Itoa(*top)}, "people": {strconv.FormatBool(!*everybody)}}
		if *action != "" {
			q.Set("actionId", *action)
		}
		if *since > 0 {
			q.Set("startTime", time.Now().Add(-*since).UTC().Format(time.RFC3339))
		}
		path := "/" + url.PathEscape(*project) + "/_apis/slipway/audit/auditlog?"
		if *installation {
			path = "/_apis/audit/auditlog?"
		}
		var log api.AuditLog
		if err := a.call(cmd.Context(), http.MethodGet, path+q.Encode(), nil, &log); err != nil {
			return err
		}
		rows := [][]string{{"TIME", "WHO", "ACTION", "DETAILS"}}
		for _, e := range log.Entries {
			rows = append(rows, []string{e.Timestamp.Local().Format(time.DateTime), e.ActorDisplayName, e.ActionID, e.Details})
		}
		if len(log.Entries) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "nothing has happened")
			return nil
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	return cmd
}
