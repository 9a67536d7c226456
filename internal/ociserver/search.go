package ociserver

import (
	"net/http"
	"strconv"
	"strings"

	"slipway"
)

// `docker search HOST/WORD` speaks the first protocol of registries, of which nothing else is left: the engine asks /v1/_ping whom it speaks with,
// then /v1/search. It sends a login over HTTPS alone, so without one it finds what is public. Podman asks here without its login too, and goes on with
// the catalog, and its login, when that is refused.

const (
	searchPath    = "/v1/search"
	searchPing    = "/v1/_ping"
	searchDefault = 25 // results, as docker has it
	searchMost    = 100
)

// searchResult is what docker shows of a repository; there are neither stars nor official images here.
type searchResult struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Stars       int    `json:"star_count"`
	Official    bool   `json:"is_official"`
	Automated   bool   `json:"is_automated"`
}

// pingSearch says that this registry takes basic authentication itself.
func (s *Server) pingSearch(w http.ResponseWriter, _ *request) error {
	w.Header().Set("X-Docker-Registry-Standalone", "true")
	writeJSON(w, http.StatusOK, "application/json", map[string]bool{"standalone": true})
	return nil
}

// search lists the repositories that the caller may pull from and that have the words in their names.
func (s *Server) search(w http.ResponseWriter, q *request) error {
	if q.who.Kind == slipway.ActorAnonymous && !strings.HasPrefix(q.UserAgent(), "docker/") {
		return slipway.Unauthenticated("sign in with a personal access token as the password")
	}
	values := q.URL.Query()
	n := searchDefault
	if text := values.Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > searchMost {
			return slipway.Invalid("n must be a number from 1 to %d", searchMost)
		}
	}
	who, results := q.who.InRegistry(), []searchResult{}
	for last := ""; len(results) < n; {
		list, err := s.registry.FindRepositories(q.Context(), values.Get("q"), last, maxPage)
		if err != nil {
			return err
		}
		for _, repo := range list {
			last = repo.Name
			if len(results) < n && s.mayPull(q.Context(), who, repo) {
				results = append(results, searchResult{Name: repo.Name, Description: described(repo.Name)})
			}
		}
		if len(list) < maxPage {
			break
		}
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{"query": values.Get("q"), "num_results": len(results), "num_pages": 1, "page": 1, "page_size": n, "results": results})
	return nil
}

// described says whose images they are.
func described(name string) string {
	if installation(name) {
		return "an image of this installation"
	}
	first, _, _ := strings.Cut(name, "/")
	return "an image of the project " + first
}
