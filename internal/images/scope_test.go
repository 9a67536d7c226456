package images_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/images"
	"slipway/internal/images/imagestest"
	"slipway/internal/images/progress"

	"github.com/google/go-cmp/cmp"
)

// TestScopes plays a pull request that tries to change what the main branch builds.
func TestScopes(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	accepted, review, other := images.ProjectScope("7", true), images.ProjectScope("7", false), images.ProjectScope("8", true)
	build := func(scope images.Scope, o images.Options) (images.Result, []progress.Event) {
		t.Helper()
		result, events, err := w.BuildIn(scope, o)
		if err != nil {
			t.Fatalf("in %v: %v", scope, err)
		}
		return result, events
	}

	t.Run("results of a review are not read, those of accepted code are", func(t *testing.T) {
		random := images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN head -c 16 /dev/urandom > /random\n"})}
		bad, _ := build(review, random)
		good, events := build(accepted, random)
		if diff := cmp.Diff([]progress.EventKind{progress.EventDone}, ends(events, "RUN ")); diff != "" || good.Digest == bad.Digest {
			t.Errorf("accepted code has the review's result %s (-want +got):\n%s", bad.Digest, diff)
		}
		elsewhere, events := build(other, random)
		if diff := cmp.Diff([]progress.EventKind{progress.EventDone}, ends(events, "RUN ")); diff != "" || elsewhere.Digest == good.Digest {
			t.Errorf("another project has the result (-want +got):\n%s", diff)
		}
		fresh := images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM busybox:1\nRUN head -c 17 /dev/urandom > /random\n"})}
		first, _ := build(accepted, fresh)
		again, events := build(review, fresh)
		if diff := cmp.Diff([]progress.EventKind{progress.EventCached}, ends(events, "RUN ")); diff != "" || first.Digest != again.Digest {
			t.Errorf("a review does not find what accepted code built (-want +got):\n%s", diff)
		}
	})

	t.Run("a cache mount is of one scope, whatever its id", func(t *testing.T) {
		mount := func(id, command string) images.Options {
			return images.Options{ContextDir: w.Folder(map[string]string{
				"Dockerfile": "FROM busybox:1\nRUN --mount=type=cache,target=/cache" + id + " " + command + "\n"})}
		}
		for _, id := range []string{"", ",id=shared", ",id=p-7/id/shared"} {
			build(accepted, mount(id, "touch /cache/accepted # "+id))
			build(review, mount(id, "touch /cache/poison # "+id))
			_, events := build(accepted, mount(id, "ls /cache # "+id))
			if diff := cmp.Diff([]string{"accepted"}, lines(events)); diff != "" {
				t.Errorf("mount %q of accepted code (-want +got):\n%s", id, diff)
			}
			_, events = build(review, mount(id, "ls /cache && true # "+id)) // accepted code has no result of this one
			if diff := cmp.Diff([]string{"poison"}, lines(events)); diff != "" {
				t.Errorf("mount %q of the review (-want +got):\n%s", id, diff)
			}
		}
	})

	t.Run("a copied folder is of one scope", func(t *testing.T) {
		// BuildKit asks again for files whose size, time and mode changed alone, of the copy that the client's key finds.
		dir := w.Folder(map[string]string{"Dockerfile": "FROM scratch\nCOPY a.txt /\n", "a.txt": "poison"})
		path, at := filepath.Join(dir, "a.txt"), time.Unix(1_700_000_000, 0)
		same := func() {
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		same()
		build(review, images.Options{ContextDir: dir})
		if err := os.WriteFile(path, []byte("honest"), 0o644); err != nil {
			t.Fatal(err)
		}
		same()
		build(accepted, images.Options{ContextDir: dir, Tags: []string{imagestest.Host + "/team/folder:1"}, Push: true})
		if got := imagestest.Files(t, w.Pull("team/folder:1"))["a.txt"]; got != "honest" {
			t.Errorf("the image of accepted code holds %q", got)
		}
	})

	t.Run("a build sees and changes nothing of the whole cache", func(t *testing.T) {
		if _, err := images.Prune(t.Context(), w.Dial().In(review), images.PruneOptions{All: true}); err == nil || !strings.Contains(err.Error(), "for the builder's owner") {
			t.Errorf("prune in a scope: %v", err)
		}
		usage, err := images.ReadUsage(t.Context(), w.Dial())
		if err != nil {
			t.Fatal(err)
		}
		mounts := map[string]bool{}
		for _, r := range usage.Records {
			if r.Kind == "exec.cachemount" {
				mounts[strings.Join(r.Scopes, ",")] = true
			}
		}
		if diff := cmp.Diff(map[string]bool{"p-7": true, "p-7-reviews": true}, mounts); diff != "" {
			t.Errorf("scopes of cache mounts (-want +got):\n%s", diff)
		}
		if !slices.ContainsFunc(usage.Records, func(r images.UsageRecord) bool { return slices.Equal(r.Scopes, []string{"p-8"}) && r.Size > 0 }) {
			t.Errorf("no record is of project 8 alone: %+v", usage.Records)
		}
		freed, err := images.Prune(t.Context(), w.Dial(), images.PruneOptions{All: true})
		if err != nil || freed <= 0 {
			t.Errorf("the owner's prune freed %d: %v", freed, err)
		}
		after, err := images.ReadUsage(t.Context(), w.Dial())
		if err != nil || after.Bytes() >= usage.Bytes() {
			t.Errorf("the cache has %d bytes after %d (%v)", after.Bytes(), usage.Bytes(), err)
		}
	})

	t.Run("a wrong scope is refused", func(t *testing.T) {
		_, _, err := w.BuildIn(images.Scope{Name: "../x"}, images.Options{ContextDir: w.Folder(map[string]string{"Dockerfile": "FROM scratch\n"})})
		if err == nil {
			t.Error("a scope with a path was taken")
		}
	})
}

// TestOwnAddresses shows that a Dockerfile cannot ask services beside the builder.
func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	w := imagestest.New(t, imagestest.Setup{})
	asked := make(chan string, 10)
	secret := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	defer secret.Close()
	port := secret.URL[strings.LastIndexByte(secret.URL, ':'):]
	for _, dockerfile := range []string{
		"FROM scratch\nADD http://127.0.0.1" + port + "/add /x\n",
		"FROM scratch\nADD http://localhost" + port + "/add /x\n",
		"FROM scratch\nADD http://[::ffff:127.0.0.1]" + port + "/add /x\n",
		"FROM scratch\nADD http://127.0.0.1" + port + "/repo.git /x\n",
	} {
		_, _, err := w.Build(map[string]string{"Dockerfile": dockerfile}, images.Options{})
		if err == nil || !strings.Contains(err.Error(), "from which no build may fetch") {
			t.Errorf("%s: %v", dockerfile, err)
		}
	}
	if len(asked) > 0 {
		t.Errorf("%s was asked for", <-asked)
	}
	_, _, err := w.BuildIn(images.Scope{}, images.Options{ContextURL: "http://127.0.0.1" + port + "/context.tar"})
	if err == nil || slipway.CodeOf(err) == slipway.CodeUnavailable || !strings.Contains(err.Error(), "from which no build may fetch") {
		t.Errorf("HTTP context: %v", err)
	}
}
