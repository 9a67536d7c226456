package mask

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What is found is what the standard library finds, whatever the texts.
func TestFinder(t *testing.T) {
	t.Parallel()
	if (&finder{}).found([]byte("anything")) {
		t.Error("something is found where nothing is looked for")
	}
	rapid.Check(t, func(t *rapid.T) {
		// Few letters, so that the texts are alike.
		list := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("ab\u00e9")), 3, 12, -1), 1, 6).Draw(t, "secrets")
		if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
			list = append(list, strings.Repeat("ab", 300)+"c")
			list = list[len(list)-1:]
		}
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab\u00e9")), 0, 60, -1).Draw(t, "text")
		if rapid.Bool().Draw(t, "put one in") {
			text += rapid.SampledFrom(list).Draw(t, "one") + "b"
		}
		want := false
		for _, one := range list {
			want = want || strings.Contains(text, one)
		}
		f := newFinder(list)
		if got := f.found([]byte(text)); got != want {
			t.Fatalf("%q in %q: %v, want %v", list, text, got, want)
		}
	})
}
