package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/programtest"
)

// folder writes a folder of files and gives its name.
func (j *job) folder(files map[string]string) string {
	j.Helper()
	folder := j.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755); err != nil {
			j.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			j.Fatal(err)
		}
	}
	return folder
}

// filesIn are the files below a folder with their text.
func filesIn(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(folder, path)
		files[rel] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestUniversalPackages(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	files := map[string]string{"app.js": "a", "lib/x.js": "x", "lib/same.js": "x", ".env": ""}
	folder := j.folder(files)
	universal := func(words ...string) (map[string]any, string, int) {
		t.Helper()
		stdout, stderr, code := j.az(append([]string{"artifacts", "universal"}, words...)...)
		answer := map[string]any{}
		if code == 0 {
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
				t.Fatalf("%v: %s", err, stdout)
			}
		}
		return answer, stderr, code
	}
	publish := func(words ...string) (map[string]any, string, int) {
		return universal(append([]string{"publish", "--organization", j.env["SYSTEM_COLLECTIONURI"], "--project", "Shop", "--scope", "project", "--feed", "Tools", "--name", "web.app", "--path", folder}, words...)...)
	}
	answer, stderr, code := publish("--version", "1.2.9", "--description", "what it is")
	if code != 0 || answer["Version"] != "1.2.9" || answer["Description"] != "what it is" || !strings.HasPrefix(answer["ManifestId"].(string), "sha256:") {
		t.Fatalf("%d %v %s", code, answer, stderr)
	}
	if _, stderr, code := publish("--version", "1.2.9"); code != 1 || !strings.Contains(stderr, "the version 1.2.9 of web.app is published already") {
		t.Errorf("%d %s", code, stderr)
	}
	// npm's semver: inc("1.2.9", "patch") is 1.2.10, inc("2.0.0-beta", "major") is 2.0.0.
	for _, c := range []struct{ option, value, want string }{{"--increment", "patch", "1.2.10"}, {"--increment", "minor", "1.3.0"}, {"--version", "2.0.0-beta", "2.0.0-beta"},
		{"--increment", "major", "2.0.0"}, {"--increment", "major", "3.0.0"}} {
		if answer, stderr, code := publish(c.option, c.value); code != 0 || answer["Version"] != c.want {
			t.Errorf("%s %s: %d %v %s", c.option, c.value, code, answer, stderr)
		}
	}
	for version, want := range map[string]string{"*": "3.0.0", "1.*": "1.3.0", "1.2.*": "1.2.10", "2.0.0-beta": "2.0.0-beta"} {
		to := filepath.Join(t.TempDir(), "new")
		answer, stderr, code := universal("download", "--feed", "tools", "--name", "web.app", "--version", version, "--path", to)
		if code != 0 || answer["Version"] != want {
			t.Errorf("%s: %d %v %s", version, code, answer, stderr)
		}
		if diff := cmp.Diff(files, filesIn(t, to)); diff != "" {
			t.Error(diff)
		}
	}
	some := t.TempDir()
	if _, stderr, code := universal("download", "--feed", "shop/tools", "--name", "web.app", "--version", "1.2.9", "--path", some, "--file-filter", "lib/**"); code != 0 {
		t.Error(stderr)
	}
	if diff := cmp.Diff(map[string]string{"lib/x.js": "x", "lib/same.js": "x"}, filesIn(t, some)); diff != "" {
		t.Error(diff)
	}
}

func TestUniversalPackagesRefused(t *testing.T) {
	t.Parallel()
	j := newJob(t)
	folder := j.folder(map[string]string{"a": ""})
	for _, c := range []struct{ words, want string }{
		{"publish --feed f --name n --path " + folder, "give --version, or --increment"},
		{"publish --feed f --name n --version 1.0 --path " + folder, "write three numbers"},
		{"publish --feed f --name n --version 1.0.0+x --path " + folder, "write three numbers"},
		{"publish --feed f/../g --name n --version 1.0.0 --path " + folder, `--feed "../g": write letters`},
		{"publish --feed other/f --name n --version 1.0.0 --path " + folder, `there is no project "other"`},
		{"publish --feed f --name n --version 1.0.0 --path " + t.TempDir(), "there is no file in"},
		{"download --feed f --name n --version 1.0.0 --path " + t.TempDir(), "download n 1.0.0:"},
		{"download --feed f --name n --version * --path " + t.TempDir(), "no version of n is *"},
		{"download --feed f --name n --version 1.*.2 --path " + t.TempDir(), "a star stands for the last part alone"},
		{"download --feed f --name n --version 1.0.0 --organization https://dev.azure.com/x --path " + t.TempDir(), "is another server"},
	} {
		_, stderr, code := j.az(append([]string{"artifacts", "universal"}, strings.Fields(c.words)...)...)
		if code == 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: %d %s", c.words, code, stderr)
		}
	}
}

// The program oras pulls a package, and what it pushes is one.
func TestUniversalPackagesAndOras(t *testing.T) {
	t.Parallel()
	oras, err := programtest.Install("oras.land/oras/cmd/oras@v1.3.6", "oras")
	if err != nil {
		t.Fatal(err)
	}
	j := newJob(t)
	files := map[string]string{"a.txt": "a", "lib/x.txt": "x"}
	folder := j.folder(files)
	if _, stderr, code := j.az("artifacts", "universal", "publish", "--feed", "tools", "--name", "web", "--version", "1.0.0", "--path", folder); code != 0 {
		t.Fatal(stderr)
	}
	run := func(dir string, words ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), oras, append(words, "--plain-http", "--username", "job", "--password", j.env["SLIPWAY_JOB_TOKEN"])...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+j.env["HOME"])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	to := t.TempDir()
	run(to, "pull", j.host()+"/shop/universal/tools/web:1.0.0")
	if diff := cmp.Diff(files, filesIn(t, to)); diff != "" {
		t.Error(diff)
	}
	run(folder, "push", j.host()+"/shop/universal/tools/web:1.1.0", "a.txt", "lib/x.txt")
	to = t.TempDir()
	if _, stderr, code := j.az("artifacts", "universal", "download", "--feed", "tools", "--name", "web", "--version", "*", "--path", to); code != 0 || !strings.Contains(stderr, "Downloaded 2 files of web 1.1.0") {
		t.Error(stderr)
	}
	if diff := cmp.Diff(files, filesIn(t, to)); diff != "" {
		t.Error(diff)
	}
}
