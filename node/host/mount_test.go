package host

import "testing"

// TestUnescape has its expectations from proc_pid_mountinfo(5): blank, tab, newline and backslash are written in octal.
func TestUnescape(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{`/a\040b`: "/a b", `/a\134b`: `/a\b`, `/a\011`: "/a\t", "/plain": "/plain", `/end\04`: `/end\04`} {
		if got := unescape(in); got != want {
			t.Errorf("%s: want %q, got %q", in, want, got)
		}
	}
}
