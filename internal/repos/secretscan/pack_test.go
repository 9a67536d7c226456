package secretscan_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"slipway/internal/repos/packfile"
	"slipway/internal/repos/secretscan"
)

// git runs the program in a folder.
func git(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %q: %v", args, err)
	}
	return string(out)
}

// filler are lines that no difference shortens, of which git makes one difference to another.
func filler(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d of %x\n", i, i*i*7919)
	}
	return b.String()
}

// packOf is a pack as git makes it of versions of a file; those that come later are mostly differences.
func packOf(t testing.TB, format string, versions ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "--bare", "-b", "main", "--object-format="+format, ".")
	var in strings.Builder
	for i, v := range versions {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter Ada <ada@example.org> %d +0000\ndata 1\nx\nM 100644 inline file.txt\ndata %d\n%s\n", 1_700_000_000+i, len(v), v)
	}
	git(t, dir, in.String(), "fast-import", "--quiet")
	return []byte(git(t, dir, "main\n", "pack-objects", "--revs", "--stdout", "--delta-base-offset", "--window=20", "-q"))
}

// What a version of a file adds is found, whichever version git makes a difference to the other.
func TestReadPack(t *testing.T) {
	t.Parallel()
	key := "AKIA" + "Z7VRSQ5TJN2XMPLQ"
	body := filler(400)
	half := len(body) / 2
	tests := map[string]struct {
		versions []string
		want     bool
	}{
		"nothing":                    {[]string{body, body + "more\n"}, false},
		"at the end":                 {[]string{body, body + key}, true},
		"at the beginning":           {[]string{body, key + "\n" + body}, true},
		"in the middle":              {[]string{body, body[:half] + "\n" + key + "\n" + body[half:]}, true},
		"begun in the base":          {[]string{body + "k=" + key[:14] + "\n", body + "k=" + key + "\n"}, true},
		"ended in the base":          {[]string{body + "=" + key[10:] + "\n", body + "=" + key + "\n"}, true},
		"joined":                     {[]string{body[:half] + "\nAKIA\n" + key[4:] + "\n" + body[half:], body[:half] + "\n" + key + "\n" + body[half:]}, true},
		"cut out of a longer word":   {[]string{body + "x" + key + "y\n" + body, body + key + "\n" + body}, true},
		"cut off":                    {[]string{body + key + "y", body + key}, true},
		"binary":                     {[]string{"\x00" + body, "\x00" + body + key}, false},
		"a binary that is text now":  {[]string{"\x00" + body + key + "\n", body + key + "\n"}, true},
		"a key below its first line": {[]string{body + "-----BEGIN " + "PRIVATE KEY-----\n" + body, body + "-----BEGIN " + "PRIVATE KEY-----\n" + strings.Repeat("Zm9v", 16) + "\n" + body}, true},
		"a first line above the key": {[]string{body + "--\n" + strings.Repeat("Zm9v", 16) + "\n" + body, body + "-----BEGIN " + "PRIVATE KEY-----\n" + strings.Repeat("Zm9v", 16) + "\n" + body}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for format, size := range map[string]int{"sha1": 20, "sha256": 32} {
				pack, err := secretscan.ReadPack(bytes.NewReader(packOf(t, format, test.versions...)), size)
				if err != nil || len(pack.Left) > 0 || pack.Suspect != test.want {
					t.Errorf("%s: %+v, %v; want suspect %v", format, pack, err, test.want)
				}
				// The other way round: git makes differences of the older to the newer.
				reversed := []string{test.versions[1], test.versions[0], test.versions[1]}
				if pack, err = secretscan.ReadPack(bytes.NewReader(packOf(t, format, reversed...)), size); err != nil || pack.Suspect != test.want {
					t.Errorf("%s reversed: %+v, %v; want suspect %v", format, pack, err, test.want)
				}
			}
		})
	}
}

// A chain of differences is followed, and the packs of these tests have some.
func TestReadPackChain(t *testing.T) {
	t.Parallel()
	body := filler(300)
	var versions []string
	for i := range 30 {
		versions = append(versions, body+fmt.Sprintf("version %d\n", i)+body)
	}
	clean := packOf(t, "sha1", versions...)
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "--bare", ".")
	git(t, dir, string(clean), "index-pack", "--stdin")
	if out := git(t, dir, "", "cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(deltabase)"); strings.Count(out, "blob 0000") > 3 {
		t.Fatalf("git made few differences:\n%s", out)
	}
	if pack, err := secretscan.ReadPack(bytes.NewReader(clean), 20); err != nil || pack.Suspect || len(pack.Left) > 0 {
		t.Errorf("%+v, %v", pack, err)
	}
	versions[17] = body + "AKIA" + "Z7VRSQ5TJN2XMPLQ\n" + body
	if pack, err := secretscan.ReadPack(bytes.NewReader(packOf(t, "sha1", versions...)), 20); err != nil || !pack.Suspect {
		t.Errorf("%+v, %v", pack, err)
	}
}

// What is a difference to something outside of the pack is left, with its place.
func TestReadPackThin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "--bare", "-b", "main", ".")
	body := filler(400)
	for i, v := range []string{body, body + "more\n"} {
		from := ""
		if i > 0 {
			from = "from refs/heads/main^0\n"
		}
		git(t, dir, fmt.Sprintf("commit refs/heads/main\ncommitter Ada <ada@example.org> %d +0000\ndata 1\nx\n%sM 100644 inline file.txt\ndata %d\n%s\n", 1_700_000_000+i, from, len(v), v), "fast-import", "--quiet")
	}
	thin := git(t, dir, "main\n^main~1\n", "pack-objects", "--revs", "--stdout", "--thin", "--delta-base-offset", "-q")
	if pack, err := secretscan.ReadPack(strings.NewReader(thin), 20); err != nil || len(pack.Left) == 0 {
		t.Errorf("%+v, %v", pack, err)
	}
}

// Of a difference the changed lines are looked at, and those next to them, and no others.
func TestScannerChange(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	found := 0
	for range 5000 {
		lines := make([]string, 2+random.IntN(30))
		for i := range lines {
			lines[i] = strings.Repeat("x", random.IntN(12))
		}
		secret := random.IntN(len(lines))
		lines[secret] = "AKIA" + "Z7VRSQ5TJN2XMPLQ"
		text := strings.Join(lines, "\n")
		var changed []packfile.Span
		want := false
		for at := random.IntN(len(text)); at < len(text) && len(changed) < 8; at += random.IntN(40) {
			c := packfile.Span{Begin: at, End: min(at+random.IntN(30), len(text))}
			changed, at = append(changed, c), c.End
			first, last := strings.Count(text[:c.Begin], "\n"), strings.Count(text[:c.End], "\n")
			want = want || first-1 <= secret && secret <= last+1
		}
		var s secretscan.Scanner
		s.Change([]byte(text), []byte("x"), changed)
		if s.Suspect() != want {
			t.Fatalf("suspect %v, want %v: changes %v, the secret is in line %d of\n%s", s.Suspect(), want, changed, secret, text)
		}
		if want {
			found++
		}
	}
	if found < 1000 || found > 4000 {
		t.Errorf("%d of 5000 have a secret in or beside what is changed", found)
	}
}

// Whatever comes is read to its end or refused.
func FuzzReadPack(f *testing.F) {
	body := filler(40)
	f.Add(packOf(f, "sha1", body, body+"more\n", "x"+body))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x30x"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = secretscan.ReadPack(bytes.NewReader(b), 20)
	})
}

// BenchmarkReadPack reads files of 4,500 bytes, as many as one processor does in a second or so.
func BenchmarkReadPack(b *testing.B) {
	random := rand.New(rand.NewPCG(7, 8))
	body := make([]byte, 4500)
	dir := b.TempDir()
	git(b, dir, "", "init", "-q", "--bare", "-b", "main", ".")
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
	pack := []byte(git(b, dir, "main\n", "pack-objects", "--revs", "--stdout", "--delta-base-offset", "-q"))
	b.SetBytes(int64(len(pack)))
	for b.Loop() {
		if p, err := secretscan.ReadPack(bytes.NewReader(pack), 20); err != nil || p.Suspect {
			b.Fatalf("%+v, %v", p, err)
		}
	}
}

// BenchmarkChange looks at a page of a megabyte that is one line, with changes all over it, as tools make them from programs.
func BenchmarkChange(b *testing.B) {
	text := bytes.Repeat([]byte("x=1;"), 256<<10)
	var changed []packfile.Span
	for at := 0; at < len(text); at += 100 {
		changed = append(changed, packfile.Span{Begin: at, End: at + 8})
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var s secretscan.Scanner
		if s.Change(text, text, changed); s.Suspect() {
			b.Fatal("suspect")
		}
	}
}
