package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/pipelines"
)

// ResourcePermissions say which pipelines may use a resource.
type ResourcePermissions struct {
	Resource struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		Name string `json:"name,omitempty"`
	} `json:"resource"`
	AllPipelines *Permission          `json:"allPipelines,omitempty"`
	Pipelines    []PipelinePermission `json:"pipelines"`
}

// Permission says that something is allowed.
type Permission struct {
	Authorized bool `json:"authorized"`
}

// PipelinePermission says that one pipeline may.
type PipelinePermission struct {
	ID         int64 `json:"id"`
	Authorized bool  `json:"authorized"`
}

func permissions(c *pipelines.Connection) ResourcePermissions {
	out := ResourcePermissions{Pipelines: []PipelinePermission{}}
	out.Resource.Type, out.Resource.ID, out.Resource.Name = "endpoint", c.ID, c.Name
	if c.AllPipelines {
		out.AllPipelines = &Permission{true}
	}
	for _, id := range c.Pipelines {
		out.Pipelines = append(out.Pipelines, PipelinePermission{int64(id), true})
	}
	return out
}

func (b buildRoutes) permitted(r request) (pipelines.Connection, error) {
	if kind := chi.URLParam(r.Request, "type"); !strings.EqualFold(kind, "endpoint") {
		return pipelines.Connection{}, slipway.Unsupported("permissions of a %s are not kept for each pipeline: only those of endpoint, a service connection", kind)
	}
	return b.pipelines.Connection(r.Context(), r.project.ID, chi.URLParam(r.Request, "endpoint"))
}

func (b buildRoutes) getPermissions(w http.ResponseWriter, r request) error {
	c, err := b.permitted(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, permissions(&c))
	return nil
}

func (b buildRoutes) setPermissions(w http.ResponseWriter, r request) error {
	c, err := b.permitted(r)
	if err != nil {
		return err
	}
	var in ResourcePermissions
	if err := r.decode(w, maxConnectionBody, &in, "the JSON of permissions"); err != nil {
		return err
	}
	var all *bool
	if in.AllPipelines != nil {
		all = &in.AllPipelines.Authorized
	}
	may := map[slipway.PipelineID]bool{}
	for _, p := range in.Pipelines {
		may[slipway.PipelineID(p.ID)] = p.Authorized
	}
	if c, err = b.pipelines.PermitConnection(r.Context(), r.project.ID, c.ID, all, may, r.caller.Actor); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, permissions(&c))
	return nil
}

// authorizeResources lets all pipelines use service connections, as `az devops service-endpoint update --enable-for-all` asks.
func (b buildRoutes) authorizeResources(w http.ResponseWriter, r request) error {
	var in []struct {
		Type       string `json:"type"`
		ID         string `json:"id"`
		Name       string `json:"name"`
		Authorized bool   `json:"authorized"`
	}
	if err := r.decode(w, maxConnectionBody, &in, "the JSON of permissions"); err != nil {
		return err
	}
	var problems error
	for i := range in {
		one := &in[i]
		if !strings.EqualFold(one.Type, "endpoint") {
			problems = errors.Join(problems, slipway.Unsupported("resources of type %q need no authorization: only endpoint does", one.Type))
			continue
		}
		c, err := b.pipelines.PermitConnection(r.Context(), r.project.ID, one.ID, &one.Authorized, nil, r.caller.Actor)
		problems = errors.Join(problems, err)
		one.Name = c.Name
	}
	if problems != nil {
		return problems
	}
	return list(w, in)
}
