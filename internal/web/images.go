package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

type imagesPages struct {
	*Server
	registry *registry.Service
	things   Things
}

// AddImages serves the registry's pages: repositories, their tags, and what an image is.
func (s *Server) AddImages(r *registry.Service, t Things) {
	p := imagesPages{s, r, t}
	s.Project("GET", "/_images", identity.Read, p.repositories)
	s.Project("GET", "/_images/*", identity.Read, p.repository)
	s.Project("POST", "/_images/*", identity.Administer, p.change)
	s.Project("POST", "/_images", identity.Administer, p.changeProject)
	s.Project("GET", "/_vulnerabilities", identity.Read, p.scanPolicy)
	s.Project("POST", "/_vulnerabilities", identity.Administer, p.changeScanPolicy)
	s.Project("GET", "/_packages", identity.Read, p.packages)
}

// imageURL is the page of one image.
func imageURL(v View, repository string, d slipway.Digest) string {
	return repositoryURL(v, repository) + "?digest=" + url.QueryEscape(string(d))
}

// repositoryURL is the page of a repository, whose name has slashes.
func repositoryURL(v View, name string) string { return v.URL("_images") + "/" + name }

type repositoriesView struct {
	Project         []repositoryRow
	Installation    []repositoryRow
	Usage           registry.Usage
	Quota           registry.Quota
	Search          string
	URL             string
	MayChange       bool
	Host            string // of image names, as this browser reached the server
	Builds          string // the page of image builds
	Vulnerabilities string // the page of what is not accepted
	Key             string // the project's part of image names
}

type repositoryRow struct {
	Name, URL string
	Public    bool
	Latest    string // the tag that was moved last
	Updated   time.Time
	Usage     registry.Usage
}

func (p imagesPages) repositories(w http.ResponseWriter, r *http.Request, v View) error {
	if r.URL.Query().Has("settings") {
		return p.settings(w, r, v, registry.Repository{Project: v.Project.ID})
	}
	view := repositoriesView{Host: r.Host, Key: v.Project.Key(), Builds: v.URL("_imagebuilds"), Vulnerabilities: v.URL("_vulnerabilities"), Search: r.URL.Query().Get("search"), URL: v.URL("_images"),
		MayChange: p.identity.Authorize(r.Context(), v.Caller, identity.Administer, v.Project.ID) == nil}
	settings, err := p.registry.ProjectSettings(r.Context(), v.Project.ID)
	if err != nil {
		return err
	}
	view.Quota = settings.Quota
	if view.Project, err = p.rows(r.Context(), v, v.Project.ID, view.Search); err != nil {
		return err
	}
	if view.Installation, err = p.rows(r.Context(), v, "", view.Search); err != nil {
		return err
	}
	if view.Usage, err = p.registry.ProjectUsage(r.Context(), v.Project.ID); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Images", "images"), repositoriesPage(view))
}

func (p imagesPages) rows(ctx context.Context, v View, project slipway.ProjectID, search string) ([]repositoryRow, error) {
	list, err := p.registry.ProjectRepositories(ctx, project, search)
	if err != nil {
		return nil, err
	}
	var rows []repositoryRow
	for _, repo := range list {
		row := repositoryRow{Name: repo.Name, URL: repositoryURL(v, repo.Name), Public: repo.Public, Updated: repo.Created, Latest: repo.Latest.Name, Usage: repo.Usage}
		if row.Latest != "" {
			row.Updated = repo.Latest.Updated
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// found returns the repository of the path when the project, or everybody signed in, may see it.
func (p imagesPages) found(r *http.Request, v View) (registry.Repository, error) {
	repo, err := p.registry.Repository(r.Context(), chi.URLParam(r, "*"))
	if err == nil && repo.Project != v.Project.ID && repo.Project != "" {
		err = slipway.NotFound("there is no image repository %q in this project", repo.Name)
	}
	return repo, err
}

// mayChange says whether the caller administers the repository.
func (p imagesPages) mayChange(ctx context.Context, v View, repo registry.Repository) error {
	return p.identity.Authorize(ctx, v.Caller, identity.Administer, repo.Project)
}

type repositoryView struct {
	Name, URL, List string
	Public          bool
	Tags            []tagRow
	Untagged        []tagRow
	Usage           registry.Usage
	Quota           registry.Quota
	Search          string
	More            string // the page with the rest of the tags
	Locked          string // what is forbidden of all of it
	MayChange       bool
}

type tagRow struct {
	Tag, URL string
	Digest   slipway.Digest
	Platform string
	Size     int64
	Updated  time.Time
	Pulled   time.Time
	Runs     string // where it is deployed
	Lock     string // what is forbidden of it
	Commit   *thing
	Run      *thing
}

// reference is what the row is deleted by.
func (r tagRow) reference() string {
	if r.Tag != "" {
		return r.Tag
	}
	return string(r.Digest)
}

const shownTags = 100

func (p imagesPages) repository(w http.ResponseWriter, r *http.Request, v View) error {
	repo, err := p.found(r, v)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	switch {
	case query.Get("digest") != "":
		return p.image(w, r, v, repo, query.Get("digest"))
	case query.Get("delete") != "":
		return p.confirm(w, r, v, repo, query.Get("delete"))
	case query.Has("settings"):
		return p.settings(w, r, v, repo)
	case query.Has("retention"):
		return p.retention(w, r, v, repo)
	}
	ctx := r.Context()
	view := repositoryView{Name: repo.Name, URL: repositoryURL(v, repo.Name), List: v.URL("_images"), Public: repo.Public, Locked: lockText(repo.Lock), Search: query.Get("search"), MayChange: p.mayChange(ctx, v, repo) == nil}
	if view.Usage, err = p.registry.Usage(ctx, repo); err != nil {
		return err
	}
	settings, err := p.registry.RepositorySettings(ctx, repo)
	if err != nil {
		return err
	}
	view.Quota = settings.Quota
	deployed, err := p.deployed(ctx, v)
	if err != nil {
		return err
	}
	tags, err := p.registry.DescribeTags(ctx, repo, view.Search, query.Get("last"), shownTags+1)
	if err != nil {
		return err
	}
	if len(tags) > shownTags {
		tags = tags[:shownTags]
		view.More = view.URL + "?" + url.Values{"last": {tags[shownTags-1].Name}, "search": {view.Search}}.Encode()
	}
	named := p.originsOf(v)
	for _, t := range tags {
		named.run(t.Run)
	}
	for _, t := range tags {
		row := tagRow{Tag: t.Name, URL: imageURL(v, repo.Name, t.Digest), Digest: t.Digest, Platform: strings.Join(t.Platforms, ", "), Size: t.Size, Updated: t.Updated,
			Pulled: t.Pulled, Runs: strings.Join(deployed[t.Digest], ", "), Lock: lockText(t.Lock | t.ImageLock)}
		row.Commit, row.Run = named.of(ctx, t.Run, t.Commit)
		view.Tags = append(view.Tags, row)
	}
	if view.Search == "" && !query.Has("last") {
		view.Untagged, err = p.untagged(ctx, v, repo, deployed)
	}
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(repo.Name, "images"), repositoryPage(view))
}

// untagged lists the manifests without a tag.
func (p imagesPages) untagged(ctx context.Context, v View, repo registry.Repository, deployed map[slipway.Digest][]string) ([]tagRow, error) {
	manifests, err := p.registry.Manifests(ctx, registry.Filter{Repository: repo.Name, Untagged: true, Subjects: true, Limit: shownTags})
	if err != nil {
		return nil, err
	}
	named := p.originsOf(v)
	for _, m := range manifests {
		named.run(m.Run)
	}
	var rows []tagRow
	for _, m := range manifests {
		row := tagRow{URL: imageURL(v, repo.Name, m.Digest), Digest: m.Digest, Platform: m.Platform, Size: m.TotalSize, Updated: m.Pushed,
			Pulled: m.Pulled.Last, Runs: strings.Join(deployed[m.Digest], ", "), Lock: lockText(m.Lock)}
		row.Commit, row.Run = named.of(ctx, m.Run, m.Commit)
		rows = append(rows, row)
	}
	return rows, nil
}

// deployed are the names of the project's environments that serve images, by digest.
func (p imagesPages) deployed(ctx context.Context, v View) (map[slipway.Digest][]string, error) {
	needed, err := p.things.Environments.NeededImages(ctx)
	if err != nil {
		return nil, err
	}
	by := map[slipway.Digest][]string{}
	for _, n := range needed {
		if n.Project == v.Project.ID && !n.Previous && n.Digest != "" && !slices.Contains(by[n.Digest], n.Environment) {
			by[n.Digest] = append(by[n.Digest], n.Environment)
		}
	}
	return by, nil
}

type imageView struct {
	Repository, RepositoryURL string
	Manifest                  registry.Manifest
	Config                    registry.Config
	Parts                     []imagePart // layers, or the manifests of an index
	PartsTitle                string
	Referrers                 []imagePart
	Commit, Run               *thing
	Origin                    originView
	Content                   contentView
	Pull, Trace               string
	Labels                    []string
	Locks                     []lockForm
	Runs                      string // where it is deployed
	Delete                    string // the page that asks whether to delete it
	MayChange                 bool
}

type imagePart struct {
	registry.Descriptor
	URL string
}

func (p imagesPages) image(w http.ResponseWriter, r *http.Request, v View, repo registry.Repository, reference string) error {
	ctx := r.Context()
	if err := p.registry.FlushPulls(ctx); err != nil {
		return err
	}
	m, err := p.registry.GetManifest(ctx, repo, reference)
	if err != nil {
		return err
	}
	view := imageView{Repository: repo.Name, RepositoryURL: repositoryURL(v, repo.Name), Manifest: m, Config: p.registry.GetConfig(ctx, repo, m),
		PartsTitle: "Layers", Pull: fmt.Sprintf("docker pull %s/%s@%s", r.Host, repo.Name, m.Digest), MayChange: p.mayChange(ctx, v, repo) == nil,
		Trace: v.URL("_trace") + "?thing=" + url.QueryEscape(slipway.Ref(slipway.RefImage, m.Digest).String())}
	view.Commit, view.Run = p.originsOf(v).of(ctx, m.Run, m.Commit)
	view.Delete = deleteURL(view.RepositoryURL, string(m.Digest))
	if view.Locks, err = p.locks(ctx, repo, m); err != nil {
		return err
	}
	deployed, err := p.deployed(ctx, v)
	if err != nil {
		return err
	}
	view.Runs = strings.Join(deployed[m.Digest], ", ")
	if view.Origin, err = p.originOf(ctx, v, repo, m, r.Host); err != nil {
		return err
	}
	if view.Content, err = p.contentOf(ctx, v, repo, m.Digest); err != nil {
		return err
	}
	for _, d := range m.Layers() {
		part := imagePart{Descriptor: d}
		if d.Platform != nil || strings.Contains(d.MediaType, "manifest") || strings.Contains(d.MediaType, "index") {
			part.URL, view.PartsTitle = imageURL(v, repo.Name, slipway.Digest(d.Digest)), "Manifests"
		}
		view.Parts = append(view.Parts, part)
	}
	referrers, err := p.registry.Referrers(ctx, repo, m.Digest, "")
	if err != nil {
		return err
	}
	for _, d := range referrers {
		view.Referrers = append(view.Referrers, imagePart{d, imageURL(v, repo.Name, slipway.Digest(d.Digest))})
	}
	for key, value := range view.Config.Config.Labels {
		view.Labels = append(view.Labels, key+"="+value)
	}
	for key, value := range m.Annotations {
		view.Labels = append(view.Labels, key+"="+value)
	}
	slices.Sort(view.Labels)
	return p.Render(w, r, v.Titled(repo.Name+"@"+m.Digest.Short(), "images"), imagePage(view))
}

// change does what the forms of the repository and image pages ask for.
func (p imagesPages) change(w http.ResponseWriter, r *http.Request, v View) error {
	ctx := r.Context()
	repo, err := p.found(r, v)
	if err != nil {
		return err
	}
	if err := p.mayChange(ctx, v, repo); err != nil {
		return err
	}
	switch r.FormValue("do") {
	case "delete-tag":
		err = p.registry.DeleteTag(ctx, repo, r.FormValue("tag"), v.Caller.Actor)
	case "delete":
		var d slipway.Digest
		if d, err = slipway.ParseDigest(r.FormValue("digest")); err == nil {
			err = p.registry.DeleteManifest(ctx, repo, d, v.Caller.Actor)
		}
	case "delete-repository":
		if err := p.registry.DeleteRepository(ctx, repo, v.Caller.Actor); err != nil {
			return err
		}
		return p.Redirect(w, r, v.URL("_images"))
	case "settings":
		return p.saveSettings(w, r, v, repo)
	case "lock":
		return p.lock(w, r, v, repo)
	case "retain":
		if _, err := p.registry.Retain(ctx, repo, v.Caller.Actor); err != nil {
			return err
		}
		return p.Redirect(w, r, repositoryURL(v, repo.Name)+"?retention")
	default:
		err = slipway.Invalid("the form asks for nothing that is known here")
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, repositoryURL(v, repo.Name))
}
