package expression

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// OfJSON is a value as encoding/json decodes it with UseNumber: nil, bool, json.Number, string, []any, map[string]any.
func OfJSON(v any) (Value, error) {
	switch v := v.(type) {
	case nil:
		return Value{}, nil
	case bool:
		return Bool(v), nil
	case string:
		return Str(v), nil
	case json.Number:
		n, ok := NumText(v.String())
		if !ok {
			return Value{}, fmt.Errorf("%.50q is no number", v.String())
		}
		return n, nil
	case []any:
		items := make([]Value, len(v))
		for i := range v {
			var err error
			if items[i], err = OfJSON(v[i]); err != nil {
				return Value{}, err
			}
		}
		return List(items...), nil
	case map[string]any:
		fields := &Fields{}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			item, err := OfJSON(v[name])
			if err != nil {
				return Value{}, err
			}
			fields.Put(name, item)
		}
		return Obj(fields), nil
	}
	return Value{}, fmt.Errorf("a value of Go type %T is no JSON", v)
}
