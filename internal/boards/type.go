package boards

import (
	"slices"
	"strings"

	"slipway"
)

// Type is what kind of work an item is.
type Type string

// The types of the Agile process.
const (
	Epic      Type = "Epic"
	Feature   Type = "Feature"
	UserStory Type = "User Story"
	Task      Type = "Task"
	Bug       Type = "Bug"
)

// Types lists all types from the largest to the smallest.
func Types() []Type { return []Type{Epic, Feature, UserStory, Bug, Task} }

// ParseType reads a type's name in any case.
func ParseType(s string) (Type, error) {
	for _, t := range Types() {
		if strings.EqualFold(string(t), s) {
			return t, nil
		}
	}
	return "", slipway.Invalid("work item type %.40q: choose Epic, Feature, User Story, Task or Bug", s)
}

// State is how far an item is.
type State string

// The states of the Agile process.
const (
	New      State = "New"
	Active   State = "Active"
	Resolved State = "Resolved"
	Closed   State = "Closed"
	Removed  State = "Removed"
)

// States lists the states that items of the type have, in order. A task is never resolved, and a bug not removed.
func (t Type) States() []State {
	switch t {
	case Task:
		return []State{New, Active, Closed, Removed}
	case Bug:
		return []State{New, Active, Resolved, Closed}
	}
	return []State{New, Active, Resolved, Closed, Removed}
}

// ParseState reads the name of one of the type's states in any case.
func (t Type) ParseState(s string) (State, error) {
	for _, state := range t.States() {
		if strings.EqualFold(string(state), s) {
			return state, nil
		}
	}
	return "", slipway.Invalid("a %s has no state %.40q: choose one of %s", strings.ToLower(string(t)), s, joinStates(t.States()))
}

func joinStates(list []State) string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// Done is the state of finished work that nobody has confirmed yet: Resolved, and Closed where that does not exist.
func (t Type) Done() State {
	if slices.Contains(t.States(), Resolved) {
		return Resolved
	}
	return Closed
}

// Open reports that work on an item in this state is still to be done.
func (s State) Open() bool { return s == New || s == Active }

// Level is a backlog: the items that one board shows.
type Level string

// The levels.
const (
	Epics    Level = "epics"
	Features Level = "features"
	Stories  Level = "stories" // user stories and bugs
	Tasks    Level = "tasks"
)

// Levels lists all levels from the largest to the smallest.
func Levels() []Level { return []Level{Epics, Features, Stories, Tasks} }

// Types lists the types of a level's items; none for an unknown level.
func (l Level) Types() []Type {
	switch l {
	case Epics:
		return []Type{Epic}
	case Features:
		return []Type{Feature}
	case Stories:
		return []Type{UserStory, Bug}
	case Tasks:
		return []Type{Task}
	}
	return nil
}

// States lists the states that a level's board has columns for: all but Removed.
func (l Level) States() []State {
	if l == Tasks {
		return []State{New, Active, Closed}
	}
	return []State{New, Active, Resolved, Closed}
}

// LevelOf is the level whose board shows items of the type.
func LevelOf(t Type) Level {
	for _, l := range Levels() {
		if slices.Contains(l.Types(), t) {
			return l
		}
	}
	return Stories
}
