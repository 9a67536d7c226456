package web

import (
	"net/http"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

func (p repositoryPages) addLifecycle(s *Server) {
	s.Project("POST", "/_git/{repo}/settings", identity.Administer, p.changeRepository)
	s.Project("GET", "/_settings/repositories", identity.Read, p.ofProject)
	s.Project("POST", "/_settings/repositories", identity.Administer, p.changeOfProject)
}

// repositoryLimitRow is one limit as a form shows it.
type repositoryLimitRow struct{ Name, Label, Own, Holds string }

func repositoryLimitRows(own, effective repos.Limits) []repositoryLimitRow {
	text := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	return []repositoryLimitRow{
		{"pack", "Bytes of one push", text(own.Pack), text(effective.Pack)},
		{"file", "Bytes of one file", text(own.File), text(effective.File)},
		{"pathLength", "Bytes of one path", text(own.PathLength), text(effective.PathLength)},
		{"pathDepth", "Names in one path", text(own.PathDepth), text(effective.PathDepth)},
		{"refs", "Branches and tags", text(own.Refs), text(effective.Refs)},
	}
}

// readRepositoryLimits reads the form of repositoryLimitRows; an empty field is no limit.
func readRepositoryLimits(r *http.Request) (l repos.Limits, err error) {
	for name, into := range map[string]*int64{"pack": &l.Pack, "file": &l.File, "pathLength": &l.PathLength, "pathDepth": &l.PathDepth, "refs": &l.Refs} {
		text := strings.TrimSpace(r.FormValue(name))
		if text == "" {
			continue
		}
		if *into, err = strconv.ParseInt(text, 10, 64); err != nil {
			return l, slipway.Invalid("%s: %q is no number", name, text)
		}
	}
	return l, nil
}

// changeRepository does what a form of the settings asks for.
func (p repositoryPages) changeRepository(w http.ResponseWriter, r *http.Request, v View) error {
	view, err := p.view(r, v)
	if err != nil {
		return err
	}
	to := view.Form("")
	switch r.FormValue("do") {
	case "rename":
		var repo repos.Repository
		if repo, err = p.repos.Rename(r.Context(), view.id, strings.TrimSpace(r.FormValue("name")), v.Caller.Actor); err == nil {
			to = v.URL("_git", repo.Name) + "/settings"
		}
	case "disable", "enable":
		err = p.repos.SetDisabled(r.Context(), view.id, r.FormValue("do") == "disable", v.Caller.Actor)
	case "delete":
		err, to = p.repos.Trash(r.Context(), view.id, v.Caller.Actor), v.URL("_git")
	case "upkeep":
		err = p.repos.RequestUpkeep(r.Context(), view.id, true)
	case "limits":
		var l repos.Limits
		if l, err = readRepositoryLimits(r); err == nil {
			err = p.repos.SetRepositoryLimits(r.Context(), view.repo, l, v.Caller.Actor)
		}
	default:
		err = slipway.Invalid("a repository's settings can be told rename, disable, enable, delete, upkeep and limits")
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, to)
}

type projectRepositoriesView struct {
	View
	Limits    []repositoryLimitRow
	Deleted   []repos.Repository
	MayChange bool
}

// ofProject shows what all repositories of a project have in common, and those that were deleted.
func (p repositoryPages) ofProject(w http.ResponseWriter, r *http.Request, v View) error {
	l, err := p.repos.ProjectLimits(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	view := projectRepositoriesView{View: v, Limits: repositoryLimitRows(l, l), MayChange: p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil}
	if view.Deleted, err = p.repos.Trashed(r.Context(), v.Project.ID); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Repositories", "settings"), repositoriesSettingsPage(view))
}

func (p repositoryPages) changeOfProject(w http.ResponseWriter, r *http.Request, v View) error {
	id := slipway.RepositoryID(r.FormValue("repository"))
	var err error
	switch r.FormValue("do") {
	case "restore":
		_, err = p.repos.Restore(r.Context(), v.Project.ID, id, v.Caller.Actor)
	case "purge":
		err = p.repos.Purge(r.Context(), v.Project.ID, id, v.Caller.Actor)
	case "limits":
		var l repos.Limits
		if l, err = readRepositoryLimits(r); err == nil {
			err = p.repos.SetProjectLimits(r.Context(), v.Project.ID, l, v.Caller.Actor)
		}
	default:
		err = slipway.Invalid("the repositories of a project can be told restore, purge and limits")
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_settings", "repositories"))
}
