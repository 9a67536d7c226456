package joblog

import (
	"regexp"
	"strconv"
	"strings"
)

// Style is how a terminal shows text. Fore and Back are 0 for the usual colour, else 1 to 16: black, red, green, yellow, blue,
// magenta, cyan, white, and the bright ones of these.
type Style struct {
	Fore, Back                           int
	Bold, Dim, Italic, Underline, Struck bool
}

// Span is text of one style.
type Span struct {
	Style
	Text string
}

// Painter reads the control sequences of terminals (ECMA-48) in lines of a log. A style goes on in the next line. The zero
// value is ready.
type Painter struct{ style Style }

// sequence is a control sequence: CSI with its parameters and final byte, OSC up to its end, or another escape.
var sequence = regexp.MustCompile("\x1b(?:\\[([0-9:;<=>?]*)[ -/]*([@-~])|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-Z\\\\^-~])")

// Spans parts a line, which has no end, into its styles. Of a line that goes back to its beginning the last text counts, as
// in a terminal; other control characters are shown as their pictures.
func (p *Painter) Spans(line string) []Span {
	var spans []Span
	add := func(text string) {
		if text = visible(text); text != "" {
			spans = append(spans, Span{p.style, text})
		}
	}
	last := 0
	if back := strings.LastIndexByte(strings.TrimRight(line, "\r"), '\r'); back >= 0 {
		for _, m := range sequence.FindAllStringSubmatch(line[:back], -1) {
			p.obey(m[1], m[2])
		}
		line = line[back+1:]
	}
	for _, m := range sequence.FindAllStringSubmatchIndex(line, -1) {
		add(line[last:m[0]])
		if last = m[1]; m[2] >= 0 {
			p.obey(line[m[2]:m[3]], line[m[4]:m[5]])
		}
	}
	add(line[last:])
	return spans
}

// Plain is a line without control sequences.
func Plain(line string) string {
	var b strings.Builder
	for _, span := range (&Painter{}).Spans(line) {
		b.WriteString(span.Text)
	}
	return b.String()
}

// visible replaces control characters by their pictures (U+2400 and following), but for tabs.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return -1
		case r < 0x20 && r != '\t':
			return 0x2400 + r
		case r == 0x7f:
			return 0x2421
		}
		return r
	}, text)
}

// obey changes the style by a sequence, if it is "select graphic rendition".
func (p *Painter) obey(parameters, final string) {
	if final != "m" {
		return
	}
	codes := strings.FieldsFunc(parameters, func(r rune) bool { return r == ';' || r == ':' })
	if len(codes) == 0 {
		p.style = Style{}
	}
	for i := 0; i < len(codes); i++ {
		n, err := strconv.Atoi(codes[i])
		if err != nil {
			return
		}
		if n == 38 || n == 48 {
			colour, used := extended(codes[i+1:])
			i += used
			if n == 38 {
				p.style.Fore = colour
			} else {
				p.style.Back = colour
			}
			continue
		}
		p.style.set(n)
	}
}

func (s *Style) set(n int) {
	switch {
	case n == 0:
		*s = Style{}
	case n == 1:
		s.Bold = true
	case n == 2:
		s.Dim = true
	case n == 3:
		s.Italic = true
	case n == 4:
		s.Underline = true
	case n == 9:
		s.Struck = true
	case n == 22:
		s.Bold, s.Dim = false, false
	case n == 23:
		s.Italic = false
	case n == 24:
		s.Underline = false
	case n == 29:
		s.Struck = false
	case n >= 30 && n <= 37:
		s.Fore = n - 29
	case n == 39:
		s.Fore = 0
	case n >= 40 && n <= 47:
		s.Back = n - 39
	case n == 49:
		s.Back = 0
	case n >= 90 && n <= 97:
		s.Fore = n - 81
	case n >= 100 && n <= 107:
		s.Back = n - 91
	}
}

// extended reads what follows 38 or 48: 5;N or 2;R;G;B. It returns the nearest of the sixteen colours, and how many numbers it read.
func extended(codes []string) (colour, used int) {
	number := func(i int) int {
		if i >= len(codes) {
			return 0
		}
		n, _ := strconv.Atoi(codes[i])
		return min(max(n, 0), 255)
	}
	if len(codes) == 0 {
		return 0, 0
	}
	switch codes[0] {
	case "5":
		n := number(1)
		switch {
		case n < 16:
			return n + 1, 2
		case n < 232: // a cube of 6 by 6 by 6
			level := func(v int) int {
				if v == 0 {
					return 0
				}
				return 55 + 40*v
			}
			n -= 16
			return nearest(level(n/36), level(n/6%6), level(n%6)), 2
		}
		grey := 8 + 10*(n-232)
		return nearest(grey, grey, grey), 2
	case "2":
		return nearest(number(1), number(2), number(3)), 4
	}
	return 0, 1
}

// palette is that of xterm.
var palette = [16][3]int{
	{0, 0, 0}, {205, 0, 0}, {0, 205, 0}, {205, 205, 0}, {0, 0, 238}, {205, 0, 205}, {0, 205, 205}, {229, 229, 229},
	{127, 127, 127}, {255, 0, 0}, {0, 255, 0}, {255, 255, 0}, {92, 92, 255}, {255, 0, 255}, {0, 255, 255}, {255, 255, 255},
}

func nearest(r, g, b int) int {
	best, least := 0, 1<<30
	for i, c := range palette {
		if d := (c[0]-r)*(c[0]-r) + (c[1]-g)*(c[1]-g) + (c[2]-b)*(c[2]-b); d < least {
			best, least = i+1, d
		}
	}
	return best
}
