package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/variable"
)

// keyTask is a task in a workspace with these files (name, text, ...).
func keyTask(t *testing.T, files ...string) *task {
	t.Helper()
	workspace := t.TempDir()
	for i := 0; i+1 < len(files); i += 2 {
		path := filepath.Join(workspace, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	spool, err := newReporter(nil, t.TempDir(), nil).open(1)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{folders: folders{workspace: workspace, sources: filepath.Join(workspace, "s")}}
	return &task{runner: r, log: &stepLog{spool: spool, mask: &masker{}}}
}

// The hashes are of the text
//
//	one() { printf '\nSHA256(%s)=[%d]%s' "$1" "$(stat -c %s "$1")" "$(sha256sum "$1" | cut -c1-64 | tr a-f A-F)"; }
//	one s/package-lock.json | openssl dgst -sha256 -binary | base64
//
// in the workspace, as Azure's agent makes them.
const (
	rootLock  = "5oG0apL8hnicDbxLCyiaFF4w8T3cMDPpUqNPR+RSw8o="
	bothLocks = "h5RMZRk+qcB+C3bB6zwI68LphOThYkEKylIsDBHTRyM="
)

func TestCacheKey(t *testing.T) {
	t.Parallel()
	task := keyTask(t, "s/package-lock.json", "{}\n", "s/a/package-lock.json", "a\n", "s/{a}.txt", "braces", "s/.hidden/x.lock", "")
	f := func(key, want string) {
		t.Helper()
		got, err := task.resolveKey(task.keyParts(key))
		if err != nil {
			got = err.Error()
		}
		if got = strings.ReplaceAll(got, task.folders.sources, "SOURCES"); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	f(`npm | "Linux" | package-lock.json`, `npm|"Linux"|`+rootLock)
	f(`npm|Linux||package-lock.json`, `npm|Linux|`+rootLock)
	f(task.folders.sources+"/package-lock.json", rootLock)
	f("**/package-lock.json", bothLocks)
	f("**/package-lock.json, !a/**", rootLock)
	f("**/package-lock.json,!**/a/*", rootLock)
	f("*/package-lock.json, package-lock.json", bothLocks)
	f("package-lock.json, **/package-lock.json", bothLocks)
	f("./**, !**/*.txt, !**/*.lock", bothLocks)
	f(`"my.key"`, `"my.key"`)
	f("ends with.", "ends with.")
	f("Pipfile*", "Pipfile*") // no path: it has neither a dot nor a slash
	f("v1.2", `no file is found for the part "v1.2" of the key, looked for in SOURCES: text that looks like a path is put in double quotes`)
	f("a | missing/*.lock", `no file is found for the part "missing/*.lock" of the key, looked for in SOURCES: text that looks like a path is put in double quotes`)
	f("a", "a")
	f("a | | b", "a part of the key is empty: is a variable in it not set?")
	f("a | **", "** alone is no part of a key: write ./** for files")
	f("'a'", "the part 'a' of the key begins with ': text is put in double quotes")
	f("!a/x, !b.txt", `the part "!a/x, !b.txt" of the key only takes files out: name those that it is about`)
	f(strings.Repeat("k", 1025), "the key has 1025 bytes, more than the 1024 that are allowed: put a hash in place of long parts")
	for _, pattern := range []string{"{a}.txt", "**/{a}.txt", ".hidden/*.lock", "**/x.lock"} {
		if _, err := task.resolveKey([]string{pattern}); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	if diff := cmp.Diff([]string{"a | b", "c"}, task.keyLines("a | b\nc\n")); diff != "" {
		t.Errorf("the older form: %s", diff)
	}
	task.vars.Put(saltVariable, variable.Value{Text: "7"})
	f("npm", "AZP_CACHING_SALT=7|npm")
}
