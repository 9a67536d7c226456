package languageserver

import (
	"strings"

	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/task"
)

// valueOf is what the language says may stand under a node. ok is false where it says nothing.
func valueOf(n *node) (v schema.Value, ok bool) {
	if n.parent == nil {
		return schema.Value{Maps: []*schema.Object{schema.File}}, true
	}
	if n.item {
		list, ok := valueOf(n.parent)
		if !ok || list.List == nil {
			return v, false
		}
		return *list.List, true
	}
	if n.directive() {
		if n.parent.item && len(n.parent.children) == 1 && n.parent.parent != nil {
			return valueOf(n.parent.parent) // it is spliced into the list
		}
		return valueOf(n.parent)
	}
	around, ok := valueOf(n.parent)
	if !ok {
		return v, false
	}
	if k := keyOf(n.parent, around, n.key); k != nil {
		return k.Value, true
	}
	if around.Names != nil {
		return *around.Names, true
	}
	return v, false
}

// objectOf is the object that the map under a node is, nil if it is none or cannot be told yet.
func objectOf(n *node) *schema.Object {
	v, ok := valueOf(n)
	if !ok {
		return nil
	}
	return pick(n, v)
}

func pick(n *node, v schema.Value) *schema.Object {
	if len(v.Maps) == 1 {
		return v.Maps[0]
	}
	return schema.Pick(v.Maps, n.has)
}

// keyOf is the key of the object under a node.
func keyOf(n *node, v schema.Value, key string) *schema.Key {
	o := pick(n, v)
	if o == nil {
		// The map has no mark yet: the key may be one.
		for _, m := range v.Maps {
			if k := m.Key(key); k != nil {
				return k
			}
		}
		return nil
	}
	return o.Allowed(key, n.has)
}

// taskOf is the task whose inputs stand under a node, nil if it is not `inputs` of a task that is known.
func (s *Server) taskOf(n *node) *task.Definition {
	if n.key != "inputs" || n.parent == nil {
		return nil
	}
	t := n.parent.get("task")
	if t == nil {
		return nil
	}
	d, err := s.Tasks.Find(t.value)
	if err != nil {
		return nil
	}
	return d
}

// ancestor is the nearest node above n, or n, that is an item of the list under a key, such as a stage under stages.
func ancestor(n *node, list string) *node {
	for ; n != nil; n = n.parent {
		if !n.item {
			continue
		}
		for p := n.parent; p != nil; p = p.parent {
			if p.key == list {
				return n
			}
			if !p.directive() && !p.item {
				break
			}
		}
	}
	return nil
}

// embedded is the expression or macro that is open at a byte of a line.
type embedded struct {
	kind string // "${{", "$[", "$(" or "condition"
	text string // from its beginning to the cursor
	rest string // from the cursor to its end, or the line's
}

// embeddedAt finds what is open at a byte of a line; n is the node on whose value the cursor is, or nil.
func embeddedAt(line string, at int, n *node) (e embedded, ok bool) {
	before, after := line[:at], line[at:]
	for _, k := range [...]struct{ open, end string }{{"${{", "}}"}, {"$[", "]"}, {"$(", ")"}} {
		i := strings.LastIndex(before, k.open)
		if i < 0 || k.open != "$[" && strings.Contains(before[i:], k.end) {
			continue
		}
		rest, _, _ := strings.Cut(after, k.end)
		return embedded{k.open, before[i+len(k.open):], rest}, true
	}
	if n != nil && !n.item && n.line >= 0 {
		if v, known := valueOf(n); known && v.Refers == schema.Expression && at >= n.valueAt {
			return embedded{"condition", line[min(n.valueAt, at):at], after}, true
		}
	}
	return e, false
}

// word is the name at a byte of a line, with points in it, and where it begins.
func word(line string, at int) (text string, start int) {
	start = at
	for start > 0 && isWord(line[start-1]) {
		start--
	}
	end := at
	for end < len(line) && isWord(line[end]) {
		end++
	}
	return line[start:end], start
}

func isWord(c byte) bool {
	return c == '_' || c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
