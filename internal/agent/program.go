package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// cmdLine is the task CmdLine@1: one program with arguments.
func (t *task) cmdLine(in inputs) error {
	program := in.text("filename")
	if strings.Contains(program, "/") {
		program = t.absolute(program)
	}
	dir := t.absolute(in.text("workingFolder"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the working folder: %w", err)
	}
	return t.runScript(process{name: program, args: splitArguments(in.text("arguments")), dir: dir}, in.flag("failOnStandardError", false))
}

// shellScript is the task ShellScript@2. A script runs in its own folder unless another than the sources is given, or
// that is switched off.
func (t *task) shellScript(in inputs) error {
	path := t.absolute(in.text("scriptPath"))
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("there is no script file %s", path)
	}
	bash, err := t.look("bash")
	if err != nil {
		return err
	}
	dir := t.absolute(in.text("cwd"))
	if dir == t.folders.sources && !in.flag("disableAutoCwd", false) {
		dir = filepath.Dir(path)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the working folder: %w", err)
	}
	args := append([]string{path}, splitArguments(in.text("args"))...)
	return t.runScript(process{name: bash, args: args, dir: dir}, in.flag("failOnStandardError", false))
}

// pythonScript is the task PythonScript@0.
func (t *task) pythonScript(in inputs) error {
	python := in.text("pythonInterpreter")
	if python == "" {
		var err error
		if python, err = t.look("python"); err != nil {
			python, err = t.look("python3")
		}
		if err != nil {
			return errors.New("there is no Python in the job's image: give the job a container that has it, or install it with UsePythonVersion@0")
		}
	}
	dir, err := t.workingDirectory(in.text("workingDirectory"))
	if err != nil {
		return err
	}
	path := t.absolute(in.text("scriptPath"))
	if strings.EqualFold(in.text("scriptSource"), "inline") {
		if path, err = t.scriptFile(".py", in.m["script"]); err != nil {
			return err
		}
		defer os.Remove(path)
	} else if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("there is no script file %s", path)
	}
	args := append([]string{path}, splitArguments(in.text("arguments"))...)
	return t.runScript(process{name: python, args: args, dir: dir}, in.flag("failOnStderr", false))
}
