package extension

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/task"
)

const manifest = `{"id": "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "name": "Hello", "version": {"Major": 1, "Minor": 2, "Patch": 3}, "execution": {"Node20_1": {"target": "lib/run.js"}}}`

// zipped is a zip file of files, name and text by turns.
func zipped(t *testing.T, files ...string) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

// names of the files in a task's zip file.
func names(t *testing.T, x *Task) []string {
	t.Helper()
	var b bytes.Buffer
	n, err := x.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("%d of %d bytes, %v", n, b.Len(), err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), n)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err) // the reader checks sizes and checksums
		}
		list = append(list, f.Name+"="+string(text[:min(4, len(text))]))
	}
	return list
}

func TestRead(t *testing.T) {
	t.Parallel()
	f := func(want string, files ...string) []Task {
		t.Helper()
		r := zipped(t, files...)
		tasks, err := Read(r, r.Size())
		if got := ""; err != nil && want == "" || err == nil && want != got || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", files[0], err, want)
		}
		return tasks
	}
	tasks := f("", "task.json", manifest, `lib\run.js`, "run!", "node_modules/a/index.js", "deep")
	if diff := cmp.Diff([]string{"lib/run.js=run!", "node_modules/a/index.js=deep", `task.json={"id`}, names(t, &tasks[0])); diff != "" {
		t.Error(diff)
	}
	const vso = `{"manifestVersion": 1, "contributions": [{"id": "hub", "type": "ms.vss-web.hub", "properties": {"name": "x"}},
		{"id": "hello-task", "type": "ms.vss-distributed-task.task", "properties": {"name": "tasks/hello"}}]}`
	const vsix = `<?xml version="1.0"?><PackageManifest xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011"><Metadata><Identity Language="en-US" Id="greetings" Version="1.0.0" Publisher="fabrikam"/></Metadata></PackageManifest>`
	second := strings.Replace(manifest, `"Major": 1`, `"Major": 2`, 1)
	tasks = f("", "extension.vsixmanifest", vsix, "extension.vsomanifest", vso, "images/icon.png", "x",
		"tasks/hello/v2/task.json", second, "tasks/hello/v2/lib/run.js", "two!", "tasks/hello/v1/task.json", manifest, "tasks/hello/v1/lib/run.js", "one!")
	if len(tasks) != 2 || tasks[0].Extension != "fabrikam.greetings.hello-task" || tasks[0].Manifest.VersionText() != "1.2.3" || tasks[1].Manifest.VersionText() != "2.2.3" {
		t.Fatalf("tasks %+v", tasks)
	}
	if diff := cmp.Diff([]string{"lib/run.js=two!", `task.json={"id`}, names(t, &tasks[1])); diff != "" {
		t.Error(diff)
	}

	f("the tasks Hello and Bye have the same id", "extension.vsixmanifest", vsix, "extension.vsomanifest", vso,
		"tasks/hello/v1/task.json", manifest, "tasks/hello/v1/lib/run.js", "x", "tasks/hello/v2/task.json", strings.Replace(manifest, "Hello", "Bye", 1), "tasks/hello/v2/lib/run.js", "x")
	f("which would lie outside of it", "../task.json", manifest)
	f("which would lie outside of it", "task.json", manifest, "/etc/passwd", "x")
	f("which would lie outside of it", "task.json", manifest, `..\..\x`, "x")
	f(`has the file "lib/run.js" twice`, "task.json", manifest, "lib/run.js", "a", `lib\run.js`, "b")
	f(`runs the file "lib/run.js", which is not in its folder`, "task.json", manifest)
	f("neither a task.json nor an extension.vsomanifest", "readme.md", "x")
	f("no contribution of it is of type", "extension.vsixmanifest", vsix, "extension.vsomanifest", `{"contributions": []}`)
	f("in which there is no task.json", "extension.vsixmanifest", vsix, "extension.vsomanifest", vso)
	f("task.json is not understood", "task.json", "{")
	f("does not say its publisher", "extension.manifest", vso)
	if _, err := Read(strings.NewReader("no zip"), 6); err == nil || !strings.Contains(err.Error(), "this is no zip file") {
		t.Errorf("no zip file: %v", err)
	}
}

func TestOpenFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("v1/task.json", manifest)
	write("v1/lib/run.js", "one!")
	write("v1/.git/config", "x")
	write("v2/task.json", strings.Replace(manifest, `"Major": 1`, `"Major": 2`, 1))
	write("v2/lib/run.js", "two!")
	if err := os.Symlink("run.js", filepath.Join(folder, "v1/lib/link.js")); err != nil {
		t.Fatal(err)
	}
	open := func(paths ...string) *Local {
		t.Helper()
		l, err := Open(paths)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	both, again, first := open(folder), open(folder), open(filepath.Join(folder, "v1"))
	if len(both.Catalog) != 2 || !slices.EqualFunc(both.Catalog, again.Catalog, func(a, b *task.Definition) bool { return a.Package.Digest == b.Package.Digest }) {
		t.Errorf("the same files have other digests: %v, %v", both.ByDigest, again.ByDigest)
	}
	if first.Catalog[0].Package.Digest != both.Catalog[0].Package.Digest || first.ByDigest[first.Catalog[0].Package.Digest] == nil {
		t.Error("a task by itself has another digest than beside others")
	}
	if diff := cmp.Diff([]string{"lib/link.js=one!", "lib/run.js=one!", `task.json={"id`}, names(t, &first.Tasks[0])); diff != "" {
		t.Error(diff)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(folder, "v1/passwd")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open([]string{folder}); err == nil || !strings.Contains(err.Error(), "v1/passwd is neither a file nor a link to one in the folder") {
		t.Errorf("a link that leads out: %v", err)
	}
	// The wrong folder says that, whatever else is in it.
	wrong := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(wrong, "passwd")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open([]string{wrong}); err == nil || !strings.Contains(err.Error(), "there is no task.json in it") {
		t.Errorf("a folder without a task: %v", err)
	}
}
