package main

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// What go1.26 `go test -json` wrote for a package with a pass, a skip and a failure, and for one that did not compile.
const recorded = `{"Time":"2026-11-25T09:00:00Z","Action":"start","Package":"shop/a"}
{"Time":"2026-11-25T09:00:00Z","Action":"run","Package":"shop/a","Test":"TestGood"}
{"Time":"2026-11-25T09:00:00Z","Action":"output","Package":"shop/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Time":"2026-11-25T09:00:00Z","Action":"pass","Package":"shop/a","Test":"TestGood","Elapsed":0.25}
{"Time":"2026-11-25T09:00:00Z","Action":"run","Package":"shop/a","Test":"TestBad/one"}
{"Time":"2026-11-25T09:00:00Z","Action":"output","Package":"shop/a","Test":"TestBad/one","Output":"    a_test.go:9: got <1>, want 2\n"}
{"Time":"2026-11-25T09:00:00Z","Action":"fail","Package":"shop/a","Test":"TestBad/one","Elapsed":0}
{"Time":"2026-11-25T09:00:00Z","Action":"output","Package":"shop/a","Test":"TestLater","Output":"    a_test.go:12: no database\n"}
{"Time":"2026-11-25T09:00:00Z","Action":"skip","Package":"shop/a","Test":"TestLater","Elapsed":0}
{"Time":"2026-11-25T09:00:01Z","Action":"fail","Package":"shop/a","Elapsed":1.5}
{"ImportPath":"shop/b [shop/b.test]","Action":"build-output","Output":"b.go:3:1: undefined: x\n"}
{"ImportPath":"shop/b [shop/b.test]","Action":"build-fail"}
{"Time":"2026-11-25T09:00:01Z","Action":"start","Package":"shop/b"}
{"Time":"2026-11-25T09:00:01Z","Action":"fail","Package":"shop/b","Elapsed":0,"FailedBuild":"shop/b [shop/b.test]"}
{"Time":"2026-11-25T09:00:01Z","Action":"skip","Package":"shop/c","Elapsed":0}
`

func TestReport(t *testing.T) {
	t.Parallel()
	var shown strings.Builder
	r, err := read(strings.NewReader(recorded), &shown)
	if err != nil {
		t.Fatal(err)
	}
	if !r.failed() {
		t.Error("a run with a failure counts as good")
	}
	if !strings.Contains(shown.String(), "=== RUN   TestGood\n") || !strings.Contains(shown.String(), "undefined: x") {
		t.Errorf("shown: %q", shown.String())
	}
	var out strings.Builder
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	var got xmlReport
	if err := xml.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	if len(got.Suites) != 2 {
		t.Fatalf("%d suites, want 2: a package without tests is none\n%s", len(got.Suites), out.String())
	}
	a, b := got.Suites[0], got.Suites[1]
	if a.Name != "shop/a" || a.Tests != 3 || a.Failures != 1 || a.Skipped != 1 || a.Errors != 0 || a.Time != "1.500" {
		t.Errorf("shop/a: %+v", a)
	}
	if bad := a.Cases[0]; bad.Name != "TestBad/one" || bad.Failure == nil || !strings.Contains(bad.Failure.Text, "got <1>, want 2") {
		t.Errorf("failed case: %+v", bad)
	}
	if later := a.Cases[2]; later.Skipped == nil || !strings.Contains(later.Skipped.Message, "no database") {
		t.Errorf("skipped case: %+v", later)
	}
	if b.Errors != 1 || b.Cases[0].Error == nil || !strings.Contains(b.Cases[0].Error.Text, "undefined: x") {
		t.Errorf("package that did not compile: %+v", b)
	}
}

func TestReadRefusesWhatIsNoTestOutput(t *testing.T) {
	t.Parallel()
	if _, err := read(strings.NewReader("ok shop/a 0.1s\n"), io.Discard); err == nil {
		t.Error("plain output was taken for JSON")
	}
}

func TestAGoodRunIsGood(t *testing.T) {
	t.Parallel()
	good := `{"Action":"pass","Package":"shop/a","Test":"T"}` + "\n" + `{"Action":"pass","Package":"shop/a"}` + "\n"
	r, err := read(strings.NewReader(good), io.Discard)
	if err != nil || r.failed() {
		t.Errorf("failed %t, %v", r.failed(), err)
	}
}
