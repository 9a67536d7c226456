package languageserver

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestSuggest types into texts as a person does; | is the cursor. What may stand there is Azure Pipelines' schema.
func TestSuggest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		has        []string // labels among the choices
		lacks      []string
		replaces   string // the characters that the first choice replaces
		about      string // what is said of the place begins so
	}{
		{name: "keys of the file", text: "tri|", has: []string{"trigger", "steps", "stages"}, replaces: "tri"},
		{name: "keys of a step are not those of the file", text: "steps:\n- script: echo\n  dis|", has: []string{"displayName", "condition"}, lacks: []string{"stages"}, replaces: "dis"},
		{name: "tasks", text: "steps:\n- task: Dock|", has: []string{"Docker@2"}, replaces: "Dock"},
		{name: "inputs of a task", text: "steps:\n- task: Docker@2\n  inputs:\n    com|", has: []string{"command", "repository"}, replaces: "com"},
		{name: "values of an input", text: "steps:\n- task: Docker@2\n  inputs:\n    command: |", has: []string{"buildAndPush", "login"}},
		{name: "characters beyond the basic plane count twice", text: "steps:\n- script: echo 🐳 $(Build.Build|Id)", has: []string{"Build.BuildId"}, replaces: "Build.BuildId"},
		{name: "a template of the disk is not read", text: "steps:\n- template: /etc/|"},
		{name: "about a task", text: "steps:\n- task: Dock|er@2", has: []string{"Docker@2"}, replaces: "Docker@2", about: "**Docker@2**"},
		{name: "about a key", text: "steps:\n- script: echo\n  dis|playName: x", about: "**displayName**", has: []string{"displayName"}, replaces: "displayName"},
		{name: "nothing in a script", text: "steps:\n- script: |\n    ec|", lacks: []string{"displayName"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := strings.LastIndex(c.text, "|")
			text := c.text[:at] + c.text[at+1:]
			line := strings.Count(c.text[:at], "\n")
			character := len(utf16.Encode([]rune(c.text[strings.LastIndex(c.text[:at], "\n")+1 : at])))
			got := Suggest(nil, text, line, character)
			var labels []string
			for _, choice := range got.Choices {
				labels = append(labels, choice.Label)
			}
			for _, want := range c.has {
				if !slices.Contains(labels, want) {
					t.Errorf("%q is not among the choices %q", want, labels)
				}
			}
			for _, not := range c.lacks {
				if slices.Contains(labels, not) {
					t.Errorf("%q is among the choices", not)
				}
			}
			if c.replaces != "" && len(got.Choices) > 0 {
				first := got.Choices[0]
				units := utf16.Encode([]rune(strings.Split(text, "\n")[line]))
				if replaced := string(utf16.Decode(units[first.Start:first.End])); replaced != c.replaces {
					t.Errorf("the first choice replaces %q, want %q", replaced, c.replaces)
				}
			}
			if !strings.HasPrefix(got.About, c.about) {
				t.Errorf("about the place: %q, want %q", got.About, c.about)
			}
		})
	}
	if first := Suggest(nil, "steps:\n- task: Docker@", 1, 15).Choices[0].Label; strings.HasSuffix(first, "@0") {
		t.Errorf("an old version comes first: %s", first)
	}
	if got := Suggest(nil, "steps:", 7, 0); len(got.Choices) != 0 || got.About != "" {
		t.Errorf("behind the text: %v", got)
	}
}
