package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/trigger"
)

func (b buildRoutes) addPipelineRoutes() {
	b.project("GET", "/pipelines", identity.Read, b.listPipelines)
	b.project("POST", "/pipelines", identity.Contribute, b.createPipeline)
	b.project("GET", "/pipelines/{pipeline}", identity.Read, b.getPipeline)
	b.project("GET", "/pipelines/{pipeline}/runs", identity.Read, b.listRuns)
	b.project("POST", "/pipelines/{pipeline}/runs", identity.Contribute, b.queueRun)
	b.project("GET", "/pipelines/{pipeline}/runs/{build}", identity.Read, b.getRun)
	b.project("POST", "/pipelines/{pipeline}/preview", identity.Contribute, b.preview)
	b.project("GET", "/build/definitions", identity.Read, b.listDefinitions)
	b.project("GET", "/build/definitions/{pipeline}", identity.Read, b.getDefinition)
	b.project("GET", "/slipway/pipelines/{pipeline}", identity.Read, b.pipelineSettings)
	b.project("PATCH", "/slipway/pipelines/{pipeline}", identity.Administer, b.setPipelineSettings)
	b.project("GET", "/slipway/pipelines/{pipeline}/schedules", identity.Read, b.schedules)
}

// Pipeline is a pipeline as `GET pipelines` shows it.
type Pipeline struct {
	ID       int64  `json:"id"`
	Name     string `json:"name"`
	Folder   string `json:"folder"`   // always the root, a backslash
	Revision int    `json:"revision"` // always 1
	URL      string `json:"url"`
	Links    Links  `json:"_links"`
}

func (b buildRoutes) pipeline(p identity.Project, d pipelines.Definition) Pipeline {
	out := Pipeline{ID: int64(d.ID), Name: d.Name, Folder: `\`, Revision: 1, URL: fmt.Sprintf("%s/%s/_apis/pipelines/%d", b.url, url.PathEscape(p.Name), d.ID)}
	out.Links.Web.Href = fmt.Sprintf("%s/%s/_build?definitionId=%d", b.url, url.PathEscape(p.Name), d.ID)
	return out
}

func (b buildRoutes) listPipelines(w http.ResponseWriter, r request) error {
	definitions, err := b.pipelines.Definitions(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	var out []Pipeline
	for _, d := range definitions {
		out = append(out, b.pipeline(r.project, d))
	}
	return list(w, out)
}

// definition finds the pipeline and makes sure that it is of the authorized project.
func (b buildRoutes) definition(r request) (pipelines.Definition, error) {
	id, err := r.number("pipeline")
	if err != nil {
		return pipelines.Definition{}, err
	}
	return b.definitionOf(r, id)
}

func (b buildRoutes) definitionOf(r request, id int64) (pipelines.Definition, error) {
	d, err := b.pipelines.Definition(r.Context(), slipway.PipelineID(id))
	if err == nil && d.Project != r.project.ID {
		err = slipway.NotFound("there is no pipeline %d", id)
	}
	return d, err
}

func (b buildRoutes) getPipeline(w http.ResponseWriter, r request) error {
	d, err := b.definition(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.pipeline(r.project, d))
	return nil
}

// createPipeline makes a pipeline of a file; azure-pipelines.yml in the root of a repository makes one by itself.
func (b buildRoutes) createPipeline(w http.ResponseWriter, r request) error {
	var body struct {
		Name          string `json:"name"`
		Folder        string `json:"folder"`
		Configuration struct {
			Type       string `json:"type"`
			Path       string `json:"path"`
			Repository struct {
				ID   string `json:"id"`
				Name string `json:"name"`
				Type string `json:"type"`
			} `json:"repository"`
		} `json:"configuration"`
	}
	if err := httpx.ReadJSON(w, r.Request, maxRunBody, &body); err != nil {
		return err
	}
	c := body.Configuration
	switch {
	case strings.Trim(body.Folder, `\/`) != "":
		return at("folder", slipway.Unsupported("folders of pipelines are not there yet: leave it out"))
	case c.Type != "" && !strings.EqualFold(c.Type, "yaml"):
		return at("configuration.type", slipway.Unsupported("a pipeline is a file, write yaml, not %q", c.Type))
	case c.Repository.Type != "" && !strings.EqualFold(c.Repository.Type, "azureReposGit"):
		return at("configuration.repository.type", slipway.Unsupported("the repository is one of this server, write azureReposGit, not %q", c.Repository.Type))
	}
	name := c.Repository.ID
	if name == "" {
		name = c.Repository.Name
	}
	repository, err := b.pipelines.Source.FindRepository(r.Context(), r.project.ID, name)
	if err == nil && repository.Project != r.project.ID {
		err = slipway.NotFound("there is no repository %q in this project", name)
	}
	if err != nil {
		return at("configuration.repository", err)
	}
	d, err := b.pipelines.CreateDefinition(r.Context(), pipelines.Definition{Project: r.project.ID, Name: body.Name, Repository: repository.ID, Path: c.Path})
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.pipeline(r.project, d))
	return nil
}

// Definition is a pipeline as `GET build/definitions` shows it.
type Definition struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Path        string `json:"path"`        // its folder, always a backslash
	QueueStatus string `json:"queueStatus"` // enabled, or disabled when only people start runs
	Revision    int    `json:"revision"`    // always 1
	Type        string `json:"type"`        // always build
	Links       Links  `json:"_links"`
}

func (b buildRoutes) asDefinition(p identity.Project, d pipelines.Definition) Definition {
	out := Definition{ID: int64(d.ID), Name: d.Name, Path: `\`, QueueStatus: "enabled", Revision: 1, Type: "build", Links: b.pipeline(p, d).Links}
	if d.Disabled {
		out.QueueStatus = "disabled"
	}
	return out
}

// listDefinitions lists the pipelines, or with ?name= those of that name, in which * is any text.
func (b buildRoutes) listDefinitions(w http.ResponseWriter, r request) error {
	definitions, err := b.pipelines.Definitions(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	name := strings.ToLower(r.URL.Query().Get("name"))
	var out []Definition
	for _, d := range definitions {
		if name == "" || trigger.Wildcard(name, strings.ToLower(d.Name)) {
			out = append(out, b.asDefinition(r.project, d))
		}
	}
	return list(w, out)
}

func (b buildRoutes) getDefinition(w http.ResponseWriter, r request) error {
	d, err := b.definition(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.asDefinition(r.project, d))
	return nil
}

// Run is a run as `GET pipelines/{pipeline}/runs/{run}` shows it.
type Run struct {
	ID           int64       `json:"id"`
	Name         string      `json:"name"`             // its number
	State        string      `json:"state"`            // inProgress, canceling, completed
	Result       string      `json:"result,omitempty"` // succeeded, failed, canceled
	CreatedDate  *time.Time  `json:"createdDate,omitempty"`
	FinishedDate *time.Time  `json:"finishedDate,omitempty"`
	URL          string      `json:"url"`
	Pipeline     Pipeline    `json:"pipeline"`
	Resources    RunResource `json:"resources"`
	// TemplateParameters are those that were given.
	TemplateParameters map[string]any `json:"templateParameters,omitempty"`
	FinalYAML          string         `json:"finalYaml,omitempty"` // of a preview, which has no ID
	Links              Links          `json:"_links"`
}

// RunResource says what a run is of.
type RunResource struct {
	Repositories map[string]RunRepository `json:"repositories"`
	Packages     map[string]RunPackage    `json:"packages,omitempty"` // by their aliases
}

// RunPackage is a package that a run takes.
type RunPackage struct {
	Name    string `json:"name"`
	Type    string `json:"type"` // npm or NuGet
	Version string `json:"version"`
}

// RunRepository is the repository of a run's file, under the name self.
type RunRepository struct {
	Repository struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"repository"`
	RefName string `json:"refName"`
	Version string `json:"version"`
}

func (b buildRoutes) runOf(p identity.Project, d pipelines.Definition, r pipelines.Run) Run {
	out := Run{ID: int64(r.ID), Name: r.Number, State: "inProgress", CreatedDate: when(r.Queued), FinishedDate: when(r.Finished),
		Pipeline: b.pipeline(p, d), TemplateParameters: r.Parameters}
	out.URL = fmt.Sprintf("%s/runs/%d", out.Pipeline.URL, r.ID)
	out.Links.Web.Href = b.build(p, r).Links.Web.Href
	switch {
	case r.State == pipelines.RunCompleted:
		out.State = "completed"
		if out.Result = buildResult(r.Result); out.Result == "partiallySucceeded" { // which runs do not know
			out.Result = "succeeded"
		}
	case r.Canceled:
		out.State = "canceling"
	}
	self := RunRepository{RefName: r.Ref, Version: string(r.Commit)}
	self.Repository.ID, self.Repository.Type = string(r.Repository), "azureReposGit"
	out.Resources.Repositories = map[string]RunRepository{"self": self}
	return out
}

func (b buildRoutes) listRuns(w http.ResponseWriter, r request) error {
	d, err := b.definition(r)
	if err != nil {
		return err
	}
	runs, err := b.pipelines.List(r.Context(), pipelines.RunFilter{Pipeline: d.ID})
	if err != nil {
		return err
	}
	var out []Run
	for _, run := range runs {
		out = append(out, b.runOf(r.project, d, run))
	}
	return list(w, out)
}

func (b buildRoutes) getRun(w http.ResponseWriter, r request) error {
	d, err := b.definition(r)
	if err != nil {
		return err
	}
	run, err := b.run(r)
	if err == nil && run.Pipeline != d.ID {
		err = slipway.NotFound("run %d is not one of pipeline %d", run.ID, d.ID)
	}
	if err != nil {
		return err
	}
	out := b.runOf(r.project, d, run)
	packages, err := b.pipelines.Packages(r.Context(), run.ID)
	if err != nil {
		return err
	}
	for _, p := range packages {
		if out.Resources.Packages == nil {
			out.Resources.Packages = map[string]RunPackage{}
		}
		out.Resources.Packages[p.Alias] = RunPackage{Name: p.Name, Type: string(p.Kind), Version: p.Version}
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

// Schedule is a schedule of a pipeline on one branch.
type Schedule struct {
	Branch      string     `json:"branch"` // full name
	Cron        string     `json:"cron"`   // in UTC
	DisplayName string     `json:"displayName"`
	Always      bool       `json:"always"`
	Batch       bool       `json:"batch"`
	Next        *time.Time `json:"next,omitempty"` // when it is due next
	// Passed is when it last was due and started no run, and PassedReason why.
	Passed       *time.Time `json:"passed,omitempty"`
	PassedReason string     `json:"passedReason,omitempty"`
}

func (b buildRoutes) schedules(w http.ResponseWriter, r request) error {
	d, err := b.definition(r)
	if err != nil {
		return err
	}
	schedules, err := b.pipelines.Schedules(r.Context(), d.ID)
	if err != nil {
		return err
	}
	var out []Schedule
	for _, s := range schedules {
		out = append(out, Schedule{Branch: s.Ref, Cron: s.Cron, DisplayName: s.DisplayName, Always: s.Always, Batch: s.Batch, Next: when(s.Next),
			Passed: when(s.Passed), PassedReason: s.PassedReason})
	}
	return list(w, out)
}
