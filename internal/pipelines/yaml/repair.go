package yaml

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"slipway"
)

// How far a file with mistakes of syntax is read on: each of them costs some readings of the file.
const (
	maxRepairs       = 10 // mistakes that are told
	maxRepairedBytes = 256 << 10
)

// repair makes a file without a mistake of syntax, so that those after it are told too. The file keeps its lines. sure says that the
// line can mean nothing else, so that the file's tree is the one that was meant. mended is nil if reading ends at the mistake.
func repair(data []byte, mistake *slipway.Problem) (mended []byte, sure bool) {
	lines, line := strings.Split(string(data), "\n"), mistake.Position.Line
	if len(data) > maxRepairedBytes || line > len(lines) || strings.Contains(mistake.Message, openBracket) || strings.Contains(mistake.Message, emptyBracket) {
		return nil, false
	}
	if bytes.ContainsFunc(data, isControl) { // which the reader looks for before all else
		return bytes.Map(withoutControl, data), true
	}
	wrong := lines[line-1]
	if conflictMarker.MatchString(wrong) {
		takeOurs(lines[line-1:])
		return []byte(strings.Join(lines, "\n")), false
	}
	if leftBlock(data, line) > 0 && shallowBlock(data, line) == 0 {
		for i := line - 1; i < len(lines) && !endsBlock(lines[i]); i++ {
			lines[i] = ""
		}
		return []byte(strings.Join(lines, "\n")), false
	}
	for _, meant := range meanings(strings.TrimSuffix(wrong, "\r")) {
		lines[line-1] = meant.text
		if mended = []byte(strings.Join(lines, "\n")); readsBeyond(mended, line) {
			return mended, meant.sure
		}
	}
	// Nothing is known of the line and of what is indented as it is: go on behind them.
	lines[line-1] = ""
	indent := indentation(wrong)
	for i := line; i < len(lines) && (strings.TrimSpace(lines[i]) == "" || indentation(lines[i]) >= max(indent, 1)); i++ {
		lines[i] = ""
	}
	if mended = []byte(strings.Join(lines, "\n")); readsBeyond(mended, line) {
		return mended, false
	}
	return nil, false
}

func withoutControl(r rune) rune {
	if isControl(r) {
		return ' '
	}
	return r
}

// takeOurs empties the lines of a merge's conflict, which begin with its first marker, but for those of the first side.
func takeOurs(lines []string) {
	ours := true
	for i, line := range lines {
		marker := conflictMarker.MatchString(line)
		ours = ours && !(marker && line[0] == '=')
		if marker || !ours {
			lines[i] = ""
		}
		if marker && line[0] == '>' {
			return
		}
	}
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

// readsBeyond reports whether a file has no mistake of syntax up to a line.
func readsBeyond(data []byte, line int) bool {
	root, _, err := parse(data)
	return root != nil || errors.Is(err, io.EOF) || syntaxProblem("", data, err).Position.Line > line
}

// meaning is a line without its mistake.
type meaning struct {
	text string
	sure bool
}

// valueOf takes a line apart: what comes before a value, the value, and a comment.
var valueOf = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\s*(?:- +)*(?:[A-Za-z_$][^:#'"]*: +)?)(\S.*?)(\s+#.*|\s*)$`)
})

// badEscape is a backslash in double quotes, and what follows it.
var badEscape = regexp.MustCompile(`\\(.?)`)

// meanings are the lines that somebody may have meant who wrote this one, which is no YAML.
func meanings(line string) (list []meaning) {
	if directiveWithoutColon().MatchString(line) {
		list = append(list, meaning{strings.TrimRight(line, " \t") + ":", true})
	}
	if colonless().MatchString(line) {
		line = strings.Replace(line, ":", ": ", 1)
		list = append(list, meaning{line, true})
	}
	if dashWithoutSpace().MatchString(line) {
		line = strings.Replace(line, "-", "- ", 1)
		list = append(list, meaning{line, true})
	}
	if m := keyWithoutColon().FindStringSubmatch(line); m != nil {
		list = append(list, meaning{strings.TrimRight(m[1]+": "+m[2], " "), true})
	}
	if indent := line[:indentation(line)]; strings.Contains(indent, "\t") {
		// How many spaces a tab was meant to be, only the lines around it tell.
		for _, spaces := range []string{"  ", "    ", ""} {
			list = append(list, meaning{strings.ReplaceAll(indent, "\t", spaces) + line[len(indent):], false})
		}
		return list
	}
	m := valueOf().FindStringSubmatch(line)
	if m == nil || strings.ContainsAny(m[2][:1], "{[-|>?") || m[1] == "" && m[2][0] == '%' {
		return list // what was meant to be no text
	}
	before, value, after := m[1], m[2], m[3]
	if strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`) && strings.Contains(value, `\`) {
		escaped := badEscape.ReplaceAllStringFunc(value, func(s string) string {
			if len(s) == 2 && strings.ContainsAny(s[1:], `0abtnvfre"/\N_LP `) {
				return s
			}
			return `\` + s
		})
		list = append(list, meaning{before + escaped + after, true})
	}
	return append(list, meaning{before + "'" + strings.ReplaceAll(value, "'", "''") + "'" + after, true})
}

// parse reads the document of a file, and another one behind it if there is one. The error is io.EOF for a file without any.
func parse(data []byte) (root, second *yaml.Node, err error) {
	loader, err := newLoader(bytes.TrimPrefix(data, []byte("\ufeff")))
	if err != nil {
		return nil, nil, err
	}
	root = new(yaml.Node)
	if err := loader.Load(root); err != nil {
		return nil, nil, err
	}
	second = new(yaml.Node)
	if err := loader.Load(second); err != nil {
		return root, nil, err
	}
	return root, second, nil
}
