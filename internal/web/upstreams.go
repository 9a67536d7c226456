package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

type upstreamPages struct {
	*Server
	cache *registry.Cache
}

// AddUpstreams serves the page of the registries whose images are read through this one.
func (s *Server) AddUpstreams(c *registry.Cache) {
	p := upstreamPages{s, c}
	s.Installation("GET", "/_upstreams", identity.Administer, p.list)
	s.Installation("POST", "/_upstreams", identity.Administer, p.change)
}

type upstreamsView struct {
	Host      string // of image names, as this browser reached the server
	Upstreams []upstreamRow
	New       upstreamRow
}

// upstreamRow is an upstream as its form has it, with what is kept of it.
type upstreamRow struct {
	Name, URL, Username, Repositories, Stale, Keep string
	Example                                        string
	HasPassword, Enabled                           bool
	Projects                                       []projectChoice
	Usage                                          registry.Usage
	Counts                                         registry.UpstreamCounts
	LastError                                      string
	LastErrorTime                                  time.Time
	Copies                                         []registry.CachedRepository
}

type projectChoice struct {
	ID, Name string
	Chosen   bool
}

func (p upstreamPages) list(w http.ResponseWriter, r *http.Request, v View) error {
	projects, err := p.identity.Projects(r.Context(), v.Caller)
	if err != nil {
		return err
	}
	upstreams, err := p.cache.Upstreams(r.Context())
	if err != nil {
		return err
	}
	view := upstreamsView{Host: r.Host, New: newUpstreamRow(registry.Upstream{UpstreamSettings: registry.NewUpstreamSettings()}, projects)}
	for _, u := range upstreams {
		row := newUpstreamRow(u, projects)
		if row.Usage, err = p.cache.Usage(r.Context(), u); err != nil {
			return err
		}
		if row.Copies, err = p.cache.Repositories(r.Context(), u); err != nil {
			return err
		}
		row.Example = "docker pull " + r.Host + "/" + u.Prefix() + "/" + exampleOf(u)
		view.Upstreams = append(view.Upstreams, row)
	}
	return p.Render(w, r, v.Titled("Upstreams", ""), upstreamsPage(view))
}

func exampleOf(u registry.Upstream) string {
	if u.Name == registry.DockerHub {
		return "library/golang:1.26"
	}
	return "NAME:TAG"
}

func newUpstreamRow(u registry.Upstream, projects []identity.Project) upstreamRow {
	row := upstreamRow{Name: u.Name, URL: u.URL, Username: u.Username, HasPassword: u.HasPassword, Enabled: !u.Disabled, Repositories: strings.Join(u.Repositories, "\n"),
		Stale: strconv.Itoa(u.StaleMinutes), Keep: strconv.Itoa(u.KeepDays), Counts: u.Counts, LastError: u.LastError, LastErrorTime: u.LastErrorTime}
	for _, project := range projects {
		row.Projects = append(row.Projects, projectChoice{string(project.ID), project.Name, slices.Contains(u.Projects, project.ID)})
	}
	return row
}

// summary is the line of an upstream that is folded.
func (u upstreamRow) summary() string {
	text := fmt.Sprintf("%s kept, %s not fetched again", Bytes(u.Usage.Bytes), Bytes(u.Counts.Saved))
	if !u.Enabled {
		text = "off, " + text
	}
	if u.LastError != "" {
		text += ", last error" // whose time follows
	}
	return text
}

// change makes, changes, empties or deletes an upstream.
func (p upstreamPages) change(w http.ResponseWriter, r *http.Request, v View) error {
	name := strings.TrimSpace(r.FormValue("name"))
	switch r.FormValue("do") {
	case "delete":
		if err := p.cache.DeleteUpstream(r.Context(), name, v.Caller.Actor); err != nil {
			return err
		}
		return p.Redirect(w, r, "/_upstreams")
	case "purge":
		if err := p.cache.Purge(r.Context(), name); err != nil {
			return err
		}
		return p.Redirect(w, r, "/_upstreams#upstream-"+url.PathEscape(name))
	}
	settings := registry.UpstreamSettings{URL: strings.TrimSpace(r.FormValue("url")), Username: strings.TrimSpace(r.FormValue("username")), Disabled: r.FormValue("enabled") == ""}
	for field, to := range map[string]*int{"stale": &settings.StaleMinutes, "keep": &settings.KeepDays} {
		n, err := strconv.Atoi(r.FormValue(field))
		if err != nil {
			return slipway.Invalid("%s: %q is not a number", field, r.FormValue(field))
		}
		*to = n
	}
	settings.Repositories = strings.Fields(r.FormValue("repositories"))
	for _, id := range r.Form["project"] {
		settings.Projects = append(settings.Projects, slipway.ProjectID(id))
	}
	var password *string // an empty field leaves what there is
	if text := r.FormValue("password"); text != "" || r.FormValue("nopassword") != "" {
		password = &text
	}
	u, _, err := p.cache.PutUpstream(r.Context(), name, settings, password, v.Caller.Actor)
	if err != nil {
		return err
	}
	return p.Redirect(w, r, "/_upstreams#upstream-"+url.PathEscape(u.Name))
}
