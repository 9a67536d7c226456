package agent

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/plan"
)

// The agent is copied into everybody's job: it stays static and small, and knows nothing of the server's insides.
func TestImports(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "slipway/cmd/slipway-agent").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{"slipway": true, "slipway/cmd/slipway-agent": true, "slipway/internal/agent": true, "slipway/internal/agent/engine": true, "slipway/internal/agent/substitute": true,
		"slipway/internal/agent/testresult": true, "slipway/internal/agent/token": true, "slipway/internal/agent/tool": true, "slipway/internal/images/progress": true, "slipway/internal/images/tunnel": true}
	libraries := []string{"github.com/bmatcuk/doublestar/v4", "golang.org/x/text/", "github.com/klauspost/compress", "go.yaml.in/yaml/v4", "github.com/ulikunitz/xz",
		"github.com/Masterminds/semver/v3", "golang.org/x/mod/", "golang.org/x/crypto/", "golang.org/x/sys/", "github.com/coder/websocket", "github.com/creack/pty"}
	for _, pkg := range strings.Fields(string(out)) {
		first, _, _ := strings.Cut(pkg, "/")
		standard := !strings.Contains(first, ".") && first != "slipway"
		language := strings.HasPrefix(pkg, "slipway/internal/pipelines/")
		library := slices.ContainsFunc(libraries, func(l string) bool { return strings.HasPrefix(pkg, l) })
		if !standard && !language && !library && !allowed[pkg] {
			t.Errorf("the agent must not import %s", pkg)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a program")
	}
	program := filepath.Join(t.TempDir(), "slipway-agent")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "slipway/cmd/slipway-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	const budget = 15 << 20
	if info.Size() > budget {
		t.Errorf("the agent has %d bytes, more than its budget of %d", info.Size(), budget)
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	var m masker
	m.Add("hunter2")
	m.Add("hunter2-longer")
	m.Add("first line\nsecond line\n")
	m.Add("ab") // too short to mask
	for in, want := range map[string]string{
		"a hunter2 b":     "a *** b",
		"hunter2-longer":  "***",
		"x second line y": "x *** y",
		"ab":              "ab",
		"nothing to see":  "nothing to see",
		"hunter2hunter2":  "******",
		"base64 " + base64.StdEncoding.EncodeToString([]byte("hunter2")): "base64 ***==",
	} {
		if got := m.Mask(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A secret is masked wherever the pieces of a long line without an end are cut.
func TestMaskAcrossPieces(t *testing.T) {
	t.Parallel()
	r := newReporter(nil, t.TempDir(), nil)
	spool, err := r.open(1)
	if err != nil {
		t.Fatal(err)
	}
	m := &masker{}
	const secret = "correct-horse-battery-staple"
	m.Add(secret)
	log := &stepLog{spool: spool, mask: m}
	text := strings.Repeat("x", maxLine-10) + secret + strings.Repeat("y", maxLine-5) + secret + "\nend\n"
	for len(text) > 0 {
		n := min(len(text), 1000)
		if _, err := log.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	b, err := os.ReadFile(spool.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "***"); n != 2 {
		t.Errorf("%d masks, want 2", n)
	}
	for i := 6; i <= len(secret); i++ {
		if strings.Contains(string(b), secret[:i]) && i > 8 {
			t.Errorf("a part of the secret is in the log: %q", secret[:i])
		}
	}
	if !strings.HasSuffix(string(b), " end\n") {
		t.Errorf("the log ends in %q", string(b[len(b)-20:]))
	}
}

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]*command{
		"##vso[task.setvariable variable=a;isOutput=true]b":         {"task.setvariable", map[string]string{"variable": "a", "isoutput": "true"}, "b"},
		"text before ##vso[task.complete result=Failed;]":           {"task.complete", map[string]string{"result": "Failed"}, ""},
		"##vso[task.logissue type=error]one%0Atwo %AZP2541 %5D %3B": {"task.logissue", map[string]string{"type": "error"}, "one\ntwo %41 ] ;"},
		"##vso[build.addbuildtag]x":                                 {"build.addbuildtag", map[string]string{}, "x"},
		"##[group]nothing":                                          nil,
		"##vso[nodot]x":                                             nil,
		"##vso[task.setvariable variable=a":                         nil,
	} {
		got, ok := parseCommand(in)
		if ok != (want != nil) {
			t.Errorf("%q: command %v", in, ok)
			continue
		}
		if ok {
			if diff := cmp.Diff(*want, got, cmp.AllowUnexported(command{})); diff != "" {
				t.Errorf("%q: %s", in, diff)
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"Dockerfile", "web/Dockerfile", "web/app.go", "k8s/a.yaml", "k8s/deep/b.yaml", ".git/Dockerfile", "node_modules/x/Dockerfile"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		patterns patterns
		want     []string
	}{
		{patterns{"**/Dockerfile"}, []string{"Dockerfile", "web/Dockerfile"}},
		{patterns{"web/Dockerfile"}, []string{"web/Dockerfile"}},
		{patterns{"k8s"}, []string{"k8s/a.yaml", "k8s/deep/b.yaml"}},
		{patterns{"**/*.yaml", "!**/deep/**"}, []string{"k8s/a.yaml"}},
		{patterns{"**", "!**/*.yaml", "k8s/a.yaml"}, []string{"Dockerfile", "k8s/a.yaml", "web/Dockerfile", "web/app.go"}},
		{patterns{root + "/k8s/*.yaml"}, []string{"k8s/a.yaml"}},
		{patterns{"nothing/*"}, nil},
	} {
		found, err := find(root, c.patterns)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, path := range found {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rel)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: %s", c.patterns, diff)
		}
	}
	// Seen from another folder, an absolute pattern means the same.
	found, err := find(t.TempDir(), patterns{root + "/k8s/*.yaml"})
	if err != nil || len(found) != 1 || found[0] != filepath.Join(root, "k8s/a.yaml") {
		t.Errorf("absolute pattern: %v, %v", found, err)
	}
}

// What is not obeyed says what to do instead.
func TestNotObeyed(t *testing.T) {
	t.Parallel()
	task := &task{runner: &runner{}, step: &plan.Step{}}
	for line, want := range map[string]string{
		"##vso[release.updatereleasename]1.2":           "there are no classic releases",
		"##vso[artifact.associate type=container]#/1/a": "an artifact lies on this server",
		"##vso[task.dance]":                             "task.dance is not a logging command",
	} {
		c, ok := parseCommand(line)
		if !ok {
			t.Fatalf("%q is no command", line)
		}
		if shown := task.obey(c); len(shown) != 1 || !strings.HasPrefix(shown[0], "##[warning]") || !strings.Contains(shown[0], want) {
			t.Errorf("%q shows %q, want %q", line, shown, want)
		}
	}
}
