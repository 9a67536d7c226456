package api

import (
	"net/http"

	"slipway/internal/httpx"
	"slipway/internal/registry"
)

// RegistryLock says what is forbidden of a repository, a tag or an image.
type RegistryLock struct {
	Forbidden []string `json:"forbidden"` // delete, write, read; none unlocks it
}

// putLock locks what the query names: `repository` with `reference`, a tag or a digest, or the repository itself.
func (g registryRoutes) putLock(w http.ResponseWriter, r request) error {
	repo, err := g.repository(r)
	if err != nil {
		return err
	}
	var body RegistryLock
	if err := httpx.ReadJSON(w, r.Request, maxRegistryBody, &body); err != nil {
		return err
	}
	l, err := registry.ParseLock(body.Forbidden)
	if err != nil {
		return err
	}
	if err := g.registry.SetLock(r.Context(), repo, r.URL.Query().Get("reference"), l, r.caller.Actor); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, RegistryLock{l.Strings()})
	return nil
}
