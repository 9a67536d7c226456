package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/pipelines"
)

// Service connections are Azure DevOps' service endpoints. Its clients write them without a project in the path and name it in
// the body; older ones have it in the path.
func (b buildRoutes) addConnectionRoutes() {
	const one = "/serviceendpoint/endpoints/{endpoint}"
	b.project("GET", "/serviceendpoint/endpoints", identity.Read, b.listConnections)
	b.project("GET", one, identity.Read, b.getConnection)
	b.project("GET", "/serviceendpoint/{endpoint}/executionhistory", identity.Read, b.connectionHistory)
	b.installation("GET", "/serviceendpoint/types", identity.Read, b.connectionTypes)
	for _, register := range []func(string, string, identity.Action, handler){b.installation, b.project} {
		register("POST", "/serviceendpoint/endpoints", identity.Read, b.createConnection)
		register("PUT", one, identity.Read, b.updateConnection)
		register("DELETE", one, identity.Read, b.deleteConnection)
	}
	b.project("GET", "/pipelines/pipelinePermissions/{type}/{endpoint}", identity.Read, b.getPermissions)
	b.project("PATCH", "/pipelines/pipelinePermissions/{type}/{endpoint}", identity.Administer, b.setPermissions)
	b.project("PATCH", "/build/authorizedresources", identity.Administer, b.authorizeResources)
}

// maxConnectionBody bounds a service connection that is sent, in bytes.
const maxConnectionBody = 4 << 20

// ServiceEndpoint is a service connection as Azure DevOps' serviceendpoint area shows it. Secrets are never told: their values
// are null.
type ServiceEndpoint struct {
	ID            string                 `json:"id"`
	Name          string                 `json:"name"`
	Type          string                 `json:"type"`
	URL           string                 `json:"url"`
	Description   string                 `json:"description"`
	Authorization *EndpointAuthorization `json:"authorization"`
	Data          map[string]*string     `json:"data"`
	CreatedBy     *IdentityRef           `json:"createdBy,omitempty"`
	CreationDate  *time.Time             `json:"creationDate,omitempty"`
	IsReady       bool                   `json:"isReady"`
	IsShared      bool                   `json:"isShared"`
	Owner         string                 `json:"owner"` // library
	Projects      []EndpointProject      `json:"serviceEndpointProjectReferences"`
}

// EndpointAuthorization says how a service connection authorizes.
type EndpointAuthorization struct {
	Scheme     string             `json:"scheme"`
	Parameters map[string]*string `json:"parameters"`
}

// EndpointProject is the project of a service connection, with its name there.
type EndpointProject struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Project     struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"projectReference"`
}

func (b buildRoutes) endpoint(c *pipelines.Connection, p identity.Project) ServiceEndpoint {
	out := ServiceEndpoint{ID: c.ID, Name: c.Name, Type: c.Type, URL: c.URL, Description: c.Description, Data: shown(c.Data), CreatedBy: identityRef(c.CreatedBy),
		CreationDate: when(c.Created), IsReady: true, Owner: "library",
		Authorization: &EndpointAuthorization{Scheme: c.Scheme, Parameters: shown(c.Parameters)}, Projects: []EndpointProject{{Name: c.Name, Description: c.Description}}}
	out.Projects[0].Project.ID, out.Projects[0].Project.Name = string(p.ID), p.Name
	return out
}

// shown has null for what is not told.
func shown(parts map[string]string) map[string]*string {
	out := make(map[string]*string, len(parts))
	for name, value := range parts {
		if out[name] = nil; value != "" {
			out[name] = &value
		}
	}
	return out
}

func given(parts map[string]*string) map[string]string {
	out := make(map[string]string, len(parts))
	for name, value := range parts {
		if out[name] = ""; value != nil {
			out[name] = *value
		}
	}
	return out
}

// readEndpoint reads what is sent, and finds the project that it is for.
func (b buildRoutes) readEndpoint(w http.ResponseWriter, r request) (pipelines.Connection, identity.Project, error) {
	var in ServiceEndpoint
	if err := r.decode(w, maxConnectionBody, &in, "the JSON of a service connection"); err != nil {
		return pipelines.Connection{}, r.project, err
	}
	c := pipelines.Connection{Name: in.Name, Description: in.Description, Type: in.Type, URL: in.URL, Data: given(in.Data)}
	if in.Authorization != nil {
		c.Scheme, c.Parameters = in.Authorization.Scheme, given(in.Authorization.Parameters)
	}
	p := r.project
	if len(in.Projects) > 1 {
		return c, p, slipway.Unsupported("a service connection is of one project: make one in each")
	}
	if len(in.Projects) == 1 {
		reference := in.Projects[0]
		if c.Name == "" {
			c.Name = reference.Name
		}
		if c.Description == "" {
			c.Description = reference.Description
		}
		var err error
		if p, err = b.projectOf(r, reference.Project.ID, reference.Project.Name); err != nil {
			return c, p, err
		}
	}
	if p.ID == "" {
		return c, p, slipway.Invalid("serviceEndpointProjectReferences names no project: write its id or name under projectReference")
	}
	c.Project = p.ID
	return c, p, b.mayAdminister(r, p)
}

// projectOf is the project of that id or name, which must be the one of the path if that has one.
func (b buildRoutes) projectOf(r request, id, name string) (identity.Project, error) {
	wanted := id
	if wanted == "" || wanted == "00000000-0000-0000-0000-000000000000" {
		wanted = name
	}
	if wanted == "" {
		return r.project, nil
	}
	p, err := b.identity.ProjectByName(r.Context(), wanted)
	if err == nil && r.project.ID != "" && p.ID != r.project.ID {
		err = slipway.Invalid("the body is for project %q, and the path names %q", p.Name, r.project.Name)
	}
	return p, err
}

func (b buildRoutes) mayAdminister(r request, p identity.Project) error {
	return b.identity.Authorize(r.Context(), r.caller, identity.Administer, p.ID)
}

// found is the connection of the path, for who may administer its project.
func (b buildRoutes) found(r request) (pipelines.Connection, identity.Project, error) {
	id := chi.URLParam(r.Request, "endpoint")
	if r.project.ID != "" {
		c, err := b.pipelines.Connection(r.Context(), r.project.ID, id)
		if err == nil {
			err = b.mayAdminister(r, r.project)
		}
		return c, r.project, err
	}
	c, err := b.pipelines.ConnectionByID(r.Context(), id)
	if err != nil {
		return c, identity.Project{}, err
	}
	p, err := b.identity.ProjectByName(r.Context(), string(c.Project))
	if err == nil {
		err = b.mayAdminister(r, p)
	}
	if slipway.CodeOf(err) == slipway.CodeForbidden && b.identity.Authorize(r.Context(), r.caller, identity.Read, c.Project) != nil {
		err = slipway.NotFound("there is no service connection %q", id)
	}
	return c, p, err
}

// listConnections lists the connections, or those of ?type=, ?authSchemes=, ?endpointIds= and ?endpointNames= (parted by commas).
func (b buildRoutes) listConnections(w http.ResponseWriter, r request) error {
	all, err := b.pipelines.Connections(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	matches := func(name, value string) bool {
		list := q.Get(name)
		return list == "" || slices.ContainsFunc(strings.Split(list, ","), func(one string) bool { return strings.EqualFold(strings.TrimSpace(one), value) })
	}
	var out []ServiceEndpoint
	for i := range all {
		c := &all[i]
		if matches("type", c.Type) && matches("authSchemes", c.Scheme) && matches("endpointIds", c.ID) && matches("endpointNames", c.Name) {
			out = append(out, b.endpoint(c, r.project))
		}
	}
	return list(w, out)
}

// getConnection answers with null for one that is not there, as Azure DevOps does: its clients delete, and ask until that comes.
func (b buildRoutes) getConnection(w http.ResponseWriter, r request) error {
	c, err := b.pipelines.Connection(r.Context(), r.project.ID, chi.URLParam(r.Request, "endpoint"))
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		httpx.WriteJSON(w, http.StatusOK, nil)
		return nil
	}
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.endpoint(&c, r.project))
	return nil
}

func (b buildRoutes) createConnection(w http.ResponseWriter, r request) error {
	c, p, err := b.readEndpoint(w, r)
	if err != nil {
		return err
	}
	if c, err = b.pipelines.CreateConnection(r.Context(), c, r.caller.Actor); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.endpoint(&c, p))
	return nil
}

// updateConnection replaces a connection; secrets that are null, empty or absent stay. Who may use it stays, too.
func (b buildRoutes) updateConnection(w http.ResponseWriter, r request) error {
	old, p, err := b.found(r)
	if err != nil {
		return err
	}
	r.project = p
	c, _, err := b.readEndpoint(w, r)
	if err != nil {
		return err
	}
	c.ID, c.AllPipelines, c.Pipelines = old.ID, old.AllPipelines, old.Pipelines
	if c, err = b.pipelines.UpdateConnection(r.Context(), c, r.caller.Actor); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, b.endpoint(&c, p))
	return nil
}

func (b buildRoutes) deleteConnection(w http.ResponseWriter, r request) error {
	c, p, err := b.found(r)
	if err != nil {
		return err
	}
	if ids := r.URL.Query().Get("projectIds"); ids != "" && !strings.EqualFold(ids, string(p.ID)) && !strings.EqualFold(ids, p.Name) {
		return slipway.Invalid("projectIds names %q: service connection %q is of project %s alone", ids, c.Name, p.ID)
	}
	if err := b.pipelines.DeleteConnection(r.Context(), p.ID, c.ID, r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// connectionTypes lists the types that Slipway knows, with their schemes.
func (b buildRoutes) connectionTypes(w http.ResponseWriter, r request) error {
	type scheme struct {
		Scheme      string `json:"scheme"`
		DisplayName string `json:"displayName"`
	}
	type kind struct {
		Name        string   `json:"name"`
		DisplayName string   `json:"displayName"`
		Schemes     []scheme `json:"authenticationSchemes"`
	}
	var out []kind
	for _, t := range pipelines.ConnectionTypes() {
		if wanted := r.URL.Query().Get("type"); wanted != "" && !strings.EqualFold(wanted, t.Name) {
			continue
		}
		k := kind{Name: t.Name, DisplayName: t.Title}
		for _, s := range t.Schemes {
			k.Schemes = append(k.Schemes, scheme{s.Name, s.Name})
		}
		out = append(out, k)
	}
	return list(w, out)
}

// EndpointUse is one use of a service connection, in `GET serviceendpoint/{id}/executionhistory`.
type EndpointUse struct {
	EndpointID string `json:"endpointId"`
	Data       struct {
		Definition struct {
			ID   int64  `json:"id"`
			Name string `json:"name"`
		} `json:"definition"`
		Owner struct {
			ID   int64  `json:"id"`
			Name string `json:"name"`
		} `json:"owner"` // the run
		Job       string     `json:"job,omitempty"`
		Step      string     `json:"step,omitempty"`
		StartTime *time.Time `json:"startTime"`
	} `json:"data"`
}

func (b buildRoutes) connectionHistory(w http.ResponseWriter, r request) error {
	c, err := b.pipelines.Connection(r.Context(), r.project.ID, chi.URLParam(r.Request, "endpoint"))
	if err != nil {
		return err
	}
	top, err := strconv.Atoi(r.URL.Query().Get("top"))
	if err != nil {
		top = 50
	}
	uses, err := b.pipelines.ConnectionUses(r.Context(), &c, top)
	if err != nil {
		return err
	}
	out := make([]EndpointUse, len(uses))
	for i, u := range uses {
		out[i].EndpointID = c.ID
		d := &out[i].Data
		d.Definition.ID, d.Definition.Name, d.Owner.ID, d.Owner.Name = int64(u.Pipeline), u.PipelineName, int64(u.Run), u.Number
		d.Job, d.Step, d.StartTime = u.Instance, u.Step, when(u.Used)
	}
	return list(w, out)
}
