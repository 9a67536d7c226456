package filecommands

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/commandline"
	"slipway/internal/pipelines/diagnostic"
)

// checkout is a folder of files, and a function that runs a command on one of them and gives what it printed and its exit code.
func checkout(t *testing.T, files map[string]string) (dir string, on func(command, file string, flags ...string) (string, int)) {
	t.Helper()
	dir = t.TempDir()
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, func(command, file string, flags ...string) (string, int) {
		t.Helper()
		out, err := run(append([]string{command, filepath.Join(dir, file)}, flags...)...)
		var exit *commandline.ExitError
		switch {
		case errors.As(err, &exit):
			return out, exit.Code
		case err != nil:
			return err.Error(), -1
		}
		return out, 0
	}
}

var filed = map[string]string{
	".git/HEAD": "",
	"good.yml":  "parameters: [{name: a}]\nsteps:\n- script: echo ${{ parameters.a }}\n- template: /ci/t.yml\n",
	"odd.yml":   "steps: [{task: CopyFiles@2, inputs: {targetFolder: x, retryCountOnTaskFailure: 3}}]\n",
	"bad.yml":   "steps:\n- scrpt: x\n- template: ci/bad.yml\n",
	"far.yml":   "resources: {repositories: [{repository: far, type: git, name: x}]}\nsteps: [{script: x}, {template: t.yml@far}]\n",
	"ci/t.yml":  "steps: [{bash: y}]\n", "ci/bad.yml": "steps: [{bash: y, nme: z}]\n",
	"other/t.yml": "steps: [{bahs: y}]\n",
}

func TestValidateSaysItByItsExitCode(t *testing.T) {
	t.Parallel()
	dir, on := checkout(t, filed)
	f := func(want int, file string, flags ...string) string {
		t.Helper()
		out, code := on("validate", file, flags...)
		if code != want {
			t.Errorf("%s %v: exit %d, want %d: %s", file, flags, code, want, out)
		}
		return out
	}
	f(0, "good.yml")
	f(0, "ci/t.yml")
	f(0, "odd.yml")
	f(1, "odd.yml", "--strict")
	f(1, "bad.yml")
	f(1, "good.yml", filepath.Join(dir, "bad.yml"))
	f(2, "absent.yml")
	f(2, "good.yml", filepath.Join(dir, "absent.yml"))
	f(0, "far.yml")
	if out := f(1, "far.yml", "--repository", "far="+filepath.Join(dir, "other")); !strings.Contains(out, "t.yml@far:1:10: error: ") {
		t.Errorf("the other repository's template: %s", out)
	}
	f(-1, "good.yml", "--format", "xml")
}

func TestValidateFormats(t *testing.T) {
	t.Parallel()
	_, on := checkout(t, filed)
	text, _ := on("validate", "bad.yml")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "bad.yml:2:3: error: a step has one of") || !strings.HasSuffix(lines[1], `ci/bad.yml:1:19: error: unknown key "nme" of a bash step, did you mean "name"?`) {
		t.Errorf("text:\n%s", text)
	}
	out, _ := on("validate", "bad.yml", "--format", "json")
	var list []diagnostic.Diagnostic
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 2 || list[1].File != "ci/bad.yml" || list[1].Line != 1 || list[1].Column != 19 || list[1].Code != "invalid" {
		t.Errorf("json: %v %+v", err, list)
	}
	if out, _ := on("validate", "good.yml", "--format", "json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("json of a good file: %s", out)
	}
	if out, _ := on("validate", "bad.yml", "--format", "github"); !strings.Contains(out, "::error file=ci/bad.yml,line=1,col=19::unknown key") {
		t.Errorf("github: %s", out)
	}
	if out, _ := on("validate", "bad.yml", "--format", "azure"); !strings.Contains(out, "##vso[task.logissue type=error;sourcepath=ci/bad.yml;linenumber=1;columnnumber=19;]unknown key") {
		t.Errorf("azure: %s", out)
	}
	out, _ = on("validate", "odd.yml", "--format", "sarif")
	var log struct {
		Version string
		Runs    []struct {
			Results []struct {
				Level     string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &log); err != nil || log.Version != "2.1.0" || log.Runs[0].Results[0].Level != "warning" ||
		log.Runs[0].Results[0].Locations[0].PhysicalLocation.Region.StartColumn != 55 || log.Runs[0].Results[0].Locations[0].PhysicalLocation.ArtifactLocation.URI != "odd.yml" {
		t.Errorf("sarif: %v %+v", err, log)
	}
}

func TestExpandAndPlanOfAFile(t *testing.T) {
	t.Parallel()
	_, on := checkout(t, filed)
	if out, code := on("expand", "bad.yml"); code != 0 || !strings.Contains(out, "nme: z") {
		t.Errorf("expand tells no mistakes of keys: %d %s", code, out)
	}
	if _, code := on("expand", "good.yml"); code != 1 {
		t.Errorf("expand without a parameter's value: %d", code)
	}
	if out, code := on("expand", "good.yml", "--parameter", "a=b"); code != 0 || !strings.Contains(out, "script: echo b\n") {
		t.Errorf("expand with a parameter: %d %s", code, out)
	}
	if out, code := on("expand", "good.yml", "--parameter", "a"); code != -1 || out != `--parameter "a": write NAME=VALUE` {
		t.Errorf("a parameter without value: %d %s", code, out)
	}
	if out, code := on("expand", "bad.yml", "--origins"); code != 0 || !strings.Contains(out, "# ci/bad.yml:1\n") {
		t.Errorf("origins: %d %s", code, out)
	}
	if out, code := on("plan", "good.yml"); code != 0 || !strings.HasPrefix(out, "good.yml: 1 stage, 1 job, 2 steps\n") {
		t.Errorf("plan: %d %s", code, out)
	}
	if _, code := on("plan", "bad.yml"); code != 1 {
		t.Errorf("plan of a bad file: %d", code)
	}
}

// Templates beside the file's folder are found in a folder without git, too, when its root is named; without it the mistake says how.
func TestRootOfFilesWithoutGit(t *testing.T) {
	t.Parallel()
	dir, on := checkout(t, map[string]string{"ci/p.yml": "steps: [{template: ../templates/t.yml}]\n", "ci/q.yml": "steps: [{template: /templates/t.yml}]\n", "templates/t.yml": "steps: [{script: x}]\n"})
	for _, file := range []string{"ci/p.yml", "ci/q.yml"} {
		if out, code := on("validate", file); code != 1 || !strings.Contains(out, ", which is "+filepath.Join(dir, "ci")+", since no folder above the file holds .git: name the folder with --root") {
			t.Errorf("%s: %d %s", file, code, out)
		}
		if out, code := on("validate", file, "--root", dir); code != 0 {
			t.Errorf("%s with --root: %d %s", file, code, out)
		}
		if out, code := on("expand", file, "--root", dir); code != 0 || !strings.Contains(out, "script: x") {
			t.Errorf("%s with --root: %d %s", file, code, out)
		}
	}
	if out, code := on("expand", "ci/p.yml", "--root", filepath.Join(dir, "templates")); code != -1 || !strings.Contains(out, "does not lie below") {
		t.Errorf("another root: %d %s", code, out)
	}
}

// Who is in a folder below the file's is told where it is.
func TestFileAbove(t *testing.T) {
	t.Parallel()
	dir, _ := checkout(t, map[string]string{"up.yml": "", "a/b/c.yml": "", "a/up.yml/x": ""})
	for folder, want := range map[string]string{"a/b": ", as ../../up.yml", "a": ", as ../up.yml"} {
		if got := fileAbove(filepath.Join(dir, folder), "up.yml"); got != want {
			t.Errorf("from %s: %q, want %q", folder, got, want)
		}
	}
	if got := fileAbove(filepath.Join(dir, "a/b"), "no-such-file.yml"); got != "" {
		t.Errorf("a file that is nowhere is %q", got)
	}
}
