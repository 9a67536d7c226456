package compile

import (
	"slices"
	"testing"
)

func TestMacrosOfAText(t *testing.T) {
	t.Parallel()
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		for start, name := nextMacro(text, 0); start >= 0; start, name = nextMacro(text, start+2) {
			if text[start:start+2]+name+")" != text[start:start+3+len(name)] {
				t.Errorf("%q is not at byte %d of %q", name, start, text)
			}
			got = append(got, name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("macros of %q: %q, want %q", text, got, want)
		}
	}
	f("$(a)", "a")
	f("x $(a.b-c_1) $(B)y", "a.b-c_1", "B")
	f("$(echo $(a))", "a")
	f("$($(a))", "a")
	f("$(_)$(_)", "_", "_")
	f("$(1a) $(.a) $(-a) $() $(a b) $(ä)")
	f("$(a")
	f("$(")
	f("")
	for text, want := range map[string]string{"$(a)": "a", " $(a)": "", "$(a)b": "", "$(a)$(b)": "", "a": ""} {
		if got := soleMacro(text); got != want {
			t.Errorf("the macro that %q is: %q, want %q", text, got, want)
		}
	}
}
