package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/boards/wiql"
	"slipway/internal/httpx"
	"slipway/internal/identity"
)

const (
	maxWorkItems    = 200     // that are asked for at once, as in Azure DevOps
	maxWorkItemBody = 1 << 20 // bytes
	maxQueried      = 20_000  // items that a query answers with
	childRelation   = "System.LinkTypes.Hierarchy-Forward"
	parentRelation  = "System.LinkTypes.Hierarchy-Reverse"
)

// workItemRoutes serve the backlog as Azure DevOps does.
type workItemRoutes struct {
	*Server
	boards *boards.Service
}

// AddWorkItems serves work items, their comments, their types and queries of them.
func (s *Server) AddWorkItems(b *boards.Service) {
	w := workItemRoutes{s, b}
	w.both("GET", "/wit/workItems", w.list)
	w.both("GET", "/wit/workItems/{id}", w.get)
	w.both("PATCH", "/wit/workItems/{id}", w.update)
	w.both("DELETE", "/wit/workItems/{id}", w.remove)
	s.project("POST", "/wit/workItems/{type}", identity.Contribute, w.create)
	s.project("GET", "/wit/workItems/{id}/comments", identity.Read, w.listComments)
	s.project("POST", "/wit/workItems/{id}/comments", identity.Contribute, w.comment)
	w.both("POST", "/wit/workItemsBatch", w.batch)
	w.both("POST", "/wit/wiql", w.query)
	w.both("GET", "/wit/fields", w.fields)
	s.project("GET", "/wit/workItemTypes", identity.Read, w.types)
	s.project("GET", "/wit/workItemTypes/{type}", identity.Read, w.oneType)
	s.project("GET", "/wit/workItemTypes/{type}/states", identity.Read, w.states)
}

// both registers a route that clients ask with a project and without one; then the project is that of the item, and the handler asks whether the caller may.
func (w workItemRoutes) both(method, pattern string, h handler) {
	w.project(method, pattern, identity.Read, h)
	w.anybody(method, pattern, func(out http.ResponseWriter, r request) error {
		if err := r.caller.AllowMethod(method); err != nil {
			return err
		}
		return h(out, r)
	})
}

// WorkItem is Azure DevOps' WorkItem.
type WorkItem struct {
	ID        int64              `json:"id"`
	Rev       int64              `json:"rev"`
	Fields    map[string]any     `json:"fields"`
	Relations []WorkItemRelation `json:"relations,omitempty"`
	URL       string             `json:"url"`
}

// WorkItemRelation is Azure DevOps' WorkItemRelation.
type WorkItemRelation struct {
	Rel        string         `json:"rel"`
	URL        string         `json:"url"`
	Attributes map[string]any `json:"attributes"`
}

// item reads a work item that the caller may do something with. Who may not read it is told that there is none.
func (w workItemRoutes) item(r request, id slipway.WorkItemID, a identity.Action) (boards.Item, identity.Project, error) {
	i, err := w.boards.Get(r.Context(), id)
	if err != nil {
		return i, r.project, err
	}
	none := slipway.NotFound("there is no work item %d", id)
	if r.project.ID != "" && i.Project != r.project.ID || w.identity.Authorize(r.Context(), r.caller, identity.Read, i.Project) != nil {
		return i, r.project, none
	}
	if err := w.identity.Authorize(r.Context(), r.caller, a, i.Project); err != nil {
		return i, r.project, err
	}
	p, err := w.identity.Project(r.Context(), i.Project)
	return i, p, err
}

func (w workItemRoutes) named(r request) (slipway.WorkItemID, error) {
	n, err := r.number("id")
	return slipway.WorkItemID(n), err
}

// world is what names and macros mean in a project.
func (w workItemRoutes) world(ctx context.Context, r request, p identity.Project) (wiql.World, error) {
	members, err := w.identity.Members(ctx, p.ID)
	if err != nil {
		return wiql.World{}, err
	}
	world := wiql.World{Project: p.Name, Now: time.Now(), People: map[slipway.UserID]wiql.Person{}}
	for _, m := range members {
		world.People[m.ID] = wiql.Person{ID: m.ID, Name: m.Name, DisplayName: m.DisplayName, Email: m.Email}
	}
	world.Me = wiql.Person{ID: slipway.UserID(r.caller.Actor.ID), Name: r.caller.Actor.Name}
	return world, nil
}

// itemParts says what of an item is asked for.
type itemParts struct {
	fields    []string // reference names; none for all
	relations bool
}

func newItemParts(fields, expand string) (itemParts, error) {
	var s itemParts
	switch strings.ToLower(expand) {
	case "", "none", "fields", "links":
	case "relations", "all":
		s.relations = true
	default:
		return s, at("$expand", slipway.Invalid("%.40q: choose none, relations, fields, links or all", expand))
	}
	for name := range strings.SplitSeq(fields, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		f, err := wiql.FieldOf(name)
		if err != nil {
			return s, at("fields", err)
		}
		s.fields = append(s.fields, f.Reference)
	}
	return s, nil
}

func person(p wiql.Person) *IdentityRef {
	return &IdentityRef{ID: string(p.ID), DisplayName: p.DisplayName, UniqueName: p.Name}
}

// workItem is an item in Azure DevOps' form. Fields without a value are left out, as there.
func (w workItemRoutes) workItem(ctx context.Context, i boards.Item, p identity.Project, world wiql.World, s itemParts) (WorkItem, error) {
	out := WorkItem{ID: int64(i.ID), Rev: i.Revision, Fields: map[string]any{}, URL: w.itemURL(p, i.ID)}
	for _, f := range wiql.Fields {
		if len(s.fields) > 0 && !slices.Contains(s.fields, f.Reference) {
			continue
		}
		switch v := f.Value(world, i).(type) {
		case string:
			if v != "" {
				out.Fields[f.Reference] = v
			}
		case int64:
			if v != 0 {
				out.Fields[f.Reference] = v
			}
		case wiql.Person:
			if v.ID != "" {
				out.Fields[f.Reference] = person(v)
			}
		case []string:
			if len(v) > 0 {
				out.Fields[f.Reference] = strings.Join(v, "; ")
			}
		default:
			out.Fields[f.Reference] = v
		}
	}
	if !s.relations {
		return out, nil
	}
	return out, w.addRelations(ctx, &out, i, p)
}

func (w workItemRoutes) itemURL(p identity.Project, id slipway.WorkItemID) string {
	return fmt.Sprintf("%s/%s/_apis/wit/workItems/%d", w.url, url.PathEscape(p.Name), id)
}

// addRelations adds the parent, the children and what the item is linked with.
func (w workItemRoutes) addRelations(ctx context.Context, out *WorkItem, i boards.Item, p identity.Project) error {
	if i.Parent != 0 {
		out.Relations = append(out.Relations, WorkItemRelation{parentRelation, w.itemURL(p, i.Parent), map[string]any{"name": "Parent"}})
	}
	children, err := w.boards.List(ctx, boards.Filter{Project: p.ID, Parent: i.ID, Limit: maxWorkItems})
	if err != nil {
		return err
	}
	for _, c := range children {
		out.Relations = append(out.Relations, WorkItemRelation{childRelation, w.itemURL(p, c.ID), map[string]any{"name": "Child"}})
	}
	links, err := w.boards.Links(ctx, i.ID)
	for _, l := range links {
		if l.URL != "" {
			out.Relations = append(out.Relations, WorkItemRelation{"Hyperlink", w.url + l.URL, map[string]any{"comment": l.Title, "resourceCreatedDate": l.Time}})
		}
	}
	return err
}

func (w workItemRoutes) get(out http.ResponseWriter, r request) error {
	id, err := w.named(r)
	if err != nil {
		return err
	}
	s, err := newItemParts(r.FormValue("fields"), r.FormValue("$expand"))
	if err != nil {
		return err
	}
	i, p, err := w.item(r, id, identity.Read)
	if err == nil {
		err = notBefore(i, r.FormValue("asOf"))
	}
	if err != nil {
		return err
	}
	return w.answer(out, r, i, p, s)
}

// notBefore refuses a state of an item that is past: only the present one is kept whole.
func notBefore(i boards.Item, moment string) error {
	if moment == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, moment)
	if err != nil {
		return at("asOf", slipway.Invalid("%.40q is no time as 2026-11-29T12:00:00Z", moment))
	}
	if i.Changed.Truncate(time.Second).After(t) {
		return at("asOf", slipway.Unsupported("work item %d was changed since: ask without asOf for how it is now", i.ID))
	}
	return nil
}

func (w workItemRoutes) answer(out http.ResponseWriter, r request, i boards.Item, p identity.Project, s itemParts) error {
	world, err := w.world(r.Context(), r, p)
	if err != nil {
		return err
	}
	item, err := w.workItem(r.Context(), i, p, world, s)
	if err != nil {
		return err
	}
	httpx.WriteJSON(out, http.StatusOK, item)
	return nil
}

func (w workItemRoutes) list(out http.ResponseWriter, r request) error {
	var ids []int64
	for text := range strings.SplitSeq(r.FormValue("ids"), ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return at("ids", slipway.Invalid("name the work items by their numbers: ids=1,2,3"))
		}
		ids = append(ids, n)
	}
	return w.many(out, r, ids, WorkItemBatch{Fields: strings.Split(r.FormValue("fields"), ","), Expand: r.FormValue("$expand"), ErrorPolicy: r.FormValue("errorPolicy"), AsOf: r.FormValue("asOf")})
}

// WorkItemBatch is Azure DevOps' WorkItemBatchGetRequest.
type WorkItemBatch struct {
	IDs         []int64  `json:"ids"`
	Fields      []string `json:"fields"`
	Expand      string   `json:"$expand"`
	ErrorPolicy string   `json:"errorPolicy"` // fail, or omit those that are not there
	AsOf        string   `json:"asOf"`
}

func (w workItemRoutes) batch(out http.ResponseWriter, r request) error {
	var b WorkItemBatch
	if err := r.decode(out, maxWorkItemBody, &b, `{"ids": [1, 2], "fields": ["System.Title"]}`); err != nil {
		return err
	}
	return w.many(out, r, b.IDs, b)
}

func (w workItemRoutes) many(out http.ResponseWriter, r request, ids []int64, b WorkItemBatch) error {
	if len(ids) > maxWorkItems {
		return at("ids", slipway.Limit("at most %d work items can be asked for at once", maxWorkItems))
	}
	s, err := newItemParts(strings.Join(b.Fields, ","), b.Expand)
	if err != nil {
		return err
	}
	omit := strings.EqualFold(b.ErrorPolicy, "omit")
	worlds := map[slipway.ProjectID]wiql.World{}
	var items []WorkItem
	for _, id := range ids {
		i, p, err := w.item(r, slipway.WorkItemID(id), identity.Read)
		if slipway.CodeOf(err) == slipway.CodeNotFound && omit {
			continue
		}
		if err == nil {
			err = notBefore(i, b.AsOf)
		}
		if err != nil {
			return err
		}
		if _, ok := worlds[p.ID]; !ok {
			if worlds[p.ID], err = w.world(r.Context(), r, p); err != nil {
				return err
			}
		}
		one, err := w.workItem(r.Context(), i, p, worlds[p.ID], s)
		if err != nil {
			return err
		}
		items = append(items, one)
	}
	return list(out, items)
}

func (w workItemRoutes) remove(_ http.ResponseWriter, r request) error {
	id, err := w.named(r)
	if err == nil {
		_, _, err = w.item(r, id, identity.Contribute)
	}
	if err != nil {
		return err
	}
	return slipway.Unsupported("work items are not deleted: set System.State to Removed, or a bug's to Closed")
}
