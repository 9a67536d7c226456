package clusters

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"slipway"
)

// File is a file of manifests: YAML documents apart by `---`, or JSON.
type File struct {
	Name    string
	Content []byte
}

// object is one Kubernetes object of a manifest, and where it stood.
type object struct {
	*unstructured.Unstructured
	place slipway.Position
}

func (o object) describe() string { return o.GetKind() + " " + o.GetName() }

const (
	maxFiles     = 500
	maxManifests = 4 << 20 // bytes, all files together
	maxObjects   = 2000
)

// parse reads the objects of all files, lists taken apart. Errors name the file and the line.
func parse(files []File) ([]object, error) {
	if len(files) > maxFiles {
		return nil, slipway.Limit("there are more than %d manifest files", maxFiles)
	}
	size := 0
	var all []object
	seen := map[string]slipway.Position{}
	for _, f := range files {
		if size += len(f.Content); size > maxManifests {
			return nil, slipway.Limit("the manifests have more than %d MiB", maxManifests>>20)
		}
		for _, d := range split(f) {
			objects, err := d.objects()
			if err != nil {
				return nil, err
			}
			all = append(all, objects...)
		}
	}
	if len(all) > maxObjects {
		return nil, slipway.Limit("the manifests hold more than %d objects", maxObjects)
	}
	for _, o := range all {
		key := o.GroupVersionKind().GroupKind().String() + "/" + o.GetNamespace() + "/" + o.GetName()
		if first, twice := seen[key]; twice {
			return nil, slipway.Invalid("%s stands here a second time; the first is at %s", o.describe(), first).At(o.place)
		}
		seen[key] = o.place
	}
	if len(all) == 0 {
		return nil, slipway.Invalid("the manifests hold no object")
	}
	return all, nil
}

// document is one YAML document of a file.
type document struct {
	file string
	line int // of its first line, from 1
	text []byte
}

// split cuts a file at its `---` lines.
func split(f File) []document {
	var all []document
	current := document{file: f.Name, line: 1}
	for i, line := range bytes.SplitAfter(f.Content, []byte("\n")) {
		if bytes.HasPrefix(line, []byte("---")) && len(bytes.TrimSpace(bytes.TrimPrefix(line, []byte("---")))) == 0 {
			all = append(all, current)
			current = document{file: f.Name, line: i + 2}
			continue
		}
		current.text = append(current.text, line...)
	}
	return append(all, current)
}

func (d document) at(line int) slipway.Position {
	return slipway.Position{File: d.file, Line: line, Column: 1}
}

// first is the document's first line that says something; comments and `%` directives do not.
func (d document) first() (line int, empty bool) {
	for i, text := range strings.Split(string(d.text), "\n") {
		if t := strings.TrimSpace(text); t != "" && t[0] != '#' && t[0] != '%' && t != "..." {
			return d.line + i, false
		}
	}
	return d.line, true
}

var yamlErrorLine = regexp.MustCompile(`line (\d+): `)

func (d document) objects() ([]object, error) {
	line, empty := d.first()
	if empty {
		return nil, nil
	}
	raw, err := yaml.YAMLToJSONStrict(d.text)
	if err != nil {
		return nil, d.yamlProblem(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", d.file, err)
	}
	if tree == nil {
		return nil, nil
	}
	content, ok := tree.(map[string]any)
	if !ok {
		return nil, slipway.Invalid("a manifest is a mapping with apiVersion, kind and metadata").At(d.at(line))
	}
	return toObjects(content, d.at(line))
}

// toObjects makes an object of a mapping, or several of a List.
func toObjects(content map[string]any, place slipway.Position) ([]object, error) {
	u := &unstructured.Unstructured{Object: content}
	if u.GetAPIVersion() == "" || u.GetKind() == "" {
		return nil, slipway.Invalid("apiVersion or kind is missing").At(place)
	}
	if items, ok := content["items"].([]any); ok && strings.HasSuffix(u.GetKind(), "List") {
		var all []object
		for _, item := range items {
			inner, ok := item.(map[string]any)
			if !ok {
				return nil, slipway.Invalid("an item of the %s is no mapping", u.GetKind()).At(place)
			}
			objects, err := toObjects(inner, place)
			if err != nil {
				return nil, err
			}
			all = append(all, objects...)
		}
		return all, nil
	}
	if u.GetName() == "" && u.GetGenerateName() != "" {
		return nil, slipway.Unsupported("%s with generateName cannot be applied: give it a name", u.GetKind()).At(place)
	}
	if u.GetName() == "" {
		return nil, slipway.Invalid("the %s has no metadata.name", u.GetKind()).At(place)
	}
	if problems := validation.IsDNS1123Subdomain(u.GetName()); len(problems) > 0 && !strings.Contains(u.GetAPIVersion(), "rbac") {
		return nil, slipway.Invalid("%s: the name is not allowed: %s", u.GetKind()+" "+u.GetName(), problems[0]).At(place)
	}
	whole(content)
	return []object{{Unstructured: u, place: place}}, nil
}

// whole makes int64 of every number that is one, as the API machinery wants; JSON's reader makes floats of all.
func whole(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for k, inner := range t {
			t[k] = whole(inner)
		}
	case []any:
		for i, inner := range t {
			t[i] = whole(inner)
		}
	case float64:
		if n := int64(t); float64(n) == t {
			return n
		}
	}
	return v
}

// yamlProblem gives the reader's message its place in the file.
func (d document) yamlProblem(err error) error {
	message, line := err.Error(), d.line
	message = strings.TrimPrefix(message, "error converting YAML to JSON: ")
	if found := yamlErrorLine.FindStringSubmatch(message); found != nil {
		n, _ := strconv.Atoi(found[1])
		line = d.line + n - 1
		message = strings.Replace(message, found[0], "", 1)
	}
	message = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(message, "yaml: "), "unmarshal errors:\n"))
	return slipway.Invalid("this is not YAML: %s", message).At(d.at(line))
}

var errVersion = errors.New("the cluster's version cannot be read")

func readVersion(raw []byte) (string, error) {
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(raw, &v); err != nil || v.GitVersion == "" {
		return "", errVersion
	}
	return v.GitVersion, nil
}
