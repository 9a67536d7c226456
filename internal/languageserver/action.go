package languageserver

import (
	"regexp"
	"strings"
)

type codeActionParams struct {
	TextDocument textDocumentItem `json:"textDocument"`
	Context      struct {
		Diagnostics []diagnostic `json:"diagnostics"`
	} `json:"context"`
}

type codeAction struct {
	Title       string        `json:"title"`
	Kind        string        `json:"kind"`
	Diagnostics []diagnostic  `json:"diagnostics"`
	IsPreferred bool          `json:"isPreferred"`
	Edit        workspaceEdit `json:"edit"`
}

type workspaceEdit struct {
	Changes map[string][]textEdit `json:"changes"`
}

// suggestion is the end of a message that names what was meant.
var suggestion = regexp.MustCompile(`, did you mean "([^"]+)"\?$`)

// actions put right what the diagnostics have a suggestion for.
func (d *document) actions(list []diagnostic) []codeAction {
	actions := []codeAction{}
	for _, m := range list {
		s := suggestion.FindStringSubmatch(m.Message)
		if s == nil || m.Range.Start.Line != m.Range.End.Line || m.Range.Start.Line < 0 || m.Range.Start.Line >= len(d.lines) {
			continue
		}
		line := d.line(m.Range.Start.Line)
		start, end := bytesOf(line, m.Range.Start.Character), bytesOf(line, m.Range.End.Character)
		if start >= end {
			continue
		}
		wrong, right := line[start:end], s[1]
		name, version, isTask := strings.Cut(wrong, "@")
		switch {
		case isTask && strings.Contains(m.Message, "task "+name+"@"):
			right += "@" + version
		case strings.Contains(m.Message, `"`+strings.Trim(wrong, `"'`)+`"`), strings.HasPrefix(m.Message, "a step has one of the keys"):
		default:
			continue // the range holds more than the name
		}
		actions = append(actions, codeAction{Title: "Write " + right, Kind: "quickfix", Diagnostics: []diagnostic{m}, IsPreferred: true,
			Edit: workspaceEdit{map[string][]textEdit{d.uri: {{m.Range, right}}}}})
	}
	return actions
}
