package ociserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	"slipway/internal/registry/retention"
)

// What the registry that TestKill runs as a process of its own is told by its environment.
const (
	killFolder = "SLIPWAY_TEST_KILL_FOLDER" // of its data
	killPlace  = "SLIPWAY_TEST_KILL_PLACE"  // of its objects in S3; empty for files in the folder
	killBegan  = "SLIPWAY_TEST_KILL_BEGAN"  // when the test began, in nanoseconds since 1970
)

// hurried is a clock by which a day passes in a second, so that retention rules have something to do.
type hurried struct{ began time.Time }

func (h hurried) Now() time.Time { return h.began.Add(time.Since(h.began) * 24 * 3600) }

// hurriedGrace is longer than a test takes by that clock: what pushers count on is not collected.
const hurriedGrace = 30 * 365 * 24 * time.Hour

// The names in the project that is under test, and how they are governed.
const (
	fadingTag    = "fade-" // prefix of tags that retention removes
	fullQuota    = 400_000 // bytes of each repository that has a quota
	fadingDays   = 1       // for which the second repositories keep what has no tag
	quotaPattern = "shop/full%d"
)

// killStore opens the objects of that registry.
func killStore(t *testing.T, folder, place string) blob.Resumable {
	t.Helper()
	if place != "" {
		s3, err := blob.OpenS3(context.Background(), place)
		if err != nil {
			t.Fatal(err)
		}
		return s3
	}
	files, err := blob.OpenFiles(filepath.Join(folder, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// killRegistry opens that registry.
func killRegistry(t *testing.T, folder, place string, c clock.Clock, o registry.Options) (*registry.Service, *identity.Service, *db.DB, blob.Resumable) {
	t.Helper()
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
	blobs := killStore(t, folder, place)
	r, err := registry.Open(ctx, d, log, blobs, c, logger, o)
	if err != nil {
		t.Fatal(err)
	}
	r.InUse = func(context.Context) ([]retention.Use, error) { return nil, nil }
	return r, ids, d, blobs
}

// govern sets the rules: tags and images that fade, and repositories with a quota.
func govern(t testing.TB, r *registry.Service, project slipway.ProjectID) {
	t.Helper()
	rules := registry.Settings{Retention: &retention.Policy{Remove: []string{fadingTag + "*"}}}
	if err := r.SetProjectSettings(t.Context(), project, rules, slipway.System); err != nil {
		t.Fatal(err)
	}
	for n := range pushers {
		for name, rules := range map[string]registry.Settings{
			fmt.Sprintf(quotaPattern, n):  {Quota: registry.Quota{Bytes: fullQuota}},
			fmt.Sprintf("shop/copy%d", n): {Retention: &retention.Policy{UntaggedDays: fadingDays}},
		} {
			repo, err := r.Ensure(t.Context(), name, project)
			if err == nil {
				err = r.SetRepositorySettings(t.Context(), repo, rules, slipway.System)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestKillServer is that process: it serves a registry, collects and applies retention rules all the time, prints its address and
// an administrator's token, and ends only by being killed.
func TestKillServer(t *testing.T) {
	folder := os.Getenv(killFolder)
	if folder == "" {
		t.Skip("run by TestKill alone")
	}
	ctx := context.Background()
	nanos, err := strconv.ParseInt(os.Getenv(killBegan), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	r, ids, _, _ := killRegistry(t, folder, os.Getenv(killPlace), hurried{time.Unix(0, nanos)}, registry.Options{Grace: hurriedGrace})
	project, err := ids.CreateProject(ctx, slipway.System, "shop", "")
	if err == nil {
		govern(t, r, project.ID)
	} else if slipway.CodeOf(err) != slipway.CodeConflict {
		t.Fatal(err)
	}
	user, err := ids.CreateUser(ctx, slipway.System, identity.NewUser{Name: "admin", Password: "correct horse", Administrator: true})
	if slipway.CodeOf(err) == slipway.CodeConflict {
		user, err = ids.UserByName(ctx, "admin")
	}
	if err != nil {
		t.Fatal(err)
	}
	token, err := ids.IssueToken(ctx, identity.TokenRequest{Kind: identity.TokenPersonal, Name: "kill", Actor: slipway.Actor{Kind: slipway.ActorUser, ID: string(user.ID), Name: user.Name}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if err := errors.Join(r.RetainAll(ctx), r.Collect(ctx)); err != nil {
				fmt.Fprintln(os.Stderr, "upkeep:", err)
			}
		}
	}()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nready %s %s\n", listener.Addr(), token)
	server := ociserver.New(r, ids, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	t.Fatal(http.Serve(listener, server)) //nolint:gosec // a test's server needs no time limits
}

// startKillServer runs TestKillServer on the folder; kill ends it at once, as kill -9 does.
func startKillServer(t *testing.T, folder, place string, began time.Time) (w *world, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillServer$", "-test.v")
	cmd.Env = append(os.Environ(), killFolder+"="+folder, killPlace+"="+place, killBegan+"="+strconv.FormatInt(began.UnixNano(), 10))
	cmd.Stderr = os.Stderr
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
func (w *world) send(method, path string, body io.Reader) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, w.url+path, body)
	if err != nil {
		return nil, nil, err
	}
	r.SetBasicAuth("any", w.admin)
	r.Header.Set("Content-Type", registry.TypeOCIManifest)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	return answer, content, err
}

// wantBlob demands the very bytes of content.
func (w *world) wantBlob(content string) {
	w.Helper()
	answer, got, err := w.send("GET", "/v2/shop/web/blobs/"+string(registry.DigestOf("sha256", []byte(content))), nil)
	if err != nil || answer.StatusCode != http.StatusOK || string(got) != content {
		w.Errorf("blob: %v, %d bytes of %d, %v", answer, len(got), len(content), err)
	}
}
