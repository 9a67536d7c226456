package yaml

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadRefusals(t *testing.T) {
	t.Parallel()
	f := func(name, in, want string) {
		t.Helper()
		_, err := Read("p.yml", []byte(in))
		if err == nil {
			t.Errorf("%s: no error, want %s", name, want)
			return
		}
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	f("empty", "", "p.yml:1:1: the file is empty")
	f("only a comment", "# x\n", "p.yml:1:1: the file is empty")
	f("not UTF-8", "a: \xff", "p.yml:1:4: the file is not UTF-8 text: save it as UTF-8")
	f("Latin-1 further down", "\ufeffa: ä\nb: ä\xe4\n", "p.yml:2:5: the file is not UTF-8 text: save it as UTF-8")
	f("UTF-16", "\xff\xfea\x00:\x00", "p.yml:1:1: the file is UTF-16 text: save it as UTF-8")
	f("a directive without its colon", "steps:\n- ${{ if eq(1, 1) }}\n  - script: x\n", "p.yml:2:3: not valid YAML: ${{ if eq(1, 1) }} stands for a key, so a colon follows its }}")
	f("an expression in braces", "a: {b: ${{ c }}}\n", "p.yml:1:9: not valid YAML: a ${{ }} or $[ ] inside of { } or [ ] stands in quotes, since its brackets end the map or list")
	f("braces without an end", "a: {b: c\nd: e\n", "p.yml:2:2: not valid YAML: a { or [ has no end on this line: close it, or part its entries by commas")
	f("an open quote", "a: \"x\nb: c\n", "p.yml:1:4: not valid YAML: a quote has no end")
	f("an open quote before another document", "a: 'x\n---\nb: c\n", "p.yml:1:4: not valid YAML: a quote has no end\np.yml:2:1: the file has a second YAML document: a pipeline file holds one")
	f("a zero byte", "a: 1\nbä: x\x00y\n", "p.yml:2:6: not valid YAML: the file has a control character, such as a zero byte")
	f("a dash behind a key", "a: - b\n", "p.yml:1:4: not valid YAML: a dash begins an entry of a list, and none may stand here: begin a line with it, or put the text in quotes")
	f("a pattern without quotes", "a: *.txt\n", "p.yml:1:4: not valid YAML: a text that begins with * stands in quotes, since it means an alias, which Azure Pipelines does not have")
	f("text behind a bar", "a: |x\n  y\n", "p.yml:1:5: not valid YAML: text that goes over several lines begins on the line below | or >")
	escape := `not valid YAML: in double quotes a backslash begins an escape such as \n: write \\ for the backslash itself, or put the text in single quotes`
	f("a path of Windows", `a: "C:\dir"`+"\n", "p.yml:1:7: "+escape)
	f("half an escape", `a: "\x"`+"\n", "p.yml:1:7: "+escape)
	f("a directive that YAML has not", "%FOO\n---\na: b\n", "p.yml:1:5: not valid YAML: a line that begins with % is a directive of YAML, and only %YAML and %TAG are there: remove it")
	conflict := "not valid YAML: a merge left a conflict here: choose one of its sides, and remove the lines of <<<<<<<, ======= and >>>>>>>"
	f("a conflict at the beginning", "<<<<<<< HEAD\na: b\n=======\na: c\n>>>>>>> other\n", "p.yml:1:1: "+conflict)
	f("a conflict further down", "a: b\nc:\n<<<<<<< HEAD\n- d\n=======\n- e\n>>>>>>> other\n", "p.yml:3:1: "+conflict)
	f("a text that YAML keeps for itself", "a: @b\n", "p.yml:1:4: not valid YAML: a text that begins with @, ` or % stands in quotes")
	f("duplicate key", "a: 1\nb: 2\na: 3\n", `p.yml:3:1: key "a" stands here a second time, first on line 1`)
	many := ""
	for i := range 40 {
		many += fmt.Sprintf("k%d: 1\n", i)
	}
	f("duplicate keys of a large map", many+"k3: 2\nK39: 2\nk40: 2\n", `p.yml:41:1: key "k3" stands here a second time, first on line 4
p.yml:42:1: key "K39" stands here a second time, first on line 40 as "k39": capitals do not make it another key`)
	f("duplicate key in other letters", "displayName: 1\ndisplayname: 2\n", `p.yml:2:1: key "displayname" stands here a second time, first on line 1 as "displayName": capitals do not make it another key`)
	f("anchor and alias", "a: &x 1\nb: *x\n",
		"p.yml:1:4: anchor &x: Azure Pipelines has no anchors; use a template or write the value out\n"+
			"p.yml:2:4: alias *x: Azure Pipelines has no aliases; use a template or write the value out")
	f("merge key", "a:\n  <<: {b: 1}\n", "p.yml:2:3: merge key <<: Azure Pipelines has no merge keys; write the values out")
	f("list as a key", "? [a]\n: 1\n", "p.yml:1:3: a key must be text, not a list")
	f("braces", "a:\n- {{ x }}\n", "p.yml:2:4: a key must be text, not a map: {{ }} is a map in a map, an expression is written ${{ }}")
	for _, text := range []string{"steps:\n\t- script: a\n", "a:\n  b\n\tc: d\n", "a:\n- b: |\n\tx\n"} {
		_, err := Read("p.yml", []byte(text))
		if err == nil || !strings.HasSuffix(err.Error(), "the line is indented with a tab, and YAML is indented with spaces") {
			t.Errorf("%q: %v", text, err)
		}
	}
	f("a colon in text", "a: b: c\n", `p.yml:1:5: not valid YAML: a colon and a space make a key, and none may stand here: put text with ": " in quotes, and indent a key as those beside it`)
	f("wrong indentation", "steps:\n  - a\n - b\n", "p.yml:3:2: not valid YAML: an entry of a list begins where there is no list: indent it as the entries that it belongs to, or write all as entries or all as keys")
	f("entries among keys", "variables:\n  a: 1\n  - group: g\n", "p.yml:3:3: not valid YAML: an entry of a list begins where there is no list: indent it as the entries that it belongs to, or write all as entries or all as keys")
	f("text below a bar that is indented as its key", "steps:\n- script: |\n  echo a\n  displayName: b\n", "p.yml:3:1: not valid YAML: the text below a | or > is indented deeper than the key that it belongs to")
	f("a colon without a space", "steps: a\ntrigger:none\n", "p.yml:2:1: not valid YAML: a space follows the colon of a key: write KEY: VALUE")
	f("a pattern that looks like an alias", "include:\n- *\n", "p.yml:2:4: not valid YAML: a text that begins with * stands in quotes, since it means an alias, which Azure Pipelines does not have")
	f("a run-time expression in braces", "env: {a: $[ variables.b ]}\n", "p.yml:1:11: not valid YAML: a ${{ }} or $[ ] inside of { } or [ ] stands in quotes, since its brackets end the map or list")
	f("second document", "a: 1\n---\nb: 1\n", "p.yml:2:1: the file has a second YAML document: a pipeline file holds one")
	f("too big", strings.Repeat("#", MaxBytes+1), "p.yml:1:1: the file has 1048577 bytes, more than the 1048576 allowed")
	f("too many", "["+strings.Repeat("a,", MaxNodes)+"]", "p.yml:1:200000: the file has more than 100000 values")
	f("too deep", strings.Repeat("[", MaxDepth+1)+strings.Repeat("]", MaxDepth+1), "p.yml:1:101: the file nests more than 100 levels deep")
	f("too deep in a key and its value", strings.Repeat("{a: ", MaxDepth)+"b"+strings.Repeat("}", MaxDepth), "p.yml:1:398: the file nests more than 100 levels deep")
}

// All mistakes of a file are told. Where a line can mean but one thing, the file is read on as if that stood there; where it cannot, no more is
// said of what the file means.
func TestReadsOnBehindMistakes(t *testing.T) {
	t.Parallel()
	f := func(name, in string, tree bool, want ...string) {
		t.Helper()
		n, err := Read("p.yml", []byte(in))
		var got []string
		for line := range strings.Lines(fmt.Sprint(err)) {
			got = append(got, strings.Join(strings.SplitN(line, ":", 4)[1:3], ":"))
		}
		if diff := cmp.Diff(want, got); diff != "" || (n != nil) != tree {
			t.Errorf("%s: tree %v, want %v; (-want +got)\n%s\n%v", name, n != nil, tree, diff, err)
		}
	}
	sure := "trigger:main\nvariables:\n  title: a: b # why\n  path: \"C:\\dir\\new\"\n  image: @x\n  files: *.cs\n  zero: a\x00b\nsteps:\n- ${{ if eq(1, 1) }}\n  - script: x\n  title: it's: so\n"
	f("each of another kind", sure, true, "1:1", "3:11", "4:12", "5:10", "6:10", "7:10", "9:3", "11:14")
	f("with carriage returns", strings.ReplaceAll(sure, "\n", "\r\n"), true, "1:1", "3:11", "4:12", "5:10", "6:10", "7:10", "9:3", "11:14")
	f("a key without its space before an empty line and a comment", "a:b\n\n# c\nd:\n  e: f: g\n", true, "1:1", "5:7")
	f("key twice behind a mistake", "a: b: c\nd: 1\nd: 2\n", true, "1:5", "3:1")
	f("tabs", "a:\n\tb: 1\nc:\n\td: 1\nd:\n  e: 1\n\tf: x: y\n", false, "2:1", "4:1", "7:1")
	f("indentation", "steps:\n- script: a\n   displayName: b\n   condition: c\n- script: b\n displayName: d\n", false, "3:15", "6:2")
	f("two conflicts", "a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\nc: d: e\n<<<<<<< HEAD\n=======\nf: 2\n>>>>>>> other\n", false, "2:1", "7:5", "8:1")
	f("a bracket without an end", "a: [b\nc: d: e\nf: g\n", false, "2:2")
	f("a bracket before a list", "a:\n- b: [\n  - c: d\ne: f: g\n", false, "3:3")
	f("more than are told", strings.Repeat("a: b: c\n", 100), false, "1:5", "2:5", "3:5", "4:5", "5:5", "6:5", "7:5", "8:5", "9:5", "10:5")
}

// What would grow without bound elsewhere is refused here, at once: aliases are not followed, and brackets are counted.
func TestBombs(t *testing.T) {
	t.Parallel()
	laughs := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'z'; c++ {
		laughs += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for name, text := range map[string]string{
		"aliases":          laughs,
		"an alias of self": "a: &a [*a]\n",
		"brackets":         strings.Repeat("[", MaxBytes-1),
		"braces":           strings.Repeat("{a: ", MaxBytes/5),
		"dashes":           strings.Repeat("- ", MaxBytes/2-1),
		"indentation":      strings.Repeat("? ", MaxBytes/2-1),
	} {
		start := time.Now()
		if _, err := Read("p.yml", []byte(text)); err == nil {
			t.Errorf("%s: read", name)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestSyntaxErrorHasItsPlace(t *testing.T) {
	t.Parallel()
	_, err := Read("p.yml", []byte("a: 1\nb: [1, 2\nc: 3\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "p.yml:3:") {
		t.Errorf("error %v, want one on line 3", err)
	}
}

func TestExpressionKeysMayRepeat(t *testing.T) {
	t.Parallel()
	n, err := Read("p.yml", []byte("${{ if true }}: 1\n${{ if  true }}: 2\n${{ else }}: 3\n${{ else }}: 4\n"))
	if err != nil || len(n.Pairs) != 4 {
		t.Errorf("pairs %v, error %v", n, err)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	n, err := Read("p.yml", []byte("a: xy$z\nb: 'xy$z'\nc: |\n  one\n   $z\n"))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"a": "p.yml:1:6", "b": "p.yml:2:7", "c": "p.yml:5:4"} {
		v := n.Get(key)
		if got := v.Locate(strings.Index(v.Text, "$")).String(); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}

func TestRule33Booleans(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"true", "True", "y", "yes", "on", "ON"} {
		if v, ok := Bool(s); !v || !ok {
			t.Errorf("%s is not true", s)
		}
	}
	for _, s := range []string{"false", "n", "no", "off", "Off"} {
		if v, ok := Bool(s); v || !ok {
			t.Errorf("%s is not false", s)
		}
	}
	if _, ok := Bool("1"); ok {
		t.Error("1 is a boolean")
	}
	n, err := Read("p.yml", []byte("on:\n  success: 1\n"))
	if err != nil || n.Get("on") == nil {
		t.Errorf("the key on is not text: %v %v", n, err)
	}
}

func TestWriteRoundTrip(t *testing.T) {
	t.Parallel()
	in := "a: true\nb: 'true'\nc:\n  - x\n  - \"1\"\nd: |\n  one\n  two\ne: '*/x'\nf: ''\ng: {}\nh: []\ni: 'a: b'\nj: \" lead\\n x \"\n"
	n, err := Read("p.yml", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	out, err := Write(n)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Read("p.yml", out)
	if err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if diff := cmp.Diff(flat(n), flat(again)); diff != "" {
		t.Errorf("(-first +again)\n%s\n%s", diff, out)
	}
}

// flat is the meaning of a tree, without places.
func flat(n *Node) any {
	switch n.Kind {
	case Map:
		var list []any
		for _, p := range n.Pairs {
			list = append(list, []any{p.Key.Text, flat(p.Value)})
		}
		return list
	case List:
		var list []any
		for _, item := range n.Items {
			list = append(list, flat(item))
		}
		return list
	}
	return n.Text
}

func FuzzRead(f *testing.F) {
	f.Add("a: [1, {b: c}]\n")
	f.Add("a: |\n  x\n ${{ y }}: z")
	f.Fuzz(func(t *testing.T, in string) {
		n, err := Read("p.yml", []byte(in))
		if err != nil || n == nil {
			return
		}
		out, err := Write(n)
		if err != nil {
			t.Fatalf("write: %v", err)
		}
		if _, err := Read("p.yml", out); err != nil && len(out) <= MaxBytes {
			t.Fatalf("read again: %v\n%q", err, out)
		}
	})
}
