package yaml

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

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
	if line := at.Line - 1; line > 0 && directiveWithoutColon().MatchString(lineAt(data, line)) {
		at.Line, at.Column = line, strings.Index(lineAt(data, line), "${{")+1
		return slipway.Invalid("not valid YAML: %s stands for a key, so a colon follows its }}", strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lineAt(data, line)), "-"))).At(at)
	}
	switch line := lineAt(data, at.Line); {
	case strings.Contains(load.Message, "control characters are not allowed"):
		at = placeAt(file, data, bytes.IndexFunc(data, isControl))
	case aboutColon(load.Message) && !colonless().MatchString(line) && colonless().MatchString(lineAt(data, textBefore(data, at.Line))):
		at.Line, at.Column = textBefore(data, at.Line), 1
	case strings.Contains(load.Message, "did not find expected key") && dashWithoutSpace().MatchString(lineAt(data, textBefore(data, at.Line))):
		at.Line = textBefore(data, at.Line)
		at.Column = strings.Index(lineAt(data, at.Line), "-") + 1
		return slipway.Invalid("not valid YAML: a space follows the dash of an entry: write - KEY: VALUE").At(at)
	case openQuote(load):
		at.Line, at.Column = max(load.ContextMark.Line, 1), max(load.ContextMark.Column, 1)
	case conflictMarker.MatchString(line) || at.Line > 1 && conflictMarker.MatchString(lineAt(data, at.Line-1)):
		at.Line, at.Column = conflictBefore(data, at.Line), 1
		return slipway.Invalid("not valid YAML: a merge left a conflict here: choose one of its sides, and remove the lines of <<<<<<<, ======= and >>>>>>>").At(at)
	case strings.Contains(load.Message, "could not find expected ':'") && !colonless().MatchString(line) && load.ContextMark.Line > 0:
		at.Line, at.Column = load.ContextMark.Line, max(load.ContextMark.Column, 1) // where the key begins
		if block := leftBlock(data, at.Line); block > 0 && shallowBlock(data, at.Line) == 0 {
			return slipway.Invalid("not valid YAML: the text below | or > of line %d ends here, since this line is indented less: indent it as the text, if it is a part of it", block).At(at)
		}
	}
	if line := shallowBlock(data, at.Line); line > 0 && !strings.Contains(load.Message, "mapping values") {
		at.Line, at.Column = line, 1
		return slipway.Invalid("not valid YAML: the text below a | or > is indented deeper than the key that it belongs to").At(at)
	}
	if line := lineAt(data, at.Line); strings.Contains(load.Message, "did not find expected key") && at.Column > indentation(line)+1 {
		return slipway.Invalid("not valid YAML: %s", textAfterEnd).At(at)
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
var directiveWithoutColon = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\s*(- +)?\$\{\{ *(if|elseif|else|each|insert)\b.*\}\}\s*$`)
})

// conflictMarker is a line that git writes where two sides of a merge differ.
var conflictMarker = regexp.MustCompile(`^(<{7}|={7}|>{7})( |$)`)

// conflictBefore is the line on which the last conflict up to a line begins.
func conflictBefore(data []byte, line int) (begins int) {
	begins = line
	n := 0
	for text := range strings.Lines(string(data)) {
		if n++; n > line {
			break
		}
		if text[0] == '<' && conflictMarker.MatchString(strings.TrimRight(text, "\r\n")) {
			begins = n
		}
	}
	return begins
}

// openQuote says that a file ends, or another document begins, inside of a quoted text.
func openQuote(load *yaml.LoadError) bool {
	return strings.Contains(load.ContextMsg, "quoted scalar") && (strings.Contains(load.Message, "unexpected end of stream") || strings.Contains(load.Message, "unexpected document indicator"))
}

// blockHeader is a line that ends with | or >, so that its text stands on the lines below.
var blockHeader = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^( *)((?:- +)*)[^#]*: +[|>][-+0-9]*\s*$`) })

// shallowBlock is the line of a text below | or > that is indented no deeper than its key, if it stands directly before the line, 0 without one.
func shallowBlock(data []byte, line int) int {
	lines := strings.Split(string(data[:min(len(data), MaxBytes)]), "\n")
	text, from := 0, 0
	for i := min(line, len(lines)) - 1; i >= 0; i-- {
		if m := blockHeader().FindStringSubmatch(lines[i]); m != nil {
			from = len(m[1]) + len(m[2])
			break
		}
		if strings.TrimSpace(lines[i]) != "" {
			text = i + 1
		}
	}
	if text == 0 || text > line || strings.Contains(lines[text-1], "\t") || from == 0 && !strings.HasPrefix(lines[text-1], " ") {
		return 0
	}
	first := lines[text-1]
	if indent := len(first) - len(strings.TrimLeft(first, " ")); indent > from || strings.HasPrefix(strings.TrimSpace(first), "-") || keyAt().MatchString(first) {
		return 0
	}
	return text
}

// leftBlock is the line on which a text below | or > begins that ends at a line, since that is indented less and is neither a key nor an entry, 0 without one.
func leftBlock(data []byte, line int) int {
	lines := strings.Split(string(data[:min(len(data), MaxBytes)]), "\n")
	if line > len(lines) || endsBlock(lines[line-1]) {
		return 0
	}
	least := indentation(lines[line-1])
	for i := line - 2; i >= 0; i-- {
		switch {
		case strings.TrimSpace(lines[i]) == "":
		case blockHeader().MatchString(lines[i]):
			return i + 1
		case indentation(lines[i]) <= least:
			return 0
		}
	}
	return 0
}

// endsBlock reports a line that begins with a key or is an entry of a list, so that what is before it is over.
func endsBlock(line string) bool {
	return keyAt().MatchString(line) || strings.HasPrefix(strings.TrimSpace(line), "- ")
}

// keyAt is a line that begins with a key.
var keyAt = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^ *[A-Za-z][A-Za-z0-9_.-]*:( |$)`) })

// colonless is a key without the space behind its colon.
var colonless = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\s*(?:- +)*[A-Za-z][A-Za-z0-9_-]*:[^\s/:\\]`) })

// dashWithoutSpace is an entry of a list without the space behind its dash, which for the reader is a key.
var dashWithoutSpace = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\s*-[A-Za-z][A-Za-z0-9_-]*:( |$)`) })

// keyWithoutColon is a key that stands alone, or has an equals sign in place of its colon.
var keyWithoutColon = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\s*(?:- +)*[A-Za-z][A-Za-z0-9_-]*)(?: *= *(\S.*)|\s*)$`)
})

// aboutColon reports a message that a key without the space behind its colon may be the reason of: for the reader it is the beginning of a text.
func aboutColon(message string) bool {
	return strings.Contains(message, "could not find expected ':'") || strings.Contains(message, "mapping values are not allowed") ||
		strings.Contains(message, "did not find expected <document start>")
}

// textBefore is the last line before a line that is neither empty nor a comment, 0 without one.
func textBefore(data []byte, line int) (before int) {
	n := 0
	for text := range strings.Lines(string(data)) {
		if n++; n >= line {
			break
		}
		if text = strings.TrimSpace(text); text != "" && text[0] != '#' {
			before = n
		}
	}
	return before
}

// isControl reports a character that YAML does not allow anywhere.
func isControl(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f || r >= 0x80 && r < 0xa0 && r != 0x85 || r == 0xfffe || r == 0xffff
}

// placeAt is the place of a byte, the first one for what is found nowhere.
func placeAt(file string, data []byte, offset int) slipway.Position {
	before := data[:max(offset, 0)]
	start := bytes.LastIndexByte(before, '\n') + 1
	return slipway.Position{File: file, Line: bytes.Count(before, []byte{'\n'}) + 1, Column: utf8.RuneCount(before[start:]) + 1}
}

// inFlow is a line with an expression without quotes inside of a map or list in braces.
var inFlow = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[{\[].*[:,\[{] *\$(\{\{|\[)`) })

// What is said of brackets, whose end nobody but the author knows.
const (
	openBracket  = "a { or [ has no end on this line: close it, or part its entries by commas"
	textAfterEnd = "a text that begins with {, [ or a quote ends with its closing one: put the whole text in quotes, and a ${{ }} begins with its dollar sign"
	emptyBracket = "within { } or [ ] an entry is missing here: close what was opened before, or write the entry"
)

// plainly says what a message of the reader means, "" if that is clear or not known.
func plainly(message, line string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "the line is indented with a tab, and YAML is indented with spaces"
	case aboutColon(message) && colonless().MatchString(line):
		return "a space follows the colon of a key: write KEY: VALUE"
	case strings.Contains(message, "mapping values are not allowed"):
		return "a colon and a space make a key, and none may stand here: put text with \": \" in quotes, and indent a key as those beside it"
	case strings.Contains(message, "did not find expected key") && strings.HasPrefix(strings.TrimSpace(line), "- "):
		return "an entry of a list begins where there is no list: indent it as the entries that it belongs to, or write all as entries or all as keys"
	case strings.Contains(message, "did not find expected key"), strings.Contains(message, "did not find expected '-' indicator"):
		return "the line fits none of those before it: indent it as what it belongs to, and look for quotes that end too early"
	case strings.Contains(message, "could not find expected ':'") && strings.Contains(line, "=") && keyWithoutColon().MatchString(line):
		return "a colon and a space stand between a key and its value: write KEY: VALUE in place of KEY = VALUE"
	case strings.Contains(message, "could not find expected ':'"):
		return "a key without a colon: write KEY: VALUE, or indent the line as the text that it goes on with"
	case strings.Contains(message, "did not find expected ',' or"):
		if inFlow().MatchString(line) {
			return "a ${{ }} or $[ ] inside of { } or [ ] stands in quotes, since its brackets end the map or list"
		}
		return openBracket
	case strings.Contains(message, "did not find expected node content"):
		return emptyBracket
	case strings.Contains(message, "exceeded max depth"):
		return "the file nests too deep"
	case strings.Contains(message, "cannot start any token"):
		return "a text that begins with @, ` or % stands in quotes"
	case strings.Contains(message, "block sequence entries are not allowed"):
		return "a dash begins an entry of a list, and none may stand here: begin a line with it, or put the text in quotes"
	case strings.Contains(message, "found a comment without preceding whitespace"):
		return textAfterEnd
	case strings.Contains(message, "unknown anchor"), strings.Contains(message, "expected alphabetic or numeric character") && strings.Contains(line, "*"):
		return "a text that begins with * stands in quotes, since it means an alias, which Azure Pipelines does not have"
	case strings.Contains(message, "expected comment or line break"):
		return "text that goes over several lines begins on the line below | or >"
	case strings.Contains(message, "unknown escape character"), strings.Contains(message, "expected hexadecimal number"), strings.Contains(message, "invalid Unicode character escape"):
		return `in double quotes a backslash begins an escape such as \n: write \\ for the backslash itself, or put the text in single quotes`
	case strings.Contains(message, "unknown directive name"):
		return "a line that begins with % is a directive of YAML, and only %YAML and %TAG are there: remove it"
	case strings.Contains(message, "unexpected end of stream"), strings.Contains(message, "unexpected document indicator"):
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
