package filecommands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/commandline"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/extension"
	"slipway/internal/pipelines/folder"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/task"
)

const defaultPipeline = "azure-pipelines.yml"

// fileFlags are what commands on files take besides the file.
type fileFlags struct {
	checkouts, parameters, variables, tasks *[]string
	root                                    *string
}

func addFileFlags(cmd *cobra.Command) fileFlags {
	f := cmd.Flags()
	f.SetNormalizeFunc(commandline.ShortNames)
	return fileFlags{
		checkouts:  f.StringArray("repository", nil, "ALIAS=FOLDER: where a repository under resources.repositories is checked out"),
		parameters: f.StringArray("parameter", nil, "NAME=VALUE: a parameter; a list or map is written as YAML"),
		variables:  f.StringArray("variable", nil, "NAME=VALUE: a variable that is known before the run, such as Build.SourceBranch; --var is the same"),
		root:       f.String("root", "", "FOLDER: the root of the repository (default the folder with .git above the file, or else the working directory)"),
		tasks:      addTaskFlag(cmd),
	}
}

// input reads a pipeline file of the checkout around it, whose path is top, so that absolute template paths find their files.
func (f fileFlags) input(file string) (in compile.Input, top string, err error) {
	tasks, err := extension.Open(*f.tasks)
	if err != nil {
		return in, "", err
	}
	in, top, err = f.inputWith(file, tasks.Catalog)
	return in, top, errors.Join(err, tasks.Close())
}

// around opens the repository of a file.
func (f fileFlags) around(file string) (*folder.Folder, string, error) {
	if *f.root == "" {
		return folder.Around(file)
	}
	around, relative, err := folder.Within(*f.root, file)
	if err != nil {
		return nil, "", fmt.Errorf("--root %s: %w", *f.root, err)
	}
	return around, relative, nil
}

// fileAbove is `, as ../FILE` for a file that is not in a folder and is in one above it; else "".
func fileAbove(folder, file string) string {
	here, err := filepath.Abs(folder)
	if err != nil || filepath.IsAbs(file) {
		return ""
	}
	for above := file; here != filepath.Dir(here); {
		here, above = filepath.Dir(here), filepath.Join("..", above)
		if s, err := os.Stat(filepath.Join(here, file)); err == nil && !s.IsDir() {
			return ", as " + above
		}
	}
	return ""
}

// inputWith is input with tasks that are open already.
func (f fileFlags) inputWith(file string, tasks task.Catalog) (in compile.Input, top string, err error) {
	switch s, err := os.Stat(file); {
	case err != nil:
		return in, "", slipway.NotFound("there is no file %s: name the pipeline's file%s", file, fileAbove(".", file))
	case s.IsDir():
		return in, "", slipway.Invalid("%s is a folder: name the pipeline's file in it", file)
	}
	around, relative, err := f.around(file)
	if err != nil {
		return in, "", err
	}
	in = compile.Input{Path: relative, Files: around, Parameters: map[string]any{}, Tasks: tasks}
	others := map[string]*folder.Folder{}
	checkouts, err := commandline.Pairs("--repository", *f.checkouts)
	if err != nil {
		return in, "", err
	}
	for alias, dir := range checkouts {
		if others[strings.ToLower(alias)], err = folder.Open(dir); err != nil {
			return in, "", fmt.Errorf("--repository %s=%s: %w", alias, dir, err)
		}
	}
	in.Repository = func(r plan.Repository) (compile.Files, error) {
		if f, ok := others[strings.ToLower(r.Alias)]; ok {
			return f, nil
		}
		return nil, nil
	}
	parameters, err := commandline.Pairs("--parameter", *f.parameters)
	if err != nil {
		return in, "", err
	}
	for name, value := range parameters {
		in.Parameters[name] = value
	}
	if in.Variables, err = commandline.Pairs("--variable", *f.variables); err != nil {
		return in, "", err
	}
	return in, around.Path, nil
}

// addTaskFlag gives commands on files the tasks that are not built in.
func addTaskFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArray("task", nil, "FOLDER or FILE: a task (a folder with a task.json, or a zip file of one) or an extension (.vsix) that files may use")
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
	flags := addFileFlags(cmd)
	origins := cmd.Flags().Bool("origins", false, "say for each line which file and line it comes from")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, _, err := flags.input(fileArgument(args))
		if err != nil {
			return err
		}
		expand := compile.Expand
		if *origins {
			expand = compile.ExpandWithOrigins
		}
		text, err := expand(in)
		if err != nil {
			cmd.PrintErrln(err)
			return &commandline.ExitError{Code: 1}
		}
		_, err = cmd.OutOrStdout().Write(text)
		return err
	}
	return cmd
}
