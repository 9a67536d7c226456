package ociserver

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

const maxPage = 1000 // names in a list, of which a client gets the rest by the Link header

// page reads `n` and `last`. Without n a page is as long as it may be.
func page(r *http.Request) (n int, last string, err error) {
	query := r.URL.Query()
	n = maxPage
	if value := query.Get("n"); value != "" {
		if n, err = strconv.Atoi(value); err != nil || n < 0 {
			return 0, "", slipway.Invalid("n must be a number, 0 or more")
		}
	}
	return min(n, maxPage), query.Get("last"), nil
}

// next sets the Link header to the next page (RFC 8288).
func next(w http.ResponseWriter, path string, query url.Values) {
	w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, path, query.Encode()))
}

func (s *Server) tags(w http.ResponseWriter, q *request) error {
	repo, err := s.allowed(q, pull)
	if err != nil {
		return err
	}
	n, last, err := page(q.Request)
	if err != nil {
		return err
	}
	names := []string{}
	if n > 0 {
		if names, err = s.registry.TagNames(q.Context(), repo, last, n+1); err != nil {
			return err
		}
	}
	if len(names) > n {
		names = names[:n]
		next(w, "/v2/"+q.name+"/tags/list", url.Values{"n": {strconv.Itoa(n)}, "last": {names[n-1]}})
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"name": q.name, "tags": names})
	return nil
}

// mayPull is allow to pull from a repository that was looked up already.
func (s *Server) mayPull(ctx context.Context, p identity.Principal, repo registry.Repository) bool {
	if remote, ok := s.find(repo.Name); ok {
		return s.allowUpstream(ctx, p, remote, pull) == nil
	}
	_, err := s.allowOurs(ctx, p, repo, pull)
	return err == nil
}

// catalog lists the repositories that the caller may pull from.
func (s *Server) catalog(w http.ResponseWriter, q *request) error {
	if q.who.Kind == slipway.ActorAnonymous {
		return slipway.Unauthenticated("sign in with a personal access token as the password")
	}
	if q.who.Token == identity.TokenRegistry && !slices.Contains(q.who.Binding.Scopes, catalogScope) {
		return slipway.Unauthenticated("this token does not allow to list repositories").Because(errScope)
	}
	n, last, err := page(q.Request)
	if err != nil {
		return err
	}
	who := q.who.InRegistry() // the scope was for the catalog, not for each repository
	names := []string{}
	for len(names) <= n {
		list, err := s.registry.Repositories(q.Context(), last, maxPage)
		if err != nil {
			return err
		}
		for _, repo := range list {
			last = repo.Name
			if s.mayPull(q.Context(), who, repo) {
				names = append(names, repo.Name)
			}
		}
		if len(list) < maxPage {
			break
		}
	}
	if len(names) > n {
		names = names[:n]
		if n > 0 {
			next(w, q.URL.Path, url.Values{"n": {strconv.Itoa(n)}, "last": {names[n-1]}})
		}
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"repositories": names})
	return nil
}

// referrers lists what is about a digest, in pages that are no larger than a manifest may be; nothing known of it, or of the
// repository, is an empty list.
func (s *Server) referrers(w http.ResponseWriter, q *request) error {
	d, err := digest(q.reference)
	if err != nil {
		return err
	}
	query := q.URL.Query()
	filter := query.Get("artifactType")
	list, more := []registry.Descriptor{}, false
	repo, err := s.allowed(q, pull)
	if err == nil {
		list, more, err = s.registry.ReferrersPage(q.Context(), repo, d, filter, query.Get("last"))
	} else if unknown(err) {
		err = nil
	}
	if err != nil {
		return err
	}
	if more {
		page := url.Values{"last": {list[len(list)-1].Digest}}
		if filter != "" {
			page.Set("artifactType", filter)
		}
		next(w, "/v2/"+q.name+"/referrers/"+string(d), page)
	}
	if filter != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	writeJSON(w, http.StatusOK, registry.TypeOCIIndex, map[string]any{"schemaVersion": 2, "mediaType": registry.TypeOCIIndex, "manifests": list})
	return nil
}

// unknown reports that a repository which the caller may pull from does not exist yet.
func unknown(err error) bool {
	e, ok := err.(*registry.Error) //nolint:errorlint // only as the registry itself returns it, not a hidden project
	return ok && e.Fault == registry.NameUnknown
}
