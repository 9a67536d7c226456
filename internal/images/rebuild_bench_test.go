package images_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/images"
	"slipway/internal/images/imagestest"
)

// BenchmarkRebuild builds and pushes a service of one file with net/http after a change of one line, with Go's cache in a cache mount: what
// a pipeline does with the sample. Of the whole, commands-s is what the Dockerfile's own commands take and steps-s all that BuildKit reports
// as steps, with reading the context, the export and the push; ours-s is the rest, in which our client and the builder's start of a build are.
func BenchmarkRebuild(b *testing.B) {
	w := imagestest.New(b, imagestest.Setup{})
	build := func(o images.Options) images.Result {
		b.Helper()
		result, events, err := w.BuildIn(images.Scope{Name: "bench"}, o)
		if err != nil {
			b.Fatalf("%v\n%q", err, lines(events))
		}
		return result
	}
	goroot, err := exec.CommandContext(b.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		b.Fatal(err)
	}
	build(images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nCOPY --from=go bin /usr/local/go/bin\nCOPY --from=go pkg /usr/local/go/pkg\n" +
		"COPY --from=go src /usr/local/go/src\nCOPY --from=go go.env VERSION /usr/local/go/\nENV PATH=/usr/local/go/bin:/bin GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false\n"}),
		Contexts: map[string]string{"go": strings.TrimSpace(string(goroot))}, Tags: []string{imagestest.Host + "/mirror/docker.io/library/golang:1.26"}, Push: true})
	dir := w.Folder(map[string]string{"go.mod": "module example\n\ngo 1.26\n", "Dockerfile": strings.Join([]string{
		"FROM golang:1.26 AS build", "WORKDIR /src", "COPY go.mod ./", "COPY *.go ./",
		"RUN --mount=type=cache,target=/root/.cache/go-build HOME=/root go build -trimpath -ldflags='-s -w' -o /out/app .",
		"FROM scratch", "COPY --from=build /out/app /app", `ENTRYPOINT ["/app"]`, ""}, "\n")})
	o := images.Options{ContextDir: dir, Tags: []string{imagestest.Host + "/team/app:1"}, Push: true}
	change := func(n int) {
		text := fmt.Sprintf("package main\n\nimport \"net/http\"\n\nfunc main() {\n\tprintln(\"change %d\")\n\t_ = http.ListenAndServe(\":8080\", nil)\n}\n", n)
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	change(-1)
	build(o)
	var commands, steps, all float64
	for n := 0; b.Loop(); n++ {
		change(n)
		summary := build(o).Summary
		all += summary.Seconds
		for _, s := range summary.Dockerfile() {
			commands += s.Seconds
		}
		for _, s := range summary.Steps {
			steps += s.Seconds
		}
	}
	b.ReportMetric(commands/float64(b.N), "commands-s/op")
	b.ReportMetric(steps/float64(b.N), "steps-s/op")
	b.ReportMetric((all-steps)/float64(b.N), "ours-s/op")
}
