package filecommands

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/commandline"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/diagnostic"
)

func validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "validate [FILE...]", GroupID: "files", Short: "check pipeline files, and say everything that is wrong with them",
		Long: `Checks pipeline files and the templates that they include, and says everything that is wrong with them, each with its
place and what to write instead. Templates can be checked by themselves too. Without a FILE it checks azure-pipelines.yml.

It ends with 0 if the files are fine, with 1 if there are mistakes, and with 2 if a file cannot be read.`,
	}
	format := cmd.Flags().String("format", "text", "how to write what was found: text, json, sarif, github or azure")
	strict := cmd.Flags().Bool("strict", false, "end with 1 for warnings too")
	flags := addFileFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := diagnostic.ParseFormat(*format)
		if err != nil {
			return err
		}
		if len(args) == 0 {
			args = []string{defaultPipeline}
		}
		var all []diagnostic.Diagnostic
		unreadable := false
		for _, file := range args {
			list, err := validate(cmd, file, flags, f)
			if err != nil {
				cmd.PrintErrln("slipway: " + err.Error())
				unreadable = true
			}
			for _, d := range list {
				if !slices.Contains(all, d) { // two files may include the same template
					all = append(all, d)
				}
			}
		}
		if err := diagnostic.Write(cmd.OutOrStdout(), f, all); err != nil {
			return err
		}
		errors, warnings := diagnostic.Count(all)
		switch {
		case unreadable:
			return &commandline.ExitError{Code: 2}
		case errors > 0 || *strict && warnings > 0:
			return &commandline.ExitError{Code: 1}
		}
		return nil
	}
	return cmd
}

// validate checks one file. What people read names files as they would from where they are; programs get the path in the
// repository.
func validate(cmd *cobra.Command, file string, flags fileFlags, f diagnostic.Format) ([]diagnostic.Diagnostic, error) {
	in, top, err := flags.input(file)
	if err != nil {
		return nil, err
	}
	report := compile.Check(in)
	list := diagnostic.Of(report)
	if f != diagnostic.Text {
		return list, nil
	}
	for i := range list {
		list[i].File = fromHere(top, list[i].File)
	}
	if errors, _ := diagnostic.Count(list); errors == 0 {
		cmd.PrintErrf("%s is fine: %s\n", file, summary(report))
	}
	return list, nil
}

func summary(r compile.Report) string {
	if r.Plan == nil {
		return commandline.Count(len(r.Sources), "file") + " read"
	}
	jobs := 0
	for _, s := range r.Plan.Stages {
		jobs += len(s.Jobs)
	}
	return commandline.Count(len(r.Plan.Stages), "stage") + ", " + commandline.Count(jobs, "job")
}

// fromHere is a path of the repository at top as seen from the working directory. Files of other repositories keep their name.
func fromHere(top, path string) string {
	here, err := os.Getwd()
	if err != nil || strings.Contains(path, "@") {
		return path
	}
	relative, err := filepath.Rel(here, filepath.Join(top, filepath.FromSlash(path)))
	if err != nil {
		return path
	}
	return relative
}
