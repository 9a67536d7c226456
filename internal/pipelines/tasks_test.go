package pipelines_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// helloTask is a zip file of version 1.MINOR.0 of a task that runs a script.
func helloTask(t *testing.T, minor int, script string, name ...string) *bytes.Reader {
	t.Helper()
	name = append(name, "Hello")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{"run.js": script, "task.json": fmt.Sprintf(`{"id": "7F1C1B4E-5A51-4D7B-9C52-0E7A7F6D2C11", "name": %q, "friendlyName": "Say hello",
		"version": {"Major": 1, "Minor": %d, "Patch": 0}, "inputs": [{"name": "cert", "type": "secureFile"}], "execution": {"Node20_1": {"target": "run.js"}}}`, name[0], minor)} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

func TestTasks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		ada := slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}
		upload := func(minor int, script string, replace bool, code slipway.Code) {
			t.Helper()
			r := helloTask(t, minor, script)
			if _, err := w.UploadTasks(ctx, r, r.Size(), replace, ada); slipway.CodeOf(err) != code {
				t.Errorf("upload 1.%d.0: %v, want %q", minor, err, code)
			}
		}
		versions := func(want ...string) []pipelines.Task {
			t.Helper()
			list, err := w.Tasks(ctx, "")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, one := range list {
				got = append(got, one.Version())
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("versions: %s", diff)
			}
			return list
		}
		blobs := func(want int) {
			t.Helper()
			n := 0
			if err := w.deps.Blobs.List(ctx, "tasks/", func(string, int64) error { n++; return nil }); err != nil || n != want {
				t.Errorf("%d files are kept, want %d: %v", n, want, err)
			}
		}
		upload(9, "old", false, "")
		upload(10, "new", false, "")
		upload(10, "new", false, "") // the same again
		upload(10, "newer", false, slipway.CodeConflict)
		other := helloTask(t, 11, "x", "Goodbye")
		if _, err := w.UploadTasks(ctx, other, other.Size(), true, ada); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("another task with the same id: %v", err)
		}
		if r := bytes.NewReader([]byte("no zip")); true {
			if _, err := w.UploadTasks(ctx, r, r.Size(), false, ada); slipway.CodeOf(err) != slipway.CodeInvalid {
				t.Errorf("no zip file: %v", err)
			}
		}
		list := versions("1.10.0", "1.9.0")
		if one := list[0]; one.ID != "7f1c1b4e-5a51-4d7b-9c52-0e7a7f6d2c11" || one.Name != "Hello" || one.CreatedBy != ada || one.Size == 0 || one.Digest == list[1].Digest {
			t.Errorf("task %+v", one)
		}
		blobs(2)

		id := w.jobOf(w.push("steps: [{task: hello@1, inputs: {cert: a.p12}}]\n")[0].ID)
		a, err := w.Assign(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		used := a.Steps[1].Task.Package
		if used == nil || used.Version != "1.10.0" || used.Digest != list[0].Digest || a.Steps[1].DisplayName != "Say hello" {
			t.Fatalf("step %+v", a.Steps[1])
		}
		o, err := w.FetchTask(ctx, id, used.Digest)
		if err != nil {
			t.Fatal(err)
		}
		o.Close()
		if _, err := w.FetchTask(ctx, id, list[1].Digest); slipway.CodeOf(err) != slipway.CodeForbidden {
			t.Errorf("a task of no step: %v", err)
		}
		// An input of an uploaded task names a secure file, too.
		if _, err := w.CreateSecureFile(ctx, "p", "a.p12", []byte("key"), ada); err != nil {
			t.Fatal(err)
		}
		if f, err := w.FetchSecureFile(ctx, id, "a.p12"); err != nil || string(f.Content) != "key" || f.ID == "" {
			t.Errorf("secure file %+v, %v", f, err)
		}

		upload(10, "newest", true, "")
		blobs(2)
		if _, err := w.FetchTask(ctx, id, used.Digest); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("a task that was replaced: %v", err)
		}
		if err := w.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.FetchTask(ctx, id, used.Digest); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("of a job that is over: %v", err)
		}
		if n, err := w.DeleteTask(ctx, list[0].ID, "1.10.0", ada); err != nil || n != 1 {
			t.Errorf("deleted %d, %v", n, err)
		}
		versions("1.9.0")
		if _, err := w.DeleteTask(ctx, list[0].ID, "1.10.0", ada); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("deleted again: %v", err)
		}
		if _, err := w.DeleteTask(ctx, "", "", ada); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("deleted all: %v", err)
		}
		if n, err := w.DeleteTask(ctx, list[0].ID, "", ada); err != nil || n != 1 {
			t.Errorf("deleted %d, %v", n, err)
		}
		versions()
		blobs(0)
		told, err := w.log.List(ctx, events.Filter{Reference: slipway.Ref(slipway.RefTask, list[0].ID)})
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[events.Kind]int{}
		for _, e := range told {
			kinds[e.Kind]++
		}
		if diff := cmp.Diff(map[events.Kind]int{pipelines.EventTaskUploaded: 4, pipelines.EventTaskDeleted: 2}, kinds); diff != "" {
			t.Errorf("events: %s", diff)
		}
	})
}
