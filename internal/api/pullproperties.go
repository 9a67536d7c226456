package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// addPullProperties serves what programs keep with pull requests, and what they say of their iterations.
func (g gitRoutes) addPullProperties(pull string) {
	g.project("GET", pull+"/properties", identity.Read, g.pullProperties)
	g.project("PATCH", pull+"/properties", identity.Contribute, g.setPullProperties)
	g.project("POST", pull+"/share", identity.Read, g.share)
	g.project("GET", pull+"/reviewers/{reviewer}", identity.Read, g.getReviewer)
	g.project("GET", pull+"/iterations/{iteration}/commits", identity.Read, g.iterationCommits)
	for _, of := range []string{pull, pull + "/iterations/{iteration}"} {
		g.project("GET", of+"/statuses", identity.Read, g.pullStatuses)
		g.project("POST", of+"/statuses", identity.Contribute, g.postPullStatus)
		g.project("PATCH", of+"/statuses", identity.Contribute, g.patchPullStatuses)
		g.project("GET", of+"/statuses/{status}", identity.Read, g.getPullStatus)
		g.project("DELETE", of+"/statuses/{status}", identity.Contribute, g.deletePullStatus)
	}
}

// patchOperation is one operation of a JSON patch (RFC 6902).
type patchOperation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

// patch reads a JSON patch whose paths have one name each; the operations may be written in any case, as Azure DevOps' clients do.
func patch(w http.ResponseWriter, r request, allowed ...string) ([]patchOperation, error) {
	var list []patchOperation
	if err := r.decode(w, maxPullRequestBody, &list, `[{"op": "add", "path": "/NAME", "value": "TEXT"}]`); err != nil {
		return nil, err
	}
	list, err := spread(list)
	if err != nil {
		return nil, err
	}
	for i, o := range list {
		name, rooted := strings.CutPrefix(o.Path, "/")
		if !rooted || name == "" || strings.Contains(name, "/") {
			return nil, at("path", slipway.Invalid("a path is a slash and one name, with ~1 for a slash in it, not %.40q", o.Path))
		}
		list[i].Path, list[i].Op = strings.NewReplacer("~1", "/", "~0", "~").Replace(name), strings.ToLower(o.Op)
		if !slices.Contains(allowed, list[i].Op) {
			return nil, at("op", slipway.Invalid("use %s, not %.40q", strings.Join(allowed, ", "), o.Op))
		}
	}
	return list, nil
}

// spread makes an addition without a path, whose value has names, one for each of them.
func spread(list []patchOperation) ([]patchOperation, error) {
	var out []patchOperation
	for _, o := range list {
		if o.Path != "" || !strings.EqualFold(o.Op, "add") {
			out = append(out, o)
			continue
		}
		var values map[string]json.RawMessage
		if err := json.Unmarshal(o.Value, &values); err != nil {
			return nil, at("value", slipway.Invalid("an addition without a path has an object of names and values"))
		}
		for name, v := range values {
			out = append(out, patchOperation{o.Op, "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name), v})
		}
	}
	return out, nil
}

// typedValue is a property as Azure DevOps shows it.
type typedValue struct {
	Type  string `json:"$type"`
	Value any    `json:"$value"`
}

func (g gitRoutes) pullProperties(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	return g.writeProperties(w, r, p.ID)
}

func (g gitRoutes) writeProperties(w http.ResponseWriter, r request, id slipway.PullRequestID) error {
	all, err := g.repos.Properties(r.Context(), id)
	if err != nil {
		return err
	}
	values := map[string]typedValue{}
	for _, p := range all {
		switch p.Kind {
		case repos.PropertyInteger:
			values[p.Name] = typedValue{"System.Int32", json.Number(p.Value)}
		case repos.PropertyNumber:
			values[p.Name] = typedValue{"System.Double", json.Number(p.Value)}
		default:
			values[p.Name] = typedValue{"System.String", p.Value}
		}
	}
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"count": len(values), "value": values})
	return nil
}

// property reads a value: numbers stay such, true and false become texts, as with Azure DevOps.
func property(name string, raw json.RawMessage) (repos.Property, error) {
	text := strings.TrimSpace(string(raw))
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return repos.Property{}, at("value", slipway.Invalid("property %.40q has no value: write \"value\"", name))
	}
	switch v := value.(type) {
	case string:
		return repos.Property{Name: name, Kind: repos.PropertyString, Value: v}, nil
	case bool:
		return repos.Property{Name: name, Kind: repos.PropertyString, Value: map[bool]string{true: "True", false: "False"}[v]}, nil
	case float64:
		if _, err := strconv.ParseInt(text, 10, 32); err == nil {
			return repos.Property{Name: name, Kind: repos.PropertyInteger, Value: text}, nil
		}
		return repos.Property{Name: name, Kind: repos.PropertyNumber, Value: text}, nil
	}
	return repos.Property{}, at("value", slipway.Invalid("property %.40q is a text, a number, true or false: write other values as a text of JSON", name))
}

func (g gitRoutes) setPullProperties(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	list, err := patch(w, r, "add", "replace", "remove")
	if err != nil {
		return err
	}
	set, removed := map[string]repos.Property{}, map[string]bool{} // of several operations about one name the last one holds
	for _, o := range list {
		delete(set, o.Path)
		delete(removed, o.Path)
		if o.Op == "remove" {
			removed[o.Path] = true
		} else if set[o.Path], err = property(o.Path, o.Value); err != nil {
			return err
		}
	}
	var values []repos.Property
	for _, v := range set {
		values = append(values, v)
	}
	var names []string
	for name := range removed {
		names = append(names, name)
	}
	if err := g.repos.SetProperties(r.Context(), r.caller.Actor, p.ID, values, names); err != nil {
		return err
	}
	return g.writeProperties(w, r, p.ID)
}

// share sends no mail, since this server has none to send.
func (g gitRoutes) share(http.ResponseWriter, request) error {
	return slipway.Unsupported("this server sends no mail: add people as reviewers, who find it in their lists")
}

func (g gitRoutes) iterationCommits(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	number, err := r.number("iteration")
	if err != nil {
		return err
	}
	all, err := g.repos.Iterations(r.Context(), p.ID)
	if err != nil {
		return err
	}
	commits, _, err := g.repos.IterationCommits(r.Context(), p, all, int(number))
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if skip, err := strconv.Atoi(q.Get("skip")); err == nil && skip > 0 {
		commits = commits[min(skip, len(commits)):]
	}
	if top, err := strconv.Atoi(q.Get("top")); err == nil && top > 0 {
		commits = commits[:min(top, len(commits))]
	}
	return list(w, commitRefs(commits))
}

// pullStatus is the status that the path names, of the iteration if it names one.
func (g gitRoutes) pullStatus(r request) (repos.PullRequest, repos.Status, error) {
	_, p, err := g.pull(r)
	if err != nil {
		return p, repos.Status{}, err
	}
	all, err := g.iterationStatuses(r, p)
	if err != nil {
		return p, repos.Status{}, err
	}
	id, err := r.number("status")
	if err != nil {
		return p, repos.Status{}, err
	}
	i := slices.IndexFunc(all, func(s repos.Status) bool { return s.ID == id })
	if i < 0 {
		return p, repos.Status{}, slipway.NotFound("pull request %d has no such status %d", p.ID, id)
	}
	return p, all[i], nil
}

// iterationStatuses are those of the iteration that the path names, or of all.
func (g gitRoutes) iterationStatuses(r request, p repos.PullRequest) ([]repos.Status, error) {
	all, err := g.repos.PullRequestStatuses(r.Context(), p.ID)
	if err != nil || r.named("iteration") == "" {
		return all, err
	}
	number, err := r.number("iteration")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s repos.Status) bool { return int64(s.Iteration) != number }), nil
}

func (g gitRoutes) getPullStatus(w http.ResponseWriter, r request) error {
	_, s, err := g.pullStatus(r)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, gitStatus(s))
	return nil
}

func (g gitRoutes) deletePullStatus(w http.ResponseWriter, r request) error {
	p, s, err := g.pullStatus(r)
	if err != nil {
		return err
	}
	if err := g.repos.DeleteStatuses(r.Context(), r.caller.Actor, p.ID, s.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// patchPullStatuses removes statuses, which is all that Azure DevOps' patch does: [{"op": "remove", "path": "/17"}].
func (g gitRoutes) patchPullStatuses(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	ops, err := patch(w, r, "remove")
	if err != nil {
		return err
	}
	all, err := g.iterationStatuses(r, p)
	if err != nil {
		return err
	}
	var ids []int64
	for _, o := range ops {
		id, err := strconv.ParseInt(o.Path, 10, 64)
		if err != nil || !slices.ContainsFunc(all, func(s repos.Status) bool { return s.ID == id }) {
			return at("path", slipway.NotFound("pull request %d has no such status %.40q", p.ID, o.Path))
		}
		ids = append(ids, id)
	}
	if err := g.repos.DeleteStatuses(r.Context(), r.caller.Actor, p.ID, ids...); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
