package agent

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is wanted is what the task CopyFiles@2 of azure-pipelines-tasks copies of such a folder.
func TestCopyFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		task  string
		given map[string]string
		want  []string
	}{
		{"everything, with what tools hide", "CopyFiles@2", nil,
			[]string{".git/", ".git/HEAD", "app/", "app/a.dll", "app/a.pdb", "link/", "link/deep", "node_modules/", "node_modules/x/", "node_modules/x/index.js"}},
		{"version 1", "CopyFiles@1", map[string]string{"Contents": "app/a.dll"}, []string{"app/", "app/a.dll"}},
		{"patterns in order", "CopyFiles@2", map[string]string{"Contents": "**\n!**/*.pdb\n!node_modules/**\n!.git/**\n!link/**"}, []string{"app/", "app/a.dll"}},
		{"extended globs", "CopyFiles@2", map[string]string{"Contents": "app/?(*.dll|*.exe)\n@(.git|svn)/HEAD"}, []string{".git/", ".git/HEAD", "app/", "app/a.dll"}},
		{"flattened", "CopyFiles@2", map[string]string{"Contents": "**/*.dll\n**/*.js", "flattenFolders": "true"}, []string{"a.dll", "index.js"}},
		{"nothing", "CopyFiles@2", map[string]string{"Contents": "*.exe"}, nil},
		{"a folder is no file", "CopyFiles@2", map[string]string{"Contents": "app\napp/\n*/*.pdb"}, []string{"app/", "app/a.pdb"}},
		{"taken back twice", "CopyFiles@2", map[string]string{"Contents": "!!app/**\n!!!**/*.pdb"}, []string{"app/", "app/a.dll"}},
		{"a link to a folder", "CopyFiles@2", map[string]string{"SourceFolder": "src/link"}, []string{"deep"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkbench(t, nil, "src/app/a.dll", "dll", "src/app/a.pdb", "pdb", "src/.git/HEAD", "ref", "src/node_modules/x/index.js", "js", "elsewhere/deep", "deep")
			program(t, w.folders.sources, "sh", "-c", "ln -s ../elsewhere src/link; ln -s .. elsewhere/back; ln -s nowhere src/broken; mkfifo src/pipe; mkdir out")
			given := map[string]string{"SourceFolder": "src", "TargetFolder": "out"}
			for k, v := range c.given {
				given[k] = v
			}
			w.must(c.task, given)
			if diff := cmp.Diff(c.want, w.tree("out")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Of two files of one name the first is kept, in the order in which the task finds them: sub comes before what is in "sub more".
func TestCopyFilesFlattensInOrder(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "src/sub/a", "first", "src/sub more/a", "last")
	for overwrite, want := range map[string]string{"false": "first", "true": "last"} {
		w.must("CopyFiles@2", map[string]string{"SourceFolder": "src", "TargetFolder": "to" + overwrite, "flattenFolders": "true", "OverWrite": overwrite})
		if got := w.read("to" + overwrite + "/a"); got != want {
			t.Errorf("OverWrite %s: %q, want %q", overwrite, got, want)
		}
	}
}

func TestCopyFilesOverwrites(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "src/a", "new", "out/a", "old", "out/b", "b", "file", "")
	given := func(more ...string) map[string]string {
		m := map[string]string{"SourceFolder": "src", "TargetFolder": "out"}
		for i := 0; i+1 < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	past := time.Unix(1_500_000_000, 0)
	if err := os.Chtimes(w.absolute("src/a"), past, past); err != nil {
		t.Fatal(err)
	}
	w.must("CopyFiles@2", given())
	w.says("Found 1 files in S/src, copied 0 of them to S/out")
	if w.read("out/a") != "old" {
		t.Error("a file is replaced though OverWrite is false")
	}
	w.must("CopyFiles@2", given("Contents", "*.exe", "CleanTargetFolder", "true"))
	if w.read("out/b") != "b" {
		t.Error("the target is emptied though nothing is copied")
	}
	w.must("CopyFiles@2", given("OverWrite", "true", "preserveTimestamp", "true"))
	if info, err := os.Stat(w.absolute("out/a")); err != nil || !info.ModTime().Equal(past) || w.read("out/a") != "new" {
		t.Errorf("%v %v", info.ModTime(), err)
	}
	w.must("CopyFiles@2", given("CleanTargetFolder", "true"))
	if diff := cmp.Diff([]string{"a"}, w.tree("out")); diff != "" {
		t.Error(diff)
	}
	w.fails("CopyFiles@2", map[string]string{"SourceFolder": "gone", "TargetFolder": "out"}, "the source folder S/gone does not exist")
	w.fails("CopyFiles@2", given("TargetFolder", "file", "retryCount", "2", "delayBetweenRetries", "1"), "mkdir S/file: not a directory")
	w.says("Mkdir S/file: not a directory. It is tried again (2 of 2).")
	w.fails("CopyFiles@2", given("TargetFolder", "file/x", "ignoreMakeDirErrors", "true"), "open S/file/x/a: not a directory")
	w.says("The folder S/file/x could not be made, which is passed over: mkdir S/file: not a directory")
	w.write("dir/a/x", "")
	w.fails("CopyFiles@2", given("TargetFolder", "dir", "OverWrite", "true"), "copy S/src/a: S/dir/a is a folder")
}

// The rules are those of minimatch with matchBase, as Azure's task calls it: a star does not match a leading dot. What is wanted is what the task itself
// of azure-pipelines-tasks leaves of such a folder, but for links, behind which it deletes.
func TestDeleteFiles(t *testing.T) {
	t.Parallel()
	all := []string{".git/", ".git/HEAD", ".hidden", "a.txt", "bin/", "bin/.cache", "bin/a.dll", "bin/sub/", "bin/sub/b.dll", "out/", "out/link", "src/", "src/bin/", "src/bin/c.dll"}
	without := func(gone ...string) []string {
		var left []string
		for _, p := range all {
			keep := true
			for _, g := range gone {
				keep = keep && p != g
			}
			if keep {
				left = append(left, p)
			}
		}
		return left
	}
	for _, c := range []struct {
		name, contents string
		dots           string
		want           []string
	}{
		{"a folder with all in it", "bin", "", without("bin/", "bin/.cache", "bin/a.dll", "bin/sub/", "bin/sub/b.dll")},
		{"folders anywhere", "**/bin", "", without("bin/", "bin/.cache", "bin/a.dll", "bin/sub/", "bin/sub/b.dll", "src/bin/", "src/bin/c.dll")},
		{"a slash at the end matches nothing", "**/bin/\nbin/", "", all},
		{"what is in a folder, and not the folder", "bin/**", "true", without("bin/.cache", "bin/a.dll", "bin/sub/", "bin/sub/b.dll")},
		{"files anywhere", "**/*.dll", "", without("bin/a.dll", "bin/sub/b.dll", "src/bin/c.dll")},
		{"everything but names with a dot", "*", "", []string{".git/", ".git/HEAD", ".hidden"}},
		{"everything", "*", "true", nil},
		{"a dot that is named", ".hidden\n.g*", "", without(".hidden", ".git/", ".git/HEAD")},
		{"but one", "**\n!bin/sub/b.dll", "true", []string{"bin/", "bin/sub/", "bin/sub/b.dll"}},
		{"a link and not what it leads to", "out/link/**\nout/link", "", without("out/link")},
		{"an absolute pattern is below the folder too", "/a.txt", "", without("a.txt")},
		{"nothing outside", "../../**", "true", nil},
		{"nothing", "*.exe", "", all},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorkbench(t, nil, "w/a.txt", "", "w/.hidden", "", "w/.git/HEAD", "", "w/bin/a.dll", "", "w/bin/.cache", "", "w/bin/sub/b.dll", "", "w/src/bin/c.dll", "", "precious/x", "kept")
			program(t, w.folders.sources, "sh", "-c", "mkdir w/out; ln -s ../../precious w/out/link")
			w.must("DeleteFiles@1", map[string]string{"SourceFolder": "w", "Contents": c.contents, "RemoveDotFiles": c.dots})
			if diff := cmp.Diff(c.want, w.tree("w")); diff != "" {
				t.Error(diff)
			}
			if w.read("precious/x") != "kept" {
				t.Error("a file outside of the folder is gone")
			}
		})
	}
}

func TestDeleteFilesRemovesTheFolder(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil, "w/a", "", "v/a", "", "v/b", "")
	w.must("DeleteFiles@1", map[string]string{"SourceFolder": "w", "Contents": "*", "RemoveSourceFolder": "true"})
	w.must("DeleteFiles@1", map[string]string{"SourceFolder": "v", "Contents": "a", "RemoveSourceFolder": "true"})
	if diff := cmp.Diff([]string{"v/", "v/b"}, w.tree(".")); diff != "" {
		t.Error(diff)
	}
	w.must("DeleteFiles@1", map[string]string{"SourceFolder": "gone"})
	w.says("There is nothing to delete in S/gone.")
}
