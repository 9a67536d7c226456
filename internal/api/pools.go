package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

func (b buildRoutes) addPoolRoutes() {
	b.installation("GET", "/slipway/pools", identity.Read, b.listPools)
	b.installation("GET", "/slipway/pools/{pool}", identity.Read, b.getPool)
	b.installation("PUT", "/slipway/pools/{pool}", identity.Administer, b.putPool)
	b.installation("DELETE", "/slipway/pools/{pool}", identity.Administer, b.deletePool)
}

// maxPool bounds the settings of a pool, in bytes.
const maxPool = 1 << 20

// Pool is a pool of jobs' pods. What is left out of its settings is as the server's options say.
type Pool struct {
	ID        int64      `json:"id"`
	Name      string     `json:"name"`
	CreatedOn *time.Time `json:"createdOn"`
	pipelines.PoolSettings
	// WarmWaiting and WarmStarting are how many warm pods there are.
	WarmWaiting  int `json:"warmWaiting"`
	WarmStarting int `json:"warmStarting"`
}

func pool(p pipelines.Pool, counts map[string]pipelines.WarmCount) Pool {
	c := counts[strings.ToLower(p.Name)]
	return Pool{ID: p.ID, Name: p.Name, CreatedOn: when(p.Created), PoolSettings: p.PoolSettings, WarmWaiting: c.Waiting, WarmStarting: c.Starting}
}

func (b buildRoutes) listPools(w http.ResponseWriter, r request) error {
	pools, err := b.pipelines.Pools(r.Context())
	if err != nil {
		return err
	}
	counts, err := b.pipelines.WarmCounts(r.Context())
	if err != nil {
		return err
	}
	var out []Pool
	for _, p := range pools {
		out = append(out, pool(p, counts))
	}
	return list(w, out)
}

func (b buildRoutes) getPool(w http.ResponseWriter, r request) error {
	p, err := b.pipelines.Pool(r.Context(), chi.URLParam(r.Request, "pool"))
	if err != nil {
		return err
	}
	return b.writePool(w, r, http.StatusOK, p)
}

func (b buildRoutes) writePool(w http.ResponseWriter, r request, status int, p pipelines.Pool) error {
	counts, err := b.pipelines.WarmCounts(r.Context())
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, status, pool(p, counts))
	return nil
}

// putPool makes a pool, or changes all settings of the one that is there.
func (b buildRoutes) putPool(w http.ResponseWriter, r request) error {
	var settings pipelines.PoolSettings
	if err := httpx.ReadJSON(w, r.Request, maxPool, &settings); err != nil {
		return err
	}
	p, created, err := b.pipelines.PutPool(r.Context(), chi.URLParam(r.Request, "pool"), settings, r.caller.Actor)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return b.writePool(w, r, status, p)
}

func (b buildRoutes) deletePool(w http.ResponseWriter, r request) error {
	if err := b.pipelines.DeletePool(r.Context(), chi.URLParam(r.Request, "pool"), r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
