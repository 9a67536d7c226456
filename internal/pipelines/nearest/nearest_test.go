package nearest

import "testing"

func TestSuggest(t *testing.T) {
	t.Parallel()
	f := func(name, want string) {
		t.Helper()
		if got := Suggest(name, []string{"displayName", "dependsOn", "condition"}); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f("dispalyName", `, did you mean "displayName"?`)
	f("DependsOn", `, did you mean "dependsOn"?`)
	f("banana", "")
}
