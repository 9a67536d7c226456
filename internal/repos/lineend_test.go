package repos

import "testing"

func TestWithLineEndsOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, text, want string }{
		{"a\nb\n", "a\nc\n", "a\nc\n"},
		{"a\r\nb\r\n", "a\nc\n", "a\r\nc\r\n"},
		{"a\r\nb", "a\nb\nc", "a\r\nb\r\nc"},
		{"a\r\nb\nc\n", "a\nb\n", "a\nb\n"}, // most are line feeds
		{"one line", "two\nlines\n", "two\nlines\n"},
		{"", "new\n", "new\n"},
	} {
		if got := string(WithLineEndsOf([]byte(c.file), []byte(c.text))); got != c.want {
			t.Errorf("%q with the line ends of %q: %q, want %q", c.text, c.file, got, c.want)
		}
	}
}
