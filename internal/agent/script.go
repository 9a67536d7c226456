package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

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
	file := t.text(s.FilePath)
	if file == "" {
		text := t.text(s.Text)
		t.log.Printf("Script contents:\n%s\n##[section]Output", strings.TrimRight(text, "\n"))
		if file, err = t.scriptFile(".sh", text); err != nil {
			return err
		}
		defer os.Remove(file)
	} else if !filepath.IsAbs(file) {
		file = filepath.Join(t.folders.sources, file)
	}
	args = append(args, file)
	if arguments := t.text(s.Arguments); arguments != "" {
		words, err := splitWords(arguments)
		if err != nil {
			return err
		}
		args = append(args, words...)
	}
	p := process{name: program, args: args, dir: dir}
	if value := t.text(s.BashEnv); value != "" {
		p.env = map[string]string{"BASH_ENV": value}
	}
	return t.runScript(p, t.flag(s.FailOnStderr, false))
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
	var wrote atomic.Bool
	if failOnStderr {
		p.stderr = notice{t.log, &wrote}
	}
	if err := t.run(p); err != nil {
		return err
	}
	if wrote.Load() {
		return errors.New("the script wrote to its standard error, and the step is told to fail then")
	}
	return nil
}

// notice remembers that something was written.
type notice struct {
	log   *stepLog
	wrote *atomic.Bool
}

func (n notice) Write(p []byte) (int, error) {
	n.wrote.Store(true)
	return n.log.Write(p)
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

// splitWords splits a command line as a shell does for plain words, quotes and backslashes; it expands nothing.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == '\'':
			word.WriteByte(c)
		case c == '\\' && i+1 < len(line) && (quote == 0 || strings.IndexByte(`"\$`+"`", line[i+1]) >= 0):
			i++
			if line[i] != '\n' {
				word.WriteByte(line[i])
				inWord = true
			}
		case quote == '"':
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
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
	if quote != 0 {
		return nil, fmt.Errorf("the arguments %q have a quote without its end", line)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// splitArguments splits arguments as Azure's task library does for a program: at blanks, but for those between double
// quotes; a backslash before a quote inside of quotes makes it an ordinary character, and single quotes mean nothing.
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
