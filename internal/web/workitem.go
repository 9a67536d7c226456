package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/identity"
	"slipway/internal/lineage"
)

// itemForm is a work item's fields as the form has them.
type itemForm struct {
	Action, Button string
	Revision       int64
	Type           boards.Type
	Types          []boards.Type
	State          boards.State
	States         []boards.State
	Title          string
	Description    string
	Assigned       slipway.UserID
	Members        []identity.Member
	Priority       int
	Tags           string
	Parent         string
}

type itemView struct {
	Title, Heading string
	State          boards.State
	Form           itemForm
	Description    templ.Component
	Comments       []itemComment
	History        []itemRevision
	Links          []itemLink
	Parent         *thing
	Children       []thing
	Shipped        []group // runs, images, deployments and pods, and how they do
	Created        string
	URL, Trace     string
	MayWrite       bool
}

type itemComment struct {
	By   string
	When time.Time
	Text templ.Component
}

type itemRevision struct {
	boards.Revision
	Changes []boards.FieldChange
}

type itemLink struct {
	thing
	Reference string // as a form sends it
}

func (p boardsPages) list(w http.ResponseWriter, r *http.Request, v View) error {
	q := r.URL.Query()
	f := boards.Filter{Project: v.Project.ID, Text: q.Get("text"), Tag: q.Get("tag"), Limit: 500}
	if s := q.Get("type"); s != "" {
		var err error
		if f.Type, err = boards.ParseType(s); err != nil {
			return err
		}
	}
	f.State = boards.State(q.Get("state"))
	items, err := p.boards.List(r.Context(), f)
	if err != nil {
		return err
	}
	_, names, err := p.members(r.Context(), v)
	if err != nil {
		return err
	}
	view := itemListView{Text: f.Text, Type: f.Type, State: f.State, Types: boards.Types(), States: boards.UserStory.States(),
		Board: v.URL("_boards"), New: v.URL("_workitems", "new"), MayWrite: p.mayWrite(r.Context(), v)}
	for _, i := range items {
		view.Items = append(view.Items, itemRow{Item: i, URL: v.URL("_workitems", "edit", i.ID), Assigned: names[i.Assigned]})
	}
	return p.Render(w, r, v.Titled("Work items", "boards"), itemListPage(view))
}

type itemListView struct {
	Text       string
	Type       boards.Type
	State      boards.State
	Types      []boards.Type
	States     []boards.State
	Items      []itemRow
	Board, New string
	MayWrite   bool
}

type itemRow struct {
	boards.Item
	URL, Assigned string
}

func (p boardsPages) newItem(w http.ResponseWriter, r *http.Request, v View) error {
	members, _, err := p.members(r.Context(), v)
	if err != nil {
		return err
	}
	form := itemForm{Action: v.URL("_workitems", "new"), Button: "Create work item", Type: boards.UserStory, Types: boards.Types(),
		Members: members, Priority: 2, Parent: r.URL.Query().Get("parent")}
	if t, err := boards.ParseType(r.URL.Query().Get("type")); err == nil {
		form.Type = t
	}
	return p.Render(w, r, v.Titled("New work item", "boards"), newItemPage(form))
}

// readItem reads the form's fields.
func readItem(r *http.Request) (boards.Change, error) {
	var c boards.Change
	t, err := boards.ParseType(r.FormValue("type"))
	if err != nil {
		return c, err
	}
	priority, err := number(r, "priority")
	if err != nil {
		return c, err
	}
	parent, err := number(r, "parent")
	if err != nil {
		return c, err
	}
	if c.Revision, err = number(r, "revision"); err != nil {
		return c, err
	}
	title, description, assigned := r.FormValue("title"), strings.ReplaceAll(r.FormValue("description"), "\r\n", "\n"), slipway.UserID(r.FormValue("assigned"))
	tags, number, above := boards.SplitTags(r.FormValue("tags")), int(priority), slipway.WorkItemID(parent)
	c.Type, c.Title, c.Description, c.Assigned, c.Tags, c.Priority, c.Parent = &t, &title, &description, &assigned, &tags, &number, &above
	if s := r.FormValue("state"); s != "" {
		state := boards.State(s)
		if _, err := t.ParseState(s); err == nil { // else the type was changed to one that has no such state
			c.State = &state
		}
	}
	return c, nil
}

func (p boardsPages) create(w http.ResponseWriter, r *http.Request, v View) error {
	c, err := readItem(r)
	if err != nil {
		return err
	}
	i, err := p.boards.Create(r.Context(), v.Caller.Actor, boards.NewItem{Project: v.Project.ID, Type: *c.Type, Title: *c.Title,
		Description: *c.Description, Assigned: *c.Assigned, Priority: *c.Priority, Tags: *c.Tags, Parent: *c.Parent})
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_workitems", "edit", i.ID))
}

func (p boardsPages) update(w http.ResponseWriter, r *http.Request, v View) error {
	i, err := p.pathItem(r, v)
	if err != nil {
		return err
	}
	c, err := readItem(r)
	if err != nil {
		return err
	}
	if _, err := p.boards.Update(r.Context(), v.Caller.Actor, i.ID, c); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_workitems", "edit", i.ID))
}

func (p boardsPages) comment(w http.ResponseWriter, r *http.Request, v View) error {
	i, err := p.pathItem(r, v)
	if err != nil {
		return err
	}
	if _, err := p.boards.Comment(r.Context(), v.Caller.Actor, i.ID, strings.ReplaceAll(r.FormValue("text"), "\r\n", "\n")); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_workitems", "edit", i.ID)+"#comments")
}

// link takes what a person writes: `run:12`, a commit, a digest.
func (p boardsPages) link(w http.ResponseWriter, r *http.Request, v View) error {
	i, err := p.pathItem(r, v)
	if err != nil {
		return err
	}
	found, err := p.lineage.Resolve(r.Context(), v.Project.ID, r.FormValue("to"))
	if err != nil {
		return err
	}
	if len(found) > 1 {
		return slipway.Invalid("%d things begin like that: write more of it", len(found))
	}
	t := p.things.describe(r.Context(), v, found[0])
	link := boards.Link{To: found[0], Title: strings.TrimSpace(t.Label + " " + t.Detail), URL: t.URL}
	if _, err := p.boards.Link(r.Context(), v.Caller.Actor, i.ID, link); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_workitems", "edit", i.ID))
}

func (p boardsPages) unlink(w http.ResponseWriter, r *http.Request, v View) error {
	i, err := p.pathItem(r, v)
	if err != nil {
		return err
	}
	to, err := slipway.ParseReference(r.FormValue("to"))
	if err != nil {
		return err
	}
	if err := p.boards.Unlink(r.Context(), v.Caller.Actor, i.ID, to); err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_workitems", "edit", i.ID))
}

// shippedKinds are those that the item's page takes from the lineage: what became of it.
var shippedKinds = []slipway.ReferenceKind{slipway.RefRun, slipway.RefImage, slipway.RefDeployment, slipway.RefPod}

func (p boardsPages) item(w http.ResponseWriter, r *http.Request, v View) error {
	i, err := p.pathItem(r, v)
	if err != nil {
		return err
	}
	view, err := p.itemView(r, v, i)
	if err != nil {
		return err
	}
	return p.Render(w, r, v.Titled(view.Title, "boards"), itemPage(view))
}

func (p boardsPages) itemView(r *http.Request, v View, i boards.Item) (itemView, error) {
	ctx := r.Context()
	view := itemView{Title: fmt.Sprintf("%s: %s", itemTitle(i), i.Title), Heading: i.Title, State: i.State, Description: p.markdown.render(i.Description),
		URL: v.URL("_workitems", "edit", i.ID), Trace: v.URL("_trace") + "?thing=" + url.QueryEscape(slipway.Ref(slipway.RefWorkItem, i.ID).String()),
		MayWrite: p.mayWrite(ctx, v), Created: fmt.Sprintf("%s, created by %s", itemTitle(i), i.CreatedBy.Name)}
	members, names, err := p.members(ctx, v)
	if err != nil {
		return view, err
	}
	view.Form = itemForm{Action: view.URL, Button: "Save", Revision: i.Revision, Type: i.Type, Types: boards.Types(), State: i.State, States: i.Type.States(),
		Title: i.Title, Description: i.Description, Assigned: i.Assigned, Members: members, Priority: i.Priority, Tags: strings.Join(i.Tags, "; ")}
	if i.Parent != 0 {
		view.Form.Parent = i.Parent.String()
		parent := p.things.describe(ctx, v, slipway.Ref(slipway.RefWorkItem, i.Parent))
		view.Parent = &parent
	}
	children, err := p.boards.List(ctx, boards.Filter{Project: v.Project.ID, Parent: i.ID, Limit: 200})
	if err != nil {
		return view, err
	}
	for _, c := range children {
		view.Children = append(view.Children, p.things.describe(ctx, v, slipway.Ref(slipway.RefWorkItem, c.ID)))
	}
	if err := p.addTalk(r, &view, i, names); err != nil {
		return view, err
	}
	return view, p.addLinks(r, v, &view, i)
}

// addTalk adds comments and history.
func (p boardsPages) addTalk(r *http.Request, view *itemView, i boards.Item, names map[slipway.UserID]string) error {
	comments, err := p.boards.Comments(r.Context(), i.ID)
	if err != nil {
		return err
	}
	for _, c := range comments {
		view.Comments = append(view.Comments, itemComment{By: c.By.Name, When: c.Time, Text: p.markdown.render(c.Text)})
	}
	history, err := p.boards.History(r.Context(), i.ID)
	if err != nil {
		return err
	}
	for _, h := range history {
		for n, c := range h.Changes {
			if c.Field == "assigned" {
				h.Changes[n].Old, h.Changes[n].New = names[slipway.UserID(c.Old)], names[slipway.UserID(c.New)]
			}
		}
		view.History = append(view.History, itemRevision{h, h.Changes})
	}
	return nil
}

// addLinks adds the item's own links, and by the lineage what became of it.
func (p boardsPages) addLinks(r *http.Request, v View, view *itemView, i boards.Item) error {
	links, err := p.boards.Links(r.Context(), i.ID)
	if err != nil {
		return err
	}
	linked := map[slipway.Reference]bool{}
	for _, l := range links {
		linked[l.To] = true
		t := thing{Reference: l.To, Kind: kindNames[l.To.Kind][0], Label: l.Title, URL: l.URL, When: l.Time}
		if named := p.things.describe(r.Context(), v, l.To); named.URL != "" {
			t = named
		}
		if t.Label == "" {
			t.Label = l.To.ID
		}
		view.Links = append(view.Links, itemLink{t, l.To.String()})
	}
	graph, err := p.lineage.Trace(r.Context(), v.Project.ID, slipway.Ref(slipway.RefWorkItem, i.ID))
	if err != nil {
		return err
	}
	var shipped []slipway.Reference
	for _, n := range graph.Nodes {
		if n.Direction == lineage.After && (!linked[n.Reference] || n.Kind == slipway.RefDeployment) {
			shipped = append(shipped, n.Reference)
		}
	}
	view.Shipped = p.things.grouped(r.Context(), v, shippedKinds, shipped)
	return nil
}

// fieldList is the names of changed fields in a sentence.
func fieldList(list []boards.FieldChange) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Field
	}
	return strings.Join(names, ", ")
}

// lastPart is the last segment of a path.
func lastPart(path string) string { return path[strings.LastIndex(path, "/")+1:] }
