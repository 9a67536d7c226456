package substitute

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// element is one element with its places in the text.
type element struct {
	name       string
	attrs      []xml.Attr
	start, end int // of the start tag
	close      int // where the end tag begins
	children   []*element
	pieces     int // children of every kind, texts and comments too
}

// configuration replaces values in .NET's configuration files.
type configuration struct {
	text      string
	root      *element // holds the document's elements
	variables map[string]string
	done      map[*element]bool // attributes are replaced once, though sections may be named twice
	edits     []edit
	names     []string
}

// XML replaces values in the sections appSettings, applicationSettings and connectionStrings of a configuration file, and
// in those that configSections names: attributes of a variable's name, the value beside a key or name that is one, and
// connection strings by their name. A double quote in a value becomes a single one; nothing else is escaped. It returns
// the names that were replaced.
func XML(text string, variables map[string]string) (string, []string, error) {
	root, err := parse(text)
	if err != nil {
		return "", nil, fmt.Errorf("read XML: %w", err)
	}
	c := &configuration{text: text, root: root, variables: variables, done: map[*element]bool{}}
	for _, name := range []string{"applicationSettings", "appSettings"} {
		for _, e := range root.all(name) {
			c.settings(e)
		}
	}
	for _, e := range root.all("connectionStrings") {
		c.connections(e)
	}
	for _, sections := range root.all("configSections") {
		for _, section := range sections.children {
			if named := root.all(section.attribute("name")); section.name == "section" && len(named) > 0 {
				c.settings(named[0])
			}
		}
	}
	return splice(text, c.edits), c.names, nil
}

// parse reads the elements of a text that is UTF-8, whatever it says of its encoding.
func parse(text string) (*element, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	root := &element{}
	open := []*element{root}
	for {
		start := int(d.InputOffset())
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		in := open[len(open)-1]
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local, attrs: t.Copy().Attr, start: start, end: int(d.InputOffset())}
			in.children = append(in.children, e)
			in.pieces++
			if open = append(open, e); len(open) > maxDepth {
				return nil, fmt.Errorf("elements are nested deeper than %d", maxDepth)
			}
		case xml.EndElement:
			in.close = start
			open = open[:len(open)-1]
		default:
			in.pieces++
		}
	}
}

// all are the elements of a name below, in order.
func (e *element) all(name string) []*element {
	var list []*element
	for _, child := range e.children {
		if child.name == name {
			list = append(list, child)
		}
		list = append(list, child.all(name)...)
	}
	return list
}

func (e *element) attribute(name string) string {
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// settings replaces values in a section.
func (c *configuration) settings(e *element) {
	if c.done[e] {
		return
	}
	c.done[e] = true
	replaced := map[string]bool{}
	for _, a := range e.attrs {
		variable, attribute := a.Name.Local, a.Name.Local
		if attribute == "key" || attribute == "name" {
			variable, attribute = a.Value, "value"
		}
		if value, ok := c.variables[variable]; ok && !replaced[attribute] {
			replaced[attribute] = c.set(e, attribute, variable, value)
		}
	}
	for _, child := range e.children {
		c.settings(child)
	}
}

// set replaces an attribute, or else the text of the only child of that name.
func (c *configuration) set(e *element, attribute, variable, value string) bool {
	if c.setAttribute(e, attribute, variable, value) {
		return true
	}
	for _, child := range e.children {
		if child.name == attribute && child.pieces == 1 && len(child.children) == 0 {
			c.edits = append(c.edits, edit{child.end, child.close, quoted(value)})
			c.names = append(c.names, variable)
			return true
		}
	}
	return false
}

func (c *configuration) setAttribute(e *element, attribute, variable, value string) bool {
	tag := c.text[e.start:e.end]
	at := regexp.MustCompile(`\s` + regexp.QuoteMeta(attribute) + `\s*=\s*("[^"]*"|'[^']*')`).FindStringSubmatchIndex(tag)
	if at == nil {
		return false
	}
	c.edits = append(c.edits, edit{e.start + at[2], e.start + at[3], `"` + quoted(value) + `"`})
	c.names = append(c.names, variable)
	return true
}

func quoted(value string) string { return strings.ReplaceAll(value, `"`, "'") }

// connections replaces connection strings by their name, or all of them by the variable connectionString.
func (c *configuration) connections(e *element) {
	if e.attribute("connectionString") != "" {
		name := e.attribute("name")
		value := c.variables[name]
		if name == "" || value == "" {
			name = "connectionString"
			value = c.variables[name]
		}
		if value != "" {
			c.setAttribute(e, "connectionString", name, value)
		}
	}
	for _, child := range e.children {
		c.connections(child)
	}
}
