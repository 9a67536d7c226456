package repos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"slipway"
	"slipway/internal/db/dbtest"
)

// source is a repository to push from, with 150 commits and what git-fast-import(1) makes of more.
func source(t testing.TB, more string) string {
	t.Helper()
	dir := t.TempDir()
	gitIn(t, dir, "", "init", "-q", "--bare", "-b", "main", ".")
	gitIn(t, dir, fastImport(150)+more, "fast-import", "--quiet")
	return dir
}

func gitIn(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %v: %v", args, err)
	}
	return string(out)
}

func next(file, content string) string {
	return fmt.Sprintf("commit refs/heads/main\ncommitter Ben <ben@example.org> 1800000000 +0000\ndata 1\nx\nM 644 inline %s\ndata %d\n%s\n", file, len(content), content)
}

// firstPush is the body of a push of main.
func firstPush(t testing.TB, dir, branch string, args ...string) (body string, packAt int) {
	t.Helper()
	pack := gitIn(t, dir, "main\n", append([]string{"pack-objects", "--revs", "--stdout", "-q", "--delta-base-offset"}, args...)...)
	line := fmt.Sprintf("%s %s refs/heads/%s\x00 report-status", strings.Repeat("0", 40), strings.TrimSpace(gitIn(t, dir, "", "rev-parse", "main")), branch)
	commands := fmt.Sprintf("%04x%s0000", len(line)+4, line)
	return commands + pack, len(commands)
}

// files are those below a repository's objects.
func (w *world) files(id slipway.RepositoryID) (list []string) {
	w.t.Helper()
	objects := filepath.Join(w.dir(id), "objects")
	err := filepath.WalkDir(objects, func(path string, d fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(objects, path); err == nil && name != "." && name != "pack" && name != "info" {
			list = append(list, name)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) empty(name string) Repository {
	w.t.Helper()
	r, err := w.Create(context.Background(), CreateRequest{Project: project, Name: name, Actor: ada})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// Git reads an empty pack instead of one that is indexed here, however it comes, and any other as it came.
func TestTakenPacks(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	plain, packAt := firstPush(t, source(t, ""), "main")
	few, _ := firstPush(t, source(t, ""), "main")
	few = few[:packAt] + "PACK\x00\x00\x00\x02\x00\x00\x00\x63" + few[packAt+12:]
	modules, _ := firstPush(t, source(t, next(".gitmodules", "[submodule \"a\"]\n\tpath = a\n\turl = ../a.git\n\tupdate = rebase\n")), "main")
	byName, _ := firstPush(t, source(t, next("folder/file-2", "x\n")), "main", "--no-delta-base-offset")
	broken := plain[:len(plain)-1] + string(plain[len(plain)-1]^1)
	large := plain + strings.Repeat("x", 10) // behind the pack
	for name, test := range map[string]struct {
		body  string
		taken bool
	}{
		"plain": {plain, true}, "few objects": {few, false}, "submodules": {modules, false}, "differences to names": {byName, false}, "broken": {broken, false},
		"cut off": {plain[:len(plain)/2], false}, "cut off in its head": {plain[:packAt+7], false}, "none": {plain[:packAt], false}, "more behind it": {large, true},
	} {
		for how, in := range map[string]io.Reader{"at once": strings.NewReader(test.body), "byte by byte": iotest.OneByteReader(strings.NewReader(test.body))} {
			index, err := w.newPushIndex(w.repo, 0)
			if err != nil || index == nil {
				t.Fatal(index, err)
			}
			if strings.HasPrefix(name, "differences") && !strings.Contains(gitIn(t, w.dir(w.repo.ID), test.body[packAt:], "index-pack", "--stdin"), "pack") {
				t.Fatal("git takes no such pack")
			}
			tap := newPushTap(in, SHA1, index)
			read, err := io.ReadAll(tap)
			if err != nil {
				t.Fatal(err)
			}
			want := test.body
			if test.taken {
				want = test.body[:packAt] + string(emptyPack)
			}
			if string(read) != want || index.taken() != test.taken {
				t.Errorf("%s, %s: git reads %d bytes, want %d; taken %v", name, how, len(read), len(want), index.taken())
			}
			tap.close()
			index.close()
			if strings.HasPrefix(name, "differences") {
				if err := os.RemoveAll(filepath.Join(w.dir(w.repo.ID), "objects", "pack")); err != nil {
					t.Fatal(err)
				}
			}
			if left := w.files(w.repo.ID); len(left) > 0 {
				t.Errorf("%s, %s leaves %q", name, how, left)
			}
		}
	}
}

// A first push is as git would have made it: one pack with its index, and nothing else. What is refused leaves nothing.
func TestFirstPushes(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	push := func(r Repository, body string) string {
		var out bytes.Buffer
		if err := w.ReceivePack(context.Background(), r.ID, ada, Transport{In: strings.NewReader(body), Out: &out}, nil); err != nil {
			t.Log(err)
		}
		return out.String()
	}
	plain, packAt := firstPush(t, source(t, ""), "main")
	r := w.empty("plain")
	if report := push(r, plain); !strings.Contains(report, "unpack ok") || !strings.Contains(report, "ok refs/heads/main") {
		t.Fatalf("%q", report)
	}
	files := w.files(r.ID)
	if len(files) != 2 || !strings.HasSuffix(files[0], ".idx") || !strings.HasSuffix(files[1], ".pack") {
		t.Errorf("the repository has %q", files)
	}
	if pack, err := os.ReadFile(filepath.Join(w.dir(r.ID), "objects", files[1])); err != nil || string(pack) != plain[packAt:] {
		t.Errorf("the pack is another: %v", err)
	}
	gitIn(t, w.dir(r.ID), "", "fsck", "--full", "--strict")
	gitIn(t, w.dir(r.ID), "", "verify-pack", filepath.Join(w.dir(r.ID), "objects", files[0]))

	key := "AKIA" + "Z7VRSQ5TJN2XMPLQ"
	secret, _ := firstPush(t, source(t, next("config", "key = "+key+"\n")), "main")
	r = w.empty("secret")
	if report := push(r, secret); !strings.Contains(report, "ng refs/heads/main") {
		t.Errorf("%q", report)
	}
	if left := w.files(r.ID); len(left) > 0 {
		t.Errorf("a refused push leaves %q", left)
	}
	r = w.empty("limited")
	if err := w.SetRepositoryLimits(context.Background(), r, Limits{File: 1000}, ada); err != nil {
		t.Fatal(err)
	}
	large, _ := firstPush(t, source(t, next("large", strings.Repeat("x\n", 600))), "main")
	if report := push(r, large); !strings.Contains(report, "ng refs/heads/main") {
		t.Errorf("%q", report)
	}
	if left := w.files(r.ID); len(left) > 0 {
		t.Errorf("a refused push leaves %q", left)
	}
}

// Two first pushes at the same time both go.
func TestFirstPushesTogether(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	r := w.empty("together")
	var begun, done sync.WaitGroup
	for i := range 2 {
		body, packAt := firstPush(t, source(t, next("file", fmt.Sprint(i))), fmt.Sprint("branch-", i))
		begun.Add(1)
		done.Go(func() {
			var out bytes.Buffer
			in := io.MultiReader(strings.NewReader(body[:packAt+100]), &waits{&begun}, strings.NewReader(body[packAt+100:]))
			if err := w.ReceivePack(context.Background(), r.ID, ada, Transport{In: in, Out: &out}, nil); err != nil || !strings.Contains(out.String(), "ok refs/heads/branch-") {
				t.Errorf("%v: %q", err, out.String())
			}
		})
	}
	done.Wait()
	gitIn(t, w.dir(r.ID), "", "fsck", "--full", "--strict")
	if refs, err := w.refs(context.Background(), r.ID, branchPrefix); err != nil || len(refs) != 2 {
		t.Errorf("%v, %v", refs, err)
	}
}

// waits ends when all have come to it.
type waits struct{ all *sync.WaitGroup }

func (w *waits) Read([]byte) (int, error) {
	w.all.Done()
	w.all.Wait()
	return 0, io.EOF
}

// A push that ends in the middle leaves nothing, and what waits for its rest ends too.
func TestFirstPushEnds(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	r := w.empty("ends")
	body, packAt := firstPush(t, source(t, ""), "main")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	in, client := io.Pipe()
	done := make(chan error, 1)
	go func() {
		var out bytes.Buffer
		done <- w.ReceivePack(ctx, r.ID, ada, Transport{In: in, Out: &out}, nil)
	}()
	if _, err := io.WriteString(client, body[:packAt+(len(body)-packAt)/2]); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("it ended well")
	}
	client.Close()
	if left := w.files(r.ID); len(left) > 0 {
		t.Errorf("it leaves %q", left)
	}
}

// The pusher hears once in a second how far the server is, as git says it, or that it is still there.
func TestPushProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			commands pushCommands
			wait     time.Duration
			want     string
		}{
			"shown":        {pushCommands{told: true}, 600 * time.Millisecond, packet("\x02Resolving deltas:  50% (512/1024)\r") + packet("\x02Resolving deltas: 100% (1024/1024), done.\n")},
			"quiet":        {pushCommands{told: true, quiet: true}, 600 * time.Millisecond, "0005\x020005\x02"},
			"soon over":    {pushCommands{told: true}, time.Millisecond, ""},
			"of no client": {pushCommands{}, time.Minute, ""},
		} {
			var out bytes.Buffer
			answer := &pushAnswer{out: &out}
			if tell := answer.progress(&test.commands); tell != nil {
				for _, done := range []int{256, 300, 512, 768, 1024} {
					tell(done, 1024)
					<-time.After(test.wait)
				}
			}
			if out.String() != test.want {
				t.Errorf("%s: %q, want %q", name, out.String(), test.want)
			}
		}
	})
}
