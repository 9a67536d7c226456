package languageserver

import (
	"regexp"
	"strings"
)

// outline is the tree of keys and items of a file in block style, by indentation alone.
type outline struct {
	root *node
	// byLine are the nodes that begin on a line, from the outside in; block is the key whose block text a line belongs to.
	byLine map[int][]*node
	block  map[int]*node
}

// node is a key with what is under it, or an item of a list (without a key).
type node struct {
	key string
	// line, column and end are the place of the key, or of the dash, in bytes from 0.
	line, column, end int
	// value is the text behind the key or dash on the same line, without comment and quotes, at byte valueAt.
	value    string
	valueAt  int
	item     bool
	parent   *node
	children []*node
	// last is the last line that belongs to it.
	last int
}

// keyPattern is a key at the beginning of a text, in its three spellings and as a directive.
var keyPattern = regexp.MustCompile(`^(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|(\$\{\{.*?\}\})|([^\s#"'\[\]{},&*!|>%@-][^#]*?|-[^\s#][^#]*?))\s*:(?:\s|$)`)

func outlineOf(lines []string) *outline {
	o := &outline{root: &node{column: -1, line: -1}, byLine: map[int][]*node{}, block: map[int]*node{}}
	top := o.root
	var text *node // the key or item of an open block text
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		blank := strings.TrimSpace(line) == ""
		if text != nil {
			if blank || indent > text.column {
				o.block[i] = text
				extend(text, i)
				continue
			}
			text = nil
		}
		if blank || strings.HasPrefix(line[indent:], "#") {
			continue
		}
		top = o.read(top, line, i, indent)
		if n := o.byLine[i]; len(n) > 0 {
			if last := n[len(n)-1]; isBlock(last.value) {
				text = last
			}
		}
	}
	return o
}

// read adds the dashes and the key of a line, and gives the innermost node.
func (o *outline) read(top *node, line string, number, at int) *node {
	for {
		rest := line[at:]
		if strings.HasPrefix(rest, "- ") || rest == "-" {
			for top.column > at || top.column == at && top.item {
				top = top.parent
			}
			n := &node{item: true, line: number, column: at, end: at + 1, parent: top, last: number}
			o.add(n)
			top = n
			next := at + 1 + len(rest[1:]) - len(strings.TrimLeft(rest[1:], " "))
			n.value, n.valueAt = scalar(line, next)
			if next >= len(line) {
				return top
			}
			at = next
			continue
		}
		m := keyPattern.FindStringSubmatch(rest)
		if m == nil {
			if top.line != number {
				extend(top, number) // a value of several lines
			}
			return top
		}
		for top.column >= at {
			top = top.parent
		}
		key := m[1] + m[2] + m[3] + m[4]
		n := &node{key: key, line: number, column: at, parent: top, last: number}
		n.end = at + len(strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(m[0]), ":"), " "))
		n.value, n.valueAt = scalar(line, at+len(m[0]))
		o.add(n)
		return n
	}
}

func (o *outline) add(n *node) {
	n.parent.children = append(n.parent.children, n)
	o.byLine[n.line] = append(o.byLine[n.line], n)
	extend(n.parent, n.line)
}

func extend(n *node, line int) {
	for ; n != nil && n.last < line; n = n.parent {
		n.last = line
	}
}

// scalar is the value at a byte of a line, without quotes and comment, and its first byte.
func scalar(line string, at int) (text string, start int) {
	if at > len(line) {
		return "", len(line)
	}
	for at < len(line) && line[at] == ' ' {
		at++
	}
	rest := line[at:]
	if rest == "" || rest[0] == '#' {
		return "", at
	}
	if q := rest[0]; q == '"' || q == '\'' {
		if end := strings.IndexByte(rest[1:], q); end >= 0 {
			return rest[1 : 1+end], at + 1
		}
		return rest[1:], at + 1
	}
	if i := strings.Index(rest, " #"); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimRight(rest, " "), at
}

func isBlock(value string) bool {
	return strings.HasPrefix(value, "|") || strings.HasPrefix(value, ">")
}

// get is the child with a key.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, c := range n.children {
		if c.key == key {
			return c
		}
	}
	return nil
}

func (n *node) has(key string) bool { return n.get(key) != nil }

// directive reports a key such as ${{ if x }}.
func (n *node) directive() bool { return strings.HasPrefix(n.key, "${{") }

// items are the items of a list, those under directives too.
func (n *node) items() []*node {
	if n == nil {
		return nil
	}
	var list []*node
	for _, c := range n.children {
		if !c.item {
			if c.directive() {
				list = append(list, c.items()...)
			}
			continue
		}
		spliced := false
		for _, d := range c.children {
			if d.directive() {
				list = append(list, d.items()...)
				spliced = true
			}
		}
		if !spliced || len(c.children) > 1 {
			list = append(list, c)
		}
	}
	return list
}

// before is the last node that begins before a byte of a line, the root without one.
func (o *outline) before(line, at int) *node {
	for l := line; l >= 0; l-- {
		nodes := o.byLine[l]
		for i := len(nodes) - 1; i >= 0; i-- {
			if l < line || nodes[i].column < at {
				return nodes[i]
			}
		}
	}
	return o.root
}

// around is the node under which a key at a byte of a line stands, or would stand.
func (o *outline) around(line, at int) *node {
	n := o.before(line, at)
	for n.column >= at {
		n = n.parent
	}
	return n
}

// find is the key or item whose key, or value on the same line, holds a byte; onKey says that it is the key. A line of a
// block text belongs to the key above it.
func (o *outline) find(line, at int) (n *node, onKey bool) {
	if text := o.block[line]; text != nil {
		return text, false
	}
	nodes := o.byLine[line]
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		switch {
		case at < n.column:
		case !n.item && at <= n.end:
			return n, true
		case i == len(nodes)-1 && at > n.end:
			return n, false
		}
	}
	return nil, false
}
