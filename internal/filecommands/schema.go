package filecommands

import (
	"github.com/spf13/cobra"

	"slipway/internal/pipelines/extension"
	"slipway/internal/pipelines/jsonschema"
)

func schemaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "schema", GroupID: "files", Short: "print a JSON schema of pipeline files, for editors",
		Long: `Prints a JSON schema (draft 7) of pipeline files and their templates, for editors that check YAML by one. It knows
keys, tasks and their inputs; slipway lsp and slipway validate know the rest too.`,
		Args: cobra.NoArgs,
	}
	tasks := addTaskFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		known, err := extension.Open(*tasks)
		if err != nil {
			return err
		}
		if err := known.Close(); err != nil {
			return err
		}
		text, err := jsonschema.Generate(known.Catalog)
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	return cmd
}
