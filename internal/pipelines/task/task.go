// Package task describes the tasks that Slipway runs: their inputs, the other names of these, defaults and allowed values,
// as in the tasks' public manifests. It checks and completes the inputs of a step and runs nothing.
package task

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway/internal/pipelines/nearest"
)

// Definition is one major version of one task.
type Definition struct {
	// Name and Major are written NAME@MAJOR in a file.
	Name  string
	Major int
	// Extension is PUBLISHER.EXTENSION.CONTRIBUTION, which may stand before the name with a dot; "" for built-in tasks.
	Extension string
	// Title is what the step is called if the file gives no display name.
	Title string
	// Doc says in a sentence what the task does.
	Doc string
	// Server says that the server runs it, in agentless jobs alone, and no agent.
	Server bool
	Inputs []Input
	// Package is set for a task that was uploaded.
	Package *Package
}

// Input is one input of a task.
type Input struct {
	Name string
	// Doc says in a sentence what it sets.
	Doc     string
	Aliases []string
	// Default is filled in when the input is not given; "" is no default.
	Default  string
	Required bool
	// Boolean inputs take true and false, Integer ones whole numbers.
	Boolean, Integer bool
	// Options are the allowed values, without case; empty allows everything.
	Options []string
	// Unsupported are values, or with the empty string any value, that Slipway cannot do, with what to do instead.
	Unsupported map[string]string
	// NeededFor names another input and the values of it that make this input required.
	NeededFor       string
	NeededForValues []string
	// Connection are the types of the service connections that the input names, by Azure's names in lower case; nil for other
	// inputs. A value with :// in it is a URL in place of one.
	Connection []string
	// SecureFile inputs name a secure file.
	SecureFile bool
	// Several says that it names several connections or files, parted by commas.
	Several bool
	// Own says that a name of no connection means this server's registry, the cluster of the job's environment, or the job itself.
	Own bool
	// PlainBraces says that it has patterns of files in which braces stand for themselves, and {a,b} means no alternatives.
	PlainBraces bool
	visible     []*rule // all must hold for the input to be required
}

// Connections are the names of service connections in a value of the input.
func (in *Input) Connections(value string) []string {
	if in.Connection == nil {
		return nil
	}
	names := []string{value}
	if in.Several {
		names = strings.Split(value, ",")
	}
	var list []string
	for _, name := range names {
		if name = strings.TrimSpace(name); name != "" && !strings.Contains(name, "://") {
			list = append(list, name)
		}
	}
	return list
}

// String is NAME@MAJOR.
func (d *Definition) String() string { return d.Name + "@" + strconv.Itoa(d.Major) }

// Refuses reports whether a value of the input is one that Slipway cannot do.
func (in *Input) Refuses(value string) bool {
	for refused := range in.Unsupported {
		if refused != "" && strings.EqualFold(refused, value) {
			return true
		}
	}
	return false
}

// Input finds an input by its name or an alias, without case; nil without one.
func (d *Definition) Input(name string) *Input {
	for i := range d.Inputs {
		in := &d.Inputs[i]
		if strings.EqualFold(in.Name, name) || slices.ContainsFunc(in.Aliases, func(a string) bool { return strings.EqualFold(a, name) }) {
			return in
		}
	}
	return nil
}

// Mistake is something wrong with the inputs. Input is the name as given, "" if it is about one that is missing.
type Mistake struct {
	Input       string
	Message     string
	Unsupported bool
	// Harmless mistakes are warned of: an input that the task does not have changes nothing, as in Azure Pipelines.
	Harmless bool
	// Empty says that an input that the task needs is given, and empty.
	Empty bool
	meant string // the own name of the input that an unknown one is most likely a slip of
}

// Resolve checks the given inputs and gives them their own names, with defaults filled in. Values that hold a macro are
// not known yet and are not checked, unless the input takes no value at all.
func (d *Definition) Resolve(given map[string]string) (inputs map[string]string, mistakes []Mistake) {
	inputs = map[string]string{}
	from := map[string]string{}
	for _, name := range sortedKeys(given) {
		in := d.Input(name)
		if in == nil {
			mistakes = append(mistakes, d.unknownInput(name))
			continue
		}
		if other, ok := from[in.Name]; ok {
			mistakes = append(mistakes, Mistake{Input: name, Message: fmt.Sprintf("inputs %q and %q of task %s are the same: give one", other, name, d)})
			continue
		}
		from[in.Name] = name
		if given[name] == "" && (len(in.Options) > 0 || in.Boolean) {
			continue // the same as not given
		}
		inputs[in.Name] = given[name]
		if m := in.check(d, name, given[name]); m != nil {
			mistakes = append(mistakes, *m)
			if m.Harmless && d.Package == nil { // as getBoolInput of azure-pipelines-task-lib reads it
				inputs[in.Name] = "false"
			}
		}
	}
	for i := range d.Inputs {
		in := &d.Inputs[i]
		if _, ok := inputs[in.Name]; !ok && in.Default != "" {
			inputs[in.Name] = in.Default
		}
	}
	for i := range d.Inputs {
		in := &d.Inputs[i]
		if !in.needed(inputs) || !in.shows(d, inputs) || strings.TrimSpace(inputs[in.Name]) != "" {
			continue
		}
		if slip := slices.IndexFunc(mistakes, func(m Mistake) bool { return m.meant == in.Name }); slip >= 0 {
			m := &mistakes[slip] // what is needed is there, by another name
			m.Harmless, m.Message = false, strings.Replace(m.Message, noEffect, "", 1)
			continue
		}
		mistakes = append(mistakes, Mistake{Input: from[in.Name], Empty: from[in.Name] != "", Message: fmt.Sprintf("task %s needs the input %q%s%s", d, in.Name, in.also(), in.because(inputs))})
	}
	return inputs, mistakes
}

func (in *Input) check(d *Definition, name, value string) *Mistake {
	if instead, never := in.Unsupported[""]; never && value != "" {
		return &Mistake{Input: name, Unsupported: true, Message: fmt.Sprintf("input %s: %s of task %s is not there yet: %s", name, value, d, instead)}
	}
	if strings.Contains(value, "$(") {
		return nil
	}
	if in.Boolean && value != "" && !isBoolean(value) {
		return &Mistake{Input: name, Harmless: true, Message: fmt.Sprintf("input %q of task %s is %q, which counts as false: write true or false", name, d, value)}
	}
	if _, err := strconv.Atoi(strings.TrimSpace(value)); in.Integer && value != "" && err != nil {
		return &Mistake{Input: name, Message: fmt.Sprintf("input %q of task %s is a whole number, not %q", name, d, value)}
	}
	if len(in.Options) > 0 && !slices.ContainsFunc(in.Options, func(o string) bool { return strings.EqualFold(o, value) }) {
		return &Mistake{Input: name, Message: fmt.Sprintf("input %q of task %s may be %s, not %q%s", name, d, strings.Join(in.Options, ", "), value, nearest.Suggest(value, in.Options))}
	}
	for refused, instead := range in.Unsupported {
		if refused == "" && value != "" || refused != "" && strings.EqualFold(refused, value) {
			return &Mistake{Input: name, Unsupported: true, Message: fmt.Sprintf("input %s: %s of task %s is not there yet: %s", name, value, d, instead)}
		}
	}
	return nil
}

func (in *Input) needed(inputs map[string]string) bool {
	if in.NeededFor == "" {
		return in.Required
	}
	value := inputs[in.NeededFor]
	return slices.ContainsFunc(in.NeededForValues, func(v string) bool { return strings.EqualFold(v, value) })
}

// also names the other words for the input: documentation and files mostly have those.
func (in *Input) also() string {
	others := slices.DeleteFunc(slices.Clone(in.Aliases), func(a string) bool { return strings.EqualFold(a, in.Name) })
	if len(others) == 0 {
		return ""
	}
	return " (" + strings.Join(others, ", ") + ")"
}

func (in *Input) because(inputs map[string]string) string {
	if in.NeededFor == "" {
		return ""
	}
	return fmt.Sprintf(" when %s is %s", in.NeededFor, inputs[in.NeededFor])
}

// noEffect is why nothing but a warning is said of an input.
const noEffect = ", so it has no effect"

// unknownInput warns of an input that the task does not have. Azure's agent hands it to the task, which never asks for it (TaskRunner.cs of
// azure-pipelines-agent), so a file with a slip in it runs there too.
func (d *Definition) unknownInput(name string) Mistake {
	var names []string
	for _, in := range d.Inputs {
		names = append(names, in.Name)
		names = append(names, in.Aliases...)
	}
	m := Mistake{Input: name, Harmless: true, Message: fmt.Sprintf("task %s has no input %q%s", d, name, noEffect)}
	if nearest.Misspelt(name, names) {
		m.Message += nearest.Suggest(name, names)
		if meant := d.Input(nearest.Find(name, names)); meant != nil {
			m.meant = meant.Name
		}
	}
	return m
}

func isBoolean(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
