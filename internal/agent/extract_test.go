package agent

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// Archives come from the system's own tar and from Python's zipfile.
func TestExtractFiles(t *testing.T) {
	t.Parallel()
	for name, pack := range map[string]string{
		"a.zip": `python3 -c 'import zipfile; z=zipfile.ZipFile("a.zip","w",zipfile.ZIP_DEFLATED); z.write("app/run"); z.write("app/sub/b")'`,
		"a.jar": `python3 -c 'import zipfile; z=zipfile.ZipFile("a.jar","w"); z.write("app/run"); z.write("app/sub/b")'`,
		"a.tar": "tar -cf a.tar app", "a.tar.gz": "tar -czf a.tar.gz app", "a.tgz": "tar -czf a.tgz app", "a.tar.bz2": "tar -cjf a.tar.bz2 app",
		"a.tar.xz": "tar -cJf a.tar.xz app", "old.tar": "tar --format=v7 -cf old.tar app",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkbench(t, nil, "app/run", "run me", "app/sub/b", "b")
			program(t, w.folders.sources, "sh", "-c", "chmod 750 app/run && "+pack)
			w.must("ExtractFiles@1", map[string]string{"archiveFilePatterns": "**/" + name, "destinationFolder": "out"})
			if w.read("out/app/run") != "run me" || w.read("out/app/sub/b") != "b" {
				t.Errorf("%v", w.tree("out"))
			}
			info, err := os.Stat(w.absolute("out/app/run"))
			if err != nil || info.Mode().Perm()&0o700 != 0o700 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestExtractZstandard(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "app/a", "a")
	program(t, w.folders.sources, "tar", "-cf", "a.tar", "app")
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.write("a.tar.zst", string(z.EncodeAll([]byte(w.read("a.tar")), nil)))
	w.must("ExtractFiles@1", map[string]string{"archiveFilePatterns": "a.tar.zst", "destinationFolder": "out"})
	if w.read("out/app/a") != "a" {
		t.Errorf("%v", w.tree("out"))
	}
}

// Patterns, the folder and what is in it already.
func TestExtractInputs(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "a.txt", "new", "out/other", "kept", "out/a.txt", "old", "notes.txt", "plain")
	program(t, w.folders.sources, "sh", "-c", "tar -czf a.tgz a.txt; tar -czf b.tar.gz notes.txt; gzip -k notes.txt")
	given := func(pattern, clean, overwrite string) map[string]string {
		return map[string]string{"archiveFilePatterns": pattern, "destinationFolder": "out", "cleanDestinationFolder": clean, "overwriteExistingFiles": overwrite}
	}
	w.fails("ExtractFiles@1", given("a.tgz", "false", "false"), "unpack S/a.tgz: S/out/a.txt is there already: set overwriteExistingFiles to true")
	w.must("ExtractFiles@1", given("a.tgz", "false", "true"))
	if w.read("out/a.txt") != "new" || w.read("out/other") != "kept" {
		t.Errorf("%q %q", w.read("out/a.txt"), w.read("out/other"))
	}
	w.must("ExtractFiles@1", given("**/*.?(tgz|tar.gz|zip)\nnotes.txt.gz", "true", "true"))
	if diff := cmp.Diff([]string{"a.txt", "notes.txt"}, w.tree("out")); diff != "" || w.read("out/notes.txt") != "plain" {
		t.Error(diff)
	}
	w.fails("ExtractFiles@1", given("gone.zip", "true", "false"), "there is no archive S/gone.zip")
	w.fails("ExtractFiles@1", given("gone/**/*.zip", "true", "false"), "there is no folder S/gone, in which archives are looked for") // as in extractfilestask.ts
	w.must("ExtractFiles@1", given("*.zip", "true", "false"))
	w.says("##[warning]No archive matches the patterns.")
	w.write("out/c.zip", "PK")
	w.fails("ExtractFiles@1", given("out/c.zip", "true", "false"), "the folder S/out cannot be emptied first, since archives are in it: set cleanDestinationFolder to false")
	w.env["PATH"] = "/nowhere"
	w.write("a.rar", "Rar!")
	w.fails("ExtractFiles@1", given("a.rar", "false", "false"),
		"unpack S/a.rar: it is neither a zip nor a tar file, and the program 7z, which may know it, is not in the job's image: give the job a container that has it")
}

// No name in an archive leads out of the folder, by dots, by a slash or through a link.
func TestExtractStaysInside(t *testing.T) {
	t.Parallel()
	file := func(name, link string) *tar.Header {
		if link != "" {
			return &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: link}
		}
		return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}
	}
	for name, c := range map[string]struct {
		headers []*tar.Header
		want    string // the end of the error, "" for none
		tree    []string
	}{
		"dots":               {[]*tar.Header{file("../evil", "")}, "path escapes from parent", nil},
		"dots in the middle": {[]*tar.Header{file("a/../../evil", "")}, "path escapes from parent", nil},
		"a slash":            {[]*tar.Header{file("/evil", "")}, "", []string{"evil"}},
		"a link":             {[]*tar.Header{file("up", ".."), file("up/evil", "")}, "path escapes from parent", []string{"up"}},
		"an absolute link":   {[]*tar.Header{file("tmp", "/tmp"), file("tmp/evil", "")}, "path escapes from parent", []string{"tmp"}},
		"a link as a file":   {[]*tar.Header{file("x", "../evil"), file("x", "")}, "set overwriteExistingFiles to true", []string{"x"}},
		"a device":           {[]*tar.Header{{Typeflag: tar.TypeBlock, Name: "sda", Mode: 0o644}}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			out := tar.NewWriter(&b)
			for _, h := range c.headers {
				if err := out.WriteHeader(h); err != nil {
					t.Fatal(err)
				}
			}
			if err := out.Close(); err != nil {
				t.Fatal(err)
			}
			w := newWorkbench(t, nil, "a.tar", b.String())
			err := w.do("ExtractFiles@1", map[string]string{"archiveFilePatterns": "a.tar", "destinationFolder": "deep/out"})
			if (err == nil) != (c.want == "") || err != nil && !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if diff := cmp.Diff(c.tree, w.tree("deep/out")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"a.tar", "deep/", "deep/out/"}, w.tree(".")[:3]); diff != "" || len(w.tree(".")) != 3+len(c.tree) {
				t.Errorf("%v %s", w.tree("."), diff)
			}
		})
	}
}

// Names with backslashes, as some programs on Windows write them, are folders and files.
func TestExtractBackslashes(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	out := zip.NewWriter(&b)
	f, err := out.Create(`bin\net\app.dll`)
	if err == nil {
		_, err = f.Write([]byte("code"))
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	w := newWorkbench(t, nil, "a.zip", b.String())
	w.must("ExtractFiles@1", map[string]string{"destinationFolder": "out"})
	if w.read("out/bin/net/app.dll") != "code" {
		t.Errorf("%v", w.tree("out"))
	}
}

// What unpacks to more than the limit is refused.
func TestExtractLimit(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "a.tar", "")
	root, err := os.OpenRoot(w.folders.sources)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	x := &extraction{task: w.task, root: root, left: 10}
	if err := x.file("small", 0o644, strings.NewReader("0123456789")); err != nil {
		t.Error(err)
	}
	if err := x.file("large", 0o644, strings.NewReader("0")); err == nil {
		t.Error("the eleventh byte is taken")
	}
}
