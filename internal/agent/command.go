package agent

import "strings"

// command is a logging command: `##vso[area.action name=value;name=value]text`.
type command struct {
	name       string // area.action in lower case
	properties map[string]string
	text       string
}

// unescape is the reverse of what Azure's task library does to text in commands.
var unescape = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3B", ";", "%5D", "]", "%AZP25", "%")

// parseCommand finds a logging command in a line. What stands before `##vso[` is not part of it.
func parseCommand(line string) (command, bool) {
	const mark = "##vso["
	start := strings.Index(line, mark)
	if start < 0 {
		return command{}, false
	}
	rest := line[start+len(mark):]
	end := strings.IndexByte(rest, ']')
	if end < 0 {
		return command{}, false
	}
	head, text := rest[:end], rest[end+1:]
	name, list, _ := strings.Cut(head, " ")
	if area, action, ok := strings.Cut(name, "."); !ok || area == "" || action == "" {
		return command{}, false
	}
	c := command{name: strings.ToLower(name), properties: map[string]string{}, text: unescape.Replace(strings.TrimRight(text, "\r"))}
	for _, pair := range strings.Split(list, ";") {
		if key, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			c.properties[strings.ToLower(strings.TrimSpace(key))] = unescape.Replace(value)
		}
	}
	return c, true
}

// flag reads a boolean property.
func (c command) flag(name string) bool { return strings.EqualFold(c.properties[name], "true") }
