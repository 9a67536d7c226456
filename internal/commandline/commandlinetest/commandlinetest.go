// Package commandlinetest runs commands for tests.
package commandlinetest

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/spf13/cobra"
)

const helloTask = `{"id": "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11", "name": "Hello", "version": {"Major": 1, "Minor": 2, "Patch": 3}, "instanceNameFormat": "Hello $(who)",
	"inputs": [{"name": "who", "type": "string", "required": true}], "execution": {"Node20_1": {"target": "run.js"}}}`

// TaskFolder is a folder with the task Hello 1.2.3, which greets who its input names.
func TaskFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"task.json": helloTask, "run.js": "console.log('Hello, ' + process.env.INPUT_WHO + ' from ' + require('path').basename(process.cwd()))\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// Run runs a command and gives what it printed to standard output.
func Run(c *cobra.Command, args ...string) (string, error) {
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetArgs(args)
	err := c.ExecuteContext(context.Background())
	return out.String(), err
}

// OnTerminal runs a command on a terminal of that size. Each time that it, or a shell in it, asks something, the next answer is typed.
// It gives all that was shown.
func OnTerminal(t *testing.T, c *cobra.Command, size pty.Winsize, answers []string, args ...string) (string, error) {
	t.Helper()
	outer, inner, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { outer.Close(); inner.Close() }) // the command may still wait for something typed
	if err := pty.Setsize(outer, &size); err != nil {
		t.Fatal(err)
	}
	c.SetOut(inner)
	c.SetErr(inner)
	c.SetIn(inner)
	c.SetArgs(args)
	const end = "the command is over\n"
	done := make(chan error, 1)
	go func() {
		done <- c.ExecuteContext(t.Context())
		_, _ = io.WriteString(inner, end)
	}()
	var shown strings.Builder
	piece := make([]byte, 4<<10)
	for seen := 0; !strings.Contains(shown.String(), strings.TrimSpace(end)); {
		n, err := outer.Read(piece)
		if err != nil {
			t.Fatalf("%v; it shows %q", err, shown.String())
		}
		shown.Write(piece[:n])
		text := shown.String()[seen:]
		if len(answers) == 0 || !strings.Contains(text, "in a [t]erminal? ") && !strings.Contains(text, "\x1b[?2004h") {
			continue
		}
		seen = shown.Len()
		if _, err := io.WriteString(outer, answers[0]); err != nil {
			t.Fatal(err)
		}
		answers = answers[1:]
	}
	return shown.String(), <-done
}
