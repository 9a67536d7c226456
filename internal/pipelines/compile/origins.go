package compile

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"slipway"
	"slipway/internal/pipelines/yaml"
)

// ExpandWithOrigins is Expand whose lines end in comments with the file and line that they come from. It is YAML too.
func ExpandWithOrigins(in Input) ([]byte, error) {
	out, err := expand(in, false)
	if err != nil {
		return nil, err
	}
	text, err := yaml.Write(out.Root)
	if err != nil {
		return nil, fmt.Errorf("expand %s: %w", in.Path, err)
	}
	written, err := yaml.Read(in.Path, text)
	if err != nil {
		return nil, fmt.Errorf("expand %s: %w", in.Path, err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	origins := make([]origin, len(lines))
	trace(out.Root, written, origins)
	return annotate(lines, origins), nil
}

// origin is where the first thing on a line was written, and its value if that stands elsewhere.
type origin struct{ key, value slipway.Position }

// trace walks the expanded tree beside the one that was read from its text, whose lines are those of the text.
func trace(expanded, written *yaml.Node, origins []origin) {
	note := func(line int, key, value slipway.Position) {
		if o := &origins[line-1]; o.key.Line == 0 {
			*o = origin{key, value}
		}
	}
	for i, item := range expanded.Items {
		if i >= len(written.Items) {
			return
		}
		if item.Kind == yaml.Scalar || len(item.Items)+len(item.Pairs) == 0 {
			note(written.Items[i].At.Line, item.At, item.At)
		}
		trace(item, written.Items[i], origins)
	}
	for i, p := range expanded.Pairs {
		if i >= len(written.Pairs) {
			return
		}
		value := p.Key.At
		if p.Value.Kind == yaml.Scalar {
			value = p.Value.At
		}
		note(written.Pairs[i].Key.At.Line, p.Key.At, value)
		trace(p.Value, written.Pairs[i].Value, origins)
	}
}

// originColumn is where the comments stand, unless a line is longer.
const originColumn = 60

func annotate(lines []string, origins []origin) []byte {
	var b strings.Builder
	for i, line := range lines {
		o := origins[i]
		if o.key.Line == 0 {
			b.WriteString(line)
			continue
		}
		text := strings.TrimSuffix(line, "\n")
		b.WriteString(text)
		b.WriteString(strings.Repeat(" ", max(2, originColumn-utf8.RuneCountInString(text))))
		fmt.Fprintf(&b, "# %s:%d", o.key.File, o.key.Line)
		// A value from elsewhere is a parameter's; a block's text begins on the line below its key.
		if o.value.File != o.key.File || o.value.Line != o.key.Line && o.value.Line != o.key.Line+1 {
			fmt.Fprintf(&b, ", value %s:%d", o.value.File, o.value.Line)
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
