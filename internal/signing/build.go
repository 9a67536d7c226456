package signing

import (
	"net/url"
	"strings"
	"time"

	"slipway"
)

// Build is what the server knows of the job that pushed an image.
type Build struct {
	Project      string
	ProjectID    slipway.ProjectID
	Repository   string // of the source, by name
	RepositoryID slipway.RepositoryID
	Ref          string // refs/heads/main, or refs/pull/7/merge
	Commit       slipway.CommitID
	Pipeline     string
	PipelineID   slipway.PipelineID
	File         string // of the pipeline, from the repository's root
	Run          slipway.RunID
	Number       string // Build.BuildNumber
	Reason       string // Build.Reason
	RequestedFor string
	Parameters   map[string]any
	Stage        string        // empty when the job is not known
	Job          slipway.JobID // 0 when it is not known
	JobName      string
	Attempt      int
	Environment  string // of a deployment job
	Started      time.Time
	Pushed       time.Time
}

// repositoryURL is the address of the source repository.
func (s *Service) repositoryURL(b Build) string {
	return s.url + "/" + url.PathEscape(b.Project) + "/_git/" + url.PathEscape(b.Repository)
}

// runURL is the page of the run.
func (s *Service) runURL(b Build) string {
	return s.url + "/" + url.PathEscape(b.Project) + "/_build/results?buildId=" + b.Run.String()
}

// Identity is who signs: the pipeline's file at a ref, REPOSITORY//FILE@REF, in the form that GitLab's identities have at Fulcio.
func (s *Service) Identity(b Build) string {
	file := (&url.URL{Path: strings.TrimPrefix(b.File, "/")}).EscapedPath()
	return s.repositoryURL(b) + "//" + file + "@" + (&url.URL{Path: b.Ref}).EscapedPath()
}
