package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReplaceTokens(t *testing.T) {
	t.Parallel()
	variables := map[string]string{"Name": "world", "my.var": "dotted", "quote": `say "hi"`, "other": "$(Name)!", "vars": `{"name": "environment", "list": ["one", "two"]}`}
	f := func(name, task string, given map[string]string, files []string, want map[string]string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkbench(t, variables, files...)
			w.must(task, given)
			for file, text := range want {
				if diff := cmp.Diff(text, w.read(file)); diff != "" {
					t.Errorf("%s: %s", file, diff)
				}
			}
		})
	}
	file := func(text string) []string { return []string{"a.config", text} }
	f("version 3", "replacetokens@3", nil, append(file("#{name}# #{MY.VAR}# #{my_var}# #{x}#"), "b.json", "#{name}#"), map[string]string{"a.config": "world dotted dotted ", "b.json": "#{name}#"})
	f("a prefix of its own", "replacetokens@3", map[string]string{"tokenPrefix": "<<", "tokenSuffix": ">>"}, file("<<name>> #{name}#"), map[string]string{"a.config": "world #{name}#"})
	f("a macro in a value", "replacetokens@6", map[string]string{"sources": "*.config"}, file("#{other}#"), map[string]string{"a.config": "world!"})
	f("patterns of tokens", "replacetokens@4", map[string]string{"tokenPattern": "rm"}, file("__name__ #{name}#"), map[string]string{"a.config": "world #{name}#"})
	f("patterns of tokens in 6", "replacetokens@6", map[string]string{"sources": "*.config", "tokenPattern": "githubactions"}, file("${{ name }} #{name}#"), map[string]string{"a.config": "world #{name}#"})
	f("the whole name of the extension, and older names", "qetza.replacetokens.replacetokens-task.replacetokens@6", map[string]string{"targetFiles": "*.config", "rootDirectory": "sub"},
		[]string{"a.config", "#{name}#", "sub/a.config", "#{name}#"}, map[string]string{"a.config": "#{name}#", "sub/a.config": "world"})
	f("escapes by the name", "replacetokens@5", map[string]string{"targetFiles": "*.json, b.xml\nc.txt"}, []string{"a.json", `"#{quote}#"`, "b.xml", "#{quote}#", "c.txt", "#{quote}#"},
		map[string]string{"a.json": `"say \"hi\""`, "b.xml": "say &quot;hi&quot;", "c.txt": `say "hi"`})
	f("outputs", "replacetokens@5", map[string]string{"targetFiles": `conf\*.tokenized.config;!conf\no.*  =>  ../out/*.config`},
		[]string{"conf/a.tokenized.config", "#{name}#", "conf/no.tokenized.config", "#{name}#", "conf/plain.tokenized.config", "none"},
		map[string]string{"out/a.config": "world", "out/plain.config": "none", "out/no.config": "absent", "conf/a.tokenized.config": "#{name}#"})
	f("kept", "replacetokens@5", map[string]string{"keepToken": "true"}, file("#{x}# #{name}#"), map[string]string{"a.config": "#{x}# world"})
	f("kept in 6", "replacetokens@6", map[string]string{"sources": "*.config", "missingVarAction": "keep"}, file("#{x}# #{name}#"), map[string]string{"a.config": "#{x}# world"})
	f("a default", "replacetokens@5", map[string]string{"defaultValue": "d"}, file("#{x}# #{name}#"), map[string]string{"a.config": "d world"})
	f("a default in 6", "replacetokens@6", map[string]string{"sources": "*.config", "missingVarAction": "replace", "missingVarDefault": "d"}, file("#{x}# #{name}#"), map[string]string{"a.config": "d world"})
	f("transformations", "replacetokens@5", map[string]string{"enableTransforms": "true"}, file("#{upper(name)}#"), map[string]string{"a.config": "WORLD"})
	f("variables of files and of the input", "replacetokens@5", map[string]string{"variableFiles": "vars/*.yml,vars/*.json", "inlineVariables": "name: inline\nlist: [a, b]", "variableSeparator": ":"},
		append(file("#{name}# #{list:1}# #{a:b}# #{n}#"), "vars/x.yml", "a: {b: deep}\nname: file\n", "vars/y.json", `{"n": null, "a": {"b": "deeper"}}`), map[string]string{"a.config": "inline b deeper "})
	f("additional variables", "replacetokens@6", map[string]string{"sources": "*.config", "additionalVariables": "- '@vars/*.(yml|yaml)'\n- '$vars'\n- name: inline\n", "useAdditionalVariablesOnly": "true"},
		append(file("#{name}# #{a.b}# #{list.1}# [#{quote}#]"), "vars/x.yml", "a: {b: deep}\n"), map[string]string{"a.config": "inline deep two []"})
}

// Python writes files in each encoding and reads them back.
func TestReplaceTokensEncodings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ python, input, mark, want string }{
		{"utf-8", "auto", "false", "grün é"}, {"utf-8-sig", "auto", "true", "grün é"}, {"utf-16", "auto", "true", "grün é"}, {"utf-16-le", "utf-16le", "false", "grün é"},
		{"utf-16-be", "utf-16be", "false", "grün é"}, {"cp1252", "auto", "false", "grün é"}, {"latin-1", "iso88591", "false", "grün é"}, {"cp1252", "windows1252", "true", "grün é"},
	} {
		w := newWorkbench(t, map[string]string{"name": "grün"})
		program(t, w.folders.sources, "python3", "-c", "import sys; open('a','w',encoding=sys.argv[1]).write('#{name}# é')", c.python)
		w.must("replacetokens@6", map[string]string{"sources": "a", "encoding": c.input, "addBOM": c.mark})
		got := program(t, w.folders.sources, "python3", "-X", "utf8", "-c", "import sys; print(open('a',encoding=sys.argv[1]).read(),end='')", c.python)
		if got != c.want {
			t.Errorf("%v: %q", c, got)
		}
	}
	w := newWorkbench(t, map[string]string{"name": "grün"}, "a.config", "#{name}#")
	w.must("replacetokens@5", nil)
	if got := w.read("a.config"); got != "gr?n" { // the file was ASCII, and stays it
		t.Errorf("%q", got)
	}
}

func TestReplaceTokensTells(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, map[string]string{"name": "world"}, "a.config", "#{x}# #{name}#", "loop.txt", "#{a}#")
	w.must("replacetokens@5", nil)
	w.says("##[warning]There is no variable x.")
	w.says("Replaced 1 of 2 tokens in 1 files")
	for name, want := range map[string]string{"tokenReplacedCount": "1", "tokenFoundCount": "2", "step.fileProcessedCount": "1", "defaultValueCount": "0"} {
		if v, ok := w.runner.vars.Get(name); !ok || v.Text != want {
			t.Errorf("%s is %q, want %s", name, v.Text, want)
		}
	}
	w.write("a.config", "#{x}# #{name}#")
	w.fails("replacetokens@5", map[string]string{"actionOnMissing": "fail"}, "1 tokens have no variable")
	w.fails("replacetokens@6", map[string]string{"sources": "loop.txt", "missingVarLog": "error"}, "1 tokens have no variable")
	w.fails("replacetokens@4", map[string]string{"targetFiles": "*.exe", "actionOnNoFiles": "fail"}, "no file matches below S")
	w.must("replacetokens@6", map[string]string{"sources": "*.exe", "ifNoFilesFound": "warn"})
	w.says("##[warning]No file matches below S.")
	w.write("loop.txt", "#{a}#")
	w.fails("replacetokens@6", map[string]string{"sources": "loop.txt", "recursive": "true", "additionalVariables": "a: '#{b}#'\nb: '#{a}#'"},
		`replace tokens in S/loop.txt: the value of "a" holds its own token`)
	w.fails("replacetokens@6", map[string]string{"sources": "loop.txt", "additionalVariables": "- plain"},
		`additional variables are a map, or text that begins with @ (files) or $ (an environment variable), not "plain"`)
	w.fails("replacetokens@6", map[string]string{"sources": "loop.txt", "additionalVariables": "$name"}, "$name holds no map of variables")
}
