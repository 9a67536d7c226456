package wiql

import (
	"strings"
	"time"

	"slipway"
	"slipway/internal/boards"
)

// fieldKind says how a field's values compare.
type fieldKind int

const (
	textField fieldKind = iota
	numberField
	timeField
	personField
	tagsField
	pathField // of areas and iterations, of which there is the project's alone
)

// Field is one that a query can name.
type Field struct {
	Reference string // System.Title
	Name      string // Title
	kind      fieldKind
	value     func(World, boards.Item) any // string, int64, time.Time, Person or []string
}

// Value is what an item has in the field: a string, an int64, a time.Time, a Person or a []string.
func (f Field) Value(w World, i boards.Item) any { return f.value(w, i) }

// Person is somebody as queries name them. All of its names are compared, in any case.
type Person struct {
	ID          slipway.UserID
	Name        string // by which they sign in
	DisplayName string
	Email       string
}

// World is what a query's macros and names mean.
type World struct {
	Project string
	Me      Person
	Now     time.Time
	People  map[slipway.UserID]Person
}

func (w World) actor(a slipway.Actor) Person {
	if p, ok := w.People[slipway.UserID(a.ID)]; ok {
		return p
	}
	return Person{ID: slipway.UserID(a.ID), Name: a.Name, DisplayName: a.Name}
}

// Fields are all fields that can be asked for. The slice is never changed.
var Fields = []Field{
	{"System.Id", "ID", numberField, func(_ World, i boards.Item) any { return int64(i.ID) }},
	{"System.Rev", "Rev", numberField, func(_ World, i boards.Item) any { return i.Revision }},
	{"System.WorkItemType", "Work Item Type", textField, func(_ World, i boards.Item) any { return string(i.Type) }},
	{"System.State", "State", textField, func(_ World, i boards.Item) any { return string(i.State) }},
	{"System.Title", "Title", textField, func(_ World, i boards.Item) any { return i.Title }},
	{"System.Description", "Description", textField, func(_ World, i boards.Item) any { return i.Description }},
	{"System.AssignedTo", "Assigned To", personField, func(w World, i boards.Item) any { return w.actor(slipway.Actor{ID: string(i.Assigned)}) }},
	{"System.Tags", "Tags", tagsField, func(_ World, i boards.Item) any { return i.Tags }},
	{"System.Parent", "Parent", numberField, func(_ World, i boards.Item) any { return int64(i.Parent) }},
	{"System.TeamProject", "Team Project", textField, func(w World, _ boards.Item) any { return w.Project }},
	{"System.AreaPath", "Area Path", pathField, func(w World, _ boards.Item) any { return w.Project }},
	{"System.IterationPath", "Iteration Path", pathField, func(w World, _ boards.Item) any { return w.Project }},
	{"System.CreatedDate", "Created Date", timeField, func(_ World, i boards.Item) any { return i.Created }},
	{"System.CreatedBy", "Created By", personField, func(w World, i boards.Item) any { return w.actor(i.CreatedBy) }},
	{"System.ChangedDate", "Changed Date", timeField, func(_ World, i boards.Item) any { return i.Changed }},
	{"System.ChangedBy", "Changed By", personField, func(w World, i boards.Item) any { return w.actor(i.ChangedBy) }},
	{"Microsoft.VSTS.Common.Priority", "Priority", numberField, func(_ World, i boards.Item) any { return int64(i.Priority) }},
}

// FieldOf finds a field by its reference name or its name, in any case.
func FieldOf(name string) (Field, error) {
	for _, f := range Fields {
		if strings.EqualFold(f.Reference, name) || strings.EqualFold(f.Name, name) {
			return f, nil
		}
	}
	var known []string
	for _, f := range Fields {
		known = append(known, f.Reference)
	}
	return Field{}, slipway.Invalid("work items have no field %.60q: choose one of %s", name, strings.Join(known, ", "))
}
