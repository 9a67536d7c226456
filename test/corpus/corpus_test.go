package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

const collection = `
-- FILES.tsv --
repo	path
a/b	azure-pipelines.yml	more	columns
a/b	azure-pipelines.remote.yml
a/b	broken.yml
-- a+b/azure-pipelines.yml --
jobs:
- job: One
  pool: {vmImage: windows-2022}
  steps: [{script: x}, {bash: y}]
- job: Two
  steps:
  - script: x
  - task: NoSuchTask@1
  - template: steps.yml
-- a+b/steps.yml --
steps:
- script: x
- scrip: y
-- a+b/azure-pipelines.remote.yml --
resources: {repositories: [{repository: r, type: git, name: n}]}
steps:
- script: x
- template: steps.yml@r
-- a+b/broken.yml --
steps: [
`

// The wanted numbers are counted by hand: seven steps, of which two stand in a job for Windows, and two are wrong themselves.
func TestSummary(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, f := range txtar.Parse([]byte(collection)).Files {
		path := filepath.Join(root, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := readList(filepath.Join(root, "FILES.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var s summary
	for _, f := range files {
		if err := s.add(root, f); err != nil {
			t.Fatal(err)
		}
	}
	got := []int{s.files, s.parsed, s.expanded, s.remote, s.accepted, s.steps, s.runnable, s.foreign, s.own.total(), s.around.total(), len(s.broken)}
	if diff := cmp.Diff([]int{3, 2, 1, 1, 1, 7, 3, 3, 2, 2, 1}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var out bytes.Buffer
	if err := s.write(&out, 10); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"     1  jobs.pool.vmImage: vmImage windows-2022: jobs run in Linux containers, there is no Windows; write ubuntu-latest\n",
		"  runnable                     3 (42.9 %)\n",
	} {
		if !bytes.Contains(out.Bytes(), []byte(want)) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

func TestTheListStaysInTheRepositories(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(list, []byte("a/b\t../x.yml\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if files, err := readList(list); err == nil {
		t.Errorf("%v", files)
	}
}
