package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Manifest is a task.json: what a task that is uploaded says of itself, in Azure's format (tasks.schema.json of
// microsoft/azure-pipelines-task-lib). Keys ignore case, as Azure's server does.
type Manifest struct {
	ID           string `json:"id"` // a GUID
	Name         string `json:"name"`
	FriendlyName string `json:"friendlyName"`
	Description  string `json:"description"`
	Author       string `json:"author"`
	HelpURL      string `json:"helpUrl"`
	Version      struct {
		Major number `json:"Major"`
		Minor number `json:"Minor"`
		Patch number `json:"Patch"`
	} `json:"version"`
	// InstanceNameFormat is what a step is called, with $(input) for inputs.
	InstanceNameFormat string             `json:"instanceNameFormat"`
	Groups             []manifestGroup    `json:"groups"`
	Inputs             []manifestInput    `json:"inputs"`
	Outputs            []manifestOutput   `json:"outputVariables"`
	PreJob             map[string]Handler `json:"prejobexecution"`
	Execution          map[string]Handler `json:"execution"`
	PostJob            map[string]Handler `json:"postjobexecution"`
}

// Handler is one way to run a task, or a part of it.
type Handler struct {
	// Target is the file that runs, relative to the task's folder; $(currentDirectory) is that folder.
	Target string `json:"target"`
	// WorkingDirectory is "" for the default of steps.
	WorkingDirectory string `json:"workingDirectory"`
}

type manifestGroup struct {
	Name        string `json:"name"`
	VisibleRule string `json:"visibleRule"`
}

type manifestInput struct {
	Name        string           `json:"name"`
	Aliases     []string         `json:"aliases"`
	Type        string           `json:"type"`
	Label       string           `json:"label"`
	Help        string           `json:"helpMarkDown"`
	Default     text             `json:"defaultValue"`
	Required    flag             `json:"required"`
	VisibleRule string           `json:"visibleRule"`
	Group       string           `json:"groupName"`
	Options     map[string]any   `json:"options"`
	Properties  map[string]text  `json:"properties"`
	Validation  *json.RawMessage `json:"validation"`
}

type manifestOutput struct {
	Name string `json:"name"`
}

// number is a number, or the text of one, as manifests have either.
type number int

func (n *number) UnmarshalJSON(b []byte) error {
	i, err := strconv.Atoi(strings.Trim(string(b), `" `))
	if err != nil || i < 0 {
		return fmt.Errorf("a part of a version is a whole number, not %s", b)
	}
	*n = number(i)
	return nil
}

// text is a string, or a boolean or number that means its text.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if bytes.HasPrefix(b, []byte(`"`)) {
		return json.Unmarshal(b, (*string)(t))
	}
	if bytes.HasPrefix(b, []byte("{")) || bytes.HasPrefix(b, []byte("[")) {
		return fmt.Errorf("a text is wanted, not %.60s", b)
	}
	*t = text(b)
	return nil
}

// flag is a boolean, or the text of one.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	*f = flag(strings.EqualFold(strings.Trim(string(b), `" `), "true"))
	return nil
}

// Limits on manifests.
const (
	MaxManifest = 1 << 20 // bytes of a task.json
	maxInputs   = 500
	maxOptions  = 1000 // of one input
)

var (
	manifestName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`) })
	guid         = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// ReadManifest reads a task.json and checks what Slipway needs of it.
func ReadManifest(data []byte) (*Manifest, error) {
	if len(data) > MaxManifest {
		return nil, fmt.Errorf("task.json has %d bytes, more than the %d allowed", len(data), MaxManifest)
	}
	var m Manifest
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &m); err != nil {
		return nil, fmt.Errorf("task.json is not understood: %w", err)
	}
	m.ID = strings.ToLower(strings.Trim(m.ID, "{} "))
	switch {
	case !guid.MatchString(m.ID):
		return nil, fmt.Errorf("task.json: id is a GUID, not %.60q", m.ID)
	case !manifestName().MatchString(m.Name):
		return nil, fmt.Errorf("task.json: name has letters, digits, dashes and underscores, at most 100, and is not %.120q", m.Name)
	case len(m.Inputs) > maxInputs:
		return nil, fmt.Errorf("task.json: %d inputs are more than the %d allowed", len(m.Inputs), maxInputs)
	case len(m.Execution)+len(m.PreJob)+len(m.PostJob) == 0:
		return nil, fmt.Errorf("task.json of %s: it has neither execution nor prejobexecution nor postjobexecution, so it does nothing", m.Name)
	}
	seen := map[string]bool{}
	for i := range m.Inputs {
		in := &m.Inputs[i]
		key := strings.ToLower(in.Name)
		switch {
		case strings.TrimSpace(in.Name) == "" || len(in.Name) > 200 || strings.ContainsAny(in.Name, "=\x00\n"):
			return nil, fmt.Errorf("task.json of %s: input %d has no name that can be one", m.Name, i+1)
		case seen[key]:
			return nil, fmt.Errorf("task.json of %s: input %q is there twice", m.Name, in.Name)
		case len(in.Options) > maxOptions:
			return nil, fmt.Errorf("task.json of %s: input %q has more than %d options", m.Name, in.Name, maxOptions)
		}
		seen[key] = true
		if _, err := parseRule(in.VisibleRule); err != nil {
			return nil, fmt.Errorf("task.json of %s: visibleRule of input %q: %w", m.Name, in.Name, err)
		}
	}
	for _, g := range m.Groups {
		if _, err := parseRule(g.VisibleRule); err != nil {
			return nil, fmt.Errorf("task.json of %s: visibleRule of group %q: %w", m.Name, g.Name, err)
		}
	}
	return &m, nil
}

// VersionText is MAJOR.MINOR.PATCH.
func (m *Manifest) VersionText() string {
	return fmt.Sprintf("%d.%d.%d", m.Version.Major, m.Version.Minor, m.Version.Patch)
}

// nodeHandlers are those that run here, the newest first, with the version of Node.js that each asks for.
var nodeHandlers = []struct {
	name  string
	major int
}{{"Node24", 24}, {"Node20_1", 20}, {"Node20", 20}, {"Node16", 16}, {"Node10", 10}, {"Node", 6}}

// NodeHandler is the newest handler that a Node.js of the major version runs, 0 for any, with the version that it asks for. When all ask
// for a newer one it is the oldest; ok is false without any.
func NodeHandler(handlers map[string]Handler, node int) (h Handler, major int, ok bool) {
	for _, n := range nodeHandlers {
		for name, found := range handlers {
			if strings.EqualFold(name, n.name) {
				h, major, ok = found, n.major, true
				if node == 0 || n.major <= node {
					return h, major, ok
				}
			}
		}
	}
	return h, major, ok
}

// refused says why the task cannot run here, "" if it can.
func (m *Manifest) refused() string {
	for _, part := range []struct {
		name     string
		handlers map[string]Handler
	}{{"execution", m.Execution}, {"prejobexecution", m.PreJob}, {"postjobexecution", m.PostJob}} {
		if len(part.handlers) == 0 {
			continue
		}
		h, _, ok := NodeHandler(part.handlers, 0)
		if !ok {
			return fmt.Sprintf("its %s has only handlers for %s, and jobs here run those of Node.js: %s", part.name, strings.Join(sortedKeys(part.handlers), ", "), useScript)
		}
		if strings.TrimSpace(h.Target) == "" {
			return fmt.Sprintf("the handler of its %s names no target: mend its task.json", part.name)
		}
	}
	return ""
}

// LocalTarget is the target as a path in the task's folder.
func (h Handler) LocalTarget() string {
	return path.Clean(strings.TrimLeft(currentDirectory.ReplaceAllString(strings.ReplaceAll(h.Target, `\`, "/"), ""), "/"))
}

var currentDirectory = regexp.MustCompile(`(?i)\$\(\s*currentdirectory\s*\)/?`)
