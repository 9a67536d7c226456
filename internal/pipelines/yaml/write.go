package yaml

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Write is the tree as YAML text: blocks for text of several lines, quotes only where plain text would change.
func Write(n *Node) ([]byte, error) {
	if n.IsNull() {
		return []byte("null\n"), nil // nothing at all would be no document
	}
	var out bytes.Buffer
	dumper, err := yaml.NewDumper(&out, yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	if err := dumper.Dump(toLibrary(n)); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	if err := dumper.Close(); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), nil
}

func toLibrary(n *Node) *yaml.Node {
	y := withoutComment(n)
	if comment := n.Comment(); comment != "" {
		y.HeadComment = "# " + strings.ReplaceAll(comment, "\n", "\n# ")
	}
	return y
}

func withoutComment(n *Node) *yaml.Node {
	switch n.Kind {
	case Map:
		y := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, p := range n.Pairs {
			y.Content = append(y.Content, toLibrary(p.Key), toLibrary(p.Value))
		}
		return y
	case List:
		y := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range n.Items {
			y.Content = append(y.Content, toLibrary(item))
		}
		return y
	}
	y := &yaml.Node{Kind: yaml.ScalarNode, Value: n.Text}
	switch {
	case n.Plain:
		// The tag stays empty: the reader decides again what a plain scalar is.
	case strings.Contains(n.Text, "\n"):
		y.Tag, y.Style = "!!str", yaml.LiteralStyle
	default:
		y.Tag = "!!str"
	}
	return y
}
