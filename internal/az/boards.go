package az

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"

	"slipway"
)

var (
	itemOption = option{names: []string{"--id"}, doc: "the work item's number", need: true}
	// itemChanges are the fields that commands set.
	itemChanges = []option{
		{names: []string{"--title"}}, {names: []string{"--description", "-d"}}, {names: []string{"--assigned-to"}, doc: "a name or an address; nobody when empty"},
		{names: []string{"--area"}, doc: "the project: there is one area"}, {names: []string{"--iteration"}, doc: "the project: there is one iteration"},
		{names: []string{"--discussion"}, doc: "a comment"}, {names: []string{"--fields", "-f"}, kind: list, doc: "NAME=VALUE ..., as System.Tags=shop"}, openOption,
	}
)

// boardCommands are those of `az boards`.
var boardCommands = []command{
	{name: "boards work-item show", doc: "Shows a work item.", options: devOpsOptions(itemOption, option{names: []string{"--fields", "-f"}, doc: "names with commas between them"},
		option{names: []string{"--expand"}, doc: "all, fields, links, none or relations"}, openOption), run: (*call).showItem},
	{name: "boards work-item create", doc: "Makes a work item.", options: devOpsOptions(slices.Concat(itemChanges, []option{
		{names: []string{"--type"}, doc: "Bug, Task, User Story, ...", need: true}})...), run: (*call).createItem},
	{name: "boards work-item update", doc: "Changes a work item.", options: devOpsOptions(slices.Concat(itemChanges, []option{itemOption, {names: []string{"--state"}}})...), run: (*call).updateItem},
	{name: "boards query", doc: "Lists the work items that a query finds.", options: devOpsOptions(option{names: []string{"--wiql"}, doc: "SELECT ... FROM WorkItems WHERE ...", need: true}), run: (*call).queryItems},
}

// ofItem is the path of the work item that --id names.
func (c *call) ofItem() (string, error) {
	_, err := c.number("id", 0)
	return "wit/workitems/" + c.text("id"), err
}

func (c *call) showItem() (any, error) {
	path, err := c.ofItem()
	if err != nil {
		return nil, err
	}
	query := url.Values{}
	if names := c.text("fields"); names != "" {
		query.Set("fields", names)
	} else {
		query.Set("$expand", "all")
	}
	if expand := c.text("expand"); expand != "" {
		query.Set("$expand", expand)
	}
	var out map[string]any
	err = c.api("GET", path, query, nil, &out)
	return out, err
}

// operation is one of a JSON Patch document.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// itemPatch is the document that the options ask for.
func (c *call) itemPatch() ([]operation, error) {
	var ops []operation
	set := func(field, value string) { ops = append(ops, operation{"add", "/fields/" + field, value}) }
	for _, o := range []struct{ option, field string }{
		{"title", "System.Title"}, {"description", "System.Description"}, {"assigned-to", "System.AssignedTo"}, {"area", "System.AreaPath"},
		{"iteration", "System.IterationPath"}, {"state", "System.State"}, {"discussion", "System.History"},
	} {
		if c.given(o.option) {
			set(o.field, c.text(o.option))
		}
	}
	fields, err := c.pairs("fields")
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		set(name, fields[name])
	}
	return ops, nil
}

func (c *call) createItem() (any, error) {
	if !c.given("title") {
		return nil, usagef("--title must be given")
	}
	ops, err := c.itemPatch()
	if err != nil {
		return nil, err
	}
	return c.one("POST", "wit/workitems/"+url.PathEscape("$"+c.text("type")), ops)
}

func (c *call) updateItem() (any, error) {
	path, err := c.ofItem()
	if err != nil {
		return nil, err
	}
	ops, err := c.itemPatch()
	if err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return nil, usagef("nothing is to change: give --title, --state, --assigned-to, --description, --discussion or --fields")
	}
	return c.one("PATCH", path, ops)
}

// maxItemsAtOnce is how many work items the REST API gives in one answer, and maxItems how many a query lists, as in az.
const maxItemsAtOnce, maxItems = 200, 1000

// queryItems gives the work items of a query with the columns that it names.
func (c *call) queryItems() (any, error) {
	var found struct {
		Columns []struct {
			ReferenceName string `json:"referenceName"`
		} `json:"columns"`
		WorkItems []struct {
			ID json.Number `json:"id"`
		} `json:"workItems"`
	}
	if err := c.api("POST", "wit/wiql", url.Values{"$top": {"1001"}}, map[string]string{"query": c.text("wiql")}, &found); err != nil {
		return nil, err
	}
	if len(found.WorkItems) > maxItems {
		return nil, slipway.Limit("the query finds more than %d work items: narrow it down", maxItems)
	}
	var fields []string
	for _, column := range found.Columns {
		fields = append(fields, column.ReferenceName)
	}
	items := []any{}
	for part := range slices.Chunk(found.WorkItems, maxItemsAtOnce) {
		var ids []json.Number
		for _, i := range part {
			ids = append(ids, i.ID)
		}
		var out struct {
			Value []any `json:"value"`
		}
		if err := c.api("POST", "wit/workitemsbatch", nil, map[string]any{"ids": ids, "fields": fields}, &out); err != nil {
			return nil, err
		}
		items = append(items, out.Value...)
	}
	return items, nil
}
