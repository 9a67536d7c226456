// Package substitute puts values of variables into JSON files and into .NET's XML configuration files, as the task
// FileTransform does. What is not replaced stays byte for byte.
//
// It is pure.
package substitute

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const maxDepth = 500 // of values and elements inside of one another

// edit replaces a part of a text.
type edit struct {
	start, end int
	text       string
}

// splice makes the edits. Of edits that overlap, the first counts.
func splice(text string, edits []edit) string {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if e.start < at {
			continue
		}
		b.WriteString(text[at:e.start])
		b.WriteString(e.text)
		at = e.end
	}
	b.WriteString(text[at:])
	return b.String()
}

// node is a part of the variables' names, which are paths with dots.
type node struct {
	value    string
	end      bool // a variable ends here
	children map[string]*node
}

func tree(variables map[string]string) *node {
	root := &node{}
	for name, value := range variables {
		at := root
		for _, part := range strings.Split(name, ".") {
			if at.children == nil {
				at.children = map[string]*node{}
			}
			next := at.children[part]
			if next == nil {
				next = &node{}
				at.children[part] = next
			}
			at = next
		}
		at.end, at.value = true, value
	}
	return root
}

// find follows a key, which may hold dots itself; nil if no variable leads there.
func (n *node) find(key string) *node {
	if n == nil {
		return nil
	}
	for _, part := range strings.Split(key, ".") {
		if n = n.children[part]; n == nil {
			return nil
		}
	}
	return n
}

// jsonReader replaces values while it reads.
type jsonReader struct {
	text  string
	d     *json.Decoder
	depth int
	edits []edit
	names []string
}

// JSON replaces the values whose path of keys, with dots between, is a variable's name; items of lists have their number
// for a key, and upper and lower case differ. The kind of the value that was there decides what the new one becomes, as far
// as it can: a number, true or false, the JSON that it is, or text. It returns the names that were replaced.
//
// Comments may stand in the text.
func JSON(text string, variables map[string]string) (string, []string, error) {
	plain := withoutComments(text)
	r := &jsonReader{text: plain, d: json.NewDecoder(strings.NewReader(plain))}
	r.d.UseNumber()
	if err := r.value(tree(variables), ""); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return "", nil, fmt.Errorf("read JSON: %w", err)
	}
	if _, err := r.d.Token(); !errors.Is(err, io.EOF) {
		return "", nil, errors.New("read JSON: there is more text behind the value")
	}
	return splice(text, r.edits), r.names, nil
}

// value reads one value, and replaces it if a variable ends here.
func (r *jsonReader) value(n *node, name string) error {
	start := int(r.d.InputOffset())
	for start < len(r.text) && strings.IndexByte(" \t\r\n:,", r.text[start]) >= 0 {
		start++
	}
	token, err := r.d.Token()
	if err != nil {
		return err
	}
	inside := n
	if n != nil && n.end {
		inside = nil
	}
	if delim, ok := token.(json.Delim); ok {
		if err := r.inside(delim, inside, name); err != nil {
			return err
		}
	}
	if n != nil && n.end && name != "" {
		r.edits = append(r.edits, edit{start, int(r.d.InputOffset()), like(token, n.value)})
		r.names = append(r.names, name)
	}
	return nil
}

// inside reads an object or a list up to its end.
func (r *jsonReader) inside(delim json.Delim, n *node, name string) error {
	if r.depth++; r.depth > maxDepth {
		return fmt.Errorf("values are nested deeper than %d", maxDepth)
	}
	defer func() { r.depth-- }()
	for i := 0; r.d.More(); i++ {
		key := strconv.Itoa(i)
		if delim == '{' {
			token, err := r.d.Token()
			if err != nil {
				return err
			}
			key, _ = token.(string)
		}
		path := key
		if name != "" {
			path = name + "." + key
		}
		if err := r.value(n.find(key), path); err != nil {
			return err
		}
	}
	_, err := r.d.Token()
	return err
}

// like is a variable's text as JSON, of the kind of the value that it replaces if it can be.
func like(old json.Token, text string) string {
	switch old.(type) {
	case json.Number:
		trimmed := cmp.Or(strings.TrimSpace(text), "0") // no text is the number 0 of JavaScript
		if f, err := strconv.ParseFloat(trimmed, 64); err == nil {
			if json.Valid([]byte(trimmed)) {
				return trimmed
			}
			if number, err := json.Marshal(f); err == nil {
				return string(number)
			}
		}
	case bool:
		if text == "true" || text == "false" {
			return text
		}
	case json.Delim, nil:
		if json.Valid([]byte(text)) {
			return text
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // text can always be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

// withoutComments puts blanks in place of comments, so that everything keeps its place.
func withoutComments(text string) string {
	b := []byte(text)
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if b[i] != '\n' {
				b[i] = ' '
			}
		}
	}
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case strings.HasPrefix(text[i:], "//"):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				end = len(b) - i
			}
			blank(i, i+end)
			i += end
		case strings.HasPrefix(text[i:], "/*"):
			end := strings.Index(text[i+2:], "*/")
			if end < 0 {
				return string(b) // which the reader then refuses
			}
			blank(i, i+end+4)
			i += end + 3
		}
	}
	return string(b)
}
