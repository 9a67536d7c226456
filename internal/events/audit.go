package events

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxDetails bounds Details in bytes, maxField a list or a map in it.
const maxDetails, maxField = 240, 120

// Words is what happened, as people say it: "secure file created".
func (e Event) Words() string {
	_, what, _ := strings.Cut(string(e.Kind), ".")
	return strings.ReplaceAll(what, "_", " ")
}

// Area is the domain that the event is of: pipelines.
func (e Event) Area() string {
	area, _, _ := strings.Cut(string(e.Kind), ".")
	return area
}

// Details are the fields of the payload in one line.
func (e Event) Details() string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(e.Payload, &fields) != nil {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := string(fields[name])
		var text string
		if json.Unmarshal(fields[name], &text) == nil {
			value = text
		}
		if len(value) > maxField && (value[0] == '{' || value[0] == '[') {
			continue // what a push brought, as an example
		}
		if value != "" && value != "null" {
			parts = append(parts, fmt.Sprintf("%s: %s", name, value))
		}
	}
	details := strings.Join(parts, ", ")
	if len(details) > maxDetails {
		details = strings.ToValidUTF8(details[:maxDetails], "") + "…"
	}
	return details
}
