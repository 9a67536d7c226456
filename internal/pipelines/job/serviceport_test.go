package job_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// Ports are written as `docker run --publish` takes them (docs.docker.com, Port publishing and mapping).
func TestServicePorts(t *testing.T) {
	t.Parallel()
	got := job.ServicePorts("web", []string{"80", "8080:80", "127.0.0.1:8443:443", "5432:5432/tcp", "53:53/udp", "8000-8010:8000-8010", "70000:80", "x", ""})
	want := []job.ServicePort{{Service: "web", Mapped: "80", Port: "80"}, {Service: "web", Mapped: "8080", Port: "80"}, {Service: "web", Mapped: "8443", Port: "443"}, {Service: "web", Mapped: "5432", Port: "5432"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	back, ok := job.ParsePorts(job.FormatPorts(want))
	if diff := cmp.Diff(want, back); diff != "" || !ok {
		t.Error(ok, diff)
	}
	if _, ok := job.ParsePorts("web=80"); ok {
		t.Error("half a port is read")
	}
}
