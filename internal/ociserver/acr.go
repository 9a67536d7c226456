package ociserver

import (
	"net/http"
	"strings"
	"time"

	"slipway"
	"slipway/internal/registry"
)

// What tools and SDKs for Azure Container Registry ask beyond the distribution API (its data-plane REST API, version 2021-07-01): tokens
// below /oauth2/, and lists with details below /acr/v1/.

// acrPrefix begins the paths of its lists.
const acrPrefix = "/acr/v1/"

// The actions of its scopes for lists and details, and for locks.
const (
	metadataRead  = "metadata_read"
	metadataWrite = "metadata_write"
)

// splitACR takes a path below acrPrefix apart.
func splitACR(rest string) route {
	if rest == "_catalog" {
		return route{kind: routeCatalog}
	}
	for part, kinds := range map[string][2]routeKind{"_tags": {routeACRTags, routeACRTag}, "_manifests": {routeACRManifests, routeACRManifest}} {
		if name, ok := strings.CutSuffix(rest, "/"+part); ok {
			return named(route{kinds[0], name, ""})
		}
		if name, reference, ok := strings.Cut(rest, "/"+part+"/"); ok && reference != "" {
			return named(route{kinds[1], name, reference})
		}
	}
	return named(route{routeACRRepository, rest, ""})
}

// exchange answers a login with the refresh token that it asks for, which is the credential itself, as for docker.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return errMethod
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxTokenForm)
	if err := r.ParseForm(); err != nil {
		return slipway.Invalid("the form cannot be read: %v", err)
	}
	secret := r.PostForm.Get("access_token")
	if grant := r.PostForm.Get("grant_type"); grant != "access_token" || secret == "" {
		return slipway.Invalid("grant_type must be access_token, and access_token a personal access token or a job's: those of Microsoft Entra are not known here")
	}
	who, err := s.identity.AuthenticateToken(r.Context(), secret)
	if slipway.CodeOf(err) == slipway.CodeUnauthenticated {
		err = s.attempts.wrong(r, secret, err)
	}
	if err != nil {
		return err
	}
	if who.Kind == slipway.ActorAnonymous {
		return slipway.Unauthenticated("access_token is no token of this server")
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, "application/json", map[string]string{"refresh_token": secret})
	return nil
}

// acrAttributes says what may be done with a repository, a tag or a manifest.
type acrAttributes struct {
	Delete bool `json:"deleteEnabled"`
	Write  bool `json:"writeEnabled"`
	List   bool `json:"listEnabled"`
	Read   bool `json:"readEnabled"`
}

func toACRAttributes(l registry.Lock) acrAttributes {
	return acrAttributes{Delete: l&registry.LockDelete == 0, Write: l&registry.LockWrite == 0, List: true, Read: l&registry.LockRead == 0}
}

type acrTag struct {
	Name       string         `json:"name"`
	Digest     slipway.Digest `json:"digest"`
	Created    time.Time      `json:"createdTime"` // when it was pointed to its image last
	Updated    time.Time      `json:"lastUpdateTime"`
	Attributes acrAttributes  `json:"changeableAttributes"`
}

func toACRTag(t registry.Tag) acrTag {
	return acrTag{t.Name, t.Digest, t.Updated, t.Updated, toACRAttributes(t.Lock)}
}

type acrManifest struct {
	Digest       slipway.Digest `json:"digest"`
	Size         int64          `json:"imageSize"`
	Created      time.Time      `json:"createdTime"`
	Updated      time.Time      `json:"lastUpdateTime"`
	MediaType    string         `json:"mediaType"`
	Architecture string         `json:"architecture,omitempty"`
	OS           string         `json:"os,omitempty"`
	Tags         []string       `json:"tags"`
	Attributes   acrAttributes  `json:"changeableAttributes"`
}

func toACRManifest(m registry.Manifest) acrManifest {
	out := acrManifest{Digest: m.Digest, Size: m.TotalSize, Created: m.Pushed, Updated: m.Pushed, MediaType: m.MediaType, Tags: append([]string{}, m.Tags...), Attributes: toACRAttributes(m.Lock)}
	out.OS, out.Architecture, _ = strings.Cut(m.Platform, "/")
	return out
}

// acr writes an answer about a repository.
func (q *request) acr(w http.ResponseWriter, what string, v any) error {
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"registry": q.Host, "imageName": q.name, what: v})
	return nil
}

func (s *Server) acrRepository(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, metadataRead)
	if err != nil {
		return err
	}
	return s.acrAbout(w, q, repo)
}

func (s *Server) acrAbout(w http.ResponseWriter, q *request, repo registry.Repository) error {
	u, err := s.registry.Usage(q.Context(), repo)
	if err != nil {
		return err
	}
	updated := repo.Created
	recent, err := s.registry.RecentTags(q.Context(), repo, 1)
	if err != nil {
		return err
	}
	if len(recent) > 0 {
		updated = recent[0].Updated
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"registry": q.Host, "imageName": q.name, "createdTime": repo.Created, "lastUpdateTime": updated,
		"manifestCount": u.Manifests, "tagCount": u.Tags, "changeableAttributes": toACRAttributes(repo.Lock)})
	return nil
}

// acrPage reads what part of a list is asked for, and in which order.
func acrPage(r *http.Request) (p registry.Page, err error) {
	if p.Limit, p.Last, err = page(r); err != nil {
		return p, err
	}
	p.Limit = max(p.Limit, 1)
	switch order := r.URL.Query().Get("orderby"); order {
	case "", "none":
	case "timedesc":
		p.Order = registry.NewestFirst
	case "timeasc":
		p.Order = registry.OldestFirst
	default:
		return p, slipway.Unsupported("orderby is none, timedesc or timeasc")
	}
	return p, nil
}

// acrNext leads to the rest of a list.
func acrNext(w http.ResponseWriter, q *request, last string) {
	values := q.URL.Query()
	values.Set("last", last)
	next(w, q.URL.Path, values)
}

// acrTags lists tags, those of one manifest with `digest`.
func (s *Server) acrTags(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, metadataRead)
	if err != nil {
		return err
	}
	p, err := acrPage(q.Request)
	if err != nil {
		return err
	}
	if value := q.URL.Query().Get("digest"); value != "" {
		if p.Digest, err = digest(value); err != nil {
			return err
		}
	}
	list, more, err := s.registry.TagPage(q.Context(), repo, p)
	if err != nil {
		return err
	}
	out := []acrTag{}
	for _, t := range list {
		out = append(out, toACRTag(t))
	}
	if more {
		acrNext(w, q, list[len(list)-1].Name)
	}
	return q.acr(w, "tags", out)
}

func (s *Server) acrTag(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, metadataRead)
	if err != nil {
		return err
	}
	t, err := s.registry.Tag(q.Context(), repo, q.reference)
	if err != nil {
		return err
	}
	return q.acr(w, "tag", toACRTag(t))
}

// acrManifests lists manifests.
func (s *Server) acrManifests(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, metadataRead)
	if err != nil {
		return err
	}
	p, err := acrPage(q.Request)
	if err != nil {
		return err
	}
	list, more, err := s.registry.ManifestPage(q.Context(), repo, p)
	if err != nil {
		return err
	}
	out := []acrManifest{}
	for _, m := range list {
		out = append(out, toACRManifest(m))
	}
	if more {
		acrNext(w, q, string(list[len(list)-1].Digest))
	}
	return q.acr(w, "manifests", out)
}

func (s *Server) acrManifest(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, metadataRead)
	if err != nil {
		return err
	}
	d, err := digest(q.reference)
	if err != nil {
		return err
	}
	m, err := s.registry.GetManifest(q.Context(), repo, string(d))
	if err != nil {
		return err
	}
	return q.acr(w, "manifest", toACRManifest(m))
}

// acrDelete removes a repository; the answer would list what went, which may be much: it counts as accepted.
func (s *Server) acrDelete(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, remove)
	if err != nil {
		return err
	}
	if err := s.registry.DeleteRepository(q.Context(), repo, q.who.Actor); err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, "application/json", map[string][]string{"manifestsDeleted": {}, "tagsDeleted": {}})
	return nil
}
