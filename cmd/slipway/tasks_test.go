package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const helloTask = `{"id": "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "name": "Hello", "version": {"Major": 1, "Minor": 2, "Patch": 3}, "instanceNameFormat": "Hello $(who)",
	"inputs": [{"name": "who", "type": "string", "required": true}], "execution": {"Node20_1": {"target": "run.js"}}}`

// helloFolder is a folder with a task.
func helloFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"task.json": helloTask, "run.js": "console.log('Hello, ' + process.env.INPUT_WHO + ' from ' + require('path').basename(process.cwd()))\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestTasksCommand(t *testing.T) {
	t.Parallel()
	_, data := served(t, "steps:\n- bash: x\n")
	c, folder := commandTest{t, data}, helloFolder(t)
	c.says("no task was uploaded", "tasks")
	c.says("Hello 1.2.3 is uploaded: ", "tasks", "upload", folder)
	if err := os.WriteFile(filepath.Join(folder, "run.js"), []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.fails("task Hello has a version 1.2.3 already", "tasks", "upload", folder)
	c.says("Hello 1.2.3 is uploaded: ", "tasks", "upload", folder, "--overwrite")
	c.says("Hello  1.2.3    -", "tasks")
	c.fails("there is no task.json in it", "tasks", "upload", t.TempDir())
	c.fails("there is no task Helo: `slipway tasks` lists them", "tasks", "delete", "Helo")
	c.fails("there is no task 7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11 1.2.4", "tasks", "delete", "Hello", "--version", "1.2.4")
	c.says("Hello is deleted", "tasks", "delete", "Hello")
	c.says("no task was uploaded", "tasks")
}

func TestTasksOfAFolder(t *testing.T) {
	t.Parallel()
	dir, on := checkout(t, map[string]string{"good.yml": "steps: [{task: Hello@1, inputs: {who: Ada}}]\n", "bad.yml": "steps:\n- task: Hello@1\n"})
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=Ada", "-c", "user.email=a@example.com", "commit", "-q", "--allow-empty", "-m", "x"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git: %v\n%s", err, out)
		}
	}
	folder := helloFolder(t)
	f := func(code int, want, command, file string, flags ...string) {
		t.Helper()
		out, got := on(command, file, flags...)
		if got != code || !strings.Contains(out, want) {
			t.Errorf("%s %s %v: exit %d, %s, want %d, %s", command, file, flags, got, out, code, want)
		}
	}
	f(1, "unknown task Hello@1", "validate", "good.yml")
	f(0, "", "validate", "good.yml", "--task", folder)
	f(1, `task Hello@1 needs the input "who"`, "validate", "bad.yml", "--task", folder)
	f(-1, "there is no task.json in it", "plan", "good.yml", "--task", t.TempDir())
	f(0, "Hello, Ada from s\n", "run", "good.yml", "--task", folder)
	if out, err := run("schema", "--task", folder); err != nil || !strings.Contains(out, "Hello@1") {
		t.Errorf("schema: %v", err)
	}
}
