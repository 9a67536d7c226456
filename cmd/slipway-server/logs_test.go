package main

import (
	"archive/zip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

func TestLogs(t *testing.T) {
	t.Parallel()
	s, data := served(t, oneStep)
	ctx := context.Background()
	runID, id := startedJob(t, s)
	if err := s.Report(ctx, id, job.Report{Steps: []job.StepRecord{{ID: 1, DisplayName: "Talk", State: schedule.Running, Started: 1}}}); err != nil {
		t.Fatal(err)
	}
	const stamp = "2026-03-01T12:00:00.0000000Z "
	if _, err := s.AppendLog(ctx, id, 1, 0, []byte(stamp+"one\n"+stamp+"two\n")); err != nil {
		t.Fatal(err)
	}
	number := runID.String()
	f := func(want string, args ...string) {
		t.Helper()
		out, err := run(append([]string{"logs", number, "--data", data}, args...)...)
		if err != nil || !strings.HasSuffix(out, want) {
			t.Errorf("%v: %v\n%s\nwant %s", args, err, out, want)
		}
	}
	f("##[group]Talk: inProgress\n" + stamp + "one\n" + stamp + "two\n")
	f("##[group]Talk: inProgress\none\ntwo\n", "--timestamps=false")
	f("Job: Talk: 2: "+stamp+"two\n", "--search", "TWO")
	f("Job: Talk: 2: two\n", "--search", "TWO", "--timestamps=false")
	if _, err := run("logs", number, "--data", data, "--search", "three"); err == nil || !strings.Contains(err.Error(), "no line") {
		t.Errorf("what is not there: %v", err)
	}
	file := filepath.Join(t.TempDir(), "logs.zip")
	f("", "--zip", file, "--timestamps=false")
	archive, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	r, err := archive.Open("1_Stage/1_Job/1_Talk.txt")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "one\ntwo\n" {
		t.Errorf("the file has %q, %v", text, err)
	}
	missing := filepath.Join(t.TempDir(), "none.zip")
	if _, err := run("logs", "77", "--data", data, "--zip", missing); err == nil {
		t.Error("a run that is not there has logs")
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Errorf("a file is left: %v", err)
	}
}
