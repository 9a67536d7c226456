package packfile_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"slipway/internal/repos/packfile"
)

// writer writes a pack entry by entry, of whatever it is told.
type writer struct {
	entries [][]byte
	offset  int64
	names   []string // of the objects, in hexadecimal digits
}

// object adds an object and gives its name.
func (w *writer) object(kind packfile.Kind, text string) string {
	w.entry(kind, nil, text)
	sum := sha1.Sum([]byte(fmt.Sprintf("%v %d\x00%s", kind, len(text), text)))
	name := hex.EncodeToString(sum[:])
	w.names = append(w.names, name)
	return name
}

// entry adds an entry, with what stands between its head and its content, and gives its place.
func (w *writer) entry(kind packfile.Kind, between []byte, text string) int64 {
	if w.offset == 0 {
		w.offset = 12
	}
	at, size := w.offset, len(text)
	head := []byte{byte(kind)<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f))
	}
	var b bytes.Buffer
	b.Write(append(head, between...))
	z := zlib.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	w.entries = append(w.entries, b.Bytes())
	w.offset += int64(b.Len())
	return at
}

// backwards are the bytes that say how far before an entry its base is.
func backwards(distance int64) []byte {
	b := []byte{byte(distance & 0x7f)}
	for distance >>= 7; distance > 0; distance >>= 7 {
		distance--
		b = append([]byte{0x80 | byte(distance&0x7f)}, b...)
	}
	return b
}

func (w *writer) pack() []byte {
	b := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(w.entries)))
	b = append(b, bytes.Join(w.entries, nil)...)
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

func raw(name string) string {
	b, _ := hex.DecodeString(name)
	return string(b)
}

// agree holds the Indexer against git: what it takes git takes, and makes the same index of; what it leaves it leaves whole.
func agree(t testing.TB, p []byte) (taken, gitTakes bool) {
	t.Helper()
	want, gitErr := gitIndex(t, p)
	x, got, err := index(t, bytes.NewReader(p), &seen{})
	switch {
	case err == nil && gitErr != nil:
		t.Fatalf("git refuses what was taken: %v\n%q", gitErr, p)
	case err == nil && !bytes.Equal(got, want):
		t.Fatalf("the index differs from git's for %q", p)
	case err != nil:
		var all bytes.Buffer
		if _, err := all.ReadFrom(x.Replay()); err != nil || !bytes.Equal(all.Bytes(), p) {
			t.Fatalf("of %d bytes %d are given back (%v)", len(p), all.Len(), err)
		}
	}
	return err == nil, gitErr == nil
}

// odd picks the usual thing mostly, and now and then one of the others.
func odd(r *rand.Rand, usual string, others ...string) string {
	if r.IntN(40) > 0 {
		return usual
	}
	return others[r.IntN(len(others))]
}

func person(r *rand.Rand) string {
	name := odd(r, "Ada Lovelace ", "", " ", "A<", "A> ", "A\x00 ", "Ada", "Ä ", "Ada  ")
	email := odd(r, "<ada@example.org>", "<>", "ada@example.org", "<ada", "<a>b>", "<<a>", "< >", "<a\x00b>")
	when := odd(r, " 1700000000 ", " 0 ", " 01 ", "1700000000 ", "  1700000000 ", " ", " -1 ", " 99999999999999999999 ", " 9999999999999999 ", " 17000x ", " 1700000000", " 999999999999999 ")
	return name + email + when + odd(r, "+0100", "-0030", "0100", "+100", "+01000", "+01x0", "", "UTC", "+0100 ")
}

func head(r *rand.Rand) string {
	return odd(r, "", "encoding latin1\n", "gpgsig -----BEGIN\n more\n", "x\x00y\n", "no end", "\n", "author x\n", "mergetag object\n tree\n")
}

func randomCommit(r *rand.Rand, tree string, parents ...string) string {
	var b strings.Builder
	b.WriteString(odd(r, "tree "+tree+"\n", "tree "+strings.ToUpper(tree)+"\n", "", "tree "+tree[:39]+"\n", "tree "+tree, "tree  "+tree+"\n"))
	for _, p := range parents {
		b.WriteString(odd(r, "parent "+p+"\n", "parent "+p, "parent "+p[1:]+"\n", ""))
	}
	b.WriteString(odd(r, "author ", "author", "Author ", "author x <y> 1 +0000\nauthor ", "") + person(r) + odd(r, "\n", "", "\n\n"))
	b.WriteString(odd(r, "committer ", "committer", "") + person(r) + odd(r, "\n", "", "\x00\n"))
	return b.String() + head(r) + odd(r, "\nmessage\n", "", "\n", "\na\x00b", "message")
}

func randomTag(r *rand.Rand, object string, kind packfile.Kind) string {
	b := odd(r, "object "+object+"\n", "object "+object, "object "+object[2:]+"\n", "") + odd(r, "type "+kind.String()+"\n", "type commit\n", "type x\n", "type "+kind.String(), "")
	b += odd(r, "tag v1\n", "tag \n", "tag", "tag a..b\n", "tag v\x001\n", "") + odd(r, "tagger "+person(r)+"\n", "", "tagger\n")
	return b + odd(r, "\nmessage\n", "", "\n", "x: y\n\n", "\x00")
}

type treeEntry struct{ mode, name, object string }

var oddNames = []string{
	".git", ".GIT", ".Git ", ".git.", ".git:x", ".git\\x", "git~1", "GIT~1", "git~2", ".gitmodules", ".GitModules", ".gitmodules ", "gitmod~1", "gi7eba~1", ".gitattributes", ".GITATTRIBUTES", "gitatt~1",
	".gitignore", ".mailmap", ".", "..", "...", "", "a/b", "a\\b", "a\\.git", "\xef\xbb\xbf.git", ".g\u200cit", ".git\u200d", "ä", "日本", "–", "a:b", "a~", "a~1", " ", "\x01", "CON", ".gi", ".githu", ".gitx",
	".git~1", "..git", "a.git", ".git\x7f", strings.Repeat("n", 300), "a", "a-", "a.b", "a0", "b", "a\xff",
}

func randomTree(r *rand.Rand, blob, tree, commit string) string {
	var list []treeEntry
	for range r.IntN(8) {
		name := fmt.Sprintf("file%d", r.IntN(30))
		switch r.IntN(12) {
		case 0:
			name = ".gitmodules"
		case 1:
			name = ".gitattributes"
		case 2:
			name = oddNames[r.IntN(len(oddNames))]
		case 3, 4, 5, 6:
			name = []string{"a", "a-", "a-b", "a.b", "a0", "ab"}[r.IntN(6)]
		}
		e := treeEntry{odd(r, "100644", "100755", "100664", "0100644", "100600", "644", "1006440", "x"), name, blob}
		switch r.IntN(5) {
		case 0:
			e.mode, e.object = odd(r, "40000", "040000", "40755"), tree
		case 1:
			e.mode = "120000"
		case 2:
			if r.IntN(4) == 0 {
				e.mode, e.object = "160000", odd(r, strings.Repeat("17", 20), strings.Repeat("0", 40))
			}
		}
		e.object = odd(r, e.object, blob, tree, commit, strings.Repeat("0", 40), strings.Repeat("23", 20))
		list = append(list, e)
	}
	key := func(e treeEntry) string {
		if strings.HasPrefix(e.mode, "4") || strings.HasPrefix(e.mode, "04") {
			return e.name + "/"
		}
		return e.name
	}
	if r.IntN(20) > 0 {
		slices.SortFunc(list, func(a, b treeEntry) int { return strings.Compare(key(a), key(b)) })
	}
	if r.IntN(20) > 0 {
		list = slices.CompactFunc(list, func(a, b treeEntry) bool { return a.name == b.name })
	}
	var b strings.Builder
	for _, e := range list {
		b.WriteString(e.mode + " " + e.name + odd(r, "\x00", "", " \x00") + raw(odd(r, e.object, e.object[2:])))
	}
	return b.String()
}

func randomModules(r *rand.Rand) string {
	name := odd(r, "lib/a", "", "..", "a/..", "../x", "a\"b", "a.b", "a..b", "..a", "-x", "a]b", "a\\b", "ä")
	url := odd(r, "https://example.org/a.git", "../a.git", "../../a", "./a", "-x", "--upload-pack=x", "git@example.org:a.git", "ssh://-x/a", "https://example.org/a%0ab", "../:x", "..//x", "../../https://x", "/a/b", "ext::sh -c x", "http:::a",
		"", "https://", "\"-x\"", "https://example.org/a\nx", ".././/x", "./../:x", "a/../../:x", "file:///x", "https::example.org", "../../:x", "../a:b", "http://a@b:80/c")
	path := odd(r, "lib/a", "-x", "--x", "..", "/x", "\"-x\"", "lib/a # x", "lib/a ; x", "-", ".", "", "\\-x", "a\\\n-x")
	update := odd(r, "", "\tupdate = rebase\n", "\tupdate = !sh\n", "\tupdate = none\n", "\tUPDATE = !x\n", "\tupdate\n", "\tupdate = \"!x\"\n", "\turl = -x\n", "\tbranch = x\n", "[core]\n\tx = y\n", "\tpath\n", "\tignore = all \\\n!x\n")
	return odd(r, "[submodule \"", "[submodule\"", "[SUBMODULE \"", "[submodule.", " [submodule  \"") + name + odd(r, "\"]\n", "\"] ", "]\n", "\"]\r\n", "\"]path = -x\n") + "\tpath = " + path + odd(r, "\n", "\r\n", "") +
		"\turl = " + url + odd(r, "\n", "", "\x00\n") + update
}

// randomPack has a few objects that name one another, of which some have something odd about them.
func randomPack(r *rand.Rand) []byte {
	var w writer
	blob := w.object(packfile.Blob, odd(r, "text\n", "", strings.Repeat("* text\n", 500), strings.Repeat("x", 2047)+" a\n", "# "+strings.Repeat("y", 2048)))
	if r.IntN(4) == 0 {
		w = writer{}
		blob = w.object(packfile.Blob, randomModules(r))
	}
	folder := w.object(packfile.Tree, odd(r, "100644 x\x00"+raw(blob), ""))
	first := w.object(packfile.Commit, "tree "+folder+"\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nx")
	tree := w.object(packfile.Tree, randomTree(r, blob, folder, first))
	commit := w.object(packfile.Commit, randomCommit(r, tree, odd(r, first, folder, blob, strings.Repeat("56", 20))))
	objects := map[packfile.Kind]string{packfile.Blob: blob, packfile.Tree: tree, packfile.Commit: commit}
	kind := packfile.Kind(1 + r.IntN(3))
	w.object(packfile.Tag, randomTag(r, odd(r, objects[kind], blob, first), kind))
	switch r.IntN(30) {
	case 0:
		w.object(packfile.Blob, "text\n") // perhaps a second time
	case 1:
		at := len(w.entries) - 1
		w.entries = slices.Delete(w.entries, at, at+1)
	case 2:
		w.entries = w.entries[1:]
	}
	return w.pack()
}

// Whatever a pack's objects look like, no pack is taken that git refuses; of those that it takes most are.
func TestAgreesWithGit(t *testing.T) {
	t.Parallel()
	const packs = 250
	r := rand.New(rand.NewPCG(5, 6))
	taken, gits := 0, 0
	for range packs {
		here, there := agree(t, randomPack(r))
		if here {
			taken++
		}
		if there {
			gits++
		}
	}
	t.Logf("of %d packs git takes %d, of which %d are taken here", packs, gits, taken)
	if gits < packs/8 || gits > packs*7/8 || taken < gits*2/3 {
		t.Errorf("of %d packs git takes %d, of which %d are taken here", packs, gits, taken)
	}
}

// FuzzAgreesWithGit makes packs of numbers, and changes bytes of them.
func FuzzAgreesWithGit(f *testing.F) {
	f.Add(uint64(1), uint64(2), -1, byte(0))
	f.Fuzz(func(t *testing.T, a, b uint64, at int, with byte) {
		p := randomPack(rand.New(rand.NewPCG(a, b)))
		if at >= 0 {
			p[at%len(p)] ^= with
			sum := sha1.Sum(p[:len(p)-20])
			copy(p[len(p)-20:], sum[:])
		}
		agree(t, p)
	})
}
