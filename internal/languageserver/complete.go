package languageserver

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/task"
)

// completer collects what may stand at a place.
type completer struct {
	s    *Server
	d    *document
	line int
	at   int
	// start and end are the bytes of the line that a choice replaces.
	start, end int
	items      []completionItem
}

func (s *Server) complete(d *document, line, at int) completionList {
	c := &completer{s: s, d: d, line: line, at: at, items: []completionItem{}}
	c.collect()
	return completionList{Items: c.items}
}

// add offers a choice whose text is put in place of what is typed already.
func (c *completer) add(label, text string, kind int, detail, doc string) {
	if slices.ContainsFunc(c.items, func(i completionItem) bool { return i.Label == label }) {
		return
	}
	item := completionItem{Label: label, Kind: kind, Detail: detail, FilterText: text, SortText: fmt.Sprintf("%04d", len(c.items)),
		TextEdit: &textEdit{c.d.span(c.line, c.start, c.end), text}}
	if doc != "" {
		m := markdown(doc)
		item.Documentation = &m
	}
	c.items = append(c.items, item)
}

// token sets what is replaced: the characters around the cursor up to one of the stops.
func (c *completer) token(stops string) {
	line := c.d.line(c.line)
	c.start, c.end = c.at, c.at
	for c.start > 0 && !strings.ContainsRune(stops, rune(line[c.start-1])) {
		c.start--
	}
	for c.end < len(line) && !strings.ContainsRune(stops, rune(line[c.end])) {
		c.end++
	}
}

func (c *completer) collect() {
	text := c.d.line(c.line)
	indent := len(text) - len(strings.TrimLeft(text, " "))
	if strings.HasPrefix(text[indent:], "#") {
		return
	}
	n, onKey := c.d.outline.find(c.line, c.at)
	if e, ok := embeddedAt(text, c.at, n); ok {
		c.embedded(e, n)
		return
	}
	switch {
	case c.d.outline.block[c.line] != nil:
	case n == nil:
		column := min(indent, c.at)
		if strings.TrimSpace(text) == "" {
			column = c.at
		}
		c.token(" \t")
		c.keys(c.d.outline.around(c.line, column))
	case onKey:
		c.start, c.end = n.column, n.end
		c.keys(n.parent)
	case n.item:
		c.token(" \t")
		v, ok := valueOf(n)
		if ok && len(v.Maps) > 0 {
			c.keys(n)
		} else if ok {
			c.values(n, v)
		}
	default:
		c.token(" \t,[]'\"")
		c.start = max(c.start, n.end+1)
		if v, ok := valueOf(n); ok {
			c.values(n, v)
		}
	}
}

// keys offers the keys that may stand in the map under a node.
func (c *completer) keys(n *node) {
	v, ok := valueOf(n)
	if !ok {
		return
	}
	switch v.Refers {
	case schema.Inputs:
		if d := c.s.taskOf(n); d != nil {
			c.inputs(n, d)
		}
		return
	case schema.Arguments:
		c.arguments(n)
		return
	}
	o := pick(n, v)
	if o != nil && o.Mark == "" && len(v.Maps) > 1 && len(n.children) <= 1 || o == nil {
		for _, m := range v.Maps { // it is not said yet what the map is
			if m.Mark != "" {
				c.key(n, m.Key(m.Mark), "")
			}
		}
	}
	if o != nil {
		for i := range o.Keys {
			c.key(n, &o.Keys[i], "")
		}
	}
	if len(v.Maps) == 0 && v.List != nil && !n.item {
		for _, m := range v.List.Maps {
			if m.Mark != "" {
				c.key(n, m.Key(m.Mark), "- ")
			} else {
				for i := range m.Keys[:min(len(m.Keys), 3)] {
					c.key(n, &m.Keys[i], "- ")
				}
			}
		}
	}
}

func (c *completer) key(n *node, k *schema.Key, dash string) {
	text := c.d.line(c.line)
	here := c.start < len(text) && strings.HasPrefix(text[c.start:], k.Name)
	if n.has(k.Name) && !here && dash == "" || k.With != "" && !n.has(k.With) {
		return
	}
	insert := dash + k.Name
	if !strings.HasPrefix(strings.TrimLeft(text[min(c.end, len(text)):], " "), ":") {
		insert += ":"
		if k.Value.Text || k.Value.Boolean || k.Value.Integer || len(k.Value.Options) > 0 {
			insert += " "
		}
	}
	c.add(dash+k.Name, insert, kindProperty, "", k.Doc)
}

func (c *completer) inputs(n *node, d *task.Definition) {
	for i := range d.Inputs {
		in := &d.Inputs[i]
		if _, never := in.Unsupported[""]; never || n.has(in.Name) {
			continue
		}
		c.add(in.Name, in.Name+": ", kindProperty, inputDetail(d, in), inputDoc(in))
	}
}

func inputDetail(d *task.Definition, in *task.Input) string {
	switch {
	case in.NeededFor != "":
		return fmt.Sprintf("needed when %s is %s", in.NeededFor, strings.Join(in.NeededForValues, " or "))
	case in.Required:
		return "needed"
	}
	return "input of " + d.String()
}

func inputDoc(in *task.Input) string {
	doc := in.Doc
	if len(in.Options) > 0 {
		doc += "\n\nOne of " + strings.Join(in.Options, ", ") + "."
	}
	if in.Default != "" {
		doc += "\n\nDefault: `" + in.Default + "`"
	}
	if len(in.Aliases) > 0 {
		doc += "\n\nAlso called " + strings.Join(in.Aliases, ", ") + "."
	}
	return doc
}

// arguments offers the parameters of the template beside `parameters`.
func (c *completer) arguments(n *node) {
	t := n.parent.get("template")
	if t == nil {
		return
	}
	if other := c.s.included(c.d, t.value); other != nil {
		for _, p := range other.outline.parameters() {
			if !n.has(p.name) {
				c.add(p.name, p.name+": ", kindProperty, p.detail, "")
			}
		}
	}
}

// values offers what may stand behind a key or dash.
func (c *completer) values(n *node, v schema.Value) {
	if n.parent.parent != nil && n.parent.key == "inputs" {
		if d := c.s.taskOf(n.parent); d != nil {
			if in := d.Input(n.key); in != nil {
				c.inputValues(in)
			}
		}
		return
	}
	for _, w := range v.Options {
		c.add(w, w, kindValue, "", "")
	}
	if v.Boolean {
		c.add("true", "true", kindValue, "", "")
		c.add("false", "false", kindValue, "", "")
	}
	if n.key == "vmImage" {
		c.add("ubuntu-latest", "ubuntu-latest", kindValue, "", "")
	}
	c.references(n, v.Refers)
}

func (c *completer) inputValues(in *task.Input) {
	words := in.Options
	if in.Boolean {
		words = []string{"true", "false"}
	}
	for _, w := range words {
		if !in.Refuses(w) {
			c.add(w, w, kindValue, "", "")
		}
	}
}

func (c *completer) references(n *node, r schema.Reference) {
	o := c.d.outline
	switch r {
	case schema.Stage:
		c.declarations(without(o.stages(), ancestor(n, "stages")), kindModule)
	case schema.Job:
		c.declarations(without(o.jobsAround(n), ancestor(n, "jobs")), kindModule)
	case schema.Task:
		list := slices.Clone(c.s.Tasks.Definitions())
		slices.SortStableFunc(list, func(a, b *task.Definition) int { // the newest version of each first
			return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), b.Major-a.Major)
		})
		for _, d := range list {
			c.add(d.String(), d.String(), kindFunction, "", d.Doc)
		}
	case schema.Repository:
		c.add("self", "self", kindValue, "", "This repository.")
		c.add("none", "none", kindValue, "", "No files.")
		c.declarations(o.resources("repositories", "repository", "name"), kindModule)
		if n.key == "checkout" {
			c.add("git://PROJECT/REPOSITORY", "git://", kindValue, "", "Another repository of this server, of its default branch or, with @REF behind it, of a branch, refs/tags/TAG or a commit.")
		}
	case schema.Container:
		c.declarations(o.resources("containers", "container", "image"), kindModule)
	case schema.Pipeline:
		c.add("current", "current", kindValue, "", "Artifacts of this run.")
		c.add("none", "none", kindValue, "", "No artifacts.")
		c.declarations(o.resources("pipelines", "pipeline", "source"), kindModule)
	case schema.Package:
		c.declarations(o.resources("packages", "package", "name"), kindModule)
	case schema.Template:
		c.templates()
	}
}

// without leaves out what an item itself declares.
func without(list []declaration, item *node) []declaration {
	return slices.DeleteFunc(list, func(d declaration) bool { return item != nil && d.at.parent == item })
}

func (c *completer) declarations(list []declaration, kind int) {
	for _, d := range list {
		c.add(d.name, d.name, kind, d.detail, "")
	}
}

// templates offers the repository's YAML files, as paths from this file or, if they lie elsewhere, from the root.
func (c *completer) templates() {
	o, from, ok := c.s.overlay(c.d.uri, c.s.snapshot())
	if !ok {
		return
	}
	for _, file := range o.templates() {
		if file == from {
			continue
		}
		name := "/" + file
		if relative, err := filepath.Rel(path.Dir(from), file); err == nil && !strings.HasPrefix(relative, "..") {
			name = filepath.ToSlash(relative)
		}
		c.add(name, name, kindFile, "", "")
	}
}
