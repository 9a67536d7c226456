// Package yaml reads pipeline files into trees of nodes that know their place, within limits, and writes them back.
//
// It knows YAML and nothing of pipelines, but for two habits of Azure Pipelines: anchors and aliases are refused, and
// keys that hold `${{ }}` may stand more than once in a map.
package yaml

import (
	"strings"

	"slipway"
)

// Kind is the shape of a node.
type Kind uint8

// The kinds.
const (
	Scalar Kind = iota
	Map
	List
)

// String is the kind as messages say it.
func (k Kind) String() string {
	switch k {
	case Map:
		return "a map"
	case List:
		return "a list"
	}
	return "text"
}

// Node is a scalar, a map or a list. Nodes are shared after reading and never changed.
type Node struct {
	Kind Kind
	// Plain says that a scalar has no quotes and is no block: it may be null, a boolean or a number.
	Plain bool
	// block is the indentation of a literal block's text plus one; 0 for other scalars.
	block int32
	// Text of a scalar, without quotes.
	Text  string
	Items []*Node
	Pairs []Pair
	At    slipway.Position
	// rare is what few nodes have, nil for the others: a file has many nodes, and each is so much smaller.
	rare *rare
}

type rare struct{ tag, comment string }

// Tag is one that the file writes, such as !reference, "" without one; ReadDocuments alone keeps them.
func (n *Node) Tag() string {
	if n.rare == nil {
		return ""
	}
	return n.rare.tag
}

// Comment is what Write puts before the node, one # a line; of an entry of a map, its key has it. Reading leaves it empty.
func (n *Node) Comment() string {
	if n.rare == nil {
		return ""
	}
	return n.rare.comment
}

// SetComment changes the comment of a node that is being made.
func (n *Node) SetComment(comment string) { n.rare = &rare{tag: n.Tag(), comment: comment} }

// Pair is one entry of a map, in the order of the file.
type Pair struct {
	Key   *Node
	Value *Node
}

// Text makes a quoted scalar, which is always a string.
func Text(text string, at slipway.Position) *Node { return &Node{Text: text, At: at} }

// Plain makes a plain scalar.
func Plain(text string, at slipway.Position) *Node { return &Node{Text: text, Plain: true, At: at} }

// Get is the value of a key, nil without one. It is safe on nil and on nodes that are no map.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for _, p := range n.Pairs {
		if p.Key.Text == key {
			return p.Value
		}
	}
	return nil
}

// IsNull reports a plain scalar that YAML reads as null, and a nil node.
func (n *Node) IsNull() bool {
	if n == nil {
		return true
	}
	if n.Kind != Scalar || !n.Plain {
		return false
	}
	switch n.Text {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// Locate is the place of the byte at offset in the scalar's text. It is exact for literal blocks and for text on one
// line without escapes; otherwise it is the place of the node.
func (n *Node) Locate(offset int) slipway.Position {
	at := n.At
	if at == Nowhere {
		return at
	}
	if offset > len(n.Text) {
		offset = len(n.Text)
	}
	before := n.Text[:offset]
	switch {
	case n.block > 0:
		lines := strings.Count(before, "\n")
		last := before[strings.LastIndexByte(before, '\n')+1:]
		at.Line += 1 + lines
		at.Column = int(n.block) + len([]rune(last))
	case strings.Contains(n.Text, "\n"):
	case n.Plain:
		at.Column += len([]rune(before))
	default:
		at.Column += 1 + len([]rune(before))
	}
	return at
}

// Bool reads a boolean at a place of the schema: true, y, yes and on, false, n, no and off, in any case.
func Bool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "true", "y", "yes", "on":
		return true, true
	case "false", "n", "no", "off":
		return false, true
	}
	return false, false
}
