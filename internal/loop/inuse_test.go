package loop

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"

	"slipway"
	"slipway/internal/clock"
	"slipway/internal/clusters"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
	"slipway/internal/events"
	"slipway/internal/registry/retention"
	"slipway/internal/secret"
)

// Which images a cluster runs that does not answer is not known: that is an error, so that nothing is removed.
func TestImagesInUse(t *testing.T) {
	t.Parallel()
	ctx, d, logger, c := t.Context(), dbtest.SQLite(t), slog.New(slog.DiscardHandler), clock.System{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, c, logger)
	must(err)
	box, err := secret.OpenKeyFile(filepath.Join(t.TempDir(), "key"))
	must(err)
	l := &Loop{RegistryHost: "localhost:8080"}
	l.Environments, err = environments.Open(ctx, d, log, box, c, logger)
	must(err)
	l.Clusters, err = clusters.Open(ctx, d, log, box, c, nil, logger)
	must(err)
	if uses, err := l.ImagesInUse(ctx); err != nil || len(uses) != 0 {
		t.Errorf("without anything: %v, %v", uses, err)
	}
	must(l.Clusters.Add("gone", &rest.Config{Host: "http://127.0.0.1:1"}, clusters.PullCredentials{}))
	if _, err := l.ImagesInUse(context.Background()); slipway.CodeOf(err) != slipway.CodeUnavailable {
		t.Errorf("a cluster that does not answer: %v", err)
	}
}

func TestUseOfRunningImages(t *testing.T) {
	t.Parallel()
	l := &Loop{RegistryHost: "localhost:8080"}
	const where = "runs in pod n/p of cluster c"
	for _, one := range []struct {
		running clusters.RunningImage
		want    retention.Use
	}{
		{clusters.RunningImage{Host: "localhost:8080", Path: "shop/web", Tag: "v1"}, retention.Use{Repository: "shop/web", Tag: "v1"}},
		{clusters.RunningImage{Host: "localhost:8080", Path: "shop/web"}, retention.Use{Repository: "shop/web", Tag: "latest"}},
		{clusters.RunningImage{Path: "golang", Tag: "1.26", Digest: "sha256:1"}, retention.Use{Repository: "library/golang", Tag: "1.26", Digest: "sha256:1"}},
		{clusters.RunningImage{Host: "docker.io", Path: "shop/web", Digest: "sha256:1"}, retention.Use{Repository: "shop/web", Digest: "sha256:1"}},
		{clusters.RunningImage{Host: "ghcr.io", Path: "shop/web", Tag: "v1", Digest: "sha256:1"}, retention.Use{Digest: "sha256:1"}},
	} {
		one.running.Namespace, one.running.Pod, one.running.Cluster, one.want.Where = "n", "p", "c", where
		if got := l.use(one.running); got != one.want {
			t.Errorf("%+v: %+v, want %+v", one.running, got, one.want)
		}
	}
}
