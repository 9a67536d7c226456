package api

import (
	"net/http"
	"strconv"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

func (b buildRoutes) addCacheRoutes() {
	b.project("GET", "/slipway/caches", identity.Read, b.listCaches)
	b.project("DELETE", "/slipway/caches/{cache}", identity.Contribute, b.deleteCache)
	b.project("DELETE", "/slipway/pipelines/{pipeline}/caches", identity.Contribute, b.deleteCaches)
}

// Cache is a cache of a pipeline's jobs.
type Cache struct {
	ID       int64  `json:"id"`
	Key      string `json:"key"`
	Branch   string `json:"branch"` // full name, of the run that saved it
	Size     int64  `json:"size"`   // in bytes, compressed
	Hits     int64  `json:"hits"`   // how often it was restored
	Run      int64  `json:"run"`    // that saved it
	Pipeline struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	} `json:"pipeline"`
	Created  *time.Time `json:"created"`
	LastUsed *time.Time `json:"lastUsed"`
}

// listCaches lists the project's caches, those used last first; ?pipeline= names one pipeline by its number.
func (b buildRoutes) listCaches(w http.ResponseWriter, r request) error {
	filter := pipelines.CacheFilter{Project: r.project.ID}
	if text := r.URL.Query().Get("pipeline"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return slipway.Invalid("pipeline %q is not the number of one", text)
		}
		filter.Pipeline = slipway.PipelineID(id)
	}
	caches, err := b.pipelines.ListCaches(r.Context(), filter)
	if err != nil {
		return err
	}
	var out []Cache
	for _, c := range caches {
		one := Cache{ID: c.ID, Key: c.Key, Branch: c.Ref, Size: c.Size, Hits: c.Hits, Run: int64(c.Run), Created: when(c.Created), LastUsed: when(c.Used)}
		one.Pipeline.ID, one.Pipeline.Name = int64(c.Pipeline), c.PipelineName
		out = append(out, one)
	}
	return list(w, out)
}

func (b buildRoutes) deleteCache(w http.ResponseWriter, r request) error {
	id, err := r.number("cache")
	if err != nil {
		return err
	}
	if err := b.pipelines.DeleteCache(r.Context(), r.project.ID, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteCaches deletes all caches of a pipeline and answers with their number.
func (b buildRoutes) deleteCaches(w http.ResponseWriter, r request) error {
	d, err := b.definition(r)
	if err != nil {
		return err
	}
	n, err := b.pipelines.DeleteCaches(r.Context(), pipelines.CacheFilter{Project: r.project.ID, Pipeline: d.ID})
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]int{"count": n})
	return nil
}
