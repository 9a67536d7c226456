package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/pipelines/compile"
)

// folder reads a repository's files from a checkout.
type folder struct{ root *os.Root }

// ReadFile implements compile.Files.
func (f folder) ReadFile(path string) ([]byte, error) { return f.root.ReadFile(path) }

const defaultPipeline = "azure-pipelines.yml"

// input reads the pipeline file that the arguments name, below the nearest folder that holds .git, so that absolute
// template paths find their files.
func input(args []string) (compile.Input, error) {
	file := defaultPipeline
	if len(args) > 0 {
		file = args[0]
	}
	path, err := filepath.Abs(file)
	if err != nil {
		return compile.Input{}, err
	}
	if _, err := os.Stat(path); err != nil {
		return compile.Input{}, slipway.NotFound("there is no file %s: name the pipeline's file", file)
	}
	top := repositoryRoot(filepath.Dir(path))
	root, err := os.OpenRoot(top)
	if err != nil {
		return compile.Input{}, err
	}
	relative, err := filepath.Rel(top, path)
	if err != nil {
		return compile.Input{}, err
	}
	return compile.Input{Path: filepath.ToSlash(relative), Files: folder{root}}, nil
}

func repositoryRoot(dir string) string {
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, ".git")); err == nil {
			return d
		} else if !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			return dir
		}
	}
}

func validateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "validate [FILE]", GroupID: "files", Short: "check a pipeline file, and say everything that is wrong with it",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := input(args)
			if err != nil {
				return err
			}
			p, err := compile.Compile(in)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return &exitError{1}
			}
			jobs := 0
			for _, s := range p.Stages {
				jobs += len(s.Jobs)
			}
			fmt.Printf("%s is fine: %d stages, %d jobs\n", in.Path, len(p.Stages), jobs)
			return nil
		},
	}
}

func expandCommand() *cobra.Command {
	return &cobra.Command{
		Use: "expand [FILE]", GroupID: "files", Short: "print a pipeline file with its templates expanded",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := input(args)
			if err != nil {
				return err
			}
			text, err := compile.Expand(in)
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return &exitError{1}
			}
			_, err = os.Stdout.Write(text)
			return err
		},
	}
}
