package template

import (
	"strings"
	"unicode/utf8"

	"slipway/internal/pipelines/yaml"
)

// settled reports a map or list that is its own expansion, and counts what is in it: it has no expressions, and stands where templates
// mean nothing, as a step and what is below its keys. Most of a file is of that kind.
func (e *expander) settled(n *yaml.Node, w where) bool {
	if n.Kind == yaml.Scalar || w != elsewhere && (w != inSteps || n.Kind != yaml.Map) {
		return false
	}
	nodes, bytes, ok := measure(n)
	if !ok || e.nodes+nodes > MaxNodes || e.bytes+bytes > MaxBytes { // then it is expanded, which says where the limit is met
		return false
	}
	e.nodes += nodes
	e.bytes += bytes
	return true
}

// measure counts the values of a tree and the bytes of their texts. ok is false if there is an expression in it, or a key that is not
// ASCII: such keys may be the same to put while reading took them for different ones.
func measure(n *yaml.Node) (nodes, bytes int, ok bool) {
	if strings.Contains(n.Text, "${{") {
		return 0, 0, false
	}
	nodes, bytes = 1, len(n.Text)
	add := func(value *yaml.Node) bool {
		n, b, ok := measure(value)
		nodes, bytes = nodes+n, bytes+b
		return ok
	}
	for _, item := range n.Items {
		if !add(item) {
			return 0, 0, false
		}
	}
	for _, p := range n.Pairs {
		if strings.Contains(p.Key.Text, "${{") || !isASCII(p.Key.Text) || !add(p.Value) {
			return 0, 0, false
		}
	}
	return nodes, bytes, true
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
