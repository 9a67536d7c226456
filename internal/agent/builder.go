package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"slipway/internal/images/tunnel"
)

// builderDoor is a socket in the job at which its programs reach the builder: its own docker, and those of others, such as buildctl or a buildx with the
// remote driver. Each connection goes through the server by the job's token: the server decides what it may.
type builderDoor struct {
	path  string
	watch *buildWatch
	done  sync.WaitGroup
	stop  func()
}

// maxBuilderConnections bounds what one job holds open at the socket.
const maxBuilderConnections = 64

// openBuilder listens in the agent's folder. An empty path means that there is no door, which is no reason for a job to fail.
func (r *runner) openBuilder() *builderDoor {
	d := &builderDoor{stop: func() {}}
	to, err := url.Parse(r.config.URL + "/_slipway/builder")
	if err != nil || to.Scheme != "http" && to.Scheme != "https" {
		return d
	}
	if d.watch, err = r.newBuildWatch(); err != nil {
		return d
	}
	path := filepath.Join(r.folders.root, "builder.sock")
	_ = os.Remove(path)        // of an agent that was killed
	mode := os.FileMode(0o666) // a pod is the job's alone, and its containers may have other users
	if r.config.Machine.ID != 0 {
		mode = 0o600
	}
	l, err := net.Listen("unix", path)
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		r.config.Logger.Warn("the job has no socket for the builder", "error", err)
		return d
	}
	ctx, cancel := context.WithCancel(r.hard)
	d.path, d.stop = path, func() { cancel(); l.Close() }
	d.done.Go(func() { d.serve(ctx, l, to, http.Header{"Authorization": {"Bearer " + r.config.Token}}) })
	return d
}

func (d *builderDoor) close() {
	d.stop()
	d.done.Wait()
	if d.watch != nil {
		d.watch.close()
	}
}

func (d *builderDoor) serve(ctx context.Context, l net.Listener, to *url.URL, header http.Header) {
	places := make(chan struct{}, maxBuilderConnections)
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			conn.Close()
			return
		}
		d.done.Go(func() {
			defer func() { <-places }()
			d.watch.open(ctx)
			carryToBuilder(ctx, conn, to, header)
		})
	}
}

// carryToBuilder joins a connection with the builder until one side ends. What is wrong with the way there is told in place of an answer:
// programs show it, if only as what they do not understand.
func carryToBuilder(ctx context.Context, conn net.Conn, to *url.URL, header http.Header) {
	defer conn.Close()
	up, err := tunnel.Dial(ctx, to, header)
	if err != nil {
		fmt.Fprintf(conn, "ERROR %v\n", err)
		return
	}
	defer up.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close(); up.Close() })
	defer stop()
	var both sync.WaitGroup
	for _, way := range []struct {
		to   net.Conn
		from net.Conn
	}{{up, conn}, {conn, up}} {
		both.Go(func() {
			_, _ = io.Copy(way.to, way.from) // the programs at the ends notice and say so better
			conn.Close()
			up.Close()
		})
	}
	both.Wait()
}
