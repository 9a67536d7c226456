package trigger

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"slipway/internal/pipelines/plan"
)

// ImageRepository is the name of an image's repository in the registry with that host, without tag and digest. own is false for an
// image of another registry, and for one whose name is known only when a job starts.
func ImageRepository(image, registry string) (name string, own bool) {
	if strings.Contains(image, "$") {
		return "", false
	}
	name, _, _ = strings.Cut(image, "@")
	if rest, ok := strings.CutPrefix(name, registry+"/"); ok && registry != "" {
		name = rest
	} else if host, _, ok := strings.Cut(name, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		return "", false
	}
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		name = name[:i]
	}
	return strings.ToLower(name), name != ""
}

// MatchImage says whether a push of an image under a tag starts a run, and why or why not.
func MatchImage(t plan.ResourceTrigger, tag string) (starts bool, reason string) {
	switch {
	case tag == "":
		return false, "the image was pushed without a tag"
	case !MatchRef(t.Tags, "", tag):
		return false, "tag " + tag + " is not among those that trigger"
	}
	return true, "tag " + tag + " triggers"
}

// MatchWebhook says whether the body of a webhook's call starts a run: every filter must find its value at its path. payload is JSON, decoded with
// UseNumber.
func MatchWebhook(t plan.ResourceTrigger, payload any) (starts bool, reason string) {
	for _, f := range t.Filters {
		v, ok := lookUp(payload, f.Path)
		if !ok {
			return false, "the call has nothing at " + f.Path
		}
		if text := jsonText(v); text != f.Value {
			return false, fmt.Sprintf("%s is %.100q and not %q", f.Path, text, f.Value)
		}
	}
	return true, "the call passes the filters"
}

// CheckWebhookPath says what is wrong with the path of a filter.
func CheckWebhookPath(path string) error {
	_, err := pathParts(path)
	return err
}

// pathParts reads a path such as resource.message.title, $.items[0]['odd name'].
func pathParts(path string) ([]string, error) {
	wrong := fmt.Errorf("path %q is not understood: write names with dots between them and indices in brackets, as resource.items[0].title", path)
	rest := strings.TrimPrefix(path, "$")
	if !strings.HasPrefix(rest, ".") && !strings.HasPrefix(rest, "[") {
		rest = "." + rest
	}
	var parts []string
	for rest != "" {
		switch {
		case rest[0] == '.':
			name := rest[1:]
			if i := strings.IndexAny(name, ".["); i >= 0 {
				name = name[:i]
			}
			if name == "" {
				return nil, wrong
			}
			parts, rest = append(parts, name), rest[1+len(name):]
		case strings.HasPrefix(rest, "['"):
			i := strings.Index(rest, "']")
			if i < 3 {
				return nil, wrong
			}
			parts, rest = append(parts, rest[2:i]), rest[i+2:]
		case rest[0] == '[':
			i := strings.Index(rest, "]")
			if i < 0 {
				return nil, wrong
			}
			if _, err := strconv.Atoi(rest[1:i]); err != nil {
				return nil, wrong
			}
			parts, rest = append(parts, rest[1:i]), rest[i+1:]
		default:
			return nil, wrong
		}
	}
	return parts, nil
}

func lookUp(v any, path string) (any, bool) {
	parts, err := pathParts(path)
	if err != nil {
		return nil, false
	}
	for _, part := range parts {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[part]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(at) {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// jsonText is a scalar as a filter writes it; objects and lists are their JSON.
func jsonText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
