package agent

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// program runs a program that must be on the machine and gives its output.
func program(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v (it belongs to the tools that tests need: tools/setup installs them)\n%s", name, args, err, out)
	}
	return string(out)
}

// Archives are read back by the system's own tar and Python's zipfile.
func TestArchiveFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		given map[string]string
		list  []string // what another program finds in the archive
		read  []string // that program
	}{
		{"zip with its folder", map[string]string{"archiveFile": "out/a.zip"}, []string{"app/", "app/bin/", "app/bin/run", "app/empty/", "app/link", "app/readme"}, nil},
		{"zip without its folder", map[string]string{"archiveFile": "out/a.zip", "includeRootFolder": "false"}, []string{"bin/", "bin/run", "empty/", "link", "readme"}, nil},
		{"zip of one file", map[string]string{"archiveFile": "out/a.zip", "rootFolderOrFile": "app/readme"}, []string{"readme"}, nil},
		{"tar.gz", map[string]string{"archiveFile": "a.tgz", "archiveType": "tar", "verbose": "true"}, nil, []string{"tar", "-tzf"}},
		{"tar.bz2", map[string]string{"archiveFile": "a.tar.bz2", "archiveType": "tar", "tarCompression": "bz2"}, nil, []string{"tar", "-tjf"}},
		{"tar.xz", map[string]string{"archiveFile": "a.tar.xz", "archiveType": "tar", "tarCompression": "xz"}, nil, []string{"tar", "-tJf"}},
		{"tar", map[string]string{"archiveFile": "a.tar", "archiveType": "tar", "tarCompression": "none"}, nil, []string{"tar", "-tf"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkbench(t, nil, "app/readme", "hello", "app/bin/run", "#!/bin/sh\n")
			if err := os.Chmod(w.absolute("app/bin/run"), 0o755); err != nil {
				t.Fatal(err)
			}
			program(t, w.folders.sources, "sh", "-c", "mkdir app/empty; ln -s readme app/link")
			given := map[string]string{"rootFolderOrFile": "app"}
			for k, v := range c.given {
				given[k] = v
			}
			w.must("ArchiveFiles@2", given)
			file := w.absolute(c.given["archiveFile"])
			want, list := c.list, ""
			if c.read == nil {
				list = program(t, w.folders.sources, "python3", "-c", "import sys,zipfile\nfor n in sorted(zipfile.ZipFile(sys.argv[1]).namelist()): print(n)", file)
			} else {
				want = []string{"app/", "app/bin/", "app/bin/run", "app/empty/", "app/link", "app/readme"}
				list = program(t, w.folders.sources, c.read[0], append(c.read[1:], file)...)
				if modes := program(t, w.folders.sources, c.read[0], append([]string{"-v"}, append(c.read[1:], file)...)...); !strings.Contains(modes, "-rwxr-xr-x") || !strings.Contains(modes, "app/link -> readme") {
					t.Errorf("modes and links are lost:\n%s", modes)
				}
			}
			if diff := cmp.Diff(want, strings.Fields(list)); diff != "" {
				t.Error(diff)
			}
			w.must("ExtractFiles@1", map[string]string{"archiveFilePatterns": c.given["archiveFile"], "destinationFolder": "back"})
			program(t, w.folders.sources, "sh", "-c", "test -z \"$(find back -name .archive-\\*)\" && case $(find back -name readme -exec cat {} +) in hello) ;; *) exit 1;; esac")
		})
	}
}

// An archive that is there is added to, unless it is to be replaced.
func TestArchiveIsAddedTo(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "one/a", "old", "two/a", "new", "two/b", "b")
	for _, kind := range []string{"zip", "tar"} {
		given := func(folder, replace string) map[string]string {
			return map[string]string{"rootFolderOrFile": folder, "includeRootFolder": "false", "archiveFile": "x." + kind, "archiveType": kind, "tarCompression": "none", "replaceExistingArchive": replace}
		}
		w.must("ArchiveFiles@2", given("one", "true"))
		w.must("ArchiveFiles@2", given("two", "false"))
		w.must("ExtractFiles@1", map[string]string{"archiveFilePatterns": "x." + kind, "destinationFolder": kind, "overwriteExistingFiles": "true"})
		if diff := cmp.Diff([]string{"a", "b"}, w.tree(kind)); diff != "" || w.read(kind+"/a") != "new" {
			t.Errorf("%s: %q %s", kind, w.read(kind+"/a"), diff)
		}
		w.must("ArchiveFiles@2", given("one", "true"))
		w.must("ExtractFiles@1", map[string]string{"archiveFilePatterns": "x." + kind, "destinationFolder": kind})
		if diff := cmp.Diff([]string{"a"}, w.tree(kind)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
	w.must("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "one", "archiveFile": "x.tgz", "archiveType": "tar"})
	w.fails("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "two", "archiveFile": "x.tgz", "archiveType": "tar", "replaceExistingArchive": "false"},
		"pack S/two into S/x.tgz: files cannot be added to a compressed tar file: set replaceExistingArchive to true, or tarCompression to none")
}

func TestArchiveRefuses(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, map[string]string{"PATH": "/nowhere"}, "app/a", "")
	w.fails("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "gone", "archiveFile": "a.zip"}, "there is no file or folder S/gone")
	w.fails("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "app", "archiveFile": "app"}, "the archive S/app is there and is no file")
	w.fails("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "app", "archiveFile": "a.7z", "archiveType": "7z"},
		"pack S/app into S/a.7z: an archive of type 7z needs the program 7z, which is not in the job's image: write archiveType: zip or tar, or give the job a container that has it")
	w.fails("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "app", "archiveFile": "a.tar.bz2", "archiveType": "tar", "tarCompression": "bz2"},
		`pack S/app into S/a.tar.bz2: there is no program "bzip2" in the job's image`)
	program(t, w.folders.sources, "ln", "-s", "..", "app/up")
	w.fails("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "app", "archiveFile": "a.zip"},
		"the link S/app/up/app leads back to a folder that it is in")
	if diff := cmp.Diff([]string{"app/", "app/a", "app/up"}, w.tree(".")); diff != "" {
		t.Errorf("something is left behind: %s", diff)
	}
}

// A step that is stopped stops to pack and unpack, and leaves no half of an archive behind.
func TestArchiveIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "app/a", strings.Repeat("x", 1<<20))
	program(t, w.folders.sources, "tar", "-cf", "a.tar", "app")
	w.stop(errCanceled)
	for _, err := range []error{
		w.do("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "app", "archiveFile": "a.zip"}),
		w.do("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "app", "archiveFile": "b.tgz", "archiveType": "tar"}),
		w.do("ExtractFiles@1", map[string]string{"archiveFilePatterns": "a.tar", "destinationFolder": "out"}),
		w.do("CopyFiles@2", map[string]string{"SourceFolder": "app", "TargetFolder": "copy"}),
	} {
		if !errors.Is(err, errCanceled) {
			t.Errorf("%v, want %v", err, errCanceled)
		}
	}
	if diff := cmp.Diff([]string{"a.tar", "app/", "app/a", "out/", "out/app/", "out/app/a"}, w.tree(".")); diff != "" || w.read("out/app/a") != "" {
		t.Error(diff)
	}
}

// The program 7z is given what Azure's task gives it.
func TestArchiveSevenZip(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "app/a", "")
	fake := filepath.Join(w.folders.temp, "bin")
	w.env["PATH"] = fake + ":" + os.Getenv("PATH")
	w.write(filepath.Join(fake, "7z"), "#!/bin/sh\necho fake7z \"$@\" in $(basename $PWD)\n")
	if err := os.Chmod(filepath.Join(fake, "7z"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.must("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "app", "archiveFile": "a.7z", "archiveType": "7z", "sevenZipCompression": "ultra"})
	w.says("fake7z a -t7z -mx=9 -- S/a.7z app in s")
	w.must("ArchiveFiles@2", map[string]string{"rootFolderOrFile": "app", "archiveFile": "a.wim", "archiveType": "wim", "includeRootFolder": "false"})
	w.says("fake7z a -twim -mx=5 -- S/a.wim . in app")
	w.write("a.rar", "Rar!")
	w.must("ExtractFiles@1", map[string]string{"archiveFilePatterns": "*.rar", "destinationFolder": "out", "overwriteExistingFiles": "true"})
	w.says("fake7z x -aoa -oS/out -- S/a.rar in out")
}
