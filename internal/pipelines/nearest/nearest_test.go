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
	for name, want := range map[string]string{"yavt": "", "bool": `, did you mean "pool"?`, "jbos": `, did you mean "jobs"?`} {
		if got := Suggest(name, []string{"Ant", "pool", "jobs"}); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestSlip(t *testing.T) {
	t.Parallel()
	f := func(name, want string) {
		t.Helper()
		if got := Slip(name, []string{"imageName", "tag", "port", "version1", "registry"}); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f("imageNmae", "imageName")
	f("imgName", "") // two slips in seven letters
	f("IMAGENAME", "")
	f("tags", "") // too short to tell
	f("prot", "port")
	f("part", "")
	f("version2", "")
	f("verson1", "version1")
	f("registri", "registry")
}
