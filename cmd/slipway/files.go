package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/folder"
	"slipway/internal/pipelines/plan"
)

const defaultPipeline = "azure-pipelines.yml"

// repositoryFlag adds the flag that says where other repositories are checked out.
func repositoryFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArray("repository", nil, "ALIAS=FOLDER: where a repository under resources.repositories is checked out")
}

// input reads a pipeline file of the checkout around it, whose path is top, so that absolute template paths find their
// files. checkouts are ALIAS=FOLDER.
func input(file string, checkouts []string) (in compile.Input, top string, err error) {
	if s, err := os.Stat(file); err != nil || s.IsDir() {
		return in, "", slipway.NotFound("there is no file %s: name the pipeline's file", file)
	}
	around, relative, err := folder.Around(file)
	if err != nil {
		return in, "", err
	}
	others := map[string]*folder.Folder{}
	for _, c := range checkouts {
		alias, dir, ok := strings.Cut(c, "=")
		if !ok || alias == "" {
			return in, "", slipway.Invalid("--repository %s: write ALIAS=FOLDER", c)
		}
		if others[strings.ToLower(alias)], err = folder.Open(dir); err != nil {
			return in, "", fmt.Errorf("--repository %s: %w", c, err)
		}
	}
	return compile.Input{Path: relative, Files: around, Repository: func(r plan.Repository) (compile.Files, error) {
		if f, ok := others[strings.ToLower(r.Alias)]; ok {
			return f, nil
		}
		return nil, nil
	}}, around.Path, nil
}

func fileArgument(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return defaultPipeline
}

func expandCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "expand [FILE]", GroupID: "files", Short: "print a pipeline file with its templates expanded",
		Args: cobra.MaximumNArgs(1),
	}
	checkouts := repositoryFlag(cmd)
	origins := cmd.Flags().Bool("origins", false, "say for each line which file and line it comes from")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		in, _, err := input(fileArgument(args), *checkouts)
		if err != nil {
			return err
		}
		expand := compile.Expand
		if *origins {
			expand = compile.ExpandWithOrigins
		}
		text, err := expand(in)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return &exitError{1}
		}
		_, err = os.Stdout.Write(text)
		return err
	}
	return cmd
}
