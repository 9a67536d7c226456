// Package importer makes a pipeline of what other systems run: a workflow of GitHub Actions, a file of GitLab CI.
//
// It is pure: files come through an interface that the caller gives. What cannot be carried over is told, each with its place, the
// reason and what to do, and stands as a comment in the pipeline too. What could not be is never passed over in silence: a condition
// that has no counterpart becomes false, and a job of which nothing is left fails.
package importer

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"slipway"
	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/importer/github"
	"slipway/internal/pipelines/importer/gitlab"
)

// Source is a system whose files can be imported.
type Source string

// The systems.
const (
	GitHub Source = "github"
	GitLab Source = "gitlab"
)

// Files reads files of the repository that the file is in: paths are relative to its root, with slashes.
type Files interface {
	ReadFile(path string) ([]byte, error)
}

// Output is a pipeline and what is to be said of it.
type Output struct {
	Pipeline []byte
	Notes    []draft.Note
	// Steps is how many steps the source has, script by script and action by action, and Carried how many of them the pipeline has.
	Steps, Carried int
}

var (
	githubJobs = regexp.MustCompile(`(?m)^jobs:`)
	githubOn   = regexp.MustCompile(`(?m)^["']?on["']?:`)
)

// Detect says of which system a file is, by its name and else by what stands in it; "" if neither tells.
func Detect(file string, data []byte) Source {
	switch {
	case strings.Contains(file, ".github/workflows/"):
		return GitHub
	case strings.HasSuffix(path.Base(file), ".gitlab-ci.yml") || strings.HasSuffix(path.Base(file), ".gitlab-ci.yaml"):
		return GitLab
	case githubJobs.Match(data) && githubOn.Match(data):
		return GitHub
	case bytes.Contains(data, []byte("script:")):
		return GitLab
	}
	return ""
}

// Import makes a pipeline of a file. The error says why there is none.
func Import(source Source, file string, data []byte, files Files) (Output, error) {
	var result draft.Result
	var err error
	switch source {
	case GitHub:
		result, err = github.Import(file, data, files)
	case GitLab:
		result, err = gitlab.Import(file, data, files)
	default:
		return Output{}, slipway.Invalid("%s is neither a workflow of GitHub Actions nor a file of GitLab CI: write `slipway import github FILE` or `slipway import gitlab FILE`", file)
	}
	if err != nil {
		return Output{}, err
	}
	text, err := draft.Write(result.Root, result.Header)
	if err != nil {
		return Output{}, err
	}
	return Output{text, result.Notes, result.Steps, result.Carried}, nil
}
