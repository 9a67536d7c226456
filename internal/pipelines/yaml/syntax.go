package yaml

import (
	"errors"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"slipway"
)

// syntaxProblem is what keeps a file from being YAML, in words for people where the reader's are for those who write one.
func syntaxProblem(file string, data []byte, err error) *slipway.Problem {
	at := slipway.Position{File: file, Line: 1, Column: 1}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return slipway.Invalid("not valid YAML: %v", err).At(at)
	}
	at.Line, at.Column = max(load.Mark.Line, 1), max(load.Mark.Column, 1)
	if line := at.Line - 1; line > 0 && directiveWithoutColon.MatchString(lineAt(data, line)) {
		at.Line, at.Column = line, strings.Index(lineAt(data, line), "${{")+1
		return slipway.Invalid("not valid YAML: %s stands for a key, so a colon follows its }}", strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lineAt(data, line)), "-"))).At(at)
	}
	if meaning := plainly(load.Message, lineAt(data, at.Line)); meaning != "" {
		return slipway.Invalid("not valid YAML: %s", meaning).At(at)
	}
	message := load.Message
	if load.ContextMsg != "" {
		message = load.ContextMsg + ", " + message
	}
	return slipway.Invalid("not valid YAML: %s", message).At(at)
}

// directiveWithoutColon is a line of one `${{ if }}` or the like whose colon was forgotten, so that the lines below it fit nowhere.
var directiveWithoutColon = regexp.MustCompile(`^\s*(- +)?\$\{\{ *(if|elseif|else|each|insert)\b.*\}\}\s*$`)

// inFlow is a line with an expression without quotes inside of a map or list in braces.
var inFlow = regexp.MustCompile(`[{\[].*[:,\[{] *\$\{\{`)

// plainly says what a message of the reader means, "" if that is clear or not known.
func plainly(message, line string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "the line is indented with a tab, and YAML is indented with spaces"
	case strings.Contains(message, "mapping values are not allowed"):
		return "a colon and a space make a key, and none may stand here: put text with \": \" in quotes, and indent a key as those beside it"
	case strings.Contains(message, "did not find expected key"), strings.Contains(message, "did not find expected '-' indicator"):
		return "the line fits none of those before it: indent it as what it belongs to, and look for quotes that end too early"
	case strings.Contains(message, "could not find expected ':'"):
		return "a key without a colon: write KEY: VALUE, or indent the line as the text that it goes on with"
	case strings.Contains(message, "did not find expected ',' or"):
		if inFlow.MatchString(line) {
			return "a ${{ }} inside of { } or [ ] stands in quotes, since its braces end the map"
		}
		return "a { or [ has no end on this line: close it, or part its entries by commas"
	case strings.Contains(message, "exceeded max depth"):
		return "the file nests too deep"
	case strings.Contains(message, "cannot start any token"):
		return "a text that begins with @, ` or % stands in quotes"
	case strings.Contains(message, "unexpected end of stream"):
		return "a quote has no end"
	case strings.Contains(message, "control characters are not allowed"):
		return "the file has a control character, such as a zero byte"
	}
	return ""
}

// lineAt is the text of a line, counted from 1.
func lineAt(data []byte, line int) string {
	for text := range strings.Lines(string(data)) {
		if line--; line == 0 {
			return strings.TrimRight(text, "\r\n")
		}
	}
	return ""
}
