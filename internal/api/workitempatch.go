package api

import (
	"encoding/json"
	"net/http"
	"path"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/boards/wiql"
	"slipway/internal/identity"
)

// PatchOperation is one of a JSON Patch document (RFC 6902), as Azure DevOps takes them for work items.
type PatchOperation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
}

const maxOperations = 200

// itemPatch is what a document asks for.
type itemPatch struct {
	boards.Change
	history string // a comment
}

func (w workItemRoutes) readPatch(out http.ResponseWriter, r request) ([]PatchOperation, error) {
	for _, name := range []string{"bypassRules", "validateOnly"} {
		if on, _ := strconv.ParseBool(r.FormValue(name)); on {
			return nil, at(name, slipway.Unsupported("leave it out: every change keeps the rules, and is made"))
		}
	}
	var ops []PatchOperation
	if err := r.decode(out, maxWorkItemBody, &ops, `a list as [{"op": "add", "path": "/fields/System.Title", "value": "…"}]`); err != nil {
		return nil, err
	}
	if len(ops) == 0 || len(ops) > maxOperations {
		return nil, slipway.Invalid("the document has %d operations: send 1 to %d", len(ops), maxOperations)
	}
	return ops, nil
}

// newItemPatch reads a document for an item, which is blank when it is to be made.
func newItemPatch(ops []PatchOperation, i boards.Item, world wiql.World) (itemPatch, error) {
	var p itemPatch
	for _, o := range ops {
		if err := p.take(o, i, world); err != nil {
			return p, at(o.Path, err)
		}
	}
	return p, nil
}

func (p *itemPatch) take(o PatchOperation, i boards.Item, world wiql.World) error {
	op := strings.ToLower(o.Op)
	switch {
	case op == "test" && o.Path == "/rev":
		n, err := strconv.ParseInt(string(o.Value), 10, 64)
		if err != nil || n <= 0 {
			return slipway.Invalid("the revision is a number")
		}
		p.Revision = n
		return nil
	case op != "add" && op != "replace" && op != "remove":
		return slipway.Unsupported("the operation %.40q is not taken: use add, replace, remove, or test of /rev", o.Op)
	case strings.HasPrefix(o.Path, "/fields/"):
		name := strings.TrimPrefix(o.Path, "/fields/")
		if strings.EqualFold(name, "System.History") {
			return textValue(o, &p.history)
		}
		f, err := wiql.FieldOf(name)
		if err != nil {
			return err
		}
		return p.field(f, op == "remove", o, world)
	case strings.HasPrefix(o.Path, "/relations/"):
		return p.relation(op, o, i)
	}
	return slipway.Unsupported("the path is not taken: use /fields/NAME, /relations/- or /rev")
}

// textValue reads a value that is a text.
func textValue(o PatchOperation, into *string) error {
	if err := json.Unmarshal(o.Value, into); err != nil {
		return slipway.Invalid("its value is a text")
	}
	return nil
}

// numberValue reads a value that is a number, or a text with one.
func numberValue(o PatchOperation) (int64, error) {
	n, err := strconv.ParseInt(strings.Trim(string(o.Value), `"`), 10, 64)
	if err != nil {
		return 0, slipway.Invalid("its value is a whole number")
	}
	return n, nil
}

func (p *itemPatch) field(f wiql.Field, remove bool, o PatchOperation, world wiql.World) error {
	var value string
	switch f.Reference {
	case "System.Parent", "Microsoft.VSTS.Common.Priority", "System.AssignedTo":
	default:
		if !remove {
			if err := textValue(o, &value); err != nil {
				return err
			}
		}
	}
	switch f.Reference {
	case "System.Title":
		p.Title = &value
	case "System.Description":
		p.Description = &value
	case "System.State":
		state := boards.State(value)
		p.State = &state
	case "System.WorkItemType":
		t, err := boards.ParseType(value)
		p.Type = &t
		return err
	case "System.Tags":
		tags := boards.SplitTags(value)
		p.Tags = &tags
	case "System.AssignedTo":
		return p.assign(remove, o, world)
	case "System.Parent", "Microsoft.VSTS.Common.Priority":
		return p.numbered(f, remove, o)
	case "System.TeamProject", "System.AreaPath", "System.IterationPath":
		if !strings.EqualFold(value, world.Project) {
			return slipway.Unsupported("it is the project %q: there are no other areas and iterations, and items stay in their project", world.Project)
		}
	default:
		return slipway.Invalid("the server sets it by itself: leave it out")
	}
	return nil
}

func (p *itemPatch) numbered(f wiql.Field, remove bool, o PatchOperation) error {
	var n int64
	if !remove {
		var err error
		if n, err = numberValue(o); err != nil {
			return err
		}
	}
	if f.Reference == "System.Parent" {
		parent := slipway.WorkItemID(n)
		p.Parent = &parent
		return nil
	}
	if remove {
		return slipway.Invalid("an item always has a priority: replace it")
	}
	priority := int(n)
	p.Priority = &priority
	return nil
}

// assign finds the member whom a text or an identity names.
func (p *itemPatch) assign(remove bool, o PatchOperation, world wiql.World) error {
	var names []string
	var who struct{ ID, UniqueName, DisplayName string }
	var one string
	switch {
	case remove:
	case json.Unmarshal(o.Value, &one) == nil:
		names = []string{one}
	case json.Unmarshal(o.Value, &who) == nil:
		names = []string{who.ID, who.UniqueName, who.DisplayName}
	default:
		return slipway.Invalid("name a member of the project, or nobody by an empty text")
	}
	var id slipway.UserID
	for _, name := range names {
		if name == "" {
			continue
		}
		for _, member := range world.People {
			if member.Named(name) {
				id = member.ID
			}
		}
		if id == "" {
			return slipway.Invalid("%.100q is no member of the project", name)
		}
		break
	}
	p.Assigned = &id
	return nil
}

// relation takes a parent, the one relation that is made so.
func (p *itemPatch) relation(op string, o PatchOperation, i boards.Item) error {
	if op == "remove" {
		if o.Path != "/relations/0" || i.Parent == 0 {
			return slipway.Unsupported("only the parent is removed so, the first relation of an item that has one: other links are changed on the item's page")
		}
		none := slipway.WorkItemID(0)
		p.Parent = &none
		return nil
	}
	var v struct{ Rel, URL string }
	if err := json.Unmarshal(o.Value, &v); err != nil || op != "add" || o.Path != "/relations/-" {
		return slipway.Invalid(`add a relation as {"op": "add", "path": "/relations/-", "value": {"rel": %q, "url": "…/_apis/wit/workItems/7"}}`, parentRelation)
	}
	if v.Rel != parentRelation {
		return slipway.Unsupported("the relation %.60q is not made so: add %s to the child, or link the item on its page", v.Rel, parentRelation)
	}
	n, err := strconv.ParseInt(path.Base(v.URL), 10, 64)
	if err != nil || n <= 0 {
		return slipway.Invalid("the url of a parent ends in its number")
	}
	parent := slipway.WorkItemID(n)
	p.Parent = &parent
	return nil
}

func (w workItemRoutes) create(out http.ResponseWriter, r request) error {
	name, ok := strings.CutPrefix(r.named("type"), "$")
	if !ok {
		return slipway.Invalid("write the type of the item with $ before it: POST …/workitems/$Task")
	}
	t, err := boards.ParseType(name)
	if err != nil {
		return err
	}
	ops, err := w.readPatch(out, r)
	if err != nil {
		return err
	}
	world, err := w.world(r.Context(), r, r.project)
	if err != nil {
		return err
	}
	p, err := newItemPatch(ops, boards.Item{}, world)
	if err != nil {
		return err
	}
	if p.Type != nil && *p.Type != t {
		return at("/fields/System.WorkItemType", slipway.Invalid("the path says %s", t))
	}
	if p.Revision != 0 {
		return at("/rev", slipway.Invalid("an item that is made has no revision yet"))
	}
	i, err := w.boards.Create(r.Context(), r.caller.Actor, p.newItem(r.project.ID, t))
	if err == nil && p.history != "" {
		_, err = w.boards.Comment(r.Context(), r.caller.Actor, i.ID, p.history)
	}
	if err != nil {
		return err
	}
	return w.answer(out, r, i, r.project, itemParts{relations: true})
}

func (p itemPatch) newItem(project slipway.ProjectID, t boards.Type) boards.NewItem {
	n := boards.NewItem{Project: project, Type: t}
	take(&n.State, p.State)
	take(&n.Title, p.Title)
	take(&n.Description, p.Description)
	take(&n.Assigned, p.Assigned)
	take(&n.Priority, p.Priority)
	take(&n.Tags, p.Tags)
	take(&n.Parent, p.Parent)
	return n
}

func take[T any](into, from *T) {
	if from != nil {
		*into = *from
	}
}

func (w workItemRoutes) update(out http.ResponseWriter, r request) error {
	id, err := w.named(r)
	if err != nil {
		return err
	}
	i, project, err := w.item(r, id, identity.Contribute)
	if err != nil {
		return err
	}
	ops, err := w.readPatch(out, r)
	if err != nil {
		return err
	}
	world, err := w.world(r.Context(), r, project)
	if err != nil {
		return err
	}
	p, err := newItemPatch(ops, i, world)
	if err != nil {
		return err
	}
	if i, err = w.boards.Update(r.Context(), r.caller.Actor, id, p.Change); err != nil {
		return err
	}
	if p.history != "" {
		if _, err := w.boards.Comment(r.Context(), r.caller.Actor, id, p.history); err != nil {
			return err
		}
	}
	return w.answer(out, r, i, project, itemParts{relations: true})
}
