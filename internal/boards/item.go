package boards

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"slipway"
	"slipway/internal/db"
)

// Item is a work item.
type Item struct {
	ID          slipway.WorkItemID
	Project     slipway.ProjectID
	Revision    int64 // of its fields, from 1
	Type        Type
	State       State
	Title       string
	Description string         // Markdown
	Assigned    slipway.UserID // empty for nobody
	Priority    int            // 1 (highest) to 4
	Tags        []string
	Parent      slipway.WorkItemID // 0 for none
	Created     time.Time
	CreatedBy   slipway.Actor
	Changed     time.Time
	ChangedBy   slipway.Actor
}

const itemColumns = `id, project, revision, type, state, title, description, assigned, priority, tags, parent, created, created_by, changed, changed_by`

func scanItem(row interface{ Scan(...any) error }, i *Item) error {
	var created, changed int64
	var createdBy, changedBy, tags string
	if err := row.Scan((*int64)(&i.ID), (*string)(&i.Project), &i.Revision, (*string)(&i.Type), (*string)(&i.State), &i.Title, &i.Description,
		(*string)(&i.Assigned), &i.Priority, &tags, (*int64)(&i.Parent), &created, &createdBy, &changed, &changedBy); err != nil {
		return err
	}
	i.Created, i.Changed = db.Time(created), db.Time(changed)
	if err := json.Unmarshal([]byte(tags), &i.Tags); err != nil {
		return err
	}
	if err := decodeActor(createdBy, &i.CreatedBy); err != nil {
		return err
	}
	return decodeActor(changedBy, &i.ChangedBy)
}

// Change is what to change of an item; nil leaves as is.
type Change struct {
	Revision    int64 // that the caller saw; another one meanwhile is a conflict. 0 does not ask
	Type        *Type
	State       *State
	Title       *string
	Description *string
	Assigned    *slipway.UserID
	Priority    *int
	Tags        *[]string
	Parent      *slipway.WorkItemID
}

// FieldChange is one field's old and new value, as text.
type FieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

// apply returns the item after the change, and what differs. It is the whole rule of what an item may be, save that
// its parent must exist.
func (i Item) apply(c Change) (Item, []FieldChange, error) {
	old := i
	if c.Type != nil {
		i.Type = *c.Type
		if _, err := i.Type.ParseState(string(i.State)); err != nil && c.State == nil {
			i.State = New // the new type does not have it
		}
	}
	if c.State != nil {
		i.State = *c.State
	}
	if c.Title != nil {
		i.Title = strings.TrimSpace(*c.Title)
	}
	if c.Description != nil {
		i.Description = *c.Description
	}
	if c.Assigned != nil {
		i.Assigned = *c.Assigned
	}
	if c.Priority != nil {
		i.Priority = *c.Priority
	}
	if c.Tags != nil {
		i.Tags = cleanTags(*c.Tags)
	}
	if c.Parent != nil {
		i.Parent = *c.Parent
	}
	return i, differences(old, i), i.check()
}

func (i Item) check() error {
	if _, err := ParseType(string(i.Type)); err != nil {
		return err
	}
	if _, err := i.Type.ParseState(string(i.State)); err != nil {
		return err
	}
	field := func(name string, p *slipway.Problem) error { p.Field = name; return p }
	switch {
	case i.Title == "":
		return field("title", slipway.Invalid("a work item needs a title"))
	case utf8.RuneCountInString(i.Title) > maxTitle || strings.ContainsAny(i.Title, "\r\n"):
		return field("title", slipway.Invalid("a title is one line of up to %d characters", maxTitle))
	case len(i.Description) > maxDescription:
		return field("description", slipway.Limit("a description has at most %d bytes", maxDescription))
	case i.Priority < 1 || i.Priority > 4:
		return field("priority", slipway.Invalid("priority %d: choose 1 (highest) to 4", i.Priority))
	case len(i.Tags) > maxTags:
		return field("tags", slipway.Limit("a work item has at most %d tags", maxTags))
	case i.Parent == i.ID && i.ID != 0:
		return field("parent", slipway.Invalid("a work item cannot be its own parent"))
	}
	for _, t := range i.Tags {
		if utf8.RuneCountInString(t) > maxTag || strings.ContainsAny(t, ",;\r\n") {
			return field("tags", slipway.Invalid("tag %.100q: use up to %d characters without comma and semicolon", t, maxTag))
		}
	}
	return nil
}

// cleanTags trims tags and drops empty and repeated ones, of whatever case.
func cleanTags(list []string) []string {
	clean := []string{}
	for _, t := range list {
		t = strings.TrimSpace(t)
		if t != "" && !slices.ContainsFunc(clean, func(c string) bool { return strings.EqualFold(c, t) }) {
			clean = append(clean, t)
		}
	}
	return clean
}

// SplitTags reads tags as people write them: separated by semicolons or commas.
func SplitTags(s string) []string {
	return cleanTags(strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == ',' }))
}

func differences(a, b Item) []FieldChange {
	var list []FieldChange
	add := func(field, before, after string) {
		if before != after {
			list = append(list, FieldChange{field, before, after})
		}
	}
	number := func(id slipway.WorkItemID) string {
		if id == 0 {
			return ""
		}
		return id.String()
	}
	add("type", string(a.Type), string(b.Type))
	add("state", string(a.State), string(b.State))
	add("title", a.Title, b.Title)
	add("description", a.Description, b.Description)
	add("assigned", string(a.Assigned), string(b.Assigned))
	add("priority", priorityText(a.Priority), priorityText(b.Priority))
	add("tags", strings.Join(a.Tags, "; "), strings.Join(b.Tags, "; "))
	add("parent", number(a.Parent), number(b.Parent))
	return list
}

func priorityText(p int) string {
	if p == 0 {
		return ""
	}
	return string(rune('0' + p))
}

func fieldNames(list []FieldChange) []string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Field
	}
	return names
}
