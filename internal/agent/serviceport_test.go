package agent

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"slipway/internal/pipelines/job"
)

// A port that is mapped leads to the service, in both directions of a connection; one that is taken is said.
func TestServicePortsForward(t *testing.T) {
	t.Parallel()
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	go func() { // answers with what it got, once all of it is there
		for {
			conn, err := service.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(conn)
			_, _ = conn.Write([]byte("got " + string(b)))
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(service.Addr().String())
	ctx, end := context.WithCancel(context.Background())
	defer end()
	r := &runner{hard: ctx, config: Config{Ports: []job.ServicePort{{Service: "web", Mapped: port, Port: "1"}, {Service: "plain", Mapped: "80", Port: "80"}},
		Published: []job.ServicePort{{Service: "db", Mapped: "34567", Port: "5432"}}}}
	var said []string
	r.servicePorts(func(format string, args ...any) { said = append(said, format) })
	if len(said) != 1 || !strings.Contains(said[0], "##[warning]Port") {
		t.Errorf("said %q", said)
	}
	for name, want := range map[string]string{"agent.services.web.ports.1": port, "agent.services.plain.ports.80": "80", "agent.services.db.ports.5432": "34567"} {
		if got := r.vars.Text(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	forward(ctx, listener, service.Addr().String())
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(conn); err != nil || string(b) != "got hello" {
		t.Errorf("answer %q, %v", b, err)
	}
}
