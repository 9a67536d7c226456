package gitserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/db/dbtest"
	"slipway/internal/gitserver"
)

// A first push of more than a few objects, which the server indexes itself, comes to a repository as any other does, over HTTP and over SSH: as git
// sends it, with an old tag, with submodules, and with a form that is left to git.
func TestFirstPush(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]func(dir string){
		"plain": func(string) {},
		"an old tag": func(dir string) {
			tag := filepath.Join(dir, ".git", "old")
			text := "object " + mustGit(t, dir, "rev-parse", "HEAD") + "\ntype commit\ntag old\n\nwithout a tagger\n"
			if err := os.WriteFile(tag, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			mustGit(t, dir, "tag", "old", mustGit(t, dir, "hash-object", "-w", "-t", "tag", "--literally", tag))
		},
		"submodules": func(dir string) {
			commit(t, dir, ".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n", "a submodule")
		},
		"a submodule's own way of update": func(dir string) {
			commit(t, dir, ".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n\tupdate = rebase\n", "a submodule")
		},
	} {
		for _, over := range []string{"HTTP", "SSH"} {
			t.Run(name+" over "+over, func(t *testing.T) {
				t.Parallel()
				w := setupSSH(t, dbtest.SQLite(t), gitserver.Options{})
				key, err := w.key("Ada", "-t", "ed25519")
				if err != nil {
					t.Fatal(err)
				}
				dir := w.world.work(w.writer)
				for i := range 40 {
					commit(t, dir, fmt.Sprintf("folder/%d/file", i), strings.Repeat(fmt.Sprintln("line", i), 50), "more")
				}
				more(dir)
				if over == "SSH" {
					w.must(key, dir, "push", "-q", overSSH, "main", "--tags")
				} else {
					mustGit(t, dir, "push", "-q", "origin", "main", "--tags")
				}
				clone := filepath.Join(t.TempDir(), "clone")
				mustGit(t, "", "-c", "fetch.fsckObjects=true", "clone", "-q", "--mirror", w.remote(w.reader), clone)
				mustGit(t, clone, "fsck", "--full")
				refs := []string{"for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags"}
				if got, want := mustGit(t, clone, refs...), mustGit(t, dir, refs...); got != want {
					t.Errorf("the server has\n%s\nwant\n%s", got, want)
				}
				// And it goes on from there.
				commit(t, dir, "later", "x\n", "later")
				mustGit(t, dir, "push", "-q", "origin", "main")
			})
		}
	}
}
