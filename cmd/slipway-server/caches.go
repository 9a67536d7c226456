package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func cachesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "caches", GroupID: "project", Short: "list or delete the caches that jobs keep for later runs (task Cache@2)", Args: cobra.NoArgs,
		Example: `  slipway caches --pipeline shop
  slipway caches delete 12 13
  slipway caches delete --pipeline shop        # all of them`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	pipeline := cmd.Flags().String("pipeline", "", "only those of this pipeline, by its name or number")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		base := "/" + url.PathEscape(*project) + "/_apis"
		path := base + "/slipway/caches"
		if *pipeline != "" {
			p, err := choosePipeline(cmd.Context(), a, base, []string{*pipeline})
			if err != nil {
				return err
			}
			path += fmt.Sprintf("?pipeline=%d", p.ID)
		}
		var caches listOf[api.Cache]
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &caches); err != nil {
			return err
		}
		return showCaches(cmd.OutOrStdout(), caches.Value)
	})
	cmd.AddCommand(cachesDeleteCommand())
	return cmd
}

func showCaches(out io.Writer, caches []api.Cache) error {
	if len(caches) == 0 {
		fmt.Fprintln(out, "there is no cache")
		return nil
	}
	rows := [][]string{{"CACHE", "PIPELINE", "BRANCH", "SIZE", "HITS", "LAST USED", "KEY"}}
	for _, c := range caches {
		rows = append(rows, []string{fmt.Sprint(c.ID), c.Pipeline.Name, strings.TrimPrefix(c.Branch, "refs/heads/"), fmt.Sprintf("%.1f MB", float64(c.Size)/1e6), fmt.Sprint(c.Hits),
			c.LastUsed.Local().Format(time.DateTime), c.Key})
	}
	return tableTo(out, rows)
}

func cachesDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "delete [NUMBER...]", Short: "delete caches by their numbers, or all of a pipeline"}
	data, project := dataFlag(cmd), projectFlag(cmd)
	pipeline := cmd.Flags().String("pipeline", "", "all of this pipeline, by its name or number")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) == 0) == (*pipeline == "") {
			return errors.New("name the numbers of caches, as `slipway caches` lists them, or a pipeline with --pipeline")
		}
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		base := "/" + url.PathEscape(*project) + "/_apis"
		deleted := len(args)
		if *pipeline != "" {
			p, err := choosePipeline(cmd.Context(), a, base, []string{*pipeline})
			if err != nil {
				return err
			}
			var answer struct{ Count int }
			if err := a.call(cmd.Context(), http.MethodDelete, fmt.Sprintf("%s/slipway/pipelines/%d/caches", base, p.ID), nil, &answer); err != nil {
				return err
			}
			deleted = answer.Count
		}
		for _, id := range args {
			if err := a.call(cmd.Context(), http.MethodDelete, base+"/slipway/caches/"+url.PathEscape(id), nil, nil); err != nil {
				return err
			}
		}
		fmt.Fprintf(cmd.OutOrStdout(), "deleted %d caches\n", deleted)
		return nil
	}
	return cmd
}
