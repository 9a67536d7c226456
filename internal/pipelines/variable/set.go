// Package variable holds the variables of a run: sets whose names ignore case, `$(macro)` expansion, the names that the
// environment of a script sees, the predefined names, and the run's number.
//
// It is shared by the scheduler and the agent, is pure, and knows nothing of plans or YAML.
package variable

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Value is a variable's value with what must be remembered about it.
type Value struct {
	Text string `json:"value"`
	// Secret values are never put into the environment and are masked in logs.
	Secret bool `json:"secret,omitempty"`
	// ReadOnly values cannot be changed by a step.
	ReadOnly bool `json:"readonly,omitempty"`
}

// Set is a set of variables. Names ignore case and keep the spelling in which they were put last. The zero value is an
// empty set ready to use. A Set is not safe for concurrent changes.
type Set struct {
	entries map[string]entry // by lower-case name
}

type entry struct {
	name  string
	value Value
}

// Of makes a set of plain values.
func Of(values map[string]string) Set {
	var s Set
	for name, text := range values {
		s.Put(name, Value{Text: text})
	}
	return s
}

// Len is the number of variables.
func (s Set) Len() int { return len(s.entries) }

// Get finds a variable.
func (s Set) Get(name string) (Value, bool) {
	e, ok := s.entries[strings.ToLower(name)]
	return e.value, ok
}

// Text is a variable's text, "" if there is none.
func (s Set) Text(name string) string { return s.entries[strings.ToLower(name)].value.Text }

// Put sets a variable.
func (s *Set) Put(name string, v Value) {
	if s.entries == nil {
		s.entries = map[string]entry{}
	}
	s.entries[strings.ToLower(name)] = entry{name, v}
}

// PutText sets a plain variable.
func (s *Set) PutText(name, text string) { s.Put(name, Value{Text: text}) }

// Delete removes a variable.
func (s *Set) Delete(name string) { delete(s.entries, strings.ToLower(name)) }

// Add puts all of t, which wins.
func (s *Set) Add(t Set) {
	for _, e := range t.entries {
		s.Put(e.name, e.value)
	}
}

// Clone is a copy that can be changed without changing s.
func (s Set) Clone() Set { return Set{entries: maps.Clone(s.entries)} }

// Names are the names in order of their lower-case form.
func (s Set) Names() []string {
	names := make([]string, 0, len(s.entries))
	for _, key := range slices.Sorted(maps.Keys(s.entries)) {
		names = append(names, s.entries[key].name)
	}
	return names
}

// MarshalJSON writes an object of values by name, in order of names.
func (s Set) MarshalJSON() ([]byte, error) {
	values := make(map[string]Value, len(s.entries))
	for _, e := range s.entries {
		values[e.name] = e.value
	}
	return json.Marshal(values)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Set) UnmarshalJSON(data []byte) error {
	var values map[string]Value
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	*s = Set{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		s.Put(name, values[name])
	}
	return nil
}

// Equal compares names without case, and values.
func (s Set) Equal(t Set) bool {
	return maps.EqualFunc(s.entries, t.entries, func(a, b entry) bool { return a.value == b.value })
}
