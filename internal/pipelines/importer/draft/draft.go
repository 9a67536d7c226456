// Package draft is a pipeline file that an importer writes: maps and lists with comments at their places, and notes of what
// could not be carried over.
package draft

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/pipelines/yaml"
)

// Note is something of the source that the pipeline does not have, or does otherwise.
type Note struct {
	At slipway.Position
	// Message says what it is and why; Instead what to do, "" for nothing.
	Message, Instead string
}

// String is the note as one line, without its place.
func (n Note) String() string {
	if n.Instead == "" {
		return n.Message
	}
	return n.Message + ": " + n.Instead
}

// Notes are those of one import.
type Notes struct{ list []Note }

// Add records a note once.
func (n *Notes) Add(at slipway.Position, message, instead string) Note {
	note := Note{at, message, instead}
	if !slices.Contains(n.list, note) {
		n.list = append(n.list, note)
	}
	return note
}

// Sorted are the notes by their places.
func (n *Notes) Sorted() []Note {
	list := slices.Clone(n.list)
	slices.SortStableFunc(list, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.At.File, b.At.File), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	return list
}

// Result is a whole pipeline with what is to be said of it.
type Result struct {
	Root   *Map
	Header []string // lines of comments at the top
	Notes  []Note
	// Steps is how many steps the source has, and Carried how many of them the pipeline has.
	Steps, Carried int
}

// Map is a map that is being written. The zero value is empty.
type Map struct{ node yaml.Node }

// Node is the map as it is now.
func (m *Map) Node() *yaml.Node {
	m.node.Kind = yaml.Map
	return &m.node
}

// Empty reports a map without entries.
func (m *Map) Empty() bool { return len(m.node.Pairs) == 0 }

// Put adds an entry; nil values are left out.
func (m *Map) Put(key string, value *yaml.Node) *Map {
	if value != nil {
		m.node.Pairs = append(m.node.Pairs, yaml.Pair{Key: Scalar(key), Value: value})
	}
	return m
}

// Text adds text that is not empty.
func (m *Map) Text(key, text string) *Map {
	if text == "" {
		return m
	}
	return m.Put(key, Scalar(text))
}

// Word adds a number, a boolean or a word as it stands.
func (m *Map) Word(key, word string) *Map {
	if word == "" {
		return m
	}
	return m.Put(key, yaml.Plain(word, slipway.Position{}))
}

// Comment puts notes before the map.
func (m *Map) Comment(notes ...Note) *Map {
	for _, n := range notes {
		comment := m.node.Comment()
		if comment != "" {
			comment += "\n"
		}
		m.node.SetComment(comment + "import: " + strings.ReplaceAll(n.String(), "\n", " "))
	}
	return m
}

// Scalar is text, written so that it stays text.
func Scalar(text string) *yaml.Node {
	return yaml.Text(tidy(text), slipway.Position{})
}

// tidy takes what keeps text from being a block: tabs at the end of lines, returns.
func tidy(text string) string {
	if !strings.Contains(text, "\n") {
		return text
	}
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := range lines {
		if !strings.HasSuffix(lines[i], `\ `) {
			lines[i] = strings.TrimRight(lines[i], " \t")
		}
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n") + "\n"
}

// List is a list of nodes, nil for none.
func List(items ...*yaml.Node) *yaml.Node {
	if len(items) == 0 {
		return nil
	}
	return &yaml.Node{Kind: yaml.List, Items: items}
}

// Texts is a list of texts, nil for none.
func Texts(texts []string) *yaml.Node {
	items := make([]*yaml.Node, len(texts))
	for i, t := range texts {
		items[i] = Scalar(t)
	}
	return List(items...)
}

// Write is the file's text, with the header's lines as comments before it.
func Write(root *Map, header []string) ([]byte, error) {
	body, err := yaml.Write(root.Node())
	if err != nil {
		return nil, fmt.Errorf("write the pipeline: %w", err)
	}
	var out strings.Builder
	for _, line := range header {
		out.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	out.Write(body)
	return []byte(out.String()), nil
}

// Names gives names that Azure Pipelines takes: letters, digits and underscores, each once.
type Names struct{ taken map[string]bool }

// Take is a free name like the wanted one.
func (n *Names) Take(wanted string) string {
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	name := Identifier(wanted)
	for i := 2; n.taken[strings.ToLower(name)]; i++ {
		name = fmt.Sprintf("%s_%d", Identifier(wanted), i)
	}
	n.taken[strings.ToLower(name)] = true
	return name
}

// Identifier is text with every other character than letters, digits and underscores replaced, never empty.
func Identifier(text string) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, text)
	name = strings.Trim(name, "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return name[:min(len(name), 80)]
}
