package filecommands

import (
	"github.com/spf13/cobra"

	"slipway/internal/commandline"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/diagnostic"
	"slipway/internal/pipelines/graph"
)

func planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan [FILE]", GroupID: "files", Short: "draw the stages and jobs of a pipeline file, and what they wait for",
		Long: `Draws the stages and jobs of a pipeline file with what they wait for, their conditions, environments and pools.
Parameters without a value get one of their type.

  slipway plan --format dot | dot -Tsvg > pipeline.svg`,
		Args: cobra.MaximumNArgs(1),
	}
	format := cmd.Flags().String("format", "text", "how to draw: text, json, dot or mermaid")
	flags := addFileFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, top, err := flags.input(fileArgument(args))
		if err != nil {
			return err
		}
		report := compile.Check(in)
		if report.Plan == nil {
			list := diagnostic.Of(report)
			for i := range list {
				list[i].File = fromHere(top, list[i].File)
			}
			if err := diagnostic.Write(cmd.ErrOrStderr(), diagnostic.Text, list); err != nil {
				return err
			}
			return &commandline.ExitError{Code: 1}
		}
		return graph.Write(cmd.OutOrStdout(), graph.Format(*format), graph.Of(report.Plan))
	}
	return cmd
}
