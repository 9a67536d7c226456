package compile

import (
	"regexp"
	"strings"

	"slipway"
)

// alternatives are braces that a shell would expand: {a,b} or {1..3}.
var alternatives = regexp.MustCompile(`(^|[^$\\{])\{([^{}$,]+(?:,[^{}$,]*)+|-?\w+\.\.-?\w+)\}`)

// braces warns of braces in patterns of files that do not expand them: such a pattern matches nothing, in Azure Pipelines either, whose task
// library has the option nobrace set for them.
func (c *compiler) braces(at slipway.Position, patterns string) {
	found := alternatives.FindStringSubmatch(patterns)
	if found == nil {
		return
	}
	instead := "write a line for each"
	if !strings.Contains(found[2], "..") {
		instead += ", or @(" + strings.ReplaceAll(found[2], ",", "|") + ")"
	}
	c.warnOf(at, "{%s} stands for itself in this pattern, which matches no name without braces: %s", found[2], instead)
}
