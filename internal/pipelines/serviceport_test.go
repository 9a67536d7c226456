package pipelines_test

import (
	"context"
	"testing"

	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
)

// The agent of a job is told the ports of its services, those of a resource too.
func TestServicePortsOfPod(t *testing.T) {
	t.Parallel()
	w := setup(t, dbtest.SQLite(t))
	run := w.push(`
resources:
  containers:
  - {container: database, image: postgres, ports: ['5433:5432']}
  - {container: web, image: httpd, ports: [80, '53:53/udp']}
jobs:
- job: a
  services: {db: database, web: web}
  steps:
  - bash: echo $(agent.services.db.ports.5432)
`)[0]
	if err := w.Reconcile(context.Background()); err != nil {
		t.Fatal(err)
	}
	j := w.timeline(run.ID)["__default.a"]
	w.cluster.mu.Lock()
	defer w.cluster.mu.Unlock()
	if got := w.cluster.pods[pipelines.PodName(run.ID, j.ID)].Env["SLIPWAY_PORTS"]; got != "db=5433=5432 web=80=80" {
		t.Errorf("SLIPWAY_PORTS is %q", got)
	}
}
