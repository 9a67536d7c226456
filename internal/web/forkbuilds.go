package web

import (
	"net/http"
	"strconv"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

// forkBuildRow is what one pipeline does with pull requests from forks.
type forkBuildRow struct {
	Pipeline slipway.PipelineID // 0 for the project
	Name     string
	Settings pipelines.ForkSettings
	Own      bool // it has settings of its own, or the project has chosen some
}

// forkBuildsView is the page about pull requests from forks.
type forkBuildsView struct {
	URL       string
	Project   forkBuildRow
	Pipelines []forkBuildRow
	MayChange bool
}

// forkComments are the choices of who needs a comment, in people's words.
var forkComments = []struct {
	Value pipelines.ForkComment
	Label string
}{
	{pipelines.ForkCommentAll, "of everybody"},
	{pipelines.ForkCommentNonMembers, "of people who may not push"},
	{pipelines.ForkCommentNever, "of nobody"},
}

func forkCommentLabel(c pipelines.ForkComment) string {
	for _, one := range forkComments {
		if one.Value == c {
			return one.Label
		}
	}
	return string(c)
}

func (p pipelinesPages) addForkBuildPages() {
	p.Project("GET", "/_settings/forks", identity.Read, p.forkBuilds)
	p.Project("POST", "/_settings/forks", identity.Administer, p.setForkBuilds)
}

// forkBuilds shows the settings of the project and of each of its pipelines.
func (p pipelinesPages) forkBuilds(w http.ResponseWriter, r *http.Request, v View) error {
	view := forkBuildsView{URL: v.URL("_settings", "forks"), MayChange: p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil}
	row := func(id slipway.PipelineID, name string) (forkBuildRow, error) {
		own, effective, err := p.pipelines.ForkSettings(r.Context(), v.Project.ID, id)
		return forkBuildRow{id, name, effective, own != nil}, err
	}
	var err error
	if view.Project, err = row(0, "This project"); err != nil {
		return err
	}
	list, err := p.pipelines.Definitions(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	for _, d := range list {
		one, err := row(d.ID, d.Name)
		if err != nil {
			return err
		}
		view.Pipelines = append(view.Pipelines, one)
	}
	return p.Render(w, r, v.Titled("Pull requests from forks", "settings"), forkBuildsPage(view))
}

// setForkBuilds sets them for the project or one pipeline, or gives a pipeline the project's again.
func (p pipelinesPages) setForkBuilds(w http.ResponseWriter, r *http.Request, v View) error {
	id, err := strconv.ParseInt(r.FormValue("pipeline"), 10, 64)
	if err != nil || id < 0 {
		return slipway.Invalid("pipeline is a number, or 0 for all of the project, not %.40q", r.FormValue("pipeline"))
	}
	var settings *pipelines.ForkSettings
	switch r.FormValue("do") {
	case "set":
		settings = &pipelines.ForkSettings{Build: r.FormValue("build") != "", Comment: pipelines.ForkComment(r.FormValue("comment")),
			Secrets: r.FormValue("secrets") != "", FullToken: r.FormValue("fullToken") != ""}
	case "inherit":
	default:
		return slipway.Invalid("settings about forks can be told set and inherit")
	}
	if err := p.pipelines.SetForkSettings(r.Context(), v.Project.ID, slipway.PipelineID(id), settings, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_settings", "forks"))
}
