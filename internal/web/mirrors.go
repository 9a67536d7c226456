package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// repositoryPages are the settings of repositories, and imports.
type repositoryPages struct{ codePages }

// AddRepositorySettings serves the settings of repositories: mirrors among them.
func (s *Server) AddRepositorySettings(r *repos.Service) {
	p := repositoryPages{codePages{Server: s, repos: r}}
	p.addLifecycle(s)
	s.Project("GET", "/_import", identity.Administer, p.importForm)
	s.Project("POST", "/_import", identity.Administer, p.importRepository)
	s.Project("GET", "/_git/{repo}/settings", identity.Read, p.settings)
	s.Project("GET", "/_git/{repo}/settings/mirrors", identity.Read, p.mirrors)
	s.Project("POST", "/_git/{repo}/settings/mirrors", identity.Administer, p.createMirror)
	s.Project("POST", "/_git/{repo}/settings/mirrors/{mirror}", identity.Administer, p.changeMirror)
}

type importView struct {
	View
	MayPrivate bool
}

func (p repositoryPages) importForm(w http.ResponseWriter, r *http.Request, v View) error {
	return p.Render(w, r, v.Titled("Import a repository", "repos"), importPage(importView{v, v.Caller.Administrator}))
}

// mirrorRow is a mirror as its card shows it.
type mirrorRow struct {
	repos.Mirror
	Progress []string // while it runs
}

// Busy says that its card changes by itself.
func (m mirrorRow) Busy() bool {
	return m.State == repos.MirrorQueued || m.State == repos.MirrorRunning
}

// Schedule is when it transfers, in people's words.
func (m mirrorRow) Schedule() string {
	switch {
	case m.Kind == repos.MirrorPush:
		return "after each push"
	case m.Kind == repos.MirrorImport:
		return "once"
	case m.Every == 0:
		return "by hand"
	}
	return "every " + Duration(m.Every)
}

type settingsOfRepository struct {
	codeView
	Mirrors    []mirrorRow
	Limits     []repositoryLimitRow
	Upkeep     repos.Upkeep
	Busy       bool // one of them
	MayChange  bool
	MayPrivate bool
}

// Form is the address of a form.
func (v settingsOfRepository) Form(part string) string {
	return v.URL("_git", v.Repo) + "/settings" + part
}

func (p repositoryPages) view(r *http.Request, v View) (settingsOfRepository, error) {
	c, err := p.open(r, v, "settings")
	view := settingsOfRepository{codeView: c}
	if err != nil {
		return view, err
	}
	view.MayChange = p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil
	view.MayPrivate = v.Caller.Administrator
	own, effective, err := p.repos.RepositoryLimits(r.Context(), c.repo)
	if err != nil {
		return view, err
	}
	view.Limits = repositoryLimitRows(own, effective)
	if view.Upkeep, err = p.repos.UpkeepState(r.Context(), c.id); err != nil {
		return view, err
	}
	list, err := p.repos.Mirrors(r.Context(), c.id)
	for _, m := range list {
		row := mirrorRow{m, p.repos.MirrorProgress(m.ID)}
		view.Busy = view.Busy || row.Busy()
		view.Mirrors = append(view.Mirrors, row)
	}
	return view, err
}

func (p repositoryPages) settings(w http.ResponseWriter, r *http.Request, v View) error {
	view, err := p.view(r, v)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(view.Repo+" settings", "repos"), repositorySettingsPage(view))
}

// mirrors is the part of the page that is asked for again while something is under way.
func (p repositoryPages) mirrors(w http.ResponseWriter, r *http.Request, v View) error {
	view, err := p.view(r, v)
	if err != nil {
		return err
	}
	return p.Fragment(w, r, mirrorCards(view))
}

const maxMirrorForm = 256 << 10

// mirrorSettings reads the form of a mirror. Private addresses are for administrators of the installation.
func mirrorSettings(w http.ResponseWriter, r *http.Request, v View) (repos.MirrorSettings, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxMirrorForm)
	if err := r.ParseForm(); err != nil {
		return repos.MirrorSettings{}, slipway.Invalid("the form did not arrive whole").Because(err)
	}
	text := func(name string) string {
		return strings.TrimSpace(strings.ReplaceAll(r.PostFormValue(name), "\r\n", "\n"))
	}
	m := repos.MirrorSettings{Kind: repos.MirrorKind(text("kind")), URL: text("url"), User: text("username"), Password: r.PostFormValue("password"), PrivateKey: text("privateKey"),
		Connection: text("connection"), KnownHosts: text("knownHosts"), Enabled: true, Private: text("private") != ""}
	if m.KnownHosts != "" {
		m.KnownHosts += "\n"
	}
	if m.Private && !v.Caller.Administrator {
		return m, slipway.Forbidden("private addresses are for administrators of this installation")
	}
	if minutes := text("every"); minutes != "" && m.Kind == repos.MirrorPull {
		n, err := strconv.ParseInt(minutes, 10, 32)
		if err != nil {
			return m, slipway.Invalid("%q is no number of minutes", minutes)
		}
		m.Every = time.Duration(n) * time.Minute
	}
	return m, nil
}

func (p repositoryPages) importRepository(w http.ResponseWriter, r *http.Request, v View) error {
	want, err := mirrorSettings(w, r, v)
	if err != nil {
		return err
	}
	repo, _, err := p.repos.Import(r.Context(), repos.CreateRequest{Project: v.Project.ID, Name: strings.TrimSpace(r.PostFormValue("name")), Actor: v.Caller.Actor}, want)
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_git", repo.Name)+"/settings")
}

func (p repositoryPages) createMirror(w http.ResponseWriter, r *http.Request, v View) error {
	want, err := mirrorSettings(w, r, v)
	if err != nil {
		return err
	}
	view, err := p.view(r, v)
	if err != nil {
		return err
	}
	if _, err := p.repos.CreateMirror(r.Context(), view.id, want, v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, view.Form(""))
}

func (p repositoryPages) changeMirror(w http.ResponseWriter, r *http.Request, v View) error {
	view, err := p.view(r, v)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(chi.URLParam(r, "mirror"), 10, 64)
	if err != nil {
		return slipway.NotFound("there is no mirror %q", chi.URLParam(r, "mirror"))
	}
	switch r.FormValue("do") {
	case "sync":
		_, err = p.repos.SyncMirror(r.Context(), view.id, id)
	case "cancel":
		err = p.repos.CancelMirror(r.Context(), view.id, id)
	case "delete":
		err = p.repos.DeleteMirror(r.Context(), view.id, id, v.Caller.Actor)
	case "on", "off":
		var m repos.Mirror
		if m, err = p.repos.Mirror(r.Context(), view.id, id); err == nil {
			_, err = p.repos.UpdateMirror(r.Context(), view.id, id, repos.MirrorSettings{URL: m.URL, User: m.User, Connection: m.Connection, Every: m.Every,
				Private: m.Private, Enabled: r.FormValue("do") == "on"}, v.Caller.Actor)
		}
	default:
		err = slipway.Invalid("a mirror can be told sync, cancel, on, off and delete")
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, view.Form(""))
}
