package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/images"
)

// builderCommand looks at and empties the image builder's cache.
func builderCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "builder", GroupID: "run", Short: "what the image builder's cache holds, and making room in it", Args: cobra.NoArgs,
		Example: "  slipway builder du\n  slipway builder prune --older-than 48h"}
	cmd.AddCommand(builderUsageCommand(), builderPruneCommand())
	return cmd
}

func builderUsageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "du", Short: "list what the cache holds, the largest first", Args: cobra.NoArgs}
	data := dataFlag(cmd)
	most := cmd.Flags().Int("most", 30, "how many pieces to list")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var usage images.Usage
		if err := a.call(cmd.Context(), http.MethodGet, "/_apis/slipway/builder/usage", nil, &usage); err != nil {
			return err
		}
		slices.SortFunc(usage.Records, func(a, b images.UsageRecord) int { return cmp.Compare(b.Size, a.Size) })
		rows := [][]string{{"SIZE", "KIND", "FOUND AGAIN", "SCOPES", "DESCRIPTION"}}
		for _, r := range usage.Records[:min(len(usage.Records), max(*most, 0))] {
			rows = append(rows, []string{megabytes(r.Size), r.Kind, fmt.Sprint(r.Uses), strings.Join(r.Scopes, ","), strings.Join(strings.Fields(r.Description), " ")})
		}
		if err := tableTo(cmd.OutOrStdout(), rows); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "\n%s in %d pieces\n", megabytes(usage.Bytes()), len(usage.Records))
		return err
	})
	return cmd
}

func builderPruneCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "prune", Short: "remove from the cache what no build uses at the moment", Args: cobra.NoArgs}
	data := dataFlag(cmd)
	all := cmd.Flags().Bool("all", false, "what BuildKit keeps for itself too, such as frontend images")
	older := cmd.Flags().Duration("older-than", 0, "only what was not used for so long")
	keep := cmd.Flags().Int64("keep", 0, "bytes that stay")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		body := api.BuilderPrune{All: *all, Keep: *keep}
		if *older > 0 {
			body.OlderThan = older.Round(time.Second).String()
		}
		var pruned api.BuilderPruned
		if err := a.call(cmd.Context(), http.MethodPost, "/_apis/slipway/builder/prune", body, &pruned); err != nil {
			return err
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s freed\n", megabytes(pruned.Freed))
		return err
	})
	return cmd
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
