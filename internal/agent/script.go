package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// script runs text or a file in a shell. As in Azure, a line that fails does not end the script unless the script says
// so (set -e): the exit code of the last one counts.
func (t *task) script(s *plan.Script) error {
	dir, err := t.workingDirectory(t.text(s.WorkingDirectory))
	if err != nil {
		return err
	}
	program, args, err := t.shell(s.Shell)
	if err != nil {
		return err
	}
	text := t.text(s.Text)
	if file := t.text(s.FilePath); file != "" {
		if text, err = t.fileCommand(file, t.text(s.Arguments)); err != nil {
			return err
		}
		t.log.Printf("Command: %s\n##[section]Output", text)
	} else {
		t.log.Printf("Script contents:\n%s\n##[section]Output", strings.TrimRight(text, "\n"))
	}
	file, err := t.scriptFile(".sh", text)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	args = append(args, file)
	p := process{name: program, args: args, dir: dir}
	if value := t.text(s.BashEnv); value != "" {
		p.env = map[string]string{"BASH_ENV": value}
	}
	return t.runScript(p, t.flag(s.FailOnStderr, false))
}

// fileCommand is what runs a script file with arguments, which bash itself reads: variables and globs in them are expanded. As in Azure's task, a
// variable of the environment has the file read into the shell instead (docs/bashnote.md of azure-pipelines-tasks).
func (t *task) fileCommand(file, arguments string) (string, error) {
	path := t.absolute(file)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("there is no script file %s", path)
	}
	run := "exec bash"
	for _, pair := range t.environment(nil) {
		if name, value, _ := strings.Cut(pair, "="); name == "AZP_BASHV3_OLD_SOURCE_BEHAVIOR" && value != "" {
			run = "."
		}
	}
	return strings.TrimSpace(run + " '" + strings.ReplaceAll(path, "'", `'\''`) + "' " + arguments), nil
}

// workingDirectory is where a script runs: the sources, or a folder that is there, relative to them.
func (t *task) workingDirectory(dir string) (string, error) {
	dir = t.absolute(dir)
	if !t.isFolder(dir) {
		return "", fmt.Errorf("the working directory %s does not exist", dir)
	}
	return dir, nil
}

// runScript runs a program of the user, which fails too if it writes to its standard error and failOnStderr says so.
func (t *task) runScript(p process, failOnStderr bool) error {
	wrote := &limited{max: 64 << 10}
	if failOnStderr {
		p.stderr = io.MultiWriter(t.log, wrote)
	}
	if err := t.run(p); err != nil {
		return err
	}
	if wrote.Len() > 0 { // secrets are masked before one could be cut in two
		return fmt.Errorf("the script wrote to its standard error, and the step is told to fail then: %s", cut(strings.TrimSpace(t.mask.Mask(wrote.String())), job.MaxIssueLength/2))
	}
	return nil
}

// shell is the program that reads a script, with its arguments before the file.
func (t *task) shell(s plan.Shell) (string, []string, error) {
	bash := []string{"--noprofile", "--norc"}
	switch s {
	case plan.ShellBash:
		path, err := t.look("bash")
		return path, bash, err
	case plan.ShellDefault:
	default:
		return "", nil, fmt.Errorf("the shell %q is not known to this agent", s)
	}
	if path, err := t.look("bash"); err == nil {
		return path, bash, nil
	}
	path, err := t.look("sh")
	return path, nil, err
}

// scriptFile writes a script into a file of its own, which the caller removes.
func (t *task) scriptFile(suffix, text string) (string, error) {
	file, err := os.CreateTemp(t.folders.temp, "script-*"+suffix)
	if err != nil {
		return "", fmt.Errorf("write the script: %w", err)
	}
	_, err = file.WriteString(strings.ReplaceAll(text, "\r\n", "\n"))
	if err = errors.Join(err, file.Close(), os.Chmod(file.Name(), 0o700)); err != nil {
		return "", fmt.Errorf("write the script: %w", err)
	}
	return file.Name(), nil
}

// splitArguments splits arguments as Azure's task library does for a program (ToolRunner.line): at blanks, but for those between double
// quotes; a backslash before a quote inside of quotes makes it an ordinary character, and single quotes mean nothing. The ends of lines
// part arguments too, with or without a backslash before them.
func splitArguments(line string) []string {
	var words []string
	var word strings.Builder
	inWord, quoted := false, false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quoted && c == '\\' && i+1 < len(line) && (line[i+1] == '"' || line[i+1] == '\\'):
			i++
			if line[i] == '\\' {
				word.WriteByte('\\')
			}
			word.WriteByte(line[i])
		case c == '"':
			quoted, inWord = !quoted, true
		case !quoted && c == '\\' && i+1 < len(line) && line[i+1] == '\n':
		case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
