package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"slipway"
	"slipway/internal/registry"
	"slipway/internal/registry/retention"
)

func deleteURL(repository, reference string) string {
	return repository + "?delete=" + url.QueryEscape(reference)
}

// settingsForm is how a repository, or all of a project, is governed.
type settingsForm struct {
	Title, URL, Back string
	Repository       bool
	Public           bool
	Lock             lockForm // of all that is in the repository
	Settings         registry.Settings
	Rules            []retention.Rule // with empty ones to fill in
	Usage            registry.Usage
	MayChange        bool
}

// spareRules are the empty rows of the form.
const spareRules = 2

func (p imagesPages) settings(w http.ResponseWriter, r *http.Request, v View, repo registry.Repository) (err error) {
	ctx := r.Context()
	form := settingsForm{Title: "Images of " + v.Project.Name, URL: v.URL("_images"), Back: v.URL("_images"), MayChange: p.mayChange(ctx, v, repo) == nil}
	if repo.ID == 0 {
		if form.Settings, err = p.registry.ProjectSettings(ctx, repo.Project); err != nil {
			return err
		}
		form.Usage, err = p.registry.ProjectUsage(ctx, repo.Project)
	} else {
		form.Title, form.URL, form.Repository, form.Public = repo.Name, repositoryURL(v, repo.Name), true, repo.Public
		form.Lock = newLockForm("", repo.Name, repo.Lock)
		form.Back = form.URL
		if form.Settings, err = p.registry.RepositorySettings(ctx, repo); err != nil {
			return err
		}
		form.Usage, err = p.registry.Usage(ctx, repo)
	}
	if err != nil {
		return err
	}
	if form.Settings.Retention != nil {
		form.Rules = append(form.Rules, form.Settings.Retention.Keep...)
	}
	form.Rules = append(form.Rules, make([]retention.Rule, spareRules)...)
	return p.Render(w, r, v.Titled("Settings of "+form.Title, "images"), imageSettingsPage(form))
}

// changeProject saves how all repositories of the project are governed.
func (p imagesPages) changeProject(w http.ResponseWriter, r *http.Request, v View) error {
	return p.saveSettings(w, r, v, registry.Repository{Project: v.Project.ID})
}

func (p imagesPages) saveSettings(w http.ResponseWriter, r *http.Request, v View, repo registry.Repository) error {
	ctx := r.Context()
	s, err := readSettings(r)
	if err != nil {
		return err
	}
	if repo.ID == 0 {
		if err := p.registry.SetProjectSettings(ctx, repo.Project, s, v.Caller.Actor); err != nil {
			return err
		}
		return p.Redirect(w, r, v.URL("_images")+"?settings")
	}
	if err := p.registry.SetRepositorySettings(ctx, repo, s, v.Caller.Actor); err != nil {
		return err
	}
	if err := p.registry.SetPublic(ctx, repo, r.FormValue("public") != "", v.Caller.Actor); err != nil {
		return err
	}
	return p.Redirect(w, r, repositoryURL(v, repo.Name)+"?settings")
}

// readSettings reads the form of the settings. A rule whose fields are all empty is none.
func readSettings(r *http.Request) (s registry.Settings, err error) {
	if err := r.ParseForm(); err != nil {
		return s, slipway.Invalid("the form cannot be read: %v", err)
	}
	if text := strings.TrimSpace(r.PostForm.Get("bytes")); text != "" {
		n, err := humanize.ParseBytes(text)
		if err != nil || n > 1<<62 {
			return s, slipway.Invalid("size %q: write a number with KiB, MiB, GiB or TiB", text)
		}
		s.Quota.Bytes = int64(n)
	}
	tags, err := formNumber(r.PostForm.Get("tags"))
	if err != nil {
		return s, err
	}
	s.Quota.Tags, s.Immutable = int64(tags), strings.Fields(r.PostForm.Get("immutable"))
	if r.PostForm.Get("retention") == "" {
		return s, nil
	}
	policy := retention.Policy{Remove: strings.Fields(r.PostForm.Get("remove"))}
	if policy.UntaggedDays, err = formNumber(r.PostForm.Get("untagged")); err != nil {
		return s, err
	}
	column := func(name string, i int) string {
		if list := r.PostForm[name]; i < len(list) {
			return strings.TrimSpace(list[i])
		}
		return ""
	}
	for i := range r.PostForm["rule-tags"] {
		rule := retention.Rule{Tags: strings.Fields(column("rule-tags", i)), Repositories: strings.Fields(column("rule-repositories", i))}
		given := len(rule.Tags) + len(rule.Repositories)
		for name, to := range map[string]*int{"rule-newest": &rule.Newest, "rule-pulled": &rule.PulledDays, "rule-pushed": &rule.PushedDays} {
			if *to, err = formNumber(column(name, i)); err != nil {
				return s, err
			}
			given += *to
		}
		if given > 0 {
			policy.Keep = append(policy.Keep, rule)
		}
	}
	s.Retention = &policy
	return s, nil
}

func formNumber(text string) (int, error) {
	if text = strings.TrimSpace(text); text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, slipway.Invalid("%q is no number", text)
	}
	return n, nil
}

func numberField(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// sizeField is a quota as it was written, if that was a round size.
func sizeField(n int64) string {
	for unit, name := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := int64(1) << (10 * (4 - unit)); n > 0 && n%size == 0 {
			return fmt.Sprintf("%d %s", n/size, name)
		}
	}
	return numberField(int(n))
}

// used says how much of a quota is used.
func used(u registry.Usage, q registry.Quota) string {
	text := Bytes(u.Bytes)
	if q.Bytes > 0 {
		text += " of " + Bytes(q.Bytes)
	}
	text += fmt.Sprintf(" in %s and %s; %s", plural(int(u.Manifests), "manifest"), plural(int(u.Blobs), "blob"), plural(int(u.Tags), "tag"))
	if q.Tags > 0 {
		text += fmt.Sprintf(" of %d", q.Tags)
	}
	return text
}

type retentionView struct {
	Name, URL    string
	Plan         registry.Plan
	Tags, Others []retention.Fate
	Going        int
	MayChange    bool
	HasPolicy    bool
}

// retention is the dry run of a repository's retention policy.
func (p imagesPages) retention(w http.ResponseWriter, r *http.Request, v View, repo registry.Repository) error {
	plan, err := p.registry.PlanRetention(r.Context(), repo, nil)
	if err != nil {
		return err
	}
	view := retentionView{Name: repo.Name, URL: repositoryURL(v, repo.Name), Plan: plan, MayChange: p.mayChange(r.Context(), v, repo) == nil,
		HasPolicy: len(plan.Policy.Remove) > 0 || plan.Policy.UntaggedDays > 0}
	for _, f := range plan.Fates {
		if f.Tag != "" {
			view.Tags = append(view.Tags, f)
		} else {
			view.Others = append(view.Others, f)
		}
		if !f.Keep {
			view.Going++
		}
	}
	return p.Render(w, r, v.Titled("Retention of "+repo.Name, "images"), retentionPage(view))
}

type deleteView struct {
	Name, URL    string
	Title        string
	Do           string // what the form asks for
	Tag, Digest  string
	Repository   bool
	Usage        registry.Usage
	Consequences registry.Consequences
	OtherTags    []string // of the same image, when a tag goes
	Runs         string
}

// confirm asks whether a tag, a manifest or the whole repository (`*`) is to be deleted, and says what goes with it.
func (p imagesPages) confirm(w http.ResponseWriter, r *http.Request, v View, repo registry.Repository, reference string) error {
	ctx := r.Context()
	if err := p.mayChange(ctx, v, repo); err != nil {
		return err
	}
	view := deleteView{Name: repo.Name, URL: repositoryURL(v, repo.Name)}
	var err error
	if reference == "*" {
		view.Title, view.Do, view.Repository = "Delete "+repo.Name, "delete-repository", true
		if view.Usage, err = p.registry.Usage(ctx, repo); err != nil {
			return err
		}
		return p.Render(w, r, v.Titled(view.Title, "images"), deleteImagePage(view))
	}
	d, err := p.registry.Resolve(ctx, repo, reference)
	if err != nil {
		return err
	}
	if view.Consequences, err = p.registry.Consequences(ctx, repo, d); err != nil {
		return err
	}
	deployed, err := p.deployed(ctx, v)
	if err != nil {
		return err
	}
	view.Digest, view.Runs = string(d), strings.Join(deployed[d], ", ")
	view.Title, view.Do = "Delete "+repo.Name+"@"+d.Short(), "delete"
	if reference != string(d) {
		view.Title, view.Do, view.Tag = "Delete tag "+reference, "delete-tag", reference
		for _, tag := range view.Consequences.Tags {
			if tag != reference {
				view.OtherTags = append(view.OtherTags, tag)
			}
		}
	}
	return p.Render(w, r, v.Titled(view.Title, "images"), deleteImagePage(view))
}
