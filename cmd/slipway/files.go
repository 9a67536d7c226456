package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/plan"
)

// folder reads a repository's files from a checkout.
type folder struct{ root *os.Root }

// ReadFile implements compile.Files.
func (f folder) ReadFile(path string) ([]byte, error) { return f.root.ReadFile(path) }

const defaultPipeline = "azure-pipelines.yml"

// repositoryFlag adds the flag that says where other repositories are checked out.
func repositoryFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArray("repository", nil, "ALIAS=FOLDER: where a repository under resources.repositories is checked out")
}

// input reads a pipeline file below the nearest folder that holds .git, which is top, so that absolute template paths find
// their files. checkouts are ALIAS=FOLDER.
func input(file string, checkouts []string) (in compile.Input, top string, err error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return in, "", err
	}
	if s, err := os.Stat(path); err != nil || s.IsDir() {
		return in, "", slipway.NotFound("there is no file %s: name the pipeline's file", file)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return in, "", err
	}
	top = repositoryRoot(filepath.Dir(path))
	root, err := os.OpenRoot(top)
	if err != nil {
		return in, "", err
	}
	relative, err := filepath.Rel(top, path)
	if err != nil {
		return in, "", err
	}
	others, err := openCheckouts(checkouts)
	if err != nil {
		return in, "", err
	}
	return compile.Input{Path: filepath.ToSlash(relative), Files: folder{root}, Repository: func(r plan.Repository) (compile.Files, error) {
		if f, ok := others[strings.ToLower(r.Alias)]; ok {
			return f, nil
		}
		return nil, nil
	}}, top, nil
}

func openCheckouts(checkouts []string) (map[string]folder, error) {
	open := map[string]folder{}
	for _, c := range checkouts {
		alias, dir, ok := strings.Cut(c, "=")
		if !ok || alias == "" {
			return nil, slipway.Invalid("--repository %s: write ALIAS=FOLDER", c)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, fmt.Errorf("--repository %s: %w", c, err)
		}
		open[strings.ToLower(alias)] = folder{root}
	}
	return open, nil
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
