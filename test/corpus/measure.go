package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/folder"
	"slipway/internal/pipelines/task"
	"slipway/internal/pipelines/template"
	"slipway/internal/pipelines/yaml"
)

// place is where something is written, as a key of maps.
type place struct {
	file         string
	line, column int
}

func placeOf(at slipway.Position) place { return place{at.File, at.Line, at.Column} }

// tree knows for each place of an expanded file under which keys it stands, and in which step.
type tree struct {
	keys  map[place]string
	steps []step
}

// step is one step of the expanded file.
type step struct {
	task   string         // NAME@VERSION, if it is a task
	own    map[place]bool // the places of the step itself
	around map[place]bool // those of its job and stage that are no step's
}

// walk notes a node. keys is its path, around the places that concern every step below.
func (t *tree) walk(n *yaml.Node, keys string, around map[place]bool) {
	t.note(n.At, keys)
	for _, item := range n.Items {
		t.walk(item, keys, around)
	}
	for _, p := range n.Pairs {
		t.note(p.Key.At, join(keys, p.Key.Text))
		switch {
		case p.Key.Text == "steps" && p.Value.Kind == yaml.List:
			for _, item := range p.Value.Items {
				s := step{task: textOf(item, "task"), own: map[place]bool{}, around: around}
				gather(item, s.own)
				t.steps = append(t.steps, s)
				t.walk(item, join(keys, "steps"), around)
			}
		case (p.Key.Text == "stages" || p.Key.Text == "jobs" || p.Key.Text == "phases") && p.Value.Kind == yaml.List:
			for _, item := range p.Value.Items {
				inner := map[place]bool{}
				for at := range around {
					inner[at] = true
				}
				surroundings(item, inner)
				t.walk(item, join(keys, p.Key.Text), inner)
			}
		default:
			t.walk(p.Value, join(keys, p.Key.Text), around)
		}
	}
}

func (t *tree) note(at slipway.Position, keys string) {
	if _, ok := t.keys[placeOf(at)]; !ok && at.Line > 0 {
		t.keys[placeOf(at)] = keys
	}
}

// join keeps the last three keys of a path: what stands further out is the same for most.
func join(keys, key string) string {
	if strings.Contains(key, "${{") {
		key = "${{ }}"
	}
	parts := strings.Split(keys, ".")
	if keys == "" {
		return key
	}
	return strings.Join(append(parts[max(0, len(parts)-2):], key), ".")
}

// gather notes all places of a node.
func gather(n *yaml.Node, into map[place]bool) {
	into[placeOf(n.At)] = true
	for _, item := range n.Items {
		gather(item, into)
	}
	for _, p := range n.Pairs {
		into[placeOf(p.Key.At)] = true
		gather(p.Value, into)
	}
}

// surroundings notes the places of a stage or job but for what it lists: its own jobs and steps.
func surroundings(n *yaml.Node, into map[place]bool) {
	into[placeOf(n.At)] = true
	for _, p := range n.Pairs {
		into[placeOf(p.Key.At)] = true
		switch p.Key.Text {
		case "stages", "jobs", "phases", "steps", "strategy":
		default:
			gather(p.Value, into)
		}
	}
}

// summary is what all files come to.
type summary struct {
	files, parsed, expanded, remote, accepted int
	steps, runnable                           int
	foreign                                   int // steps that cannot run and are Windows', macOS' or a company's own
	warnings                                  counts
	refusals                                  counts // of any kind, by reason and place, each counted once a file
	own, around                               counts // reasons of steps that cannot run
	broken                                    []string
}

// add looks at one file.
func (s *summary) add(root string, f file) error {
	s.files++
	name := f.repository + ":" + f.path
	checkout, err := folder.Open(f.folder(root))
	if err != nil {
		return fmt.Errorf("open the checkout of %s: %w", f.repository, err)
	}
	defer checkout.Close()
	data, err := checkout.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if _, err := yaml.Read(f.path, data); err != nil {
		s.broken = append(s.broken, name+": "+firstLine(err.Error()))
		return nil
	}
	s.parsed++
	expanded, err := template.Expand(template.Input{Path: f.path, Files: checkout, Draft: true})
	switch {
	case err != nil:
		s.broken = append(s.broken, name+": "+firstLine(err.Error()))
	case len(expanded.Unread) > 0:
		s.remote++
	default:
		s.expanded++
	}
	t := tree{keys: map[place]string{}}
	if expanded.Root != nil {
		around := map[place]bool{}
		surroundings(expanded.Root, around)
		delete(around, placeOf(expanded.Root.At))
		t.walk(expanded.Root, "", around)
	}
	report := compile.Check(compile.Input{Path: f.path, Files: checkout})
	if len(report.Problems) == 0 {
		s.accepted++
	}
	s.judge(t, report)
	return nil
}

// judge counts the steps of a file and what keeps them from running.
func (s *summary) judge(t tree, report compile.Report) {
	reasons := map[place][]string{}
	seen := map[string]bool{}
	for _, p := range report.Problems {
		reason := reasonOf(p.Message)
		where := "expansion"
		if p.Position != nil {
			reasons[placeOf(*p.Position)] = append(reasons[placeOf(*p.Position)], reason)
			if keys, ok := t.keys[placeOf(*p.Position)]; ok {
				where = keys
			}
		}
		if line := where + ": " + reason; !seen[line] {
			seen[line] = true
			s.refusals.add(line)
		}
	}
	for _, w := range report.Warnings {
		if line := reasonOf(w.Message); !seen["warning "+line] {
			seen["warning "+line] = true
			s.warnings.add(line)
		}
	}
	for _, one := range t.steps {
		s.steps++
		own, around := first(reasons, one.own), first(reasons, one.around)
		switch {
		case own != "":
			s.own.add(own)
		case around != "":
			s.around.add(around)
		default:
			s.runnable++
			continue
		}
		if foreign(one.task, around) {
			s.foreign++
		}
	}
}

// foreign reports a step that nobody could run here: its job is for Windows or macOS, its task needs one of them, or the task is
// neither of Azure Pipelines' own library nor known here, so that it is an extension's or a company's.
func foreign(reference, around string) bool {
	if strings.Contains(around, "there is no Windows") || strings.Contains(around, "there is no macOS") {
		return true
	}
	name, _, _ := strings.Cut(reference, "@")
	if name == "" {
		return false
	}
	if a, ok := task.Absent(name); ok {
		return a.Needs != ""
	}
	return !slices.ContainsFunc(task.Catalog(nil).Definitions(), func(d *task.Definition) bool {
		return strings.EqualFold(d.Name, name) || strings.EqualFold(d.Extension+"."+d.Name, name)
	})
}

// textOf is the text under a key of a map, "" if there is none.
func textOf(n *yaml.Node, key string) string {
	if n.Kind != yaml.Map {
		return ""
	}
	if v := n.Get(key); v != nil {
		return v.Text
	}
	return ""
}

// first is the reason at one of the places that stands first in its file, "" if there is none.
func first(reasons map[place][]string, places map[place]bool) string {
	best, found := place{}, ""
	for at := range places {
		list := reasons[at]
		if len(list) == 0 || found != "" && (at.line > best.line || at.line == best.line && at.column >= best.column) {
			continue
		}
		best, found = at, list[0]
	}
	return found
}

var quoted = regexp.MustCompile(`"[^"]*"|'[^']*'`)

// reasonOf is a message without what differs from file to file.
func reasonOf(message string) string {
	message, _, _ = strings.Cut(message, ", did you mean")
	return quoted.ReplaceAllString(message, `"…"`)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

var _ compile.Files = (*folder.Folder)(nil)
