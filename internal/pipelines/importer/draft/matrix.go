package draft

import (
	"slices"
	"strings"

	"slipway/internal/pipelines/yaml"
)

// Leg is one combination of a matrix: names and values in order.
type Leg []Cell

// Cell is one value of a leg.
type Cell struct{ Name, Value string }

// Get is the value of a name.
func (l Leg) Get(name string) (string, bool) {
	for _, c := range l {
		if c.Name == name {
			return c.Value, true
		}
	}
	return "", false
}

// With is the leg with the name set.
func (l Leg) With(name, value string) Leg {
	l = slices.Clone(l)
	for i := range l {
		if l[i].Name == name {
			l[i].Value = value
			return l
		}
	}
	return append(l, Cell{name, value})
}

// MaxLegs is how many combinations a matrix may have.
const MaxLegs = 256

// Product is every combination of legs with the values of one more name; each value is a leg of its own, since it may be a map.
func Product(legs []Leg, values []Leg) []Leg {
	if len(legs) == 0 {
		legs = []Leg{nil}
	}
	var all []Leg
	for _, leg := range legs {
		for _, v := range values {
			if len(all) > MaxLegs {
				return all
			}
			all = append(all, slices.Concat(leg, v))
		}
	}
	return all
}

// Matrix writes legs as Azure's matrix: each with all names that any leg has, so that no macro stays unexpanded. prefix stands
// before the names of variables.
func Matrix(legs []Leg, prefix string) *yaml.Node {
	var names []string
	for _, leg := range legs {
		for _, c := range leg {
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
	}
	var matrix Map
	var taken Names
	for _, leg := range legs {
		title := make([]string, 0, len(leg))
		var variables Map
		for _, name := range names {
			value, ok := leg.Get(name)
			if ok && len(title) < 4 && value != "" && len(value) <= 30 {
				title = append(title, value)
			}
			variables.Put(prefix+name, Scalar(value))
		}
		matrix.Put(taken.Take(strings.Join(title, "_")), variables.Node())
	}
	if matrix.Empty() {
		return nil
	}
	return matrix.Node()
}
