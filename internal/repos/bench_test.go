package repos

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
)

// The repository that the benchmark makes: a million lines in ten thousand files, and three thousand commits that change ten files each.
const (
	benchFiles   = 10_000
	benchLines   = 100 // of a file
	benchCommits = 3000
)

func benchPath(n int) string {
	return fmt.Sprintf("area%02d/part%02d/file%02d.go", n/1000, n/100%10, n%100)
}

func benchText(w io.Writer, file, revision int, random *rand.Rand) {
	var text strings.Builder
	for line := range benchLines {
		fmt.Fprintf(&text, "func name%d_%d() int { return %d } // %d\n", file, line, line*7, random.IntN(20)*revision)
	}
	fmt.Fprintf(w, "data %d\n%s\n", text.Len(), text.String())
}

// writeLarge writes the history for git fast-import, always the same.
func writeLarge(w io.Writer) {
	out := bufio.NewWriter(w)
	random := rand.New(rand.NewPCG(1, 2))
	begun := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	for commit := range benchCommits {
		fmt.Fprintf(out, "commit refs/heads/main\ncommitter Ada <ada@example.org> %d +0000\ndata <<END\nchange number %d\nEND\n", begun+int64(commit)*3600, commit)
		if commit == 0 {
			for f := range benchFiles {
				fmt.Fprintf(out, "M 100644 inline %s\n", benchPath(f))
				benchText(out, f, 0, random)
			}
			continue
		}
		for range 10 {
			f := random.IntN(benchFiles)
			fmt.Fprintf(out, "M 100644 inline %s\n", benchPath(f))
			benchText(out, f, commit, random)
		}
	}
	_ = out.Flush() // an error ends git, which is what is looked at
}

// openLarge makes the repository, packed and with a commit-graph as upkeep leaves it.
func openLarge(b *testing.B) (*world, slipway.CommitID) {
	b.Helper()
	d, err := db.Open(context.Background(), "sqlite:"+filepath.Join(b.TempDir(), "slipway.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	w := setup(b, d)
	read, write := io.Pipe()
	go func() {
		writeLarge(write)
		_ = write.Close()
	}()
	for _, args := range [][]string{{"fast-import", "--quiet"}, {"repack", "-adq"}, {"commit-graph", "write", "--reachable", "--changed-paths"}} {
		cmd := exec.Command("git", append([]string{"-C", w.dir(w.repo.ID)}, args...)...)
		if args[0] == "fast-import" {
			cmd.Stdin = read
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	if _, err := w.Announce(context.Background(), w.repo.ID, ada); err != nil {
		b.Fatal(err)
	}
	head, err := w.Resolve(context.Background(), w.repo.ID, "main")
	if err != nil {
		b.Fatal(err)
	}
	return w, head
}

// BenchmarkLarge is what pages ask of a repository of a million lines, each time without what was remembered of the time before.
func BenchmarkLarge(b *testing.B) {
	w, head := openLarge(b)
	ctx, id := context.Background(), w.repo.ID
	old, err := w.History(ctx, HistoryRequest{Repository: id, Commit: head, Skip: 500, Limit: 1})
	if err != nil || len(old.Entries) == 0 {
		b.Fatalf("an older commit: %v", err)
	}
	base := old.Entries[0].ID
	file := benchPath(4321)
	for _, one := range []struct {
		name string
		ask  func() error
	}{
		{"tree", func() error { _, _, err := w.Tree(ctx, id, head, "area04/part03"); return err }},
		{"last-commits-root", func() error {
			_, whole, err := w.LastCommits(ctx, id, head, "", time.Minute)
			if !whole {
				b.Error("the walk did not come to its end")
			}
			return err
		}},
		{"last-commits-folder", func() error { _, _, err := w.LastCommits(ctx, id, head, "area04/part03", time.Minute); return err }},
		{"file", func() error { _, err := w.File(ctx, id, head, file, 1<<20); return err }},
		{"blame", func() error { _, err := w.Blame(ctx, id, head, file); return err }},
		{"history", func() error {
			_, err := w.History(ctx, HistoryRequest{Repository: id, Commit: head, Limit: 50})
			return err
		}},
		{"history-file", func() error {
			_, err := w.History(ctx, HistoryRequest{Repository: id, Commit: head, Path: file, Follow: true, Limit: 50})
			return err
		}},
		{"history-text", func() error {
			_, err := w.History(ctx, HistoryRequest{Repository: id, Commit: head, Text: "number 17", Limit: 50})
			return err
		}},
		{"compare-500-commits", func() error { _, err := w.Diff(ctx, id, base, head); return err }},
		{"ahead-behind", func() error { _, err := w.AheadBehind(ctx, id, base, head); return err }},
		{"grep-rare", func() error {
			_, err := w.Grep(ctx, GrepRequest{Repository: id, Commit: head, Pattern: "name4321_77"})
			return err
		}},
		{"grep-nothing", func() error {
			_, err := w.Grep(ctx, GrepRequest{Repository: id, Commit: head, Pattern: "no[bB]ody", Regex: true})
			return err
		}},
		{"find-file", func() error { _, err := w.FindFiles(ctx, id, head, "a4p3f21", 50); return err }},
	} {
		b.Run(one.name, func(b *testing.B) {
			for b.Loop() {
				w.caches = newCaches()
				if err := one.ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
