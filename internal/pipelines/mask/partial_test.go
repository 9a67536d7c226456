package mask

import "testing"

func TestPartial(t *testing.T) {
	t.Parallel()
	var m Masker
	if n := m.Partial("anything"); n != 0 {
		t.Errorf("without secrets: %d", n)
	}
	m.Add("swordfish")
	m.Add("fishbone-soup")
	for text, want := range map[string]int{
		"": 0, "nothing": 0, "a swo": 3, "s": 1, "swordfish": 4 /* fish, of the other one */, "a swordfish !": 0, "swordfishbone": 8, "wordfis": 3,
	} {
		if got := m.Partial(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
