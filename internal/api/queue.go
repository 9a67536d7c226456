package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/variable"
)

// maxRunBody bounds the body of a request for a run, which may hold a whole file, in bytes.
const maxRunBody = 4 << 20

// RunRequest asks for a run of a pipeline, with the names of Azure DevOps' RunPipelineParameters.
type RunRequest struct {
	PreviewRun         bool                   `json:"previewRun,omitempty"`
	YAMLOverride       string                 `json:"yamlOverride,omitempty"` // of a preview
	Resources          RunRequestResources    `json:"resources"`
	StagesToSkip       []string               `json:"stagesToSkip,omitempty"`
	TemplateParameters map[string]any         `json:"templateParameters,omitempty"`
	Variables          map[string]RunVariable `json:"variables,omitempty"`
	// StopAtFailure makes each job wait for a person at steps that fail, for StopMinutes in all, 30 by default. Azure DevOps has neither.
	StopAtFailure bool `json:"stopAtFailure,omitempty"`
	StopMinutes   int  `json:"stopMinutes,omitempty"`
}

// stopMinutes is for how long jobs wait at steps that fail.
func stopMinutes(stop bool, minutes int) (int, error) {
	switch {
	case !stop && minutes != 0:
		return 0, at("stopMinutes", slipway.Invalid("it goes with stopAtFailure: true"))
	case stop && minutes == 0:
		return job.DefaultStopMinutes, nil
	}
	return minutes, nil
}

// RunRequestResources says what the run is of. Only the repository self can be chosen.
type RunRequestResources struct {
	Repositories map[string]RunRequestRepository `json:"repositories,omitempty"`
	Pipelines    map[string]any                  `json:"pipelines,omitempty"`
	Builds       map[string]any                  `json:"builds,omitempty"`
	Containers   map[string]any                  `json:"containers,omitempty"`
	Packages     map[string]any                  `json:"packages,omitempty"`
}

// RunRequestRepository chooses a branch or tag and a commit.
type RunRequestRepository struct {
	RefName   string `json:"refName,omitempty"`
	Version   string `json:"version,omitempty"`
	Token     string `json:"token,omitempty"`
	TokenType string `json:"tokenType,omitempty"`
}

// RunVariable is a variable for one run.
type RunVariable struct {
	Value    string `json:"value"`
	IsSecret bool   `json:"isSecret,omitempty"`
}

// at names the field of the body at fault, in the problem and at the beginning of its message.
func at(name string, err error) error {
	var p *slipway.Problem
	if !errors.As(err, &p) {
		return err
	}
	named := *p
	named.Field, named.Message = name, name+": "+p.Message
	return &named
}

// inBody names a field of a pipelines.QueueRequest as the body calls it; the names are those of the domain.
func inBody(err error, names map[string]string) error {
	var p *slipway.Problem
	if !errors.As(err, &p) || p.Field == "" {
		return err
	}
	first, rest, more := strings.Cut(p.Field, ".")
	name, ok := names[first]
	if !ok {
		return err
	}
	if more {
		name += "." + rest
	}
	return at(name, p)
}

var runFields = map[string]string{
	pipelines.FieldRef: "resources.repositories.self.refName", pipelines.FieldCommit: "resources.repositories.self.version",
	pipelines.FieldParameters: "templateParameters", pipelines.FieldVariables: "variables", pipelines.FieldSkipStages: "stagesToSkip",
	pipelines.FieldStopMinutes: "stopMinutes",
}

// asks reads a run's request.
func (b buildRoutes) asks(w http.ResponseWriter, r request) (RunRequest, pipelines.QueueRequest, pipelines.Definition, error) {
	var body RunRequest
	d, err := b.definition(r)
	if err != nil {
		return body, pipelines.QueueRequest{}, d, err
	}
	if err := httpx.ReadJSON(w, r.Request, maxRunBody, &body); err != nil {
		return body, pipelines.QueueRequest{}, d, err
	}
	q := pipelines.QueueRequest{Pipeline: d.ID, Actor: r.caller.Actor, Parameters: body.TemplateParameters, SkipStages: body.StagesToSkip}
	if q.StopMinutes, err = stopMinutes(body.StopAtFailure, body.StopMinutes); err != nil {
		return body, q, d, err
	}
	for name, v := range body.Variables {
		q.Variables.Put(name, variable.Value{Text: v.Value, Secret: v.IsSecret})
	}
	for name, given := range map[string]int{"pipelines": len(body.Resources.Pipelines), "builds": len(body.Resources.Builds),
		"containers": len(body.Resources.Containers), "packages": len(body.Resources.Packages)} {
		if given > 0 {
			return body, q, d, at("resources."+name, slipway.Unsupported("its versions are those of the file and cannot be chosen for a run: leave it out"))
		}
	}
	for name, repository := range body.Resources.Repositories {
		field := "resources.repositories." + name
		switch {
		case !strings.EqualFold(name, "self"):
			return body, q, d, at(field, slipway.Unsupported("only self can be chosen: other repositories are at the ref that the file says"))
		case repository.Token != "":
			return body, q, d, at(field+".token", slipway.Unsupported("repositories of this server need no token: leave it out"))
		}
		q.Ref, q.Commit = repository.RefName, slipway.CommitID(repository.Version)
	}
	return body, q, d, nil
}

// queueRun starts a run, or with previewRun only says what it would be.
func (b buildRoutes) queueRun(w http.ResponseWriter, r request) error {
	body, q, d, err := b.asks(w, r)
	if err != nil {
		return err
	}
	if body.PreviewRun {
		return b.showPreview(w, r, d, q, body.YAMLOverride)
	}
	if body.YAMLOverride != "" {
		return at("yamlOverride", slipway.Invalid("a run is of a committed file: write previewRun: true with it"))
	}
	run, err := b.pipelines.Queue(r.Context(), q)
	if err != nil {
		return inBody(err, runFields)
	}
	httpx.WriteJSON(w, http.StatusOK, b.runOf(r.project, d, run))
	return nil
}

func (b buildRoutes) preview(w http.ResponseWriter, r request) error {
	body, q, d, err := b.asks(w, r)
	if err != nil {
		return err
	}
	return b.showPreview(w, r, d, q, body.YAMLOverride)
}

func (b buildRoutes) showPreview(w http.ResponseWriter, r request, d pipelines.Definition, q pipelines.QueueRequest, yaml string) error {
	text, err := b.pipelines.Preview(r.Context(), q, yaml)
	if err != nil {
		return inBody(err, runFields)
	}
	httpx.WriteJSON(w, http.StatusOK, Run{Name: "preview", State: "unknown", Pipeline: b.pipeline(r.project, d), FinalYAML: text,
		Resources: RunResource{Repositories: map[string]RunRepository{}}})
	return nil
}

// buildRequest asks for a run as a build.
type buildRequest struct {
	Definition struct {
		ID int64 `json:"id"`
	} `json:"definition"`
	SourceBranch       string         `json:"sourceBranch"`
	SourceVersion      string         `json:"sourceVersion"`
	Parameters         string         `json:"parameters"` // variables, as JSON in a string
	TemplateParameters map[string]any `json:"templateParameters"`
	StopAtFailure      bool           `json:"stopAtFailure"`
	StopMinutes        int            `json:"stopMinutes"`
}

var buildFields = map[string]string{
	pipelines.FieldRef: "sourceBranch", pipelines.FieldCommit: "sourceVersion", pipelines.FieldParameters: "templateParameters",
	pipelines.FieldVariables: "parameters", pipelines.FieldStopMinutes: "stopMinutes",
}

// queueBuild starts a run as clients of builds do: {"definition":{"id":1},"sourceBranch":"refs/heads/main"}, or without a body
// by ?definitionId=.
func (b buildRoutes) queueBuild(w http.ResponseWriter, r request) error {
	var body buildRequest
	if id := r.URL.Query().Get("definitionId"); id != "" {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return at("definitionId", slipway.Invalid("%q is not a number", id))
		}
		body.Definition.ID = n
	}
	if err := readBuild(w, r.Request, &body); err != nil {
		return err
	}
	if body.Definition.ID <= 0 {
		return at("definition.id", slipway.Invalid("name the pipeline by its number"))
	}
	d, err := b.definitionOf(r, body.Definition.ID)
	if err != nil {
		return at("definition.id", err)
	}
	q := pipelines.QueueRequest{Pipeline: d.ID, Actor: r.caller.Actor, Ref: body.SourceBranch, Commit: slipway.CommitID(body.SourceVersion),
		Parameters: body.TemplateParameters}
	if q.StopMinutes, err = stopMinutes(body.StopAtFailure, body.StopMinutes); err != nil {
		return err
	}
	if body.Parameters != "" {
		var values map[string]any
		if err := json.Unmarshal([]byte(body.Parameters), &values); err != nil {
			return at("parameters", slipway.Invalid(`it is an object of variables, as JSON in a string: "{\"name\":\"value\"}"`))
		}
		for name, v := range values {
			q.Variables.PutText(name, text(v))
		}
	}
	run, err := b.pipelines.Queue(r.Context(), q)
	if err != nil {
		return inBody(err, buildFields)
	}
	httpx.WriteJSON(w, http.StatusOK, b.build(r.project, run))
	return nil
}

// text is a JSON value as a variable has it.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool, float64:
		return fmt.Sprint(v)
	}
	b, _ := json.Marshal(v) // what was read can be written
	return string(b)
}

// readBuild reads the body of a build's request, which may be empty. Clients send whole builds: fields that are not known are
// errors only where they would change the run.
func readBuild(w http.ResponseWriter, r *http.Request, body *buildRequest) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRunBody))
	if err != nil {
		return slipway.Limit("the request's body is larger than %d bytes", maxRunBody)
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return slipway.Invalid("the request's body is not the JSON expected here: %v", err)
	}
	for _, name := range []string{"demands", "agentSpecification", "buildNumber", "tags"} {
		if v, ok := fields[name]; ok && string(v) != "null" && string(v) != "[]" {
			return at(name, slipway.Unsupported("it cannot be chosen for a run: write it into the file, or leave it out"))
		}
	}
	if err := json.Unmarshal(data, body); err != nil {
		return slipway.Invalid("the request's body is not the JSON expected here: %v", err)
	}
	return nil
}
