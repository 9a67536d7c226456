package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// look lists a folder with the modes, times, kinds and contents of what is in it, as find sees it.
func look(t *testing.T, folder string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `cd "$1" && find . -mindepth 1 -printf '%P %y %m %l ' \( -type l -printf '\n' -o -printf '%T@\n' \) | sort && find . -type f -exec sha256sum {} + | sort`, "sh", folder).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// thing is a folder with everything that a cache keeps.
func thing(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "thing")
	out, err := exec.Command("sh", "-c", `mkdir -p "$1/deep/empty" "$1/closed" && cd "$1" && echo one >one && chmod 600 one && printf '#!/bin/sh\n' >run && chmod 755 run &&
		ln -s one link && ln -s /nowhere/at/all broken && ln -s ../one deep/up && echo kept >closed/file && chmod 444 closed/file && chmod 555 closed &&
		touch -d '2020-02-03 04:05:06.123456789' one deep && : >"with space and ümlaut"`, "sh", folder).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(folder, "closed"), 0o755) })
	return folder
}

func pack(t *testing.T, folders ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := packCache(context.Background(), &b, folders); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// into is a new folder whose contents the test can delete whatever their modes.
func into(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "into")
	t.Cleanup(func() { _ = removeFolder(folder) })
	return folder
}

func TestCacheKeepsFiles(t *testing.T) {
	t.Parallel()
	folder, target := thing(t), into(t)
	archive := pack(t, folder)
	want := look(t, folder)
	p, err := unpackCache(context.Background(), bytes.NewReader(archive), []string{target})
	if err != nil || p.Files != 7 {
		t.Fatalf("%+v, %v", p, err)
	}
	if diff := cmp.Diff(want, look(t, target)); diff != "" {
		t.Errorf("unpacked (-want +got)\n%s", diff)
	}
	// What is there is replaced, in folders that allow no writing and where a link or folder has the name too.
	for _, script := range []string{"chmod 755 closed && echo changed >closed/file && chmod 555 closed", "rm one && ln -s run one", "rm -r deep && ln -s / deep", "rm link && mkdir -p link/full/of", "echo more >more"} {
		if out, err := exec.Command("sh", "-c", "cd "+target+" && { "+script+"; }").CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	if _, err := unpackCache(context.Background(), bytes.NewReader(archive), []string{target}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(target, "more")); err != nil {
		t.Errorf("a file that the cache does not have is gone: %v", err)
	}
	if diff := cmp.Diff(want, look(t, target)); diff != "" {
		t.Errorf("unpacked again (-want +got)\n%s", diff)
	}
}

// The archive is one that tar reads, and the other way round.
func TestCacheIsATarFile(t *testing.T) {
	t.Parallel()
	folder := thing(t)
	z, err := zstd.NewReader(bytes.NewReader(pack(t, folder, filepath.Join(folder, "deep"))))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	target := into(t)
	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tar", "-xpf", "-", "-C", target)
	cmd.Stdin = z
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(look(t, folder), look(t, filepath.Join(target, "0"))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(look(t, filepath.Join(folder, "deep")), look(t, filepath.Join(target, "1"))); diff != "" {
		t.Errorf("the second folder (-want +got)\n%s", diff)
	}
	out, err := exec.Command("tar", "-C", target, "--format=gnu", "-cf", "-", "0").Output()
	if err != nil {
		t.Fatal(err)
	}
	again := into(t)
	if _, err := unpackCache(context.Background(), compressed(t, out), []string{again}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(again, "closed", "file")); err != nil {
		t.Error(err)
	}
}

func compressed(t *testing.T, b []byte) io.Reader {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// Nothing in a cache is written outside of its folder.
func TestCacheStaysInItsFolder(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for name, entries := range map[string][]tar.Header{
		"dots":            {file("0/../../evil")},
		"dots below":      {file("0/a/../../../evil")},
		"no folder":       {file("evil")},
		"absolute":        {file("/0/evil")},
		"negative folder": {file("-1/evil")},
		"through a link":  {link("0/out", outside), file("0/out/evil")},
		"up a link":       {link("0/up", "../.."), file("0/up/evil")},
		"folder of link":  {link("0/out", outside), {Typeflag: tar.TypeDir, Name: "0/out/evil/", Mode: 0o755}},
		"link in a link":  {link("0/out", outside), link("0/out/evil", "/etc/passwd")},
	} {
		var b bytes.Buffer
		tw := tar.NewWriter(&b)
		for i := range entries {
			if err := tw.WriteHeader(&entries[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := tw.Close(); err != nil {
			t.Fatal(err)
		}
		target := into(t)
		if _, err := unpackCache(context.Background(), compressed(t, b.Bytes()), []string{target}); err == nil {
			t.Errorf("%s: unpacked", name)
		}
		for _, folder := range []string{outside, filepath.Dir(target), filepath.Dir(filepath.Dir(target))} {
			if _, err := os.Lstat(filepath.Join(folder, "evil")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: there is something in %s: %v", name, folder, err)
			}
		}
	}
}

// An archive that breaks off anywhere is a failure.
func TestCacheThatBreaksOff(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	noise := make([]byte, 300_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(folder, name), noise, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	archive := pack(t, folder)
	for _, n := range []int{0, 3, 100, len(archive) / 2, len(archive) - 1} {
		if _, err := unpackCache(context.Background(), bytes.NewReader(archive[:n]), []string{into(t)}); err == nil {
			t.Errorf("the first %d of %d bytes are unpacked", n, len(archive))
		}
	}
	if _, err := packCache(context.Background(), &limitedWriter{w: io.Discard, left: 1000}, []string{folder}); !errors.Is(err, errCacheSize) {
		t.Errorf("too large: %v", err)
	}
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	if _, err := packCache(ctx, io.Discard, []string{folder}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("canceled: %v", err)
	}
	if _, err := packCache(context.Background(), io.Discard, []string{folder + "/missing"}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("no folder: %v", err)
	}
}

// BenchmarkCache packs and unpacks a folder of many small files that compress well and a few large ones that do not.
func BenchmarkCache(b *testing.B) {
	folder := b.TempDir()
	r := rand.New(rand.NewPCG(3, 4))
	write := func(name string, content []byte) {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 4000 {
		write(fmt.Sprintf("modules/%d/%d.js", i/50, i), bytes.Repeat([]byte(fmt.Sprintf("const x%d = require('./%d');\n", i, r.IntN(4000))), 300))
	}
	noise := make([]byte, 16<<20)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for i := range 4 {
		write(fmt.Sprintf("archives/%d", i), noise)
	}
	var archive bytes.Buffer
	p, err := packCache(b.Context(), &archive, []string{folder})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("pack", func(b *testing.B) {
		b.SetBytes(p.Bytes)
		for b.Loop() {
			if _, err := packCache(b.Context(), io.Discard, []string{folder}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unpack", func(b *testing.B) {
		b.SetBytes(p.Bytes)
		for b.Loop() {
			if _, err := unpackCache(b.Context(), bytes.NewReader(archive.Bytes()), []string{filepath.Join(b.TempDir(), "into")}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
