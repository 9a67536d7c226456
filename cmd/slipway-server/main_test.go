package main

import (
	"runtime"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	said, err := run("version")
	if err != nil || !strings.Contains(said, runtime.Version()) {
		t.Fatalf("version: %q, %v", said, err)
	}
	if flag, err := run("--version"); err != nil || flag != said {
		t.Errorf("--version: %q, %v; version: %q", flag, err, said)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	if _, err := run("logs"); err == nil || !strings.Contains(err.Error(), "write `slipway logs") {
		t.Errorf("logs of nothing: %v", err)
	}
}
