package joblog_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/joblog"
)

// The meanings are those of ECMA-48, 8.3.117, and of xterm for colours beyond eight.
func TestSpans(t *testing.T) {
	t.Parallel()
	red := joblog.Style{Fore: 2}
	for name, tt := range map[string]struct {
		in   string
		want []joblog.Span
	}{
		"plain":           {"a b", []joblog.Span{{Text: "a b"}}},
		"red and back":    {"a\x1b[31mb\x1b[0mc", []joblog.Span{{Text: "a"}, {Style: red, Text: "b"}, {Text: "c"}}},
		"empty is reset":  {"\x1b[31mb\x1b[mc", []joblog.Span{{Style: red, Text: "b"}, {Text: "c"}}},
		"several":         {"\x1b[1;4;97;44mx", []joblog.Span{{Style: joblog.Style{Fore: 16, Back: 5, Bold: true, Underline: true}, Text: "x"}}},
		"single off":      {"\x1b[1;2;3;9mx\x1b[22;29my", []joblog.Span{{Style: joblog.Style{Bold: true, Dim: true, Italic: true, Struck: true}, Text: "x"}, {Style: joblog.Style{Italic: true}, Text: "y"}}},
		"256 colours":     {"\x1b[38;5;196mx", []joblog.Span{{Style: joblog.Style{Fore: 10}, Text: "x"}}},
		"true colour":     {"\x1b[48;2;0;0;0;31mx", []joblog.Span{{Style: joblog.Style{Fore: 2, Back: 1}, Text: "x"}}},
		"with colons":     {"\x1b[38:5:9mx", []joblog.Span{{Style: joblog.Style{Fore: 10}, Text: "x"}}},
		"cursor, erase":   {"\x1b[2K\x1b[1Ax\x1b[?25l", []joblog.Span{{Text: "x"}}},
		"title and link":  {"\x1b]0;title\x07\x1b]8;;http://x\x1b\\x\x1b]8;;\x1b\\", []joblog.Span{{Text: "x"}}},
		"progress":        {"10%\r50%\r100%\r", []joblog.Span{{Text: "100%"}}},
		"colour, return":  {"\x1b[31m10%\r100%", []joblog.Span{{Style: red, Text: "100%"}}},
		"control":         {"a\x08\x7f\tb", []joblog.Span{{Text: "a\u2408\u2421\tb"}}},
		"unfinished":      {"a\x1b", []joblog.Span{{Text: "a\u241b"}}},
		"markup is text":  {"<b>&", []joblog.Span{{Text: "<b>&"}}},
		"nothing at all":  {"", nil},
		"broken code":     {"\x1b[3Xx", []joblog.Span{{Text: "x"}}},
		"38 without more": {"\x1b[38mx", []joblog.Span{{Text: "x"}}},
	} {
		var p joblog.Painter
		if diff := cmp.Diff(tt.want, p.Spans(tt.in)); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	var p joblog.Painter
	p.Spans("\x1b[31mone")
	if diff := cmp.Diff([]joblog.Span{{Style: red, Text: "two"}}, p.Spans("two")); diff != "" {
		t.Errorf("the next line: -want +got\n%s", diff)
	}
	if got := joblog.Plain("\x1b[1merror\x1b[0m: x"); got != "error: x" {
		t.Errorf("plain text is %q", got)
	}
}
