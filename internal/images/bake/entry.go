package bake

import (
	"encoding/csv"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Entries are values that docker's flags have as KEY=VALUE with commas between: caches, outputs, secrets, attestations. A file has them
// in that form or as objects, of which the form is made.
type Entries []string

// Keys are values of --ssh: ID, or ID=PATH[,PATH]. A file has them in that form or as objects with id and paths.
type Keys []string

// FromCtyValue (buildx's hclparser.FromCtyValueConverter).
func (e *Entries) FromCtyValue(in cty.Value, path cty.Path) (err error) {
	*e, err = readEntries(in, path, join)
	return err
}

// ToCtyValue (buildx's hclparser.ToCtyValueConverter).
func (e Entries) ToCtyValue() cty.Value { return texts(e) }

// FromCtyValue (buildx's hclparser.FromCtyValueConverter).
func (k *Keys) FromCtyValue(in cty.Value, path cty.Path) (err error) {
	*k, err = readEntries(in, path, func(pairs map[string]string) string {
		if pairs["paths"] == "" {
			return pairs["id"]
		}
		return pairs["id"] + "=" + pairs["paths"]
	})
	return err
}

// ToCtyValue (buildx's hclparser.ToCtyValueConverter).
func (k Keys) ToCtyValue() cty.Value { return texts(k) }

func texts(list []string) cty.Value {
	if len(list) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	var out []cty.Value
	for _, s := range list {
		out = append(out, cty.StringVal(s))
	}
	return cty.ListVal(out)
}

// readEntries reads a list of texts and objects, or one object.
func readEntries(in cty.Value, path cty.Path, text func(map[string]string) string) ([]string, error) {
	if in.IsNull() {
		return nil, nil
	}
	if !in.IsWhollyKnown() {
		return nil, path.NewErrorf("a value is not known")
	}
	ty := in.Type()
	if ty.IsObjectType() || ty.IsMapType() {
		in = cty.TupleVal([]cty.Value{in})
	} else if !ty.IsTupleType() && !ty.IsListType() && !ty.IsSetType() {
		return nil, path.NewErrorf("%s", convert.MismatchMessage(ty, cty.List(cty.String)))
	}
	out := []string{}
	for _, v := range in.AsValueSlice() {
		if v.Type() == cty.String && !v.IsNull() {
			out = append(out, v.AsString())
			continue
		}
		pairs, err := attributes(v, path)
		if err != nil {
			return nil, err
		}
		out = append(out, text(pairs))
	}
	return out, nil
}

// attributes reads an object; lists in it are joined by commas.
func attributes(v cty.Value, path cty.Path) (map[string]string, error) {
	if v.IsNull() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		return nil, path.NewErrorf("%s", convert.MismatchMessage(v.Type(), cty.Map(cty.String)))
	}
	out := map[string]string{}
	for key, value := range v.AsValueMap() {
		if value.IsNull() {
			continue
		}
		list := []cty.Value{value}
		if ty := value.Type(); ty.IsTupleType() || ty.IsListType() || ty.IsSetType() {
			list = value.AsValueSlice()
		}
		var parts []string
		for _, one := range list {
			s, err := convert.Convert(one, cty.String)
			if err != nil || s.IsNull() {
				return nil, path.NewErrorf("%s: a string is needed", key)
			}
			parts = append(parts, s.AsString())
		}
		out[key] = strings.Join(parts, ",")
	}
	return out, nil
}

// join is the form of docker's flags, the type first.
func join(pairs map[string]string) string {
	keys := slices.Sorted(maps.Keys(pairs))
	if i := slices.Index(keys, "type"); i > 0 {
		keys = slices.Insert(slices.Delete(keys, i, i+1), 0, "type")
	}
	var fields []string
	for _, k := range keys {
		fields = append(fields, k+"="+pairs[k])
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(fields) // a Builder takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// split reads the form of docker's flags; nil for a text that is not one.
func split(text string) map[string]string {
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for _, f := range fields {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil
		}
		out[strings.ToLower(strings.TrimSpace(key))] = value
	}
	return out
}

// MarshalJSON (json.Marshaler) writes objects, as buildx prints them.
func (e Entries) MarshalJSON() ([]byte, error) {
	out := make([]any, len(e))
	for i, text := range e {
		if pairs := split(text); pairs != nil {
			out[i] = pairs
		} else {
			out[i] = text
		}
	}
	return json.Marshal(out)
}

// MarshalJSON (json.Marshaler) writes objects, as buildx prints them.
func (k Keys) MarshalJSON() ([]byte, error) {
	type key struct {
		ID    string   `json:"id,omitempty"`
		Paths []string `json:"paths,omitempty"`
	}
	out := make([]key, len(k))
	for i, text := range k {
		id, paths, ok := strings.Cut(text, "=")
		out[i].ID = id
		if ok {
			out[i].Paths = strings.Split(paths, ",")
		}
	}
	return json.Marshal(out)
}

// lastOfType keeps the last attestation of each type, in the place of the first.
func lastOfType(list Entries) Entries {
	var out Entries
	at := map[string]int{}
	for _, text := range list {
		kind := split(text)["type"]
		if i, ok := at[kind]; ok && kind != "" {
			out[i] = text
			continue
		}
		at[kind] = len(out)
		out = append(out, text)
	}
	return out
}
