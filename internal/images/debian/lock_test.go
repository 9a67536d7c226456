package debian

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestLock has a second importer of the folder wait until the first one has made its layer.
func TestLock(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first, err := New(folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := first.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	said := ""
	second, err := New(folder, func(message string) { said = message; cancel() })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.lock(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(said, "another process") {
		t.Errorf("beside another process: %v, and it says %q", err, said)
	}
	unlock()
	again, err := second.lock(t.Context())
	if err != nil {
		t.Fatalf("after it: %v", err)
	}
	again()
}
