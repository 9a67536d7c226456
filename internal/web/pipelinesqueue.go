package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// queueView is the form that asks what a run shall be.
type queueView struct {
	Pipeline   pipelineRow
	URL        string // of the form
	Branch     string
	Branches   []string
	Commit     string // "" for the branch's newest
	Newest     slipway.CommitID
	Parameters []parameterInput
	Variables  []variableInput
	Stages     []stageInput

	Stop        bool // at failures
	StopMinutes string
	Problems    []pipelines.FileProblem
	Mistake     string // why the run did not start
}

// parameterInput is one parameter with the value that the form shows.
type parameterInput struct {
	plan.Parameter
	Text     string
	Chosen   []string // of the values of a stringList
	Required bool
}

// Choices says that any of the values can be chosen.
func (p parameterInput) Choices() bool { return p.Type == "stringList" && len(p.Values) > 0 }

// Label is the parameter's name for people.
func (p parameterInput) Label() string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	return p.Name
}

// Structured says that the value is YAML.
func (p parameterInput) Structured() bool {
	switch p.Type {
	case "boolean", "environment", "filePath", "number", "secureFile", "serviceConnection", "string":
		return false
	case "pool": // a name, seldom a map
		return strings.HasPrefix(p.Text, "{")
	}
	return true
}

type variableInput struct {
	Name, Value string
	Secret      bool
}

type stageInput struct {
	Name, Title string
	Run, Fixed  bool // Fixed stages may not be left out
}

// variableRows is how many variables the form has room for.
const variableRows = 5

// askQueue shows the form for a run of a branch, filled in with what its file says.
func (p pipelinesPages) askQueue(w http.ResponseWriter, r *http.Request, v View) error {
	d, err := p.definition(r, v, r.FormValue("definitionId"))
	if err != nil {
		return err
	}
	view, err := p.queueView(r, v, d)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Run "+d.Name, "pipelines"), queuePage(view))
}

// definition is the pipeline of that number, if it is one of the project.
func (p pipelinesPages) definition(r *http.Request, v View, number string) (pipelines.Definition, error) {
	id, _ := strconv.ParseInt(number, 10, 64)
	d, err := p.pipelines.Definition(r.Context(), slipway.PipelineID(id))
	if err == nil && d.Project != v.Project.ID {
		err = slipway.NotFound("there is no pipeline %d in this project", id)
	}
	return d, err
}

func (p pipelinesPages) queueView(r *http.Request, v View, d pipelines.Definition) (queueView, error) {
	view := queueView{URL: v.URL("_build", "queue"), Branch: strings.TrimSpace(r.FormValue("branch")), Commit: strings.TrimSpace(r.FormValue("commit")),
		Pipeline: pipelineRow{ID: d.ID, Name: d.Name, Path: d.Path, URL: fmt.Sprintf("%s?definitionId=%d", v.URL("_build"), d.ID)}}
	view.Stop, view.StopMinutes = r.PostFormValue("stop") != "", r.PostFormValue("stop-minutes")
	branches, err := p.pipelines.Branches(r.Context(), d.ID)
	if err != nil {
		return view, err
	}
	for _, b := range branches {
		view.Branches = append(view.Branches, branchName(b.Ref))
	}
	for i := range variableRows {
		n := strconv.Itoa(i)
		one := variableInput{r.PostFormValue("variable-name-" + n), r.PostFormValue("variable-value-" + n), r.PostFormValue("variable-secret-"+n) != ""}
		if one.Secret {
			one.Value = "" // which is never shown
		}
		view.Variables = append(view.Variables, one)
	}
	choices, err := p.pipelines.Choices(r.Context(), d.ID, view.Branch)
	var problem *slipway.Problem
	if errors.As(err, &problem) && problem.Field == pipelines.FieldRef {
		view.Mistake = problem.Message
		return view, nil
	}
	if err != nil {
		return view, err
	}
	view.Branch, view.Newest, view.Problems = branchName(choices.Ref), choices.Commit, choices.Problems
	for _, one := range choices.Parameters {
		view.Parameters = append(view.Parameters, parameterOf(r, one))
	}
	for _, st := range choices.Stages {
		run := !slices.Contains(r.PostForm["stages"], st.Name) || slices.Contains(r.PostForm["stage"], st.Name)
		view.Stages = append(view.Stages, stageInput{Name: st.Name, Title: st.Title(), Run: run || st.Unskippable, Fixed: st.Unskippable})
	}
	return view, nil
}

// parameterOf is a parameter with the posted value, or else its default.
func parameterOf(r *http.Request, one plan.Parameter) parameterInput {
	in := parameterInput{Parameter: one, Required: len(one.Default) == 0}
	var text string
	if len(one.Default) > 0 {
		var compact bytes.Buffer
		if json.Unmarshal(one.Default, &text) == nil {
			in.Text = text
		} else if json.Compact(&compact, one.Default) == nil {
			in.Text = compact.String()
		}
	}
	if in.Choices() {
		in.Chosen = chosenValues(r, one)
		return in
	}
	if posted, ok := r.PostForm["parameter."+one.Name]; ok {
		in.Text = posted[len(posted)-1]
	}
	return in
}

// chosenValues are those of a stringList that were ticked, or else its default.
func chosenValues(r *http.Request, one plan.Parameter) []string {
	if slices.Contains(r.PostForm["lists"], one.Name) {
		return r.PostForm["parameter."+one.Name]
	}
	var list []string
	if json.Unmarshal(one.Default, &list) != nil {
		return nil // it has no default
	}
	return list
}

// queue starts the run that the form describes. The page's small forms, which send only a pipeline and a branch, take the
// file's own choices.
func (p pipelinesPages) queue(w http.ResponseWriter, r *http.Request, v View) error {
	if err := r.ParseForm(); err != nil {
		return slipway.Invalid("the form cannot be read: %v", err)
	}
	d, err := p.definition(r, v, r.FormValue("pipeline"))
	if err != nil {
		return err
	}
	run, err := p.pipelines.Queue(r.Context(), queueRequest(r.PostForm, d, v))
	var problem *slipway.Problem
	if r.PostForm.Has("full") && errors.As(err, &problem) {
		view, viewErr := p.queueView(r, v, d)
		if viewErr != nil {
			return err
		}
		view.Mistake = problem.Message
		return p.Render(w, r, v.Titled("Run "+d.Name, "pipelines"), queuePage(view))
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, runURL(v, run.ID))
}

func queueRequest(form url.Values, d pipelines.Definition, v View) pipelines.QueueRequest {
	req := pipelines.QueueRequest{Pipeline: d.ID, Actor: v.Caller.Actor, Ref: strings.TrimSpace(form.Get("branch")),
		Commit: slipway.CommitID(strings.TrimSpace(form.Get("commit"))), Parameters: map[string]any{},
		StopMinutes: stopMinutes(form.Get("stop"), strings.TrimSpace(form.Get("stop-minutes")))}
	for field, values := range form {
		if name, ok := strings.CutPrefix(field, "parameter."); ok {
			req.Parameters[name] = values[len(values)-1]
		}
	}
	for _, name := range form["lists"] { // of which nothing may be ticked
		req.Parameters[name] = slices.Clone(form["parameter."+name])
	}
	for i := range variableRows {
		n := strconv.Itoa(i)
		if name := strings.TrimSpace(form.Get("variable-name-" + n)); name != "" {
			req.Variables.Put(name, variable.Value{Text: form.Get("variable-value-" + n), Secret: form.Get("variable-secret-"+n) != ""})
		}
	}
	for _, name := range form["stages"] {
		if !slices.Contains(form["stage"], name) {
			req.SkipStages = append(req.SkipStages, name)
		}
	}
	return req
}
