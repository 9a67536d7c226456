package jobserver

import (
	"io"
	"net/http"
	"strconv"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines/job"
)

func (s *server) findCache(w http.ResponseWriter, r *http.Request, c call) error {
	var q job.CacheQuery
	if err := httpx.ReadJSON(w, r, maxQuery, &q); err != nil {
		return err
	}
	found, err := s.Pipelines.FindCache(r.Context(), c.id, q)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, found)
	return nil
}

func (s *server) getCache(w http.ResponseWriter, r *http.Request, c call) error {
	id, err := strconv.ParseInt(r.PathValue("cache"), 10, 64)
	if err != nil {
		return slipway.Invalid("cache %q is no number", r.PathValue("cache"))
	}
	o, err := s.Pipelines.OpenCache(r.Context(), c.id, id)
	if err != nil {
		return err
	}
	defer o.Close()
	w.Header().Set("Content-Type", "application/zstd")
	w.Header().Set("Content-Length", strconv.FormatInt(o.Size(), 10))
	_, _ = io.Copy(w, o) // a client that went away asks again
	return nil
}

func (s *server) putCache(w http.ResponseWriter, r *http.Request, c call) error {
	saved, err := s.Pipelines.PutCache(r.Context(), c.id, r.URL.Query().Get("key"), r.Body)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, saved)
	return nil
}
