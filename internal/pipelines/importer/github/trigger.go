package github

import (
	"maps"
	"slices"
	"strings"

	"slipway/internal/pipelines/importer/draft"
	"slipway/internal/pipelines/yaml"
)

// triggers reads `on`, which YAML 1.1 took for a boolean and this reader does not.
func (w *workflow) triggers(out *draft.Map) {
	on := w.root.Get("on")
	if on == nil {
		on = w.root.Get("true")
	}
	events := map[string]*yaml.Node{}
	switch {
	case on == nil:
	case on.Kind == yaml.Scalar:
		events[on.Text] = &yaml.Node{At: on.At, Plain: true}
	case on.Kind == yaml.List:
		for _, item := range on.Items {
			events[item.Text] = &yaml.Node{At: item.At, Plain: true}
		}
	default:
		for _, p := range on.Pairs {
			value := p.Value
			if value.IsNull() {
				value = &yaml.Node{At: p.Key.At, Plain: true}
			}
			events[p.Key.Text] = value
		}
	}
	var batch draft.Map
	w.waits(&batch, events["push"], events)
	w.push(out, events["push"], events["release"], batch.Node())
	w.pullRequest(out, events)
	w.schedules(out, events["schedule"])
	asked := true
	for name := range events {
		asked = asked && (name == "workflow_dispatch" || name == "workflow_call")
	}
	w.inputs(events["workflow_dispatch"], asked)
	w.inputs(events["workflow_call"], asked)
	for _, name := range slices.Sorted(maps.Keys(events)) {
		n := events[name]
		switch name {
		case "push", "pull_request", "pull_request_target", "schedule", "workflow_dispatch", "workflow_call", "release":
		case "workflow_run":
			w.header = append(w.header, w.note(n.At, "workflow_run starts no run", "declare the other pipeline under resources.pipelines, with a trigger"))
		default:
			w.header = append(w.header, w.note(n.At, "the event "+name+" starts no run: pushes, pull requests, schedules, other pipelines and people do", ""))
		}
	}
}

func (w *workflow) push(out *draft.Map, push, release, batch *yaml.Node) {
	if push == nil && release == nil {
		out.Text("trigger", "none")
		return
	}
	var trigger draft.Map
	if push == nil {
		w.header = append(w.header, w.note(release.At, "a release is taken as the push of a tag", ""))
		trigger.Put("branches", (&draft.Map{}).Put("exclude", draft.Texts([]string{"*"})).Node())
		trigger.Put("tags", (&draft.Map{}).Put("include", draft.Texts([]string{"*"})).Node())
		out.Put("trigger", trigger.Node())
		return
	}
	branches, tags := w.filter(push, "branches"), w.filter(push, "tags")
	switch {
	case branches == nil && tags == nil:
		all := (&draft.Map{}).Put("include", draft.Texts([]string{"*"})).Node()
		branches, tags = all, all
	case branches == nil:
		branches = (&draft.Map{}).Put("exclude", draft.Texts([]string{"*"})).Node()
	}
	trigger.Put("batch", batch.Get("batch")).Put("branches", branches).Put("tags", tags).Put("paths", w.filter(push, "paths"))
	out.Put("trigger", trigger.Node())
}

// filter reads NAME and NAME-ignore; nil without both.
func (w *workflow) filter(event *yaml.Node, name string) *yaml.Node {
	var include, exclude []string
	given := false
	for _, key := range []string{name, name + "-ignore"} {
		n := event.Get(key)
		if n == nil {
			continue
		}
		given = true
		for _, item := range items(n) {
			pattern, not := strings.CutPrefix(item.Text, "!")
			if not || key != name {
				exclude = append(exclude, w.pattern(item, pattern, name))
			} else {
				include = append(include, w.pattern(item, pattern, name))
			}
		}
	}
	if !given {
		return nil
	}
	if len(include) == 0 {
		include = []string{"*"}
	}
	return (&draft.Map{}).Put("include", draft.Texts(include)).Put("exclude", draft.Texts(exclude)).Node()
}

// pattern is a filter's pattern as Azure Pipelines writes it: * takes slashes in names of branches there, and a path without a star is a folder too.
func (w *workflow) pattern(n *yaml.Node, pattern, kind string) string {
	if strings.ContainsAny(pattern, "[]+") {
		w.header = append(w.header, w.note(n.At, "the pattern "+pattern+" has sets or repetitions, which filters do not: * stands for them", "write what is meant"))
		var b strings.Builder
		inside := false
		for _, r := range pattern {
			switch {
			case r == '[':
				inside = true
				b.WriteByte('*')
			case r == ']':
				inside = false
			case inside || r == '+':
			default:
				b.WriteRune(r)
			}
		}
		pattern = b.String()
	}
	if kind == "paths" {
		return strings.TrimSuffix(strings.TrimPrefix(pattern, "./"), "/**")
	}
	for strings.Contains(pattern, "**") {
		pattern = strings.ReplaceAll(pattern, "**", "*")
	}
	return pattern
}

func (w *workflow) pullRequest(out *draft.Map, events map[string]*yaml.Node) {
	pr := events["pull_request"]
	if pr == nil {
		pr = events["pull_request_target"]
	}
	if pr == nil {
		out.Text("pr", "none")
		return
	}
	if types := pr.Get("types"); types != nil {
		starts := false
		for _, item := range append(types.Items, types) {
			switch item.Text {
			case "":
			case "opened", "synchronize", "reopened", "ready_for_review":
				starts = true
			default:
				w.header = append(w.header, w.note(item.At, "the activity "+item.Text+" of pull requests starts no run: opening one and pushes to it do", ""))
			}
		}
		if !starts {
			out.Text("pr", "none")
			return
		}
	}
	branches := w.filter(pr, "branches")
	if branches == nil {
		branches = (&draft.Map{}).Put("include", draft.Texts([]string{"*"})).Node()
	}
	out.Put("pr", (&draft.Map{}).Put("branches", branches).Put("paths", w.filter(pr, "paths")).Node())
}

func (w *workflow) schedules(out *draft.Map, n *yaml.Node) {
	if n == nil {
		return
	}
	var list []*yaml.Node
	for _, item := range n.Items {
		cron := item.Get("cron")
		if cron != nil && len(strings.Fields(cron.Text)) != 5 {
			w.header = append(w.header, w.note(cron.At, "the schedule "+cron.Text+" is left out: it needs five fields", "write minute, hour, day, month and weekday"))
			continue
		}
		if cron != nil {
			entry := (&draft.Map{}).Text("cron", cron.Text).Text("displayName", cron.Text)
			entry.Put("branches", (&draft.Map{}).Put("include", draft.Texts([]string{"main"})).Node()).Word("always", "true")
			list = append(list, entry.Node())
			w.note(cron.At, "the schedule is of the branch main", "write the name of the default branch if it is another")
		}
	}
	out.Put("schedules", draft.List(list...))
}

// inputs makes parameters. Each has a default, since runs that a push starts give none; if all runs are asked for, text that GitHub requires
// has none.
func (w *workflow) inputs(event *yaml.Node, asked bool) {
	list := event.Get("inputs")
	if list == nil {
		return
	}
	for _, p := range list.Pairs {
		low := strings.ToLower(p.Key.Text)
		if _, ok := w.parameters[low]; ok {
			continue
		}
		kind := "string"
		if t := p.Value.Get("type"); t != nil && (t.Text == "boolean" || t.Text == "number") {
			kind = t.Text
		}
		w.parameters[low] = parameter{draft.Identifier(p.Key.Text), kind == "boolean"}
		entry := (&draft.Map{}).Text("name", draft.Identifier(p.Key.Text))
		if d := p.Value.Get("description"); d != nil {
			entry.Text("displayName", strings.TrimSpace(strings.ReplaceAll(d.Text, "\n", " ")))
		}
		entry.Text("type", kind)
		value := ""
		if d := p.Value.Get("default"); d != nil && d.Kind == yaml.Scalar && !strings.Contains(d.Text, "${{") {
			value = d.Text
		}
		var options []string
		if o := p.Value.Get("options"); o != nil {
			for _, item := range o.Items {
				options = append(options, item.Text)
			}
		}
		switch {
		case kind == "boolean":
			entry.Word("default", map[bool]string{true: "true", false: "false"}[value == "true"])
		case kind == "number":
			if value == "" {
				value = "0"
			}
			entry.Word("default", value)
		case len(options) > 0:
			if value == "" {
				value = options[0]
			} else if !slices.Contains(options, value) { // a run that nobody starts by hand takes it all the same
				options = append([]string{value}, options...)
			}
			entry.Put("default", draft.Scalar(value)).Put("values", draft.Texts(options))
		case value == "" && asked && p.Value.Get("required") != nil && p.Value.Get("required").Text == "true":
		default:
			entry.Put("default", draft.Scalar(value))
		}
		w.parameterList = append(w.parameterList, entry.Node())
	}
}
