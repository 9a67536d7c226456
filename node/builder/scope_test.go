package builder

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/cache"
	"github.com/moby/buildkit/solver/pb"
)

func TestParseScope(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]scope{"a": {name: "a"}, "p-1-reviews p-1": {"p-1-reviews", "p-1"}} {
		if got, err := parseScope(text); err != nil || got != want {
			t.Errorf("%q is %+v (%v), want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a b c", "../a", "a/b", "A", "a ../b", "-a", "a a", strings.Repeat("a", 64)} {
		if got, err := parseScope(text); err == nil {
			t.Errorf("%q was taken as %+v", text, got)
		}
	}
}

func TestPrefixed(t *testing.T) {
	t.Parallel()
	op := &pb.Op{Op: &pb.Op_Exec{Exec: &pb.ExecOp{Mounts: []*pb.Mount{{Dest: "/"}, {Dest: "/c", CacheOpt: &pb.CacheOpt{ID: "/c"}}}}}}
	got := prefixed(op, "p/id/secret/").GetExec().Mounts[1].CacheOpt.ID
	if got != "p/id/secret//c" || op.GetExec().Mounts[1].CacheOpt.ID != "/c" {
		t.Errorf("the id is %q and that of the step itself %q", got, op.GetExec().Mounts[1].CacheOpt.ID)
	}
}

func TestCacheMountsAreForSteps(t *testing.T) {
	t.Parallel()
	// A frontend's container would find a mount by this question.
	if _, err := (stepMounts{cache.Manager(nil)}).Search(t.Context(), "cache-dir:p/id/x", false); err == nil {
		t.Error("a container of a frontend found a cache mount")
	}
}

func TestCheckAddress(t *testing.T) {
	t.Parallel()
	for address, refused := range map[string]bool{
		"127.0.0.1": true, "127.8.9.1": true, "::1": true, "0.0.0.0": true, "::": true, "169.254.169.254": true, "fe80::1": true, "224.0.0.1": true, "::ffff:127.0.0.1": true,
		"192.0.2.7": false, "2001:db8::1": false, "198.51.100.1": false,
	} {
		if err := checkAddress(netip.MustParseAddr(address)); (err != nil) != refused {
			t.Errorf("%s: %v, refused should be %v", address, err, refused)
		}
	}
}

func TestRefusedCalls(t *testing.T) {
	t.Parallel()
	got := map[string]bool{}
	for _, method := range []string{"/moby.buildkit.v1.Control/Prune", "/moby.buildkit.v1.Control/DiskUsage", "/moby.buildkit.v1.Control/ListenBuildHistory", "/moby.buildkit.v1.Control/UpdateBuildHistory",
		"/containerd.services.content.v1.Content/Read", "/moby.buildkit.v1.Control/Solve", "/moby.buildkit.v1.Control/Status", "/moby.buildkit.v1.Control/Session", "/moby.buildkit.v1.frontend.LLBBridge/Solve"} {
		got[method[strings.LastIndexByte(method, '/')+1:]] = refused(method) != nil
	}
	want := map[string]bool{"Prune": true, "DiskUsage": true, "ListenBuildHistory": true, "UpdateBuildHistory": true, "Read": true, "Solve": false, "Status": false, "Session": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}
