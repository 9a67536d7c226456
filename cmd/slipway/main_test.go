package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program builds this one into a folder of its own, and gives a function that runs it there and what it wrote.
func program(t *testing.T) (folder string, slipway func(args ...string) (string, error)) {
	t.Helper()
	folder = t.TempDir()
	path := filepath.Join(folder, "slipway")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return folder, func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Dir, cmd.Env = folder, []string{"PATH=/usr/bin:/bin", "HOME=" + folder}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}

// What the program does not do itself slipway-server does in its place: with its arguments, in its folder, with its exit code.
func TestHandsOn(t *testing.T) {
	t.Parallel()
	folder, slipway := program(t)
	f := func(want string, code int, args ...string) {
		t.Helper()
		out, err := slipway(args...)
		got := 0
		if exit, ok := err.(*exec.ExitError); ok {
			got = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if got != code || !strings.Contains(out, want) {
			t.Errorf("slipway %q: ended with %d: %s; want %d, %s", args, got, out, code, want)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "azure-pipelines.yml"), []byte("steps:\n- bash: echo blue\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f("slipway-server is neither in "+folder+" nor on PATH, and `slipway queue --all` needs it", 1, "queue", "--all")
	f("`slipway --help` names what works without it", 1, "run", "--kubeconfig", "config")
	f("`slipway validate` works without it", 1, "vaildate")
	for _, args := range [][]string{{}, {"--help"}, {"help"}, {"help", "run"}} {
		f("a pipeline file on this machine", 0, args...)
	}
	for _, args := range [][]string{{}, {"--help"}, {"help"}} {
		f("work without slipway-server", 0, args...)
	}
	f("slipway ", 0, "--version")
	server := "#!/bin/sh\necho \"the server: $0 $*\"\nexit 7\n"
	if err := os.WriteFile(filepath.Join(folder, "slipway-server"), []byte(server), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"queue", "--all"}, {"--help"}, {"help", "run"}, {"vaildate"}, {"run", "--kubeconfig", "config"}, {"--version"}} {
		f(strings.Join(args, " ")+"\n", 7, args...)
		f("the server: ", 7, args...)
	}
	f("the server: ", 7)
	f("azure-pipelines.yml is fine", 0, "validate")
	f("unknown flag: --stge, did you mean --stage?", 1, "run", "--stge", "x")
	f("succeeded", 0, "run")
}

// It starts fast because it is small: no database, no client of a cluster, none of the server's domains.
func TestDependencies(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		switch {
		case dep == "database/sql", dep == "testing", strings.HasPrefix(dep, "k8s.io/"), strings.HasPrefix(dep, "github.com/alecthomas/chroma"),
			dep == "slipway/internal/api", dep == "slipway/internal/pipelines", dep == "slipway/internal/db", dep == "slipway/internal/events":
			t.Errorf("slipway depends on %s", dep)
		}
	}
}
