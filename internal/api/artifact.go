package api

import (
	"archive/zip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines"
)

// BuildArtifact is an artifact of a run.
type BuildArtifact struct {
	ID       int              `json:"id"` // its place among the run's
	Name     string           `json:"name"`
	Source   string           `json:"source,omitempty"` // the record of the job that published it
	Resource ArtifactResource `json:"resource"`
}

// ArtifactResource says where an artifact's contents are.
type ArtifactResource struct {
	Type        string            `json:"type"` // PipelineArtifact
	Data        string            `json:"data"`
	URL         string            `json:"url"`
	DownloadURL string            `json:"downloadUrl"` // of a zip file
	Properties  map[string]string `json:"properties"`  // artifactsize, in bytes
}

// artifacts lists the artifacts of a run; with artifactName it is that one, and with $format=zip its contents.
func (b buildRoutes) artifacts(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	all, err := b.pipelines.Artifacts(r.Context(), run.ID)
	if err != nil {
		return err
	}
	wanted := r.URL.Query().Get("artifactName")
	var out []BuildArtifact
	for i, a := range all {
		source, err := b.sourceOf(r, &a)
		if err != nil {
			return err
		}
		self := fmt.Sprintf("%s/%s/_apis/build/builds/%d/artifacts?artifactName=%s&api-version=7.1", b.url, url.PathEscape(r.project.Name), run.ID, url.QueryEscape(a.Name))
		one := BuildArtifact{ID: i + 1, Name: a.Name, Source: source, Resource: ArtifactResource{
			Type: "PipelineArtifact", Data: a.Name, URL: self, DownloadURL: self + "&%24format=zip", Properties: map[string]string{"artifactsize": fmt.Sprint(a.Size)}}}
		if a.UploadedBy.ID != "" {
			one.Resource.Properties["uploadedBy"] = a.UploadedBy.Name
		}
		if wanted == "" {
			out = append(out, one)
			continue
		}
		if !strings.EqualFold(a.Name, wanted) {
			continue
		}
		if strings.EqualFold(r.URL.Query().Get("$format"), "zip") || strings.Contains(r.Header.Get("Accept"), "application/zip") {
			return b.zipArtifact(w, r, run.ID, a.Name)
		}
		httpx.WriteJSON(w, http.StatusOK, one)
		return nil
	}
	if wanted != "" {
		return slipway.NotFound("run %d has no artifact %q", run.ID, wanted)
	}
	return list(w, out)
}

// sourceOf is the record of the job that published an artifact, "" if a person uploaded it.
func (b buildRoutes) sourceOf(r request, a *pipelines.Artifact) (string, error) {
	if a.UploadedBy.ID != "" {
		return "", nil
	}
	job, err := b.pipelines.Job(r.Context(), a.Job)
	return recordID("run/%d/job/%s/%d", job.Run, job.Instance, job.Attempt), err
}

// tarArtifact answers with an artifact as the tar file that it is.
func (b buildRoutes) tarArtifact(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	content, err := b.pipelines.OpenArtifact(r.Context(), run.ID, r.named("artifact"))
	if err != nil {
		return err
	}
	defer content.Close()
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Length", strconv.FormatInt(content.Size(), 10))
	if _, err := io.Copy(w, content); err != nil { // the answer has begun: it is shorter than it says
		httpx.LogError(b.logger, r.Request, err)
	}
	return nil
}

// uploadArtifact stores the body, a tar file, as an artifact of the run.
func (b buildRoutes) uploadArtifact(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	a, err := b.pipelines.UploadArtifact(r.Context(), run.ID, r.named("artifact"), r.Body, r.caller.Actor)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, a.Artifact)
	return nil
}

// zipArtifact answers with the files of an artifact below a folder of its name.
func (b buildRoutes) zipArtifact(w http.ResponseWriter, r request, run slipway.RunID, name string) error {
	files, err := b.pipelines.ArtifactFiles(r.Context(), run, name)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(name)+".zip")
	out := zip.NewWriter(w)
	for _, f := range files {
		if err := b.zipFile(out, r, run, name, f); err != nil {
			// The answer has begun: without its end, clients see that it is broken.
			httpx.LogError(b.logger, r.Request, err)
			return nil
		}
	}
	if err := out.Close(); err != nil {
		httpx.LogError(b.logger, r.Request, err)
	}
	return nil
}

func (b buildRoutes) zipFile(out *zip.Writer, r request, run slipway.RunID, artifact string, f pipelines.ArtifactFile) error {
	content, _, err := b.pipelines.OpenArtifactFile(r.Context(), run, artifact, f.Path)
	if err != nil {
		return err
	}
	defer content.Close()
	file, err := out.Create(artifact + "/" + f.Path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return err
}
