package packfile_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/repos/packfile"
)

// git runs the program in a folder, as somebody on a certain day.
func git(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	out, err := tryGit(dir, stdin, args...)
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return out
}

func tryGit(dir, stdin string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_DATE=1700000000 +0100", "GIT_COMMITTER_DATE=1700000000 +0100")
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out) + stderr.String(), err
	}
	return string(out), nil
}

// seen is a scanner that counts what it is shown.
type seen struct{ files, changes, large, bytes, putOff int }

func (s *seen) File(text []byte) { s.files, s.bytes = s.files+1, s.bytes+len(text) }
func (s *seen) Change(text, base []byte, changed []packfile.Span) {
	s.changes, s.bytes = s.changes+1, s.bytes+len(text)
}
func (s *seen) Large(content io.Reader, size int64) error {
	s.large++
	_, err := io.CopyN(io.Discard, content, size/2)
	return err
}

// index reads a pack and gives its index.
func index(t testing.TB, pack io.Reader, scanner *seen) (*packfile.Indexer, []byte, error) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "pack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	x := packfile.NewIndexer(pack, file, scanner)
	x.Progress = func(done, _ int) { scanner.putOff = done }
	if err := x.Run(context.Background()); err != nil {
		return x, nil, err
	}
	var b bytes.Buffer
	if err := x.WriteIndex(&b); err != nil {
		t.Fatal(err)
	}
	return x, b.Bytes(), nil
}

// gitIndex is what git-index-pack(1) makes of a pack.
func gitIndex(t testing.TB, pack []byte) ([]byte, error) {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "--bare", ".")
	path := filepath.Join(dir, "x.pack")
	if err := os.WriteFile(path, pack, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := tryGit(dir, "", "-c", "transfer.fsckObjects=true", "index-pack", "--strict", path); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "x.idx"))
	if err != nil {
		t.Fatal(err)
	}
	return b, nil
}

// history is a repository with some of everything.
func history(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "-b", "main", ".")
	random := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var body strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&body, "line %d of %x\n", i, i*i*7919)
	}
	for i := range 40 {
		write("a.go", body.String()[i*100:]+fmt.Sprint("version ", i))
		write(fmt.Sprintf("folder/%d/file-%d.txt", i%7, i), body.String()[:i*50])
		write("empty", "")
		write("noise.bin", string(noise[:100_000+i*1000]))
		write(".gitattributes", "*.txt text\n")
		write("a", "a file before a-b and a/\n")
		write("a-b/c", fmt.Sprint(i))
		if i == 3 {
			if err := os.Symlink("a.go", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
		}
		git(t, dir, "", "add", "-A")
		git(t, dir, "", "commit", "-q", "-m", fmt.Sprintf("commit %d\n\nwith text", i))
	}
	git(t, dir, "", "tag", "-a", "-m", "a tag", "v1")
	git(t, dir, "", "tag", "-a", "-m", "of a file", "v2", "HEAD:a.go")
	git(t, dir, "", "checkout", "-q", "-b", "side", "HEAD~5")
	write("side", "x")
	git(t, dir, "", "add", "-A")
	git(t, dir, "", "commit", "-q", "-m", "side")
	git(t, dir, "", "merge", "-q", "-m", "merge", "main")
	return dir
}

func pack(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	return []byte(git(t, dir, "", append([]string{"pack-objects", "--all", "--revs", "--stdout", "-q", "--delta-base-offset"}, args...)...))
}

// The index of a pack is, byte by byte, git's.
func TestIndex(t *testing.T) {
	t.Parallel()
	dir := history(t)
	for name, args := range map[string][]string{
		"as it is": nil, "anew": {"--no-reuse-delta", "--window=50", "--depth=50"}, "without differences": {"--window=0", "--no-reuse-delta"}, "stored": {"--compression=0", "--no-reuse-object"},
		"long chains": {"--no-reuse-delta", "--window=5", "--depth=4000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pack(t, dir, args...)
			want, err := gitIndex(t, p)
			if err != nil {
				t.Fatal(err)
			}
			var s seen
			x, got, err := index(t, bytes.NewReader(p), &s)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the index of %d bytes differs from git's of %d", len(got), len(want))
			}
			if s.files+s.changes < 100 || s.large > 0 {
				t.Errorf("the scanner saw %+v", s)
			}
			if head := strings.TrimSpace(git(t, dir, "", "rev-parse", "HEAD")); !x.Has(head) || x.Has(strings.Repeat("0", 40)) {
				t.Error("Has is wrong")
			}
			// And in small parts.
			if _, got, err = index(t, inParts{bytes.NewReader(p)}, &s); err != nil || !bytes.Equal(got, want) {
				t.Errorf("in small parts: %v", err)
			}
		})
	}
}

// inParts reads at most 1,000 bytes at once.
type inParts struct{ in io.Reader }

func (p inParts) Read(b []byte) (int, error) { return p.in.Read(b[:min(len(b), 1000)]) }

// What is a difference to an object that has long been forgotten is made in the end, from what leads to it.
func TestPutOff(t *testing.T) {
	t.Parallel()
	var w writer
	var body strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&body, "line %d of %x\n", i, i*i*7919)
	}
	first, entries := body.String(), []string{}
	at := w.entry(packfile.Blob, nil, first)
	entries = append(entries, first)
	// add appends a line to a version that begins at a place of the pack.
	add := func(base int64, text, line string) (int64, string) {
		var delta []byte
		delta = binary.AppendUvarint(delta, uint64(len(text)))
		delta = binary.AppendUvarint(delta, uint64(len(text)+len(line)))
		for from := 0; from < len(text); from += 0xffff {
			size := min(0xffff, len(text)-from)
			delta = append(delta, 0x80|0x0f|0x30, byte(from), byte(from>>8), byte(from>>16), byte(from>>24), byte(size), byte(size>>8))
		}
		delta = append(append(delta, byte(len(line))), line...)
		here := w.offset
		w.entry(packfile.OffsetDelta, backwards(here-base), string(delta))
		entries = append(entries, text+line)
		return here, text + line
	}
	branch, branchText := add(at, first, "a branch\n")
	random := rand.New(rand.NewPCG(9, 9))
	noise := make([]byte, 1<<20)
	for range 30 { // which is more than is held
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		w.entry(packfile.Blob, nil, string(noise))
	}
	late, lateText := add(branch, branchText, "late\n")
	add(branch, branchText, "late too\n")
	add(late, lateText, "the last\n")
	add(at, first, "another\n")
	p := w.pack()
	want, err := gitIndex(t, p)
	if err != nil {
		t.Fatal(err)
	}
	var s seen
	if _, got, err := index(t, bytes.NewReader(p), &s); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%v, %v", err, bytes.Equal(got, want))
	}
	if s.files != 31 || s.changes != 5 || s.putOff != 4 {
		t.Errorf("the scanner saw %+v", s)
	}
}

// A file that is not held as a whole is named and scanned as it comes; a difference to it is git's.
func TestLarge(t *testing.T) {
	t.Parallel()
	var w writer
	large := strings.Repeat("0123456789abcde\n", packfile.MaxWhole/16+10)
	at := w.entry(packfile.Blob, nil, large)
	p := w.pack()
	want, err := gitIndex(t, p)
	if err != nil {
		t.Fatal(err)
	}
	var s seen
	if _, got, err := index(t, bytes.NewReader(p), &s); err != nil || !bytes.Equal(got, want) || s.large != 1 {
		t.Fatalf("%v, %v, %+v", err, bytes.Equal(got, want), s)
	}
	delta := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(large))), 1)
	w.entry(packfile.OffsetDelta, backwards(w.offset-at), string(append(delta, 1, 'x')))
	p = w.pack()
	if _, err := gitIndex(t, p); err != nil {
		t.Fatal(err)
	}
	if _, _, err := index(t, bytes.NewReader(p), &s); !errors.Is(err, packfile.ErrUnusual) {
		t.Errorf("a difference to it: %v", err)
	}
}

// What is more than a limit, collides or cannot be written is left, whole.
func TestLeft(t *testing.T) {
	t.Parallel()
	dir := history(t)
	p := pack(t, dir)
	file, err := os.Create(filepath.Join(t.TempDir(), "pack"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	x := packfile.NewIndexer(bytes.NewReader(p), file, &seen{})
	x.Limit = int64(len(p) / 2)
	if err := x.Run(context.Background()); !errors.Is(err, packfile.ErrUnusual) {
		t.Errorf("beyond the limit: %v", err)
	}
	if all, err := io.ReadAll(x.Replay()); err != nil || !bytes.Equal(all, p) {
		t.Errorf("beyond the limit %d of %d bytes are given back: %v", len(all), len(p), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	x = packfile.NewIndexer(bytes.NewReader(p), file, &seen{})
	if err := x.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	closed, err := os.Open(os.DevNull) // which cannot be written to
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	x = packfile.NewIndexer(bytes.NewReader(p), closed, &seen{})
	if err := x.Run(context.Background()); err == nil {
		t.Error("it wrote to a file that is open for reading")
	}
	if all, err := io.ReadAll(x.Replay()); err != nil || !bytes.Equal(all, p) {
		t.Errorf("%d of %d bytes are given back: %v", len(all), len(p), err)
	}
}

// BenchmarkIndex is beside `git index-pack --strict`, on packs of files and of differences.
func BenchmarkIndex(b *testing.B) {
	dir := b.TempDir()
	git(b, dir, "", "init", "-q", "--bare", "-b", "main", ".")
	random := rand.New(rand.NewPCG(7, 8))
	body := make([]byte, 4500)
	var in strings.Builder
	for i := range 400 {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Ada <ada@example.org> %d +0000\ndata 8\ncommit x\n", 1_700_000_000+i*60)
		for range 8 {
			for j := range body {
				body[j] = "0123456789abcdef\n +-*/={}()[];.,:aeiou_tnrslABCDEFGHIJKLMNOPQRSTUV"[random.IntN(64)]
			}
			fmt.Fprintf(&in, "M 100644 inline src/%02d/%02d/file%d.txt\ndata %d\n%s\n", random.IntN(20), random.IntN(30), random.IntN(40), len(body), body)
		}
	}
	git(b, dir, in.String(), "fast-import", "--quiet")
	for name, p := range map[string][]byte{"files": pack(b, dir), "differences": pack(b, history(b), "--no-reuse-delta", "--window=50")} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if _, _, err := index(b, bytes.NewReader(p), &seen{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/git", func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				git(b, dir, string(p), "index-pack", "--strict", "--threads=1", "--stdin")
			}
		})
	}
}
