package agent

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// maxExpanded bounds the patterns that the braces of one may become.
const maxExpanded = 10_000

// expanded are the patterns that {a,b} and {1..3} in them mean: what the tasks of Azure see that call minimatch with braces. One that becomes
// more than maxExpanded patterns stays as it is.
func (p patterns) expanded() patterns {
	var list patterns
	for _, pattern := range p {
		bare := strings.TrimLeft(pattern, "!")
		marks := pattern[:len(pattern)-len(bare)]
		for _, one := range expandBraces(bare) {
			list = append(list, marks+one)
		}
	}
	return list
}

var (
	braced        = regexp.MustCompile(`\{[^{\n]*\}`)
	braceSequence = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(-?\d{1,9}\.\.-?\d{1,9}|[a-zA-Z]\.\.[a-zA-Z])(\.\.-?\d{1,9})?$`)
	})
	moreAfterBrace = regexp.MustCompile(`,(\}|[^,].*\})`)
	paddedNumber   = regexp.MustCompile(`^-?0\d`)
	// Escaped characters are hidden while braces are read.
	hideEscaped = strings.NewReplacer(`\\`, "\x01", `\{`, "\x02", `\}`, "\x03", `\,`, "\x04", `\.`, "\x05")
	showEscaped = strings.NewReplacer("\x01", `\`, "\x02", "{", "\x03", "}", "\x04", ",", "\x05", ".")
)

// expandBraces expands as brace-expansion 1, of minimatch 3, does: https://github.com/juliangruber/brace-expansion.
func expandBraces(pattern string) []string {
	if !braced.MatchString(pattern) {
		return []string{pattern}
	}
	if rest, ok := strings.CutPrefix(pattern, "{}"); ok {
		pattern = `\{\}` + rest
	}
	var e braceExpansion
	list := e.expand(hideEscaped.Replace(pattern), true)
	if e.made > maxExpanded {
		return []string{pattern}
	}
	for i := range list {
		list[i] = showEscaped.Replace(list[i])
	}
	return list
}

type braceExpansion struct{ made int }

func (e *braceExpansion) expand(text string, top bool) []string {
	open, end := balancedBraces(text)
	if open < 0 || strings.HasSuffix(text[:open], "$") {
		return []string{text}
	}
	before, body, after := text[:open], text[open+1:end], text[end+1:]
	sequence := braceSequence().MatchString(body)
	if !sequence && !strings.Contains(body, ",") {
		if moreAfterBrace.MatchString(after) { // {a},b}
			return e.expand(before+"{"+body+"\x03"+after, false)
		}
		return []string{text}
	}
	var middles []string
	switch parts := braceParts(body); {
	case sequence:
		middles = e.sequence(strings.Split(body, ".."))
	case len(parts) == 1: // {{a,b}} is {a} and {b}
		middles = e.expand(parts[0], false)
		for i := range middles {
			middles[i] = "{" + middles[i] + "}"
		}
	default:
		for _, part := range parts {
			middles = append(middles, e.expand(part, false)...)
		}
	}
	ends := []string{""}
	if after != "" {
		ends = e.expand(after, false)
	}
	var list []string
	for _, middle := range middles {
		for _, ending := range ends {
			if e.made++; e.made > maxExpanded {
				return list
			}
			if one := before + middle + ending; one != "" || !top || sequence {
				list = append(list, one)
			}
		}
	}
	return list
}

// sequence is what {1..3}, {a..c} or {01..10..3} counts.
func (e *braceExpansion) sequence(parts []string) []string {
	letters := parts[0][0] >= 'A'
	number := func(text string) int {
		if letters && text[0] >= 'A' {
			return int(text[0])
		}
		n, _ := strconv.Atoi(text) // as braceSequence has it
		return n
	}
	from, to, step, width := number(parts[0]), number(parts[1]), 1, 0
	if len(parts) == 3 {
		step = max(number(parts[2]), -number(parts[2]), 1)
	}
	for _, part := range parts {
		if paddedNumber.MatchString(part) {
			width = max(len(parts[0]), len(parts[1]))
		}
	}
	var list []string
	for n := 0; n <= max(from-to, to-from); n += step {
		if e.made++; e.made > maxExpanded {
			break
		}
		i := from + n
		if to < from {
			i = from - n
		}
		one := strconv.Itoa(i)
		digits := strings.TrimPrefix(one, "-")
		switch {
		case letters:
			one = strings.TrimPrefix(string(rune(i)), `\`)
		case len(one) < width:
			one = strings.TrimSuffix(one, digits) + strings.Repeat("0", width-len(one)) + digits
		}
		list = append(list, one)
	}
	return list
}

// balancedBraces finds the first brace that is closed and where, -1 without one.
func balancedBraces(text string) (open, end int) {
	var opened []int
	left, right := len(text), -1
	for i := range len(text) {
		switch {
		case text[i] == '{':
			opened = append(opened, i)
		case text[i] != '}' || len(opened) == 0:
		case len(opened) == 1:
			return opened[0], i
		default:
			if last := opened[len(opened)-1]; last < left {
				left, right = last, i
			}
			opened = opened[:len(opened)-1]
		}
	}
	if right < 0 {
		return -1, -1
	}
	return left, right
}

// braceParts are the parts between the commas that stand in no braces of their own.
func braceParts(text string) []string {
	open, end := balancedBraces(text)
	if open < 0 {
		return strings.Split(text, ",")
	}
	parts := strings.Split(text[:open], ",")
	parts[len(parts)-1] += text[open : end+1]
	if end+1 < len(text) {
		rest := braceParts(text[end+1:])
		parts[len(parts)-1] += rest[0]
		parts = append(parts, rest[1:]...)
	}
	return parts
}
