package environments_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/environments"
	"slipway/internal/events"
)

const webDigest = slipway.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

func (w world) deploy(t *testing.T, e environments.Environment, run slipway.RunID, result environments.DeploymentState) environments.Deployment {
	t.Helper()
	ctx := context.Background()
	d, err := w.StartDeployment(ctx, environments.NewDeployment{Environment: e.ID, Run: run, Stage: "Dev", Job: "deploy", Attempt: 1, Commit: "c0ffee",
		Parameters: []environments.Parameter{{Name: "HOST", Value: "shop"}, {Name: "PASSWORD", Value: "hunter2", Secret: true}}, By: ada})
	if err != nil {
		t.Fatal(err)
	}
	if result == environments.Running {
		return d
	}
	if d, err = w.CompleteDeployment(ctx, d.ID, result, ""); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeploymentIsRecordedOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, w := context.Background(), setup(t, d)
		e := w.ensure(t, "dev")
		first := w.deploy(t, e, 1, environments.Running)
		again := w.deploy(t, e, 1, environments.Running)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("the same attempt again (-first +again):\n%s", diff)
		}
		image := environments.Image{Repository: "shop/web", Reference: "localhost:8080/shop/web@" + string(webDigest), Digest: webDigest}
		hash := "sha256:abc"
		for range 2 {
			if err := w.UpdateDeployment(ctx, first.ID, environments.DeploymentUpdate{Images: []environments.Image{image}, ManifestsHash: &hash}); err != nil {
				t.Fatal(err)
			}
		}
		done, err := w.CompleteDeployment(ctx, first.ID, environments.Failed, "web does not start")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.CompleteDeployment(ctx, first.ID, environments.Succeeded, ""); err != nil {
			t.Fatal(err)
		}
		got, err := w.Deployment(ctx, first.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(done, got); diff != "" {
			t.Errorf("a second result changed it (-first +now):\n%s", diff)
		}
		if diff := cmp.Diff([]environments.Parameter{{Name: "HOST", Value: "shop"}, {Name: "PASSWORD", Secret: true}}, got.Parameters); diff != "" {
			t.Errorf("parameters (-want +got):\n%s", diff)
		}
		if len(got.Images) != 1 || got.State != environments.Failed || got.Reason != "web does not start" || got.Completed.IsZero() {
			t.Errorf("got %+v", got)
		}
		list, err := w.log.List(ctx, events.Filter{Reference: slipway.Ref(slipway.RefDeployment, first.ID)})
		if err != nil || len(list) != 2 {
			t.Fatalf("%d events, %v; want started and completed", len(list), err)
		}
		for _, ref := range []slipway.Reference{slipway.Ref(slipway.RefImage, webDigest), slipway.Ref(slipway.RefRun, 1),
			slipway.Ref(slipway.RefCommit, "c0ffee"), slipway.Ref(slipway.RefEnvironment, e.ID)} {
			if id, ok := list[0].Reference(ref.Kind); !ok || id != ref.ID {
				t.Errorf("%s refers to %q, want %s", list[0].Kind, id, ref)
			}
		}
		if strings.Contains(string(list[1].Payload), "hunter2") {
			t.Error("the event tells the secret")
		}
	})
}

func TestRollbackFindsItsWay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, w := context.Background(), setup(t, d)
		e := w.ensure(t, "dev")
		if _, err := w.Current(ctx, e.ID); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("current before the first: %v, want not found", err)
		}
		d1 := w.deploy(t, e, 1, environments.Succeeded)
		d2 := w.deploy(t, e, 2, environments.Succeeded)
		d3 := w.deploy(t, e, 3, environments.Failed)
		previous := func(of, want slipway.DeploymentID) {
			t.Helper()
			got, err := w.Previous(ctx, of)
			if err != nil || got.ID != want {
				t.Errorf("previous of %d is %d, %v; want %d", of, got.ID, err, want)
			}
		}
		previous(d3.ID, d2.ID)
		previous(d2.ID, d1.ID)
		if _, err := w.Previous(ctx, d1.ID); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("previous of the first: %v, want not found", err)
		}
		if _, err := w.StartRollback(ctx, d3.ID, ada); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("back to a failed one: %v, want a conflict", err)
		}
		back, err := w.StartRollback(ctx, d2.ID, ada)
		if err != nil {
			t.Fatal(err)
		}
		if back.RollbackTo != d2.ID || back.Run != 2 || back.ID == d2.ID || back.State != environments.Running {
			t.Errorf("got %+v", back)
		}
		if _, err := w.StartRollback(ctx, d1.ID, ada); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("while one runs: %v, want a conflict", err)
		}
		if _, err := w.CompleteDeployment(ctx, back.ID, environments.Succeeded, ""); err != nil {
			t.Fatal(err)
		}
		previous(back.ID, d1.ID) // further back, not to what was left
		d5 := w.deploy(t, e, 5, environments.Succeeded)
		previous(d5.ID, d2.ID) // what the rollback had brought back
		current, err := w.Current(ctx, e.ID)
		if err != nil || current.ID != d5.ID {
			t.Errorf("current is %d, %v; want %d", current.ID, err, d5.ID)
		}
		history, err := w.History(ctx, e.ID, 2)
		if err != nil || len(history) != 2 || history[0].ID != d5.ID {
			t.Errorf("history: %+v, %v", history, err)
		}
	})
}

// Numbers of deployments had gaps, because each repetition used one up in vain.
func TestRepeatedStartsUseNoNumberUp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		dev, production := w.ensure(t, "dev"), w.ensure(t, "production")
		first := w.deploy(t, dev, 1, environments.Running)
		var group errgroup.Group
		for range 8 {
			group.Go(func() error {
				again, err := w.StartDeployment(context.Background(), environments.NewDeployment{Environment: production.ID, Run: 1, Stage: "Production", Job: "deploy", Attempt: 1, By: ada})
				if err == nil && again.ID != first.ID+1 {
					err = fmt.Errorf("the same attempt is deployment %d, want %d", again.ID, first.ID+1)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		w.deploy(t, dev, 1, environments.Running)
		if next := w.deploy(t, dev, 2, environments.Running); next.ID != first.ID+2 {
			t.Errorf("the third deployment has number %d, want %d", next.ID, first.ID+2)
		}
	})
}

// What an environment serves, deploys or would go back to is needed; what it served before that is not.
func TestNeededImages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		dev, other := w.ensure(t, "dev"), w.ensure(t, "other")
		run := 0
		deploy := func(e environments.Environment, image string, result environments.DeploymentState) {
			t.Helper()
			run++
			d, err := w.StartDeployment(t.Context(), environments.NewDeployment{Environment: e.ID, Run: slipway.RunID(run), Stage: "S", Job: "J", Attempt: 1, By: ada})
			if err == nil {
				err = w.UpdateDeployment(t.Context(), d.ID, environments.DeploymentUpdate{Images: []environments.Image{{Repository: image, Reference: image}}})
			}
			if err == nil && result != environments.Running {
				_, err = w.CompleteDeployment(t.Context(), d.ID, result, "")
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		deploy(dev, "oldest", environments.Succeeded)
		deploy(dev, "before", environments.Succeeded)
		deploy(dev, "failed", environments.Failed)
		deploy(dev, "serves", environments.Succeeded)
		deploy(dev, "coming", environments.Running)
		deploy(other, "first", environments.Running)
		list, err := w.NeededImages(t.Context())
		got := map[string]bool{}
		for _, n := range list {
			got[n.Environment+"/"+n.Repository] = n.Previous
		}
		if diff := cmp.Diff(map[string]bool{"dev/serves": false, "dev/before": true, "dev/coming": false, "other/first": false}, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})
}
