package images_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway/internal/images"
	"slipway/internal/images/imagestest"
	"slipway/internal/images/progress"
)

// watchLine is what the builder tells a watcher (node/builder/README.md).
type watchLine struct {
	Build string
	Began *struct{ Tags, Platforms []string }
	// Status is read by its reader.
	Status *progress.Status
	Ended  *struct {
		Digest, Error string
		Canceled      bool
	}
}

// A watcher is told of its owner's builds, of no other's, and may cancel one.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	conn, err := w.Dial().Watch("job-1")(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	next := func() (l watchLine) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the builder says nothing more: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	if first := next(); first.Build != "" {
		t.Fatalf("the first line is of %s", first.Build)
	}
	scope := images.ProjectScope("7", true)
	for _, owner := range []string{"job-2", ""} {
		scope.Owner = owner
		if _, _, err := w.BuildIn(scope, images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})}); err != nil {
			t.Fatal(err)
		}
	}
	scope.Owner = "job-1"
	unlisted := images.Options{Unlisted: true, ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})}
	if _, _, err := w.BuildIn(scope, unlisted); err != nil {
		t.Fatal(err)
	}

	tag := imagestest.Host + "/team/watched:1"
	result, events, err := w.BuildIn(scope, images.Options{Tags: []string{tag}, Push: true, Platforms: []string{"linux/amd64"},
		ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN echo a line; echo another\n"})})
	if err != nil {
		t.Fatal(err)
	}
	began := next()
	if began.Began == nil || len(began.Began.Tags) != 1 || began.Began.Tags[0] != tag || len(began.Began.Platforms) != 1 {
		t.Fatalf("the first build of the owner began as %+v", began)
	}
	var told []progress.Event
	reporter := progress.NewReporter(func(e progress.Event) { told = append(told, e) })
	l := next()
	for ; l.Ended == nil; l = next() {
		if l.Build != began.Build || l.Status == nil {
			t.Fatalf("told is %+v", l)
		}
		reporter.Update(*l.Status)
	}
	if l.Ended.Digest != string(result.Digest) || l.Ended.Error != "" || l.Ended.Canceled {
		t.Errorf("it ended as %+v, want the digest %s", l.Ended, result.Digest)
	}
	var own, watched strings.Builder
	show := func(to *strings.Builder, list []progress.Event) {
		for _, e := range list {
			if strings.Contains(e.Name, "RUN echo") {
				fmt.Fprintln(to, e.Kind, e.Name, e.Line)
			}
		}
	}
	show(&own, events)
	show(&watched, told)
	if !strings.Contains(own.String(), "another") || own.String() != watched.String() {
		t.Errorf("the watcher saw\n%s, the client\n%s", &watched, &own)
	}

	ended := make(chan error, 1)
	go func() {
		_, _, err := w.BuildIn(scope, images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN echo begins; sleep 3600\n"})})
		ended <- err
	}()
	began = next()
	for begins := false; !begins; {
		l := next()
		for _, part := range l.Status.Logs {
			begins = begins || strings.Contains(string(part.Data), "begins")
		}
	}
	fmt.Fprintf(conn, "CANCEL %s Ada Lovelace\n", began.Build)
	if err := <-ended; err == nil || !strings.Contains(images.Message(err), "Ada Lovelace canceled this build") {
		t.Errorf("the client of the cancelled build reads %v", err)
	}
	for l = next(); l.Ended == nil; l = next() {
	}
	if !l.Ended.Canceled || l.Ended.Error != "Ada Lovelace canceled this build" {
		t.Errorf("it ended as %+v", l.Ended)
	}

	scope.Owner = "../x"
	if _, _, err := w.BuildIn(scope, unlisted); err == nil {
		t.Error("a wrong owner was taken")
	}
}
