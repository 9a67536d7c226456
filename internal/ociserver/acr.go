package ociserver

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/registry"
)

// What tools and SDKs for Azure Container Registry ask beyond the distribution API (its data-plane REST API, version 2021-07-01): tokens
// below /oauth2/, and lists with details below /acr/v1/.

// acrPrefix begins the paths of its lists.
const acrPrefix = "/acr/v1/"

// metadataRead is the action of its scopes for lists and details.
const metadataRead = "metadata_read"

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

// acrAttributes says what may be done; there are no locks of single images, see acrUpdate.
type acrAttributes struct {
	Delete bool `json:"deleteEnabled"`
	Write  bool `json:"writeEnabled"`
	List   bool `json:"listEnabled"`
	Read   bool `json:"readEnabled"`
}

var acrOpen = acrAttributes{true, true, true, true}

type acrTag struct {
	Name       string         `json:"name"`
	Digest     slipway.Digest `json:"digest"`
	Created    time.Time      `json:"createdTime"` // when it was pointed to its image last
	Updated    time.Time      `json:"lastUpdateTime"`
	Attributes acrAttributes  `json:"changeableAttributes"`
}

func toACRTag(t registry.Tag) acrTag {
	return acrTag{t.Name, t.Digest, t.Updated, t.Updated, acrOpen}
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
	out := acrManifest{Digest: m.Digest, Size: m.TotalSize, Created: m.Pushed, Updated: m.Pushed, MediaType: m.MediaType, Tags: append([]string{}, m.Tags...), Attributes: acrOpen}
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
		"manifestCount": u.Manifests, "tagCount": u.Tags, "changeableAttributes": acrOpen})
	return nil
}

// acrTags lists tags by name, or the newest thousand with `orderby=timedesc`.
func (s *Server) acrTags(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, metadataRead)
	if err != nil {
		return err
	}
	n, last, err := page(q.Request)
	if err != nil {
		return err
	}
	n = max(n, 1)
	var list []registry.Tag
	switch query := q.URL.Query(); {
	case query.Get("digest") != "":
		return slipway.Unsupported("digest is no filter here: the details of a manifest name its tags")
	case query.Get("orderby") == "timedesc" && last == "":
		list, err = s.registry.RecentTags(q.Context(), repo, n)
	case query.Get("orderby") == "" || query.Get("orderby") == "none":
		list, err = s.acrTagPage(q.Context(), w, q, repo, last, n)
	default:
		return slipway.Unsupported("orderby is none or timedesc, and timedesc has no last: it lists the newest %d tags", maxPage)
	}
	if err != nil {
		return err
	}
	out := []acrTag{}
	for _, t := range list {
		out = append(out, toACRTag(t))
	}
	return q.acr(w, "tags", out)
}

func (s *Server) acrTagPage(ctx context.Context, w http.ResponseWriter, q *request, repo registry.Repository, last string, n int) ([]registry.Tag, error) {
	list, err := s.registry.Tags(ctx, repo, last, n)
	if err != nil || len(list) < n {
		return list, err
	}
	more, err := s.registry.TagNames(ctx, repo, list[n-1].Name, 1)
	if len(more) > 0 {
		next(w, q.URL.Path, url.Values{"n": {strconv.Itoa(n)}, "last": {list[n-1].Name}})
	}
	return list, err
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

// acrManifests lists the newest manifests.
func (s *Server) acrManifests(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, metadataRead)
	if err != nil {
		return err
	}
	n, last, err := page(q.Request)
	if err != nil {
		return err
	}
	if order := q.URL.Query().Get("orderby"); last != "" || order != "" && order != "timedesc" && order != "none" {
		return slipway.Unsupported("manifests are listed by age, the newest %d: leave out last, and write orderby=timedesc or nothing", maxPage)
	}
	list, err := s.registry.Manifests(q.Context(), registry.Filter{Repository: repo.Name, Limit: max(n, 1)})
	if err != nil {
		return err
	}
	out := []acrManifest{}
	for _, m := range list {
		out = append(out, toACRManifest(m))
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

// acrUpdate refuses locks of single images: patterns of tags are what is locked here.
func (s *Server) acrUpdate(_ http.ResponseWriter, q *request) error {
	return slipway.Unsupported("single images and tags cannot be locked: make tags immutable with `slipway registry settings %s --immutable PATTERN`", q.name)
}
