package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"slipway/internal/insights/store"
	"slipway/internal/insights/telemetry"
)

const crashFolder = "SLIPWAY_TEST_CRASH_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(crashFolder); folder != "" {
		writeUntilKilled(folder)
	}
	os.Exit(m.Run())
}

// writeUntilKilled writes rows for ever and prints how many were answered as durable.
func writeUntilKilled(folder string) {
	s, err := store.Open(context.Background(), store.Options{Folder: folder, BatchWait: time.Millisecond, MemoryLimit: "512MB"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for n := 0; ; {
		b := &telemetry.Batch{}
		for range 100 {
			b.Add(&telemetry.Event{Item: item(nil, noon), Name: strconv.Itoa(n)})
			n++
		}
		if err := s.Write(context.Background(), b); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(n)
	}
}

// Every row that was answered before a kill -9 is there afterwards, once.
func TestAnsweredRowsSurviveKill(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashFolder+"="+folder)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	answered := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if answered, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if answered == 3000 {
			if err := child.Process.Kill(); err != nil { // SIGKILL
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // it was killed
	if answered < 3000 {
		t.Fatalf("the writer ended after %d rows", answered)
	}
	s := open(t, store.Options{Folder: folder})
	if n := count(t, s, `SELECT count(DISTINCT name) FROM customEvents WHERE CAST(name AS BIGINT) < $1`, answered); n != int64(answered) {
		t.Errorf("%d rows are there, %d were answered", n, answered)
	}
	if all, distinct := count(t, s, `SELECT count(*) FROM customEvents`), count(t, s, `SELECT count(DISTINCT name) FROM customEvents`); all != distinct {
		t.Errorf("%d rows, %d distinct", all, distinct)
	}
}
