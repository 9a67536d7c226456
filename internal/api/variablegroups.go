package api

import (
	"cmp"
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
	"slipway/internal/pipelines/trigger"
)

// Azure DevOps' clients write variable groups without a project in the path and name it in the body; older ones have it in the path.
func (b buildRoutes) addVariableGroupRoutes() {
	const all, one = "/distributedtask/variablegroups", "/distributedtask/variablegroups/{group}"
	b.project("GET", all, identity.Read, b.listVariableGroups)
	b.project("GET", one, identity.Read, b.getVariableGroup)
	for _, register := range []func(string, string, identity.Action, handler){b.installation, b.project} {
		register("POST", all, identity.Read, b.createVariableGroup)
		register("PUT", one, identity.Read, b.updateVariableGroup)
		register("DELETE", one, identity.Read, b.deleteVariableGroup)
	}
}

const (
	maxGroupBody = 8 << 20 // of a variable group that is sent, in bytes
	maxGroupPage = 1000    // groups
)

// VariableGroup is a variable group as Azure DevOps' distributedtask area shows it. Secrets are never told: their values are null.
type VariableGroup struct {
	ID          int64                    `json:"id"`
	Name        string                   `json:"name"`
	Description string                   `json:"description"`
	Type        string                   `json:"type"` // Vsts
	Variables   map[string]VariableValue `json:"variables"`
	CreatedOn   *time.Time               `json:"createdOn,omitempty"`
	IsShared    bool                     `json:"isShared"` // false
	Projects    []EndpointProject        `json:"variableGroupProjectReferences"`
}

// VariableValue is a variable of a group. A secret without a value keeps the one that it has.
type VariableValue struct {
	Value      *string `json:"value"`
	IsSecret   bool    `json:"isSecret,omitempty"`
	IsReadOnly bool    `json:"isReadOnly,omitempty"` // refused
}

func variableGroup(g *pipelines.Group, p identity.Project) VariableGroup {
	out := VariableGroup{ID: g.ID, Name: g.Name, Description: g.Description, Type: "Vsts", Variables: map[string]VariableValue{}, CreatedOn: when(g.Created),
		Projects: []EndpointProject{{Name: g.Name, Description: g.Description}}}
	out.Projects[0].Project.ID, out.Projects[0].Project.Name = string(p.ID), p.Name
	for _, v := range g.Variables {
		one := VariableValue{IsSecret: v.Secret}
		if !v.Secret {
			one.Value = &v.Value
		}
		out.Variables[v.Name] = one
	}
	return out
}

// listVariableGroups lists the groups, or those of ?groupName= (* is any text) or ?groupIds= (parted by commas), in pages of ?$top=.
func (b buildRoutes) listVariableGroups(w http.ResponseWriter, r request) error {
	groups, err := b.pipelines.Groups(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if strings.EqualFold(q.Get("queryOrder"), "idAscending") {
		slices.SortFunc(groups, func(a, b pipelines.Group) int { return cmp.Compare(a.ID, b.ID) })
	} else if q.Has("queryOrder") || q.Has("$top") || q.Has("continuationToken") {
		slices.SortFunc(groups, func(a, b pipelines.Group) int { return cmp.Compare(b.ID, a.ID) })
	}
	top, err := count(q, maxGroupPage, maxGroupPage, "$top")
	if err != nil {
		return err
	}
	after, err := count(q, 0, maxGroupPage, "continuationToken") // how many came before
	if err != nil {
		return err
	}
	pattern, ids := strings.ToLower(q.Get("groupName")), strings.Split(q.Get("groupIds"), ",")
	var out []VariableGroup
	for i := range groups {
		g := &groups[i]
		if (pattern == "" || trigger.Wildcard(pattern, strings.ToLower(g.Name))) && (q.Get("groupIds") == "" || slices.Contains(ids, strconv.FormatInt(g.ID, 10))) {
			out = append(out, variableGroup(g, r.project))
		}
	}
	out = out[min(after, len(out)):]
	if len(out) > top {
		out = out[:top]
		w.Header().Set("X-Ms-Continuationtoken", strconv.Itoa(after+top))
	}
	return list(w, out)
}

func (b buildRoutes) getVariableGroup(w http.ResponseWriter, r request) error {
	g, p, err := b.groupOf(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, variableGroup(&g, p))
	return nil
}

// groupOf is the group of the path, and its project, which the caller may read.
func (b buildRoutes) groupOf(r request) (pipelines.Group, identity.Project, error) {
	missing := slipway.NotFound("there is no variable group %q", chi.URLParam(r.Request, "group"))
	id, err := strconv.ParseInt(chi.URLParam(r.Request, "group"), 10, 64)
	if err != nil {
		return pipelines.Group{}, r.project, missing
	}
	g, err := b.pipelines.Group(r.Context(), id)
	if err != nil || r.project.ID != "" {
		if err == nil && g.Project != r.project.ID {
			err = missing
		}
		return g, r.project, err
	}
	p, err := b.identity.ProjectByName(r.Context(), string(g.Project))
	if err == nil && b.identity.Authorize(r.Context(), r.caller, identity.Read, g.Project) != nil {
		err = missing
	}
	return g, p, err
}

// readVariableGroup reads what is sent, and finds the project that it is for.
func (b buildRoutes) readVariableGroup(w http.ResponseWriter, r request) (pipelines.Group, identity.Project, error) {
	var in VariableGroup
	if err := r.decode(w, maxGroupBody, &in, "the JSON of a variable group"); err != nil {
		return pipelines.Group{}, r.project, err
	}
	g := pipelines.Group{Name: in.Name, Description: in.Description}
	if in.Type != "" && !strings.EqualFold(in.Type, "Vsts") {
		return g, r.project, slipway.Unsupported("type %q of a variable group: its variables are kept here, so write Vsts; the task AzureKeyVault reads a variable group too", in.Type)
	}
	for name, v := range in.Variables {
		if v.IsReadOnly {
			return g, r.project, slipway.Unsupported("variables.%s.isReadOnly: variables of a group can be set by steps; write readonly: true beside the variable in the file", name)
		}
		one := pipelines.GroupVariable{Name: name, Secret: v.IsSecret}
		if v.Value != nil {
			one.Value = *v.Value
		}
		g.Variables = append(g.Variables, one)
	}
	p := r.project
	if len(in.Projects) > 1 {
		return g, p, slipway.Unsupported("a variable group is of one project: make one in each")
	}
	if len(in.Projects) == 1 {
		reference := in.Projects[0]
		g.Name, g.Description = cmp.Or(g.Name, reference.Name), cmp.Or(g.Description, reference.Description)
		var err error
		if p, err = b.projectOf(r, reference.Project.ID, reference.Project.Name); err != nil {
			return g, p, err
		}
	}
	return g, p, nil
}

func (b buildRoutes) createVariableGroup(w http.ResponseWriter, r request) error {
	g, p, err := b.readVariableGroup(w, r)
	if err != nil {
		return err
	}
	if p.ID == "" {
		return slipway.Invalid("variableGroupProjectReferences names no project: write its id or name under projectReference")
	}
	if err := b.mayAdminister(r, p); err != nil {
		return err
	}
	g.Project = p.ID
	if g, err = b.pipelines.CreateGroup(r.Context(), g, r.caller.Actor); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, variableGroup(&g, p))
	return nil
}

func (b buildRoutes) updateVariableGroup(w http.ResponseWriter, r request) error {
	old, p, err := b.groupOf(r)
	if err == nil {
		err = b.mayAdminister(r, p)
	}
	if err != nil {
		return err
	}
	g, named, err := b.readVariableGroup(w, r)
	if err != nil {
		return err
	}
	if named.ID != "" && named.ID != p.ID {
		return slipway.Invalid("variable group %d is of project %q and cannot be moved: make one in the other project", old.ID, p.Name)
	}
	g.ID, g.Project, g.Created, g.Name = old.ID, old.Project, old.Created, cmp.Or(g.Name, old.Name)
	if g, err = b.pipelines.PutGroup(r.Context(), g, r.caller.Actor); err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, variableGroup(&g, p))
	return nil
}

func (b buildRoutes) deleteVariableGroup(w http.ResponseWriter, r request) error {
	g, p, err := b.groupOf(r)
	if err == nil {
		err = b.mayAdminister(r, p)
	}
	if err == nil {
		err = b.pipelines.DeleteGroup(r.Context(), p.ID, g.ID, r.caller.Actor)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
