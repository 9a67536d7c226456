package api_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/api"
	"slipway/internal/identity"
)

const helloTask = `{"id": "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "name": "Hello", "friendlyName": "Say hello", "description": "Says hello.", "author": "fabrikam",
	"category": "Utility", "version": {"Major": 1, "Minor": 2, "Patch": 3}, "instanceNameFormat": "Hello", "inputs": [], "execution": {"Node20_1": {"target": "run.js"}}}`

// tfx is Microsoft's command line for extensions and tasks, in a folder of its own.
type tfx struct {
	*testing.T
	folder string
}

func newTfx(t *testing.T) tfx {
	t.Helper()
	x := tfx{t, t.TempDir()}
	cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", x.folder, "tfx-cli@0.23.1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	return x
}

func (x tfx) run(args ...string) (string, error) {
	cmd := exec.Command("node", append([]string{filepath.Join(x.folder, "node_modules/tfx-cli/_build/tfx-cli.js")}, args...)...)
	cmd.Dir = x.folder
	cmd.Env = append(os.Environ(), "HOME="+x.folder)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (x tfx) must(args ...string) string {
	x.Helper()
	out, err := x.run(args...)
	if err != nil {
		x.Fatalf("tfx %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (x tfx) write(name, text string) {
	x.Helper()
	path := filepath.Join(x.folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		x.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		x.Fatal(err)
	}
}

func TestTfx(t *testing.T) {
	t.Parallel()
	w, s, token := pipelineWorld(t)
	x := newTfx(t)
	x.write("hello/task.json", helloTask)
	x.write("hello/run.js", "console.log('hello')")
	server := []string{"--service-url", w.url + api.Collection, "--auth-type", "pat", "--token", token, "--no-prompt"}
	upload := append([]string{"build", "tasks", "upload", "--task-path", filepath.Join(x.folder, "hello")}, server...)
	if out := x.must(upload...); !strings.Contains(out, "uploaded successfully") {
		t.Errorf("upload:\n%s", out)
	}
	list, err := s.Tasks(t.Context(), "")
	if err != nil || len(list) != 1 || list[0].Version() != "1.2.3" || list[0].CreatedBy.Name != "ada" {
		t.Fatalf("tasks %+v, %v", list, err)
	}
	x.write("hello/run.js", "console.log('hello again')")
	if out, err := x.run(upload...); err == nil || !strings.Contains(out, "task Hello has a version 1.2.3 already") {
		t.Errorf("upload of the same version: %v\n%s", err, out)
	}
	x.must(append(upload, "--overwrite")...)
	var told []struct {
		ID      string
		Name    string
		Version struct{ Major, Minor, Patch int }
	}
	out := x.must(append([]string{"build", "tasks", "list", "--json"}, server...)...)
	if err := json.Unmarshal([]byte(out[strings.Index(out, "["):]), &told); err != nil || len(told) != 1 || told[0].Name != "Hello" || told[0].Version.Minor != 2 {
		t.Errorf("list: %v\n%s", err, out)
	}
	x.must(append([]string{"build", "tasks", "delete", "--task-id", told[0].ID}, server...)...)
	if list, err := s.Tasks(t.Context(), ""); err != nil || len(list) != 0 {
		t.Errorf("left %+v, %v", list, err)
	}

	// An extension that the same program has packed.
	x.write("vss-extension.json", `{"manifestVersion": 1, "id": "greetings", "publisher": "fabrikam", "version": "1.0.0", "name": "Greetings", "description": "Greets.",
		"targets": [{"id": "Microsoft.VisualStudio.Services"}], "categories": ["Azure Pipelines"], "files": [{"path": "hello"}],
		"contributions": [{"id": "hello-task", "type": "ms.vss-distributed-task.task", "targets": ["ms.vss-distributed-task.tasks"], "properties": {"name": "hello"}}]}`)
	x.must("extension", "create", "--manifest-globs", "vss-extension.json", "--output-path", "greetings.vsix", "--no-prompt")
	vsix, err := os.ReadFile(filepath.Join(x.folder, "greetings.vsix"))
	if err != nil {
		t.Fatal(err)
	}
	var uploaded struct{ Value []api.Task }
	w.call(token, http.MethodPost, "/_apis/slipway/tasks", string(vsix), http.StatusOK, &uploaded)
	if len(uploaded.Value) != 1 || uploaded.Value[0].Extension != "fabrikam.greetings.hello-task" || uploaded.Value[0].Unsupported != "" {
		t.Errorf("uploaded %+v", uploaded)
	}
}

func TestTaskRoutes(t *testing.T) {
	t.Parallel()
	w, _, token := pipelineWorld(t)
	const path = "/_apis/distributedtask/tasks"
	contributor := w.member("carl", identity.RoleContributor)
	w.call(contributor, http.MethodGet, path, "", http.StatusOK, nil)
	w.call(contributor, http.MethodPut, path+"/7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "x", http.StatusForbidden, nil)
	w.call(contributor, http.MethodPost, "/_apis/slipway/tasks", "x", http.StatusForbidden, nil)
	w.call(contributor, http.MethodDelete, path+"/7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "", http.StatusForbidden, nil)
	w.call("", http.MethodGet, path, "", http.StatusUnauthorized, nil)
	w.call(token, http.MethodPut, path+"/7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "no zip", http.StatusBadRequest, nil)

	file := zipOf(t, "task.json", helloTask, "run.js", "1")
	w.call(token, http.MethodPut, path+"/8f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", file, http.StatusBadRequest, nil)
	w.call(token, http.MethodPut, path+"/7F1C1B4E-5a51-4d7b-9c52-0e7a7f6d2c11", file, http.StatusOK, nil)
	var one map[string]any
	w.call(contributor, http.MethodGet, path+"/7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11/1.2.3", "", http.StatusOK, &one)
	if one["friendlyName"] != "Say hello" || one["contentsUploaded"] != true {
		t.Errorf("task %v", one)
	}
	w.call(contributor, http.MethodGet, path+"/7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11/1.2.4", "", http.StatusNotFound, nil)
	w.call(token, http.MethodDelete, path+"/7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11/1.2.3", "", http.StatusNoContent, nil)
	w.call(token, http.MethodDelete, path+"/7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "", http.StatusNotFound, nil)
}

// zipOf is a zip file of files, name and text by turns.
func zipOf(t *testing.T, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		f := must[io.Writer](t)(z.Create(files[i]))
		must[int](t)(io.WriteString(f, files[i+1]))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
