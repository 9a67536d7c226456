package agent

import (
	"fmt"
	"os"
	"strings"
)

// goCommand is the task Go@0.
func (t *task) goCommand(in inputs) error {
	name := strings.ToLower(in.text("command"))
	switch name {
	case "":
		name = "get"
	case "custom":
		name = in.text("customCommand")
	}
	if name == "" {
		return fmt.Errorf("the input customCommand is empty: give the command of go, as vet")
	}
	dir, err := t.workingFolder(in.text("workingDirectory"))
	if err != nil {
		return err
	}
	words := splitArguments(in.text("arguments"))
	return t.runShown(process{name: "go", args: append([]string{name}, words...), dir: dir})
}

// cmake is the task CMake@1.
func (t *task) cmake(in inputs) error {
	dir := in.text("cwd")
	if dir == "" {
		dir = "build"
	}
	dir = t.absolute(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the working directory: %w", err)
	}
	program, err := t.look("cmake")
	if err != nil {
		return err
	}
	arguments := in.text("cmakeArgs")
	if in.flag("runInsideShell", false) {
		// The shell expands variables and runs nothing else, as in Azure's task.
		shell, err := t.look("sh")
		if err != nil {
			return err
		}
		text := strings.NewReplacer("`", "\\`", "$(", "\\$(").Replace(arguments)
		return t.runShown(process{name: shell, args: []string{"-c", "cmake " + text}, dir: dir})
	}
	words := splitArguments(arguments)
	return t.runShown(process{name: program, args: words, dir: dir})
}
