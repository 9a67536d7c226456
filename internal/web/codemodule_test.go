package web_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A submodule's path leads to its repository when that is here, and else says what it is.
func TestSubmodulePath(t *testing.T) {
	t.Parallel()
	w := newCodeWorld(t)
	w.put("begin", "README.md", "# Shop\n")
	bare, err := filepath.Glob(filepath.Join(w.folder, "*", "*.git"))
	if err != nil || len(bare) != 1 {
		t.Fatal(bare, err)
	}
	const here, there = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	modules := "[submodule \"here\"]\n\tpath = mods/here\n\turl = ../Hats\n[submodule \"there\"]\n\tpath = there\n\turl = https://example.org/there.git\n"
	cmd := exec.Command("git", "-C", bare[0], "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader("commit refs/heads/modules\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata 1\nx\nM 160000 " + here + " mods/here\nM 160000 " + there +
		" there\nM 100644 inline .gitmodules\ndata <<E\n" + modules + "E\n\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, _, res := w.do(w.reader, "GET", shopPages+"?version=GBmodules&path=/mods/here", nil)
	if got, want := res.Request.URL.RequestURI(), "/tools/_git/Hats?version=GC"+here; got != want {
		t.Errorf("it leads to %s, want %s", got, want)
	}
	status, body, _ := w.do(w.reader, "GET", shopPages+"?version=GBmodules&path=/there", nil)
	if status != 404 || !strings.Contains(body, "there is a submodule, at commit "+there+" of https://example.org/there.git") {
		t.Errorf("%d\n%s", status, body)
	}
	if status, body, _ = w.do(w.reader, "GET", shopPages+"?version=GBmodules&path=/mods/nothing", nil); status != 404 || strings.Contains(body, "submodule") {
		t.Errorf("%d\n%s", status, body)
	}
}
