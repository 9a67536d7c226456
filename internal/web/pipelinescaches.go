package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

type cachesView struct {
	URL       string // where the buttons post to
	Pipeline  slipway.PipelineID
	Rows      []cacheRow
	Total     int64
	MayDelete bool
}

type cacheRow struct {
	ID            int64
	Key, Branch   string
	RunURL        string
	Size, Hits    int64
	Created, Used time.Time
}

// addCaches shows the caches of the chosen pipeline.
func (p pipelinesPages) addCaches(ctx context.Context, v View, view *pipelinesView) error {
	caches, err := p.pipelines.ListCaches(ctx, pipelines.CacheFilter{Project: v.Project.ID, Pipeline: view.Chosen.ID})
	if err != nil {
		return err
	}
	view.Caches = cachesView{URL: v.URL("_build", "caches"), Pipeline: view.Chosen.ID, MayDelete: view.MayQueue}
	for _, c := range caches {
		view.Caches.Total += c.Size
		view.Caches.Rows = append(view.Caches.Rows, cacheRow{ID: c.ID, Key: c.Key, Branch: branchName(c.Ref), RunURL: runURL(v, c.Run), Size: c.Size, Hits: c.Hits,
			Created: c.Created, Used: c.Used})
	}
	return nil
}

// deleteCaches deletes one cache, or all of a pipeline.
func (p pipelinesPages) deleteCaches(w http.ResponseWriter, r *http.Request, v View) error {
	pipeline, err := strconv.ParseInt(r.FormValue("pipeline"), 10, 64)
	if err != nil {
		return slipway.Invalid("%q is no pipeline's number", r.FormValue("pipeline"))
	}
	if text := r.FormValue("cache"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return slipway.Invalid("%q is no cache's number", text)
		}
		err = p.pipelines.DeleteCache(r.Context(), v.Project.ID, id)
		if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound { // somebody else was faster
			return err
		}
	} else if _, err := p.pipelines.DeleteCaches(r.Context(), pipelines.CacheFilter{Project: v.Project.ID, Pipeline: slipway.PipelineID(pipeline)}); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_build")+"?definitionId="+strconv.FormatInt(pipeline, 10))
}

func (p pipelinesPages) addCachePages() {
	p.Project("POST", "/_build/caches", identity.Contribute, p.deleteCaches)
}
