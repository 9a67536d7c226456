package ociserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/ociserver"
	"slipway/internal/registry"
)

// killFolder names the data of the registry that TestKill runs as a process of its own.
const killFolder = "SLIPWAY_TEST_KILL_FOLDER"

// TestKillServer is that process: it serves a registry from the folder, prints its address and a job's token, and
// ends only by being killed.
func TestKillServer(t *testing.T) {
	folder := os.Getenv(killFolder)
	if folder == "" {
		t.Skip("run by TestKill alone")
	}
	ctx, logger := context.Background(), slog.New(slog.DiscardHandler)
	d, err := db.Open(ctx, "sqlite:"+filepath.Join(folder, "slipway.db"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := identity.Open(ctx, d, log, clock.System{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := blob.OpenFiles(filepath.Join(folder, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(ctx, d, log, files, clock.System{}, logger, registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ids.CreateProject(ctx, slipway.System, "shop", ""); err != nil && slipway.CodeOf(err) != slipway.CodeConflict {
		t.Fatal(err)
	}
	project, err := ids.ProjectByName(ctx, "shop")
	if err != nil {
		t.Fatal(err)
	}
	token, err := ids.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.Actor{Kind: slipway.ActorJob, ID: "1"}, Project: project.ID, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nready %s %s\n", listener.Addr(), token)
	t.Fatal(http.Serve(listener, ociserver.New(r, ids, logger))) //nolint:gosec // a test's server needs no time limits
}

// startKillServer runs TestKillServer on the folder; kill ends it at once, as kill -9 does.
func startKillServer(t *testing.T, folder string) (w *world, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillServer$", "-test.v")
	cmd.Env = append(os.Environ(), killFolder+"="+folder)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "ready" {
			return &world{TB: t, url: "http://" + f[1], host: f[1], admin: f[2]}, kill
		}
	}
	t.Fatal("the registry's process ended before it was ready")
	return nil, nil
}

// send is world.do for goroutines whose server may be killed: an error instead of the end of the test.
func (w *world) send(method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, w.url+path, body)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth("any", w.admin)
	answer, err := http.DefaultClient.Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	return answer, err
}

// A registry that is killed in the middle of many pushes has, after its restart, every blob whose push was answered,
// with its very bytes, and goes on with an upload where it says that it stands.
func TestKill(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	w, kill := startKillServer(t, folder)
	half, rest := strings.Repeat("half of a layer ", 20_000), strings.Repeat("the other half ", 20_000)
	answer, err := w.send("POST", "/v2/shop/web/blobs/uploads/", nil)
	if err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatalf("start upload: %v, %v", answer, err)
	}
	upload := answer.Header.Get("Location")
	if answer, err = w.send("PATCH", upload, strings.NewReader(half)); err != nil || answer.StatusCode != http.StatusAccepted {
		t.Fatalf("first half: %v, %v", answer, err)
	}

	var mu sync.Mutex
	acknowledged := []string{}
	enough := make(chan struct{})
	var pushers sync.WaitGroup
	for n := range 4 {
		pushers.Go(func() {
			for i := 0; ; i++ {
				content := strings.Repeat(fmt.Sprintf("blob %d of %d ", i, n), 5_000)
				answer, err := w.send("POST", "/v2/shop/web/blobs/uploads/?digest="+string(registry.DigestOf("sha256", []byte(content))), strings.NewReader(content))
				if err != nil {
					return // killed
				}
				if answer.StatusCode != http.StatusCreated {
					t.Errorf("push: %s", answer.Status)
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, content)
				if len(acknowledged) == 20 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	kill()
	pushers.Wait()

	w, _ = startKillServer(t, folder)
	for _, content := range acknowledged {
		w.wantBlob(content)
	}
	answer, err = w.send("GET", upload, nil)
	if err != nil || answer.StatusCode != http.StatusNoContent || answer.Header.Get("Range") != fmt.Sprintf("0-%d", len(half)-1) {
		t.Fatalf("upload after the kill: %v, %v", answer, err)
	}
	answer, err = w.send("PUT", upload+"?digest="+string(registry.DigestOf("sha256", []byte(half+rest))), strings.NewReader(rest))
	if err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("second half: %v, %v", answer, err)
	}
	w.wantBlob(half + rest)
}

func (w *world) wantBlob(content string) {
	w.Helper()
	r, err := http.NewRequestWithContext(context.Background(), "GET", w.url+"/v2/shop/web/blobs/"+string(registry.DigestOf("sha256", []byte(content))), nil)
	if err != nil {
		w.Fatal(err)
	}
	r.SetBasicAuth("any", w.admin)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	if got, err := io.ReadAll(answer.Body); err != nil || string(got) != content {
		w.Errorf("blob after the kill: %s, %d bytes of %d, %v", answer.Status, len(got), len(content), err)
	}
}
