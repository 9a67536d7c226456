package jobserver

import (
	"net/http"
	"strconv"

	"slipway"
	"slipway/internal/httpx"
)

func stepOf(r *http.Request) (int, error) {
	step, err := strconv.Atoi(r.URL.Query().Get("step"))
	if err != nil {
		return 0, slipway.Invalid("step %q is no number", r.URL.Query().Get("step"))
	}
	return step, nil
}

// connection gives a step a service connection that it names.
func (s *server) connection(w http.ResponseWriter, r *http.Request, c call) error {
	step, err := stepOf(r)
	if err != nil {
		return err
	}
	found, err := s.Pipelines.FetchConnection(r.Context(), c.id, step, r.URL.Query().Get("name"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	httpx.WriteJSON(w, http.StatusOK, found)
	return nil
}

// vault gives a step the secrets of the key vault that it names.
func (s *server) vault(w http.ResponseWriter, r *http.Request, c call) error {
	step, err := stepOf(r)
	if err != nil {
		return err
	}
	list, err := s.Pipelines.FetchVault(r.Context(), c.id, step)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	httpx.WriteJSON(w, http.StatusOK, list)
	return nil
}

// repository lets git of a job fetch a repository of another host, from its mirror here.
func (s *server) repository(w http.ResponseWriter, r *http.Request, c call) error {
	return s.Pipelines.ServeForeign(w, r, c.id, r.PathValue("alias"), r.PathValue("rest"))
}
