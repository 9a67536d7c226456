package tool

import (
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

// The ranges mean what npm's semver (node-semver, README, "Ranges") says of them.
func TestSpec(t *testing.T) {
	t.Parallel()
	f := func(parse func(string) (Spec, error), spec, yes, no string) {
		t.Helper()
		s, err := parse(spec)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			return
		}
		if s.String() != spec {
			t.Errorf("%s is called %s", spec, s)
		}
		for _, one := range strings.Fields(yes) {
			if !s.matches(semver.MustParse(one)) {
				t.Errorf("%s does not mean %s", spec, one)
			}
		}
		for _, one := range strings.Fields(no) {
			if s.matches(semver.MustParse(one)) {
				t.Errorf("%s means %s", spec, one)
			}
		}
	}
	f(ParseSpec, "18.x", "18.0.0 18.19.1", "17.9.9 19.0.0 18.0.0-rc.1")
	f(ParseSpec, "18", "18.0.0 18.19.1", "17.9.9 19.0.0")
	f(ParseSpec, "1.21", "1.21.0 1.21.13", "1.20.9 1.22.0")
	f(ParseSpec, ">=18 <20", "18.0.0 19.9.0", "17.9.9 20.0.0")
	f(ParseSpec, ">=18.0.0 <20.0.0 || 22.x", "18.0.0 22.3.0", "21.0.0")
	f(ParseSpec, "^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0")
	f(ParseSpec, "~1.2.3", "1.2.3 1.2.9", "1.3.0")
	f(ParseSpec, "v20.11.1", "20.11.1", "20.11.2")
	f(ParseSpec, "1.2.3-rc.1", "1.2.3-rc.1", "1.2.3")
	f(ParseSpec, "latest", "1.2.3", "1.2.3-rc.1")
	f(ParsePython, "3.x", "3.8.1 3.13.0", "2.7.18 4.0.0 3.14.0-a1")
	f(ParsePython, "3.12", "3.12.0 3.12.7", "3.11.9 3.13.0")
	f(ParsePython, "3.13-dev", "3.13.0-a1 3.13.0 3.14.1", "3.12.9")
	f(ParsePython, "3.13.0b2", "3.13.0-b2", "3.13.0")
	f(ParseJava, "17", "17.0.15", "11.0.4")
	f(ParseJava, "1.8", "8.0.412", "1.8.0 17.0.1")
	f(ParseGo, "go1.22.3", "1.22.3", "1.22.4")
	f(ParseGo, "1.21rc2", "1.21.0-rc2", "1.21.0")
	for _, wrong := range []string{"", "one", "1.2.3.4.5", strings.Repeat("1", 300)} {
		if _, err := ParseSpec(wrong); err == nil {
			t.Errorf("%.20q is taken for a version", wrong)
		}
	}
	if _, err := ParsePython("pypy3.9"); err == nil || !strings.Contains(err.Error(), "PyPy") {
		t.Errorf("PyPy: %v", err)
	}
}

// Versions as the programs and archives write them: the outputs of `java -version`, `go version` and `python3 --version`.
func TestVersions(t *testing.T) {
	t.Parallel()
	f := func(parse func(string) (*semver.Version, error), text, want string) {
		t.Helper()
		v, err := parse(text)
		if err != nil || v.String() != want {
			t.Errorf("%s: %v, %v, want %s", text, v, err, want)
		}
	}
	f(javaVersion, "17.0.15", "17.0.15")
	f(javaVersion, "17.0.15+6", "17.0.15")
	f(javaVersion, "17.0.11-9", "17.0.11")
	f(javaVersion, "1.8.0_412", "8.0.412")
	f(javaVersion, "1.8.0_412-b08", "8.0.412")
	f(javaVersion, "21", "21.0.0")
	f(javaVersion, "11.0.4.1", "11.0.4")
	f(goVersion, "go1.21rc2", "1.21.0-rc2")
	f(goVersion, "1.20", "1.20.0")
	f(pythonVersion, "3.13.0rc1", "3.13.0-rc1")
	// go.dev/doc/toolchain: since 1.21 the first release of a minor version has a zero, and before it had none.
	for text, want := range map[string]string{"1.20.0": "go1.20", "1.20.3": "go1.20.3", "1.21.0": "go1.21.0", "1.21.0-rc2": "go1.21rc2"} {
		if got := goName(semver.MustParse(text)); got != want {
			t.Errorf("%s is called %s, want %s", text, got, want)
		}
	}
}
