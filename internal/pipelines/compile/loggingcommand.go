package compile

import (
	"regexp"
	"slices"
	"strings"

	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/schema"
	"slipway/internal/pipelines/yaml"
)

// writtenCommand is what is, or was meant to be, a logging command: ##vso[AREA.ACTION PROPERTIES] or ##[WORD]. A name with anything but letters
// in it is put together by the script.
var writtenCommand = regexp.MustCompile(`(#+ ?)(vso ?)?\[([A-Za-z]+(?:\.[A-Za-z]+)?)(\s[^\]\n]*)?\]`)

// loggingCommands warns of commands in a text that the agent does not know, and so leaves in the log as text.
func (c *compiler) loggingCommands(n *yaml.Node) {
	if !strings.Contains(n.Text, "#") || !strings.Contains(n.Text, "[") {
		return
	}
	for _, found := range writtenCommand.FindAllStringSubmatchIndex(n.Text, -1) {
		line := strings.TrimLeft(n.Text[strings.LastIndexByte(n.Text[:found[0]], '\n')+1:found[1]], " \t")
		if strings.HasPrefix(line, "#") && found[1]-found[0] < len(line) {
			continue // a comment of the script
		}
		part := func(i int) string {
			if found[2*i] < 0 {
				return ""
			}
			return n.Text[found[2*i]:found[2*i+1]]
		}
		mark, name, properties := part(1)+part(2), part(3), part(4)
		known := schema.FindLoggingCommand(name)
		switch {
		case known != nil && !strings.HasSuffix(mark, "##vso"):
			c.warnOf(n.Locate(found[0]), "%s[%s] is no logging command, so the line is only shown: write ##vso[%s]", mark, name, name)
		case known != nil:
			c.commandProperties(n, known, found[8], properties)
		case strings.HasSuffix(mark, "##vso"):
			c.unknownCommand(n, found[6], name)
		case mark == "##":
			if meant := nearest.Slip(name, schema.FormattingCommands); meant != "" {
				c.warnOf(n.Locate(found[6]), "##[%s] marks no line of a log, did you mean %q?", name, "##["+meant+"]")
			}
		}
	}
}

func (c *compiler) unknownCommand(n *yaml.Node, offset int, name string) {
	area, action, dotted := strings.Cut(strings.ToLower(name), ".")
	var names []string
	for _, known := range schema.LoggingCommands() {
		_, knownAction, _ := strings.Cut(known.Name, ".")
		if names = append(names, known.Name); knownAction == action || !dotted && knownAction == area {
			c.warnOf(n.Locate(offset), "%s is no logging command, so the line is only shown, did you mean %q?", name, known.Name)
			return
		}
	}
	c.warnOf(n.Locate(offset), "%s is no logging command, so the line is only shown%s", name, nearest.Suggest(name, names))
}

// commandProperties warns of properties that are slips of those that the command reads: it goes without them then.
func (c *compiler) commandProperties(n *yaml.Node, known *schema.LoggingCommand, offset int, text string) {
	for pair := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(pair, "=")
		at := offset + len(key) - len(strings.TrimLeft(key, " \t"))
		offset += len(pair) + 1
		key = strings.ToLower(strings.TrimSpace(key))
		if !ok || known.Properties == nil {
			continue
		}
		if !slices.Contains(known.Properties, key) {
			if meant := nearest.Slip(key, known.Properties); meant != "" {
				c.warnOf(n.Locate(at), "%s reads no %s, did you mean %q?", known.Name, key, meant)
			}
			continue
		}
		for _, next := range known.Properties { // a space where ; belongs makes what follows a part of the value
			if found := strings.Index(strings.ToLower(value), " "+next+"="); found >= 0 {
				c.warnOf(n.Locate(at), "%s takes %q for the value of %s: write ; before %s", known.Name, value, key, next)
				break
			}
		}
	}
}
