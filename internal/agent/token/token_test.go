package token

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The expected texts are those of the npm package @qetza/replacetokens 1.9.0, which version 6 of the task runs.
func TestReplace(t *testing.T) {
	t.Parallel()
	values := map[string]string{"name": "world", "a.b": "dotted", "html": `<a href="x">it's & more</a>`, "lines": "one\ntwo\tthree\\", "say": "hello #{name}#", "empty": "",
		"deep": "1#{say}#1", "round": "#{trip}#", "trip": "#{round}#"}
	var missing []string
	base := Replacer{Prefix: "#{", Suffix: "}#", Raw: "raw", CountMissing: true,
		Lookup: func(name string) (string, bool) { v, ok := values[strings.ToLower(name)]; return v, ok }}
	for _, c := range []struct {
		name   string
		change func(*Replacer)
		in     string
		want   string
		counts Counts
		miss   []string
	}{
		{"plain", nil, "a #{name}# b #{ A.B }#", "a world b dotted", Counts{Tokens: 2, Replaced: 2}, nil},
		{"a prefix inside of another", nil, "#{ #{name}# #{", "#{ world #{", Counts{Tokens: 1, Replaced: 1}, nil},
		{"not over lines", nil, "#{na\nme}# #{\nname\n}#", "#{na\nme}# world", Counts{Tokens: 1, Replaced: 1}, nil},
		{"missing", nil, "[#{x}#] [#{empty}#]", "[] []", Counts{Tokens: 2, Replaced: 2}, []string{"x"}},
		{"missing, kept", func(r *Replacer) { r.Keep = true }, "[#{ x }#]", "[#{ x }#]", Counts{Tokens: 1}, []string{"x"}},
		{"missing, with a default", func(r *Replacer) { r.UseDefault, r.Default = true, "d" }, "[#{x}#] [#{name}#]", "[d] [world]", Counts{Tokens: 2, Replaced: 2, Defaults: 1}, nil},
		{"JSON", func(r *Replacer) { r.Escape = EscapeJSON }, `"#{html}#" "#{lines}#"`, `"<a href=\"x\">it's & more</a>" "one\ntwo\tthree\\"`, Counts{Tokens: 2, Replaced: 2}, nil},
		{"XML", func(r *Replacer) { r.Escape = EscapeXML }, "#{html}#", "&lt;a href=&quot;x&quot;&gt;it&apos;s &amp; more&lt;/a&gt;", Counts{Tokens: 1, Replaced: 1}, nil},
		{"custom escapes", func(r *Replacer) { r.Escape, r.EscapeChar, r.CharsToEscape = EscapeCustom, "^", "lo" }, "#{name}#", "w^or^ld", Counts{Tokens: 1, Replaced: 1}, nil},
		{"transformations", func(r *Replacer) { r.TransformPrefix, r.TransformSuffix, r.Escape = "(", ")", EscapeXML }, "#{upper(name)}# #{LOWER( Name )}# #{base64(name)}# #{raw(html)}# #{name}#",
			`WORLD world d29ybGQ= <a href="x">it's & more</a> world`, Counts{Tokens: 5, Replaced: 5, Transforms: 4}, nil},
		{"indented", func(r *Replacer) { r.TransformPrefix, r.TransformSuffix = "(", ")" }, "#{indent(lines)}#|#{indent(lines, 4, true)}#", "one\n  two\tthree\\|    one\n    two\tthree\\",
			Counts{Tokens: 2, Replaced: 2, Transforms: 2}, nil},
		{"an unknown transformation", func(r *Replacer) { r.TransformPrefix, r.TransformSuffix = "(", ")" }, "#{twist(name)}#", "world", Counts{Tokens: 1, Replaced: 1}, nil},
		{"transformations switched off", nil, "#{upper(name)}#", "", Counts{Tokens: 1, Replaced: 1}, []string{"upper(name)"}},
		{"recursion", func(r *Replacer) { r.Recursive = true }, "#{deep}#", "1hello world1", Counts{Tokens: 3, Replaced: 3}, nil},
		{"recursion switched off", nil, "#{deep}#", "1#{say}#1", Counts{Tokens: 1, Replaced: 1}, nil},
		{"underscores", func(r *Replacer) { r.Prefix, r.Suffix = "__", "__" }, "__name__ ____ __ A.b __", "world  dotted", Counts{Tokens: 3, Replaced: 3}, []string{""}},
		{"octopus", func(r *Replacer) { r.Prefix, r.Suffix = "#{", "}" }, "#{name} #{name}#", "world world#", Counts{Tokens: 2, Replaced: 2}, nil},
	} {
		missing = nil
		r := base
		r.Missing = func(name string) { missing = append(missing, name) }
		if c.change != nil {
			c.change(&r)
		}
		got, counts, err := r.Replace(c.in)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, want %q (%v)", c.name, got, c.want, err)
		}
		if diff := cmp.Diff(c.counts, counts); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if diff := cmp.Diff(c.miss, missing); diff != "" {
			t.Errorf("%s: missing %s", c.name, diff)
		}
	}
	r := base
	r.Recursive = true
	if _, _, err := r.Replace("#{round}#"); err == nil || err.Error() != `the value of "round" holds its own token` {
		t.Errorf("a round: %v", err)
	}
}

// The versions before 6 have an empty value of their own, and may take blanks for part of the name.
func TestReplaceBefore6(t *testing.T) {
	t.Parallel()
	values := map[string]string{"name": "world", "empty": "", "none": "(empty)", " name ": "blanks"}
	f := func(in, want string, wantCounts Counts, change func(*Replacer)) {
		t.Helper()
		r := Replacer{Prefix: "#{", Suffix: "}#", Raw: "noescape", EmptyIsMissing: true, EmptyValue: "(empty)", Missing: func(string) {},
			Lookup: func(name string) (string, bool) { v, ok := values[name]; return v, ok }}
		change(&r)
		got, counts, err := r.Replace(in)
		if err != nil || got != want {
			t.Errorf("%s: %q, want %q (%v)", in, got, want, err)
		}
		if diff := cmp.Diff(wantCounts, counts); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
	f("[#{empty}#] [#{none}#] [#{x}#]", "[] [] []", Counts{Tokens: 3, Replaced: 1}, func(*Replacer) {})
	f("[#{empty}#] [#{x}#]", "[d] [d]", Counts{Tokens: 2, Replaced: 2, Defaults: 2}, func(r *Replacer) { r.UseDefault, r.Default = true, "d" })
	f("[#{x}#]", "[]", Counts{Tokens: 1, Replaced: 1, Defaults: 1}, func(r *Replacer) { r.UseDefault, r.Default = true, "(empty)" })
	f("#{ name }# #{name}#", "blanks world", Counts{Tokens: 2, Replaced: 2}, func(r *Replacer) { r.KeepBlanks = true })
}

func FuzzReplace(f *testing.F) {
	f.Add("#{", "}#", "a #{name}# #{ #{x")
	f.Add("__", "__", "____name____")
	f.Fuzz(func(t *testing.T, prefix, suffix, text string) {
		if prefix == "" || suffix == "" {
			return
		}
		r := Replacer{Prefix: prefix, Suffix: suffix, Keep: true, Lookup: func(string) (string, bool) { return "", false }, Missing: func(string) {}}
		if got, _, err := r.Replace(text); err != nil || got != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	})
}
