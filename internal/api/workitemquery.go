package api

import (
	"net/http"
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

// WorkItemField is Azure DevOps' WorkItemFieldReference.
type WorkItemField struct {
	ReferenceName string `json:"referenceName"`
	Name          string `json:"name"`
}

// WorkItemReference is Azure DevOps' WorkItemReference.
type WorkItemReference struct {
	ID  int64  `json:"id"`
	URL string `json:"url"`
}

// WorkItemQueryResult is Azure DevOps' WorkItemQueryResult.
type WorkItemQueryResult struct {
	QueryType       string              `json:"queryType"`
	QueryResultType string              `json:"queryResultType"`
	AsOf            time.Time           `json:"asOf"`
	Columns         []WorkItemField     `json:"columns"`
	SortColumns     []WorkItemSort      `json:"sortColumns,omitempty"`
	WorkItems       []WorkItemReference `json:"workItems"`
}

// WorkItemSort is Azure DevOps' WorkItemQuerySortColumn.
type WorkItemSort struct {
	Field      WorkItemField `json:"field"`
	Descending bool          `json:"descending"`
}

func reference(f wiql.Field) WorkItemField { return WorkItemField{f.Reference, f.Name} }

// queried is an item with what its project's names mean.
type queried struct {
	item    boards.Item
	project identity.Project
	world   wiql.World
}

// query answers a query of one project, or of all that the caller may read.
func (w workItemRoutes) query(out http.ResponseWriter, r request) error {
	var body struct {
		Query string `json:"query"`
	}
	if err := r.decode(out, maxWorkItemBody, &body, `{"query": "SELECT [System.Id] FROM WorkItems"}`); err != nil {
		return err
	}
	q, err := wiql.Parse(body.Query)
	if err != nil {
		return at("query", err)
	}
	top := maxQueried
	if text := r.FormValue("$top"); text != "" {
		if top, err = strconv.Atoi(text); err != nil || top < 1 || top > maxQueried {
			return at("$top", slipway.Invalid("ask for 1 to %d work items", maxQueried))
		}
	}
	asked := time.Now()
	found, err := w.find(r, q)
	if err != nil {
		return err
	}
	slices.SortStableFunc(found, func(a, b queried) int { return q.Compare(a.world, a.item, b.item) })
	answer := WorkItemQueryResult{QueryType: "flat", QueryResultType: "workItem", AsOf: asked, WorkItems: []WorkItemReference{}}
	for _, f := range q.Columns {
		answer.Columns = append(answer.Columns, reference(f))
	}
	for _, o := range q.Order {
		answer.SortColumns = append(answer.SortColumns, WorkItemSort{reference(o.Field), o.Descending})
	}
	for _, one := range found[:min(top, len(found))] {
		answer.WorkItems = append(answer.WorkItems, WorkItemReference{int64(one.item.ID), w.itemURL(one.project, one.item.ID)})
	}
	httpx.WriteJSON(out, http.StatusOK, answer)
	return nil
}

// find looks through the items of the projects.
func (w workItemRoutes) find(r request, q wiql.Query) ([]queried, error) {
	projects := []identity.Project{r.project}
	if r.project.ID == "" {
		var err error
		if projects, err = w.identity.Projects(r.Context(), r.caller); err != nil {
			return nil, err
		}
	}
	var found []queried
	for _, p := range projects {
		if w.identity.Authorize(r.Context(), r.caller, identity.Read, p.ID) != nil {
			continue
		}
		world, err := w.world(r.Context(), r, p)
		if err != nil {
			return nil, err
		}
		items, more, err := w.boards.Choose(r.Context(), p.ID, maxQueried-len(found), func(i boards.Item) bool { return q.Meets(world, i) })
		if err != nil {
			return nil, err
		}
		if more {
			return nil, slipway.Limit("the query finds more than %d work items: narrow it down", maxQueried)
		}
		for _, i := range items {
			found = append(found, queried{i, p, world})
		}
	}
	return found, nil
}

func (w workItemRoutes) fields(out http.ResponseWriter, _ request) error {
	var all []WorkItemField
	for _, f := range wiql.Fields {
		all = append(all, reference(f))
	}
	return list(out, all)
}

// WorkItemState is Azure DevOps' WorkItemStateColor.
type WorkItemState struct {
	Name     string `json:"name"`
	Color    string `json:"color"`
	Category string `json:"category"`
}

// WorkItemType is Azure DevOps' WorkItemType.
type WorkItemType struct {
	Name          string          `json:"name"`
	ReferenceName string          `json:"referenceName"`
	IsDisabled    bool            `json:"isDisabled"`
	States        []WorkItemState `json:"states"`
	Fields        []WorkItemField `json:"fields"`
}

// categories and colours are those of Azure DevOps' Agile process.
var categories = map[boards.State][2]string{
	boards.New: {"Proposed", "b2b2b2"}, boards.Active: {"InProgress", "007acc"}, boards.Resolved: {"Resolved", "ff9d00"},
	boards.Closed: {"Completed", "339933"}, boards.Removed: {"Removed", "ffffff"},
}

func workItemType(t boards.Type) WorkItemType {
	out := WorkItemType{Name: string(t), ReferenceName: "Microsoft.VSTS.WorkItemTypes." + strings.ReplaceAll(string(t), " ", "")}
	for _, s := range t.States() {
		out.States = append(out.States, WorkItemState{string(s), categories[s][1], categories[s][0]})
	}
	for _, f := range wiql.Fields {
		out.Fields = append(out.Fields, reference(f))
	}
	return out
}

func (w workItemRoutes) types(out http.ResponseWriter, _ request) error {
	var all []WorkItemType
	for _, t := range boards.Types() {
		all = append(all, workItemType(t))
	}
	return list(out, all)
}

// oneOf is the type that the path names; an unknown one is NotFound.
func oneOf(r request) (boards.Type, error) {
	t, err := boards.ParseType(r.named("type"))
	if err != nil {
		return t, slipway.NotFound("%s", err)
	}
	return t, nil
}

func (w workItemRoutes) oneType(out http.ResponseWriter, r request) error {
	t, err := oneOf(r)
	if err == nil {
		httpx.WriteJSON(out, http.StatusOK, workItemType(t))
	}
	return err
}

func (w workItemRoutes) states(out http.ResponseWriter, r request) error {
	t, err := oneOf(r)
	if err != nil {
		return err
	}
	return list(out, workItemType(t).States)
}

// WorkItemComment is Azure DevOps' Comment.
type WorkItemComment struct {
	ID          int64        `json:"id"`
	WorkItemID  int64        `json:"workItemId"`
	Version     int          `json:"version"`
	Text        string       `json:"text"`
	Format      string       `json:"format"`
	CreatedBy   *IdentityRef `json:"createdBy"`
	CreatedDate time.Time    `json:"createdDate"`
}

func workItemComment(i boards.Item, c boards.Comment) WorkItemComment {
	return WorkItemComment{c.ID, int64(i.ID), 1, c.Text, "markdown", identityRef(c.By), c.Time}
}

func (w workItemRoutes) listComments(out http.ResponseWriter, r request) error {
	id, err := w.named(r)
	if err != nil {
		return err
	}
	i, _, err := w.item(r, id, identity.Read)
	if err != nil {
		return err
	}
	comments, err := w.boards.Comments(r.Context(), id)
	if err != nil {
		return err
	}
	all := []WorkItemComment{}
	for _, c := range comments {
		all = append(all, workItemComment(i, c))
	}
	if !strings.EqualFold(r.FormValue("order"), "asc") { // the latest first, as Azure DevOps has it
		slices.Reverse(all)
	}
	total := len(all)
	if text := r.FormValue("$top"); text != "" {
		top, err := strconv.Atoi(text)
		if err != nil || top < 1 {
			return at("$top", slipway.Invalid("%.40q is no number of comments", text))
		}
		all = all[:min(top, total)]
	}
	httpx.WriteJSON(out, http.StatusOK, map[string]any{"totalCount": total, "count": len(all), "comments": all})
	return nil
}

func (w workItemRoutes) comment(out http.ResponseWriter, r request) error {
	id, err := w.named(r)
	if err != nil {
		return err
	}
	i, _, err := w.item(r, id, identity.Contribute)
	if err != nil {
		return err
	}
	var body struct {
		Text string `json:"text"`
	}
	if err := r.decode(out, maxWorkItemBody, &body, `{"text": "…"}`); err != nil {
		return err
	}
	c, err := w.boards.Comment(r.Context(), r.caller.Actor, id, body.Text)
	if err != nil {
		return err
	}
	httpx.WriteJSON(out, http.StatusOK, workItemComment(i, c))
	return nil
}
