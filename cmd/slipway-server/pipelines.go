package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func pipelinesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pipelines", GroupID: "project", Short: "list the pipelines of a project, or change one's settings", Args: cobra.NoArgs,
		Example: `  slipway pipelines
  slipway pipelines set shop --retry-lost 2
  slipway pipelines set shop --retry-lost pool     # as the pool of each job says
  slipway pipelines set shop --disabled            # only people start runs`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var pipelines listOf[api.Pipeline]
		if err := a.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(*project)+"/_apis/pipelines", nil, &pipelines); err != nil {
			return err
		}
		rows := [][]string{{"NUMBER", "NAME", "STARTS", "RETRIES OF LOST JOBS"}}
		for _, p := range pipelines.Value {
			var s api.PipelineSettings
			if err := a.call(cmd.Context(), http.MethodGet, settingsPath(*project, p.ID), nil, &s); err != nil {
				return err
			}
			rows = append(rows, settingsRow(s))
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(pipelinesSetCommand())
	return cmd
}

func settingsPath(project string, id int64) string {
	return fmt.Sprintf("/%s/_apis/slipway/pipelines/%d", url.PathEscape(project), id)
}

func settingsRow(s api.PipelineSettings) []string {
	starts, retries := "as its file says", "as the pool says"
	if s.Disabled {
		starts = "by people alone"
	}
	if s.RetryLost != nil {
		retries = strconv.Itoa(*s.RetryLost)
	}
	return []string{strconv.FormatInt(s.ID, 10), s.Name, starts, retries}
}

func pipelinesSetCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "set NAME", Short: "change what the flags name of a pipeline", Args: cobra.ExactArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	retries := cmd.Flags().String("retry-lost", "", "how often a job whose pod is lost is started again, 0 to 10, or pool for what its pool says")
	disabled := cmd.Flags().Bool("disabled", false, "only people start runs")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		change := map[string]any{}
		if cmd.Flags().Changed("disabled") {
			change["disabled"] = *disabled
		}
		if cmd.Flags().Changed("retry-lost") {
			if _, err := strconv.Atoi(*retries); err != nil && *retries != "pool" {
				return fmt.Errorf("--retry-lost %q: write a number, or pool", *retries)
			}
			change["retryLost"] = json.RawMessage(strings.Replace(*retries, "pool", "null", 1))
		}
		var found listOf[api.Definition]
		query := url.Values{"name": {args[0]}}
		if err := a.call(cmd.Context(), http.MethodGet, "/"+url.PathEscape(*project)+"/_apis/build/definitions?"+query.Encode(), nil, &found); err != nil {
			return err
		}
		if len(found.Value) != 1 {
			return fmt.Errorf("there is no pipeline %q in project %s", args[0], *project)
		}
		var s api.PipelineSettings
		if err := a.call(cmd.Context(), http.MethodPatch, settingsPath(*project, found.Value[0].ID), change, &s); err != nil {
			return err
		}
		return tableTo(cmd.OutOrStdout(), [][]string{{"NUMBER", "NAME", "STARTS", "RETRIES OF LOST JOBS"}, settingsRow(s)})
	})
	return cmd
}
