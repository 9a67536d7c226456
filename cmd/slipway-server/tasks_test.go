package main

import (
	"os"
	"path/filepath"
	"testing"

	"slipway/internal/commandline/commandlinetest"
)

func TestTasksCommand(t *testing.T) {
	t.Parallel()
	_, data := served(t, "steps:\n- bash: x\n")
	c, folder := commandTest{t, data}, commandlinetest.TaskFolder(t)
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
