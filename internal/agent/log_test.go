package agent

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// newStepLog is a log that is kept in a file.
func newStepLog(t testing.TB, m *masker, obey func(command) []string) *stepLog {
	t.Helper()
	spool, err := newReporter(nil, t.TempDir(), nil).open(1)
	if err != nil {
		t.Fatal(err)
	}
	return &stepLog{spool: spool, mask: m, command: obey}
}

// lines are the log's lines without their times.
func lines(t testing.TB, l *stepLog) []string {
	t.Helper()
	b, err := os.ReadFile(l.spool.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(b)) {
		list = append(list, strings.TrimSuffix(line, "\n")[29:])
	}
	return list
}

// A log is the same in whatever pieces it comes: whole lines that need nothing are kept at once, the others one by one.
func TestStepLogInPieces(t *testing.T) {
	t.Parallel()
	in := "plain\nsecond\n##vso[task.setvariable variable=a]hidden\n##vso[task.setsecret]tomato soup\nI eat tomato soup\n\nwindows\r\n" +
		"zero\x00byte\nbroken \xff utf8\nblue swordfish\nthe end of it\nno end"
	want := []string{"plain", "second", "I eat ***", "", "windows", "zerobyte", "broken \uFFFD utf8", "blue ***", "the end of it", "no end"}
	for _, size := range []int{1, 3, 10, 50, len(in)} {
		m := &masker{}
		m.Add("swordfish")
		var obeyed []string
		l := newStepLog(t, m, func(c command) []string {
			if obeyed = append(obeyed, c.name); c.name == "task.setsecret" {
				m.Add(c.text)
			}
			return nil
		})
		for rest := in; rest != ""; {
			n := min(size, len(rest))
			if _, err := fmt.Fprint(l, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		l.Flush()
		if diff := cmp.Diff(want, lines(t, l)); diff != "" {
			t.Errorf("in pieces of %d: -want +got\n%s", size, diff)
		}
		if diff := cmp.Diff([]string{"task.setvariable", "task.setsecret"}, obeyed); diff != "" {
			t.Errorf("in pieces of %d: -want +got\n%s", size, diff)
		}
	}
}

// A log that reaches its limit says so in its last line, keeps whole lines, and takes no more.
func TestStepLogIsFull(t *testing.T) {
	t.Parallel()
	l := newStepLog(t, &masker{}, nil)
	const line = "0123456789\n"
	l.spool.written = spoolLimit - 3*(29+int64(len(line))) - 5 // as if there were that much: the file has a hole
	if _, err := l.Write([]byte(strings.Repeat(line, 10))); err != nil {
		t.Fatal(err)
	}
	l.Printf("more")
	if l.spool.written > job.MaxLog {
		t.Errorf("the log has %d bytes", l.spool.written)
	}
	tail := make([]byte, l.spool.written-spoolLimit+3*(29+int64(len(line)))+5)
	if _, err := l.spool.file.ReadAt(tail, l.spool.written-int64(len(tail))); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(tail)) {
		got = append(got, strings.TrimSuffix(line[29:], "\n"))
	}
	want := []string{"0123456789", "0123456789", "0123456789", "##[warning]The log has reached its limit of 256 MiB; the rest is left out. Write large output to a file and publish that."}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// BenchmarkStepLog is what a step may write before anything is sent.
func BenchmarkStepLog(b *testing.B) {
	m := &masker{}
	for i := range 5 {
		m.Add(fmt.Sprintf("a-secret-of-this-job-%d", i))
	}
	block := []byte(strings.Repeat("  CC      drivers/net/ethernet/intel/ice/ice_main.o  [some more of a usual line]\n", 400))
	l := newStepLog(b, m, nil)
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		l.spool.written, l.spool.sent = 0, 0
		if _, err := l.Write(block); err != nil {
			b.Fatal(err)
		}
	}
}
