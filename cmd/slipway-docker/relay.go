package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"slipway"
)

const (
	// relayName is what this program is called inside a build step that must reach the registry.
	relayName = "slipway-relay"
	// relayHost is where a step finds the registry. The step has a network of its own or shares the builder's; programs speak HTTP there
	// without being told, since it is the machine itself.
	relayHost = "localhost"
	// relaySocket is the end of the way to the job in the step.
	relaySocket = "/run/slipway-registry.sock"
)

// relayIn is the part in the build step, `slipway-relay PORT COMMAND…`. It listens on that port of the step, or on another one if it is taken, puts its address in the place of relayPlace
// in the arguments, runs the command and ends with its exit code.
func relayIn(ctx context.Context, args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "ERROR: the relay needs a port and a command")
		return 125
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", args[0]))
	if err != nil {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	}
	args = args[1:]
	if err != nil {
		fmt.Fprintln(os.Stderr, "ERROR: reach the registry:", err)
		return 125
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go join(ctx, conn)
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], relayPlace, net.JoinHostPort(relayHost, port))
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	l.Close()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(os.Stderr, "ERROR:", err)
		return 125
	}
	return 0
}

// relayPlace stands for the registry in the arguments.
const relayPlace = "{registry}"

// relayPort is the same for the same image, since its lifecycle writes the registry's address into its labels.
func relayPort(image string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(image))
	return strconv.Itoa(20000 + int(h.Sum32()%10000))
}

// join passes bytes between a connection of the step and the job.
func join(ctx context.Context, inside net.Conn) {
	defer inside.Close()
	outside, err := (&net.Dialer{}).DialContext(ctx, "unix", relaySocket)
	if err != nil {
		return
	}
	defer outside.Close()
	done := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		done <- struct{}{}
	}
	go pass(outside, inside)
	go pass(inside, outside)
	<-done
	<-done
}

// relay is the part in the job: the registry behind a socket, with the job's credentials, which the step never sees. The step may read what
// the job may, and write the given repositories.
type relay struct {
	Socket string
	server *http.Server
	dir    string
}

// startRelay serves the registry of the job.
func (p program) startRelay(ctx context.Context, repositories []string) (*relay, error) {
	base, err := url.Parse(p.getenv("SLIPWAY_URL"))
	if err != nil || base.Host == "" {
		return nil, slipway.Unavailable("no server is named: SLIPWAY_URL is set in Slipway's jobs only")
	}
	user, password := p.credentials(p.getenv("SLIPWAY_REGISTRY_HOST"))
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(base)
			r.Out.Header.Del("Authorization")
			if user != "" || password != "" {
				r.Out.SetBasicAuth(user, password)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, `{"errors":[{"code":"UNAVAILABLE","message":"the server does not answer"}]}`, http.StatusBadGateway)
		},
	}
	dir, err := os.MkdirTemp("", "relay-")
	if err != nil {
		return nil, fmt.Errorf("make a socket for the registry: %w", err)
	}
	r := &relay{Socket: filepath.Join(dir, "registry.sock"), dir: dir}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", r.Socket)
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("make a socket for the registry: %w", err)
	}
	r.server = &http.Server{ReadHeaderTimeout: 30 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !relayed(request, repositories) {
			http.Error(w, `{"errors":[{"code":"DENIED","message":"a build may write the image that it builds, and no other"}]}`, http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, request)
	})}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

// relayed reports whether a request is one of the distribution API that the step may make.
func relayed(r *http.Request, repositories []string) bool {
	path := r.URL.Path
	if path != "/v2/" && path != "/v2" && !strings.HasPrefix(path, "/v2/") || strings.Contains(path, "..") {
		return false
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	for _, name := range repositories {
		rest, ok := strings.CutPrefix(path, "/v2/"+name+"/")
		if ok && (strings.HasPrefix(rest, "blobs/uploads/") || strings.HasPrefix(rest, "manifests/")) {
			return r.Method != http.MethodDelete || strings.HasPrefix(rest, "blobs/uploads/")
		}
	}
	return false
}

func (r *relay) close() {
	_ = r.server.Close()
	os.RemoveAll(r.dir)
}
