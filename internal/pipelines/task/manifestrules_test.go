package task

import (
	"fmt"
	"slices"
	"strings"
)

// surplus are the inputs, aliases and options that we have and the public manifest has not, each as TASK.INPUT: WHAT is VALUE.
func surplus(d *Definition, public []publicInput) []string {
	var list []string
	for i := range d.Inputs {
		in := &d.Inputs[i]
		at := slices.IndexFunc(public, func(p publicInput) bool { return d.Input(p.Name) == in })
		if at < 0 {
			list = append(list, fmt.Sprintf("%s.%s: surplus is the input", d, in.Name))
			continue
		}
		p := public[at]
		for _, alias := range append([]string{in.Name}, in.Aliases...) {
			if !strings.EqualFold(alias, p.Name) && !slices.ContainsFunc(p.Aliases, func(a string) bool { return strings.EqualFold(a, alias) }) {
				list = append(list, fmt.Sprintf("%s.%s: surplus alias is %q", d, in.Name, alias))
			}
		}
		for _, option := range in.Options {
			if p.Options != nil && !slices.ContainsFunc(p.Options, func(o string) bool { return strings.EqualFold(o, option) }) {
				list = append(list, fmt.Sprintf("%s.%s: surplus option is %q", d, in.Name, option))
			}
		}
	}
	return list
}

// demanded compares for all values of the inputs that rules name whether the input, without a default, is required; the first difference,
// as required is VALUE. A value that is refused asks for nothing more.
func (p publicInput) demanded(d *Definition) string {
	in := d.Input(p.Name)
	if in == nil || !p.Required || p.Default != "" || in.Unsupported[""] != "" || !(in.Required || in.NeededFor != "") {
		return "" // differences has compared the rest
	}
	theirs := rules(p.Visible...)
	names := inputsOf(d, append(slices.Clone(theirs), in.visible...), in.NeededFor)
	difference := ""
	eachAssignment(d, names, map[string]string{}, func(values map[string]string) {
		needed := !slices.ContainsFunc(theirs, func(r *rule) bool {
			holds, _ := r.holds(func(name string) string {
				if other := d.Input(name); other != nil {
					return values[strings.ToLower(other.Name)]
				}
				return ""
			})
			return !holds
		})
		given := map[string]string{}
		for name, value := range values {
			if other := d.Input(name); other != nil {
				given[other.Name] = value
			}
		}
		if ours := in.needed(given) && in.shows(d, given); ours != needed && difference == "" {
			difference = fmt.Sprintf("rule is %v with %v, ours %v", needed, values, ours)
		}
	})
	return difference
}

// inputsOf are the inputs that rules name, and another, by their own names in lower case.
func inputsOf(d *Definition, list []*rule, more string) []string {
	var names []string
	add := func(name string) {
		if in := d.Input(name); in != nil {
			names = append(names, strings.ToLower(in.Name))
		}
	}
	add(more)
	for _, r := range list {
		for _, t := range r.terms {
			add(t.input)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// eachAssignment gives the named inputs all their values, or a few where any are allowed.
func eachAssignment(d *Definition, names []string, values map[string]string, do func(map[string]string)) {
	if len(names) == 0 {
		do(values)
		return
	}
	options := []string{"", "something"}
	if in := d.Input(names[0]); in != nil {
		switch {
		case in.Boolean:
			options = []string{"true", "false"}
		case in.Options != nil:
			options = slices.DeleteFunc(slices.Clone(in.Options), in.Refuses)
		}
	}
	for _, option := range options {
		values[names[0]] = option
		eachAssignment(d, names[1:], values, do)
	}
}
