package pipelines

import (
	"context"
	"slices"
	"strings"

	"slipway/internal/db"
)

// VariableGroupPayload is the payload of a variable group's events. It names variables and never has a value.
type VariableGroupPayload struct {
	Group   int64    `json:"group"`
	Name    string   `json:"name"`
	Set     []string `json:"set,omitempty"` // variables that are new or have another value
	Removed []string `json:"removed,omitempty"`
}

// groupValue is a variable of a group as it is stored: with its text, or sealed if it is a secret.
type groupValue struct {
	name, key, text string
	secret          bool
	sealed          []byte
}

// groupValues are the variables of a group by their names in lower case.
func groupValues(ctx context.Context, q db.Querier, group int64) (map[string]groupValue, error) {
	list, err := db.List(ctx, q, func(row interface{ Scan(...any) error }, v *groupValue) error {
		return row.Scan(&v.name, &v.key, &v.text, &v.secret, &v.sealed)
	}, `SELECT name, name_key, value, secret, sealed FROM variable_group_values WHERE group_id = $1`, group)
	if err != nil {
		return nil, err
	}
	values := make(map[string]groupValue, len(list))
	for _, v := range list {
		values[v.key] = v
	}
	return values, nil
}

// changesOf is what becomes of a group's variables. A secret that is given has changed: whether it is another one is not told.
func changesOf(g *Group, before map[string]groupValue) VariableGroupPayload {
	p := VariableGroupPayload{Group: g.ID, Name: g.Name}
	kept := map[string]bool{}
	for _, v := range g.Variables {
		key := strings.ToLower(v.Name)
		kept[key] = true
		old, there := before[key]
		if !there || old.secret != v.Secret || v.Secret && v.Value != "" || !v.Secret && old.text != v.Value {
			p.Set = append(p.Set, v.Name)
		}
	}
	for key, old := range before {
		if !kept[key] {
			p.Removed = append(p.Removed, old.name)
		}
	}
	slices.Sort(p.Set)
	slices.Sort(p.Removed)
	return p
}
