package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"slipway"
	"slipway/internal/pipelines/expression"
	"slipway/internal/pipelines/yaml"
)

// valueOf is a tree as a value. Scalars are strings, as in every untyped parameter of the language, null too, and case matters in keys.
func valueOf(n *yaml.Node) expression.Value {
	var v expression.Value
	switch n.Kind {
	case yaml.List:
		items := make([]expression.Value, len(n.Items))
		for i, item := range n.Items {
			items[i] = valueOf(item)
		}
		v = expression.List(items...)
	case yaml.Map:
		f := expression.Fields{Exact: true}
		for _, p := range n.Pairs {
			f.Put(p.Key.Text, valueOf(p.Value))
		}
		v = expression.Obj(&f)
	default:
		switch {
		case n.IsNull():
			v = expression.Str("")
		case n.Plain:
			v = expression.Raw(n.Text)
		default:
			v = expression.Str(n.Text)
		}
	}
	v.Origin = n
	return v
}

// nodeOf is a value as a tree. What came from a tree keeps its place; everything else gets the place of the expression.
func nodeOf(v expression.Value, at slipway.Position) *yaml.Node {
	if origin, ok := v.Origin.(*yaml.Node); ok && origin.Kind != yaml.Scalar {
		return origin
	}
	switch v.Kind() {
	case expression.Array:
		n := &yaml.Node{Kind: yaml.List, At: at}
		for _, item := range v.Items() {
			n.Items = append(n.Items, nodeOf(item, placeOr(item, at)))
		}
		return n
	case expression.Object:
		n := &yaml.Node{Kind: yaml.Map, At: at}
		for i := range v.Fields().Len() {
			name, field := v.Fields().At(i)
			n.Pairs = append(n.Pairs, yaml.Pair{Key: yaml.Text(name, at), Value: nodeOf(field, placeOr(field, at))})
		}
		return n
	case expression.Null:
		return yaml.Plain("", at)
	}
	if origin, ok := v.Origin.(*yaml.Node); ok && origin.Plain {
		return yaml.Plain(v.String(), at)
	}
	return yaml.Text(v.String(), at)
}

// NodeOf is a value as JSON gives it (string, bool, float64, nil, []any, map[string]any) as a tree at a place.
func NodeOf(v any, at slipway.Position) (*yaml.Node, error) {
	switch v := v.(type) {
	case nil:
		return yaml.Plain("", at), nil
	case string:
		return yaml.Text(v, at), nil
	case bool:
		return yaml.Plain(strconv.FormatBool(v), at), nil
	case int:
		return yaml.Plain(strconv.Itoa(v), at), nil
	case int64:
		return yaml.Plain(strconv.FormatInt(v, 10), at), nil
	case float64:
		return yaml.Plain(strconv.FormatFloat(v, 'f', -1, 64), at), nil
	case json.Number:
		return yaml.Plain(v.String(), at), nil
	case []string:
		n := &yaml.Node{Kind: yaml.List, At: at}
		for _, item := range v {
			n.Items = append(n.Items, yaml.Text(item, at))
		}
		return n, nil
	case []any:
		n := &yaml.Node{Kind: yaml.List, At: at}
		for _, item := range v {
			child, err := NodeOf(item, at)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, child)
		}
		return n, nil
	case map[string]any:
		n := &yaml.Node{Kind: yaml.Map, At: at}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			child, err := NodeOf(v[key], at)
			if err != nil {
				return nil, err
			}
			n.Pairs = append(n.Pairs, yaml.Pair{Key: yaml.Text(key, at), Value: child})
		}
		return n, nil
	}
	return nil, fmt.Errorf("a value of Go type %T is no parameter", v)
}
