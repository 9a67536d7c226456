package yaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"slipway"
)

// Limits on one file.
const (
	MaxBytes = 1 << 20
	MaxDepth = 100
	MaxNodes = 100_000
)

// Read reads the one document of a file. file is the path that positions name. The error is a Problems; the node is nil
// only if there is no tree at all.
func Read(file string, data []byte) (*Node, error) {
	top := slipway.Position{File: file, Line: 1, Column: 1}
	var problems Problems
	if len(data) > MaxBytes {
		problems.Limit(top, "the file has %d bytes, more than the %d allowed", len(data), MaxBytes)
		return nil, problems
	}
	if !utf8.Valid(data) {
		problems.put(encodingProblem(file, data))
		return nil, problems
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	root, second, err := parse(data)
	sure := true
	for n := 1; root == nil && !errors.Is(err, io.EOF); n++ {
		mistake := syntaxProblem(file, data, err)
		problems.put(mistake)
		mended, certain := repair(data, mistake)
		if mended == nil || n == maxRepairs {
			return nil, problems
		}
		data, sure = mended, sure && certain
		root, second, err = parse(data)
	}
	switch {
	case root == nil && len(problems) == 0:
		problems.Add(top, "the file is empty")
		return nil, problems
	case root == nil || !sure:
		return nil, problems
	case second != nil:
		problems.Add(slipway.Position{File: file, Line: max(second.Line, 1), Column: max(second.Column, 1)},
			"the file has a second YAML document: a pipeline file holds one")
	case !errors.Is(err, io.EOF):
		problems.put(syntaxProblem(file, data, err))
	}
	r := reader{file: file, data: data, problems: problems}
	if root.Kind == yaml.DocumentNode {
		if len(root.Content) == 0 {
			r.problems.Add(top, "the file is empty")
			return nil, r.problems
		}
		root = root.Content[0]
	}
	node := r.node(root, 1)
	return node, r.problems.Err()
}

// encodingProblem says what a file is that is not UTF-8, and from where on.
func encodingProblem(file string, data []byte) *slipway.Problem {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return slipway.Invalid("the file is UTF-16 text: save it as UTF-8").At(placeAt(file, data, 0))
	}
	offset := 0
	for offset < len(data) {
		r, size := utf8.DecodeRune(data[offset:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		offset += size
	}
	return slipway.Invalid("the file is not UTF-8 text: save it as UTF-8").At(placeAt(file, data, offset))
}

func newLoader(data []byte) (*yaml.Loader, error) {
	return yaml.NewLoader(bytes.NewReader(data), yaml.WithUniqueKeys(false))
}

// ReadDocuments reads all documents of a file that is no pipeline of Azure's: anchors, aliases and merge keys are resolved and
// tags are kept. The limits are those of Read; what aliases repeat counts each time.
func ReadDocuments(file string, data []byte) ([]*Node, error) {
	var problems Problems
	top := slipway.Position{File: file, Line: 1, Column: 1}
	switch {
	case len(data) > MaxBytes:
		problems.Limit(top, "the file has %d bytes, more than the %d allowed", len(data), MaxBytes)
		return nil, problems
	case !utf8.Valid(data):
		problems.put(encodingProblem(file, data))
		return nil, problems
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	loader, err := newLoader(data)
	if err != nil {
		problems.Add(top, "%v", err)
		return nil, problems
	}
	r := reader{file: file, data: data, full: true}
	var documents []*Node
	for {
		var doc yaml.Node
		err := loader.Load(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.problems.put(syntaxProblem(file, data, err))
			break
		}
		root := &doc
		if root.Kind == yaml.DocumentNode && len(root.Content) > 0 {
			root = root.Content[0]
		}
		documents = append(documents, r.node(root, 1))
	}
	if len(documents) == 0 && len(r.problems) == 0 {
		r.problems.Add(top, "the file is empty")
	}
	return documents, r.problems.Err()
}

type reader struct {
	file     string
	data     []byte
	lines    []string // of data, once a literal block asks for them
	full     bool     // anchors, aliases, merge keys and tags are taken
	count    int
	deep     bool // that it nests too deep is said
	problems Problems
	free     []Node   // made together, which costs less than one by one
	keys     []keySet // by depth: the keys of the map that is read there
}

// new makes a node.
func (r *reader) new(y *yaml.Node) *Node {
	if len(r.free) == 0 {
		r.free = make([]Node, 16)
	}
	n := &r.free[0]
	r.free = r.free[1:]
	n.At = slipway.Position{File: r.file, Line: y.Line, Column: y.Column}
	return n
}

func (r *reader) node(y *yaml.Node, depth int) *Node {
	n := r.new(y)
	r.count++
	if r.count > MaxNodes {
		if r.count == MaxNodes+1 {
			r.problems.Limit(n.At, "the file has more than %d values", MaxNodes)
		}
		return n
	}
	if depth > MaxDepth {
		if !r.deep {
			r.problems.Limit(n.At, "the file nests more than %d levels deep", MaxDepth)
		}
		r.deep = true
		return n
	}
	if r.full {
		if y.Kind == yaml.AliasNode {
			return r.node(y.Alias, depth+1)
		}
		if y.Style&yaml.TaggedStyle != 0 {
			n.rare = &rare{tag: y.Tag}
		}
		return r.content(n, y, depth)
	}
	if y.Anchor != "" {
		r.problems.Unsupported(n.At, "anchor &%s: Azure Pipelines has no anchors; use a template or write the value out", y.Anchor)
	}
	if y.Style&yaml.TaggedStyle != 0 {
		r.problems.Unsupported(n.At, "tag %s: Azure Pipelines has no tags; leave it out", y.Tag)
	}
	return r.content(n, y, depth)
}

func (r *reader) content(n *Node, y *yaml.Node, depth int) *Node {
	switch y.Kind {
	case yaml.AliasNode:
		r.problems.Unsupported(n.At, "alias *%s: Azure Pipelines has no aliases; use a template or write the value out", y.Value)
		n.Plain, n.At = true, Nowhere
	case yaml.SequenceNode:
		n.Kind = List
		n.Items = make([]*Node, 0, len(y.Content))
		for _, c := range y.Content {
			n.Items = append(n.Items, r.node(c, depth+1))
		}
	case yaml.MappingNode:
		n.Kind = Map
		r.pairs(n, y, depth)
	default:
		n.Text = y.Value
		n.Plain = y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
		if y.Style&yaml.LiteralStyle != 0 {
			n.block = int32(r.indent(y.Line) + 1)
		}
	}
	return n
}

func (r *reader) pairs(n *Node, y *yaml.Node, depth int) {
	for len(r.keys) <= depth {
		r.keys = append(r.keys, keySet{})
	}
	r.keys[depth].clear()
	n.Pairs = make([]Pair, 0, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := r.node(y.Content[i], depth+1)
		if key.Kind != Scalar {
			hint := ""
			if key.Kind == Map {
				hint = ": {{ }} is a map in a map, an expression is written ${{ }}"
			}
			r.problems.Add(key.At, "a key must be text, not %s%s", key.Kind, hint)
			n.At = Nowhere // nothing is said of what follows from it
			continue
		}
		if key.Plain && key.Text == "<<" {
			if r.full {
				defer r.merge(n, r.node(y.Content[i+1], depth+1))
				continue
			}
			r.problems.Unsupported(key.At, "merge key <<: Azure Pipelines has no merge keys; write the values out")
			continue
		}
		name := key.Text
		if !r.full {
			name = strings.ToLower(name) // as Azure Pipelines tells keys apart
		}
		first := r.keys[depth].find(name)
		if first != nil && r.full {
			n.Pairs = slices.DeleteFunc(n.Pairs, func(p Pair) bool { return p.Key.Text == key.Text }) // the last one counts
		} else if first != nil && !strings.Contains(key.Text, "${{") {
			r.problems.Add(key.At, "%s", Again(key.Text, first.Text, first.At.Line))
			continue
		}
		r.keys[depth].add(name, key)
		n.Pairs = append(n.Pairs, Pair{key, r.node(y.Content[i+1], depth+1)})
	}
}

// Again is the sentence about a key of a map that is there already, perhaps in other letters.
func Again(key, first string, line int) string {
	if key == first {
		return fmt.Sprintf("key %q stands here a second time, first on line %d", key, line)
	}
	return fmt.Sprintf("key %q stands here a second time, first on line %d as %q: capitals do not make it another key", key, line, first)
}

// merge adds the entries of a merge key's maps that the map does not have itself; the first map that has one wins.
func (r *reader) merge(n, from *Node) {
	maps := from.Items
	if from.Kind == Map {
		maps = []*Node{from}
	}
	for _, m := range maps {
		for _, p := range m.Pairs {
			if n.Get(p.Key.Text) == nil {
				n.Pairs = append(n.Pairs, p)
			}
		}
	}
}

// indent is the indentation of the first line with text after the line, counted from 1, that opens a block.
func (r *reader) indent(line int) int {
	if r.lines == nil {
		r.lines = strings.Split(string(r.data), "\n")
	}
	for _, text := range r.lines[min(line, len(r.lines)):] {
		if trimmed := strings.TrimLeft(text, " "); strings.TrimSpace(trimmed) != "" {
			return len(text) - len(trimmed)
		}
	}
	return 0
}
