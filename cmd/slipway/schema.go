package main

import (
	"os"

	"github.com/spf13/cobra"

	"slipway/internal/pipelines/jsonschema"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", GroupID: "files", Short: "print a JSON schema of pipeline files, for editors",
		Long: `Prints a JSON schema (draft 7) of pipeline files and their templates, for editors that check YAML by one. It knows
keys, tasks and their inputs; slipway lsp and slipway validate know the rest too.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := jsonschema.Generate()
			if err != nil {
				return err
			}
			_, err = os.Stdout.Write(text)
			return err
		},
	}
}
