package process

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.log")
	for run := range 2 {
		l, err := OpenLog(path)
		if err != nil {
			t.Fatal(err)
		}
		line := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
		for range 20 {
			if _, err := l.Write(line); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]int64{path: 4 << 20, path + ".1": 16 << 20} {
			if info, err := os.Stat(name); err != nil || info.Size() != want {
				t.Errorf("run %d: %s: %v, %v", run, name, info.Size(), err)
			}
		}
	}
}
