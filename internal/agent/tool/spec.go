package tool

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// maxSpec bounds the text of a specification, in bytes.
const maxSpec = 200

// Spec says which versions of a tool are wanted.
type Spec struct {
	text    string
	newest  bool   // the newest release of all
	lts     string // the newest with long-term support: "*", or the name of its line in lower case
	exact   *semver.Version
	allowed *semver.Constraints
}

// ParseSpec reads a specification as npm's semver does (18.x, >=18 <20, ^1.2, 1.21 for 1.21.x), a version, "latest", or
// "lts", "lts/*" and "lts/NAME" as nvm writes them.
func ParseSpec(text string) (Spec, error) {
	s := Spec{text: strings.TrimSpace(text)}
	word := strings.ToLower(s.text)
	switch {
	case word == "":
		return Spec{}, errors.New("the version is empty: write one, as 1.2.3, 1.x or latest")
	case len(word) > maxSpec:
		return Spec{}, fmt.Errorf("the version has more than %d characters", maxSpec)
	case word == "latest" || word == "current" || word == "node" || word == "stable":
		s.newest = true
		return s, nil
	case word == "lts" || word == "lts/*":
		s.lts = "*"
		return s, nil
	case strings.HasPrefix(word, "lts/"):
		s.lts = strings.TrimPrefix(word, "lts/")
		return s, nil
	}
	plain := strings.TrimSpace(strings.TrimLeft(word, "v="))
	if v, err := semver.StrictNewVersion(plain); err == nil {
		s.exact = v
		return s, nil
	}
	c, err := semver.NewConstraint(s.text)
	if err != nil {
		return Spec{}, fmt.Errorf("%q is no version: write one, as 1.2.3, 1.x, >=1.2 <2 or latest", s.text)
	}
	s.allowed = c
	return s, nil
}

// String is the specification as it was given.
func (s Spec) String() string { return s.text }

// Unstable makes versions before their release count.
func (s Spec) Unstable() Spec {
	if s.allowed != nil {
		c := *s.allowed
		c.IncludePrerelease = true
		s.allowed = &c
	}
	return s
}

// Exact reports that one version alone is meant.
func (s Spec) Exact() bool { return s.exact != nil }

// only means one version.
func only(text string, v *semver.Version) Spec { return Spec{text: text, exact: v} }

// matches says whether a version is one that is wanted. The newest one can only be known from the vendor, and so can those
// with long-term support: without the vendor every release is good enough for the one, and none for the other.
func (s Spec) matches(v *semver.Version) bool {
	switch {
	case s.newest:
		return v.Prerelease() == ""
	case s.lts != "":
		return false
	case s.exact != nil:
		return v.Compare(s.exact) == 0
	}
	return s.allowed.Check(v)
}

// minor is MAJOR.MINOR of a specification such as 1.29 or 1.29.x; ok is false for others.
func (s Spec) minor() (string, bool) {
	m := minorForm.FindStringSubmatch(s.text)
	if m == nil {
		return "", false
	}
	return m[1], true
}

var minorForm = regexp.MustCompile(`^v?([0-9]+\.[0-9]+)(\.[xX*])?$`)

// pythonPrerelease is a version of Python before its release, as 3.13.0b2.
var pythonPrerelease = regexp.MustCompile(`([0-9]+\.[0-9]+\.[0-9]+)((?:a|b|rc)[0-9]+)`)

// ParsePython reads a specification as the task UsePythonVersion does: 3.13-dev means 3.13 and what comes before its
// release, and 3.13.0b2 is a version.
func ParsePython(text string) (Spec, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(strings.ToLower(text), "pypy") {
		return Spec{}, errors.New("PyPy is not installed: use a version of Python, or a job image that has PyPy")
	}
	plain := pythonPrerelease.ReplaceAllString(text, "$1-$2")
	if root, ok := strings.CutSuffix(plain, "-dev"); ok {
		plain = ">= " + root + ".0-a0"
	}
	s, err := ParseSpec(plain)
	s.text = text
	return s, err
}

// ParseJava reads a version of Java, where 1.8 is the old name of 8.
func ParseJava(text string) (Spec, error) {
	plain := strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(plain, "1."); ok && rest != "x" {
		plain = rest
	}
	s, err := ParseSpec(plain)
	s.text = strings.TrimSpace(text)
	return s, err
}

// ParseGo reads a version of Go, with or without the word go before it.
func ParseGo(text string) (Spec, error) {
	plain := strings.TrimSpace(text)
	if v, err := goVersion(plain); err == nil && goPrerelease.MatchString(plain) {
		return only(plain, v), nil
	}
	s, err := ParseSpec(strings.TrimPrefix(plain, "go"))
	s.text = plain
	return s, err
}

var goPrerelease = regexp.MustCompile(`^(?:go)?([0-9]+)\.([0-9]+)((?:beta|rc)[0-9]+)$`)

// goVersion reads a version as Go writes it: go1.22.3, go1.21rc2, go1.20.
func goVersion(text string) (*semver.Version, error) {
	if m := goPrerelease.FindStringSubmatch(text); m != nil {
		return semver.StrictNewVersion(m[1] + "." + m[2] + ".0-" + m[3])
	}
	return semver.NewVersion(strings.TrimPrefix(text, "go"))
}

// goName is a version as Go writes it. Before 1.21 a minor release had no third number.
func goName(v *semver.Version) string {
	switch {
	case v.Prerelease() != "":
		return fmt.Sprintf("go%d.%d%s", v.Major(), v.Minor(), v.Prerelease())
	case v.Patch() == 0 && v.Major() == 1 && v.Minor() < 21:
		return fmt.Sprintf("go%d.%d", v.Major(), v.Minor())
	}
	return "go" + v.String()
}

// pythonVersion reads a version as Python writes it, as 3.13.0b2.
func pythonVersion(text string) (*semver.Version, error) {
	return semver.NewVersion(pythonPrerelease.ReplaceAllString(text, "$1-$2"))
}

// javaVersion reads a version as Java and its archives write it: 17.0.15+6, 1.8.0_412, 17.0.11-9, 21, 11.0.4.1.
func javaVersion(text string) (*semver.Version, error) {
	m := javaForm.FindStringSubmatch(strings.TrimPrefix(text, "1."))
	if m == nil {
		return nil, fmt.Errorf("%q is no version of Java", text)
	}
	numbers := [3]string{m[1], "0", "0"}
	if m[2] != "" {
		numbers[1] = m[2]
	}
	switch {
	case m[4] != "": // 8.0_412
		numbers[2] = m[4]
	case m[3] != "":
		numbers[2] = m[3]
	}
	return semver.NewVersion(strings.Join(numbers[:], "."))
}

var javaForm = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:\.[0-9]+)*(?:_([0-9]+))?(?:[-+].*)?$`)

// plainVersion reads a version with or without a v before it.
func plainVersion(text string) (*semver.Version, error) { return semver.NewVersion(text) }
