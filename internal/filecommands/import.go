package filecommands

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/commandline"
	"slipway/internal/pipelines/folder"
	"slipway/internal/pipelines/importer"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import [github|gitlab] FILE", GroupID: "files", Short: "make a pipeline of a workflow of GitHub Actions or a file of GitLab CI",
		Long: `Makes a pipeline of a workflow of GitHub Actions (.github/workflows/*.yml) or a file of GitLab CI (.gitlab-ci.yml), with the
files of the same repository that it includes. What could not be carried over is said on standard error, each with its place, the
reason and what to do, and stands as a comment in the pipeline too.

It ends with 0 if there is a pipeline, and with 1 if the file is none of these.`,
		Example: `  slipway import .github/workflows/ci.yml >azure-pipelines.yml
  slipway import gitlab ci.yml --output azure-pipelines.yml
  slipway validate azure-pipelines.yml`,
		Args: cobra.RangeArgs(1, 2),
	}
	output := cmd.Flags().StringP("output", "o", "", "file that the pipeline is written to (default standard output)")
	force := cmd.Flags().Bool("force", false, "write over a file that is there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, source := args[len(args)-1], importer.Source("")
		if len(args) == 2 {
			source = importer.Source(args[0])
			if !slices.Contains([]importer.Source{importer.GitHub, importer.GitLab}, source) {
				return fmt.Errorf("%s: write github or gitlab before the file", args[0])
			}
		}
		if _, err := os.Stat(*output); *output != "" && err == nil && !*force {
			return fmt.Errorf("%s is there already: give --force to write over it", *output)
		}
		out, err := importFile(cmd.ErrOrStderr(), source, file)
		if err != nil {
			return err
		}
		if *output == "" {
			_, err = cmd.OutOrStdout().Write(out)
			return err
		}
		if err := renameio.WriteFile(*output, out, 0o644); err != nil {
			return fmt.Errorf("write the pipeline: %w", err)
		}
		return nil
	}
	return cmd
}

// importFile makes the pipeline and says what it does not have.
func importFile(report io.Writer, source importer.Source, file string) ([]byte, error) {
	if s, err := os.Stat(file); err != nil || s.IsDir() {
		return nil, slipway.NotFound("there is no file %s: name the workflow's file", file)
	}
	around, relative, err := folder.Around(file)
	if err != nil {
		return nil, err
	}
	defer around.Close()
	data, err := around.ReadFile(relative)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if source == "" {
		source = importer.Detect(filepath.ToSlash(relative), data)
	}
	out, err := importer.Import(source, relative, data, around)
	if err != nil {
		return nil, err
	}
	for _, n := range out.Notes {
		fmt.Fprintf(report, "%s:%d:%d: %s\n", fromHere(around.Path, n.At.File), n.At.Line, n.At.Column, n)
	}
	fmt.Fprintf(report, "%d of %s carried over, with %s\n", out.Carried, commandline.Count(out.Steps, "step"), commandline.Count(len(out.Notes), "note"))
	return out.Pipeline, nil
}
