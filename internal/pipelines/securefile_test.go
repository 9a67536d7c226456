package pipelines_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/pipelines"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

const signing = `
variables: {which: signing.p12}
steps:
- task: DownloadSecureFile@1
  inputs: {secureFile: $(which)}
- task: DownloadSecureFile@1
  inputs: {secureFile: $(late)}
`

func TestSecureFiles(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, ctx := setup(t, d), context.Background()
		ada := slipway.Actor{Kind: slipway.ActorUser, ID: "1", Name: "Ada"}
		content := []byte("the key\x00\xff")
		create := func(name string, content []byte, code slipway.Code) pipelines.SecureFile {
			t.Helper()
			f, err := w.CreateSecureFile(ctx, "p", name, content, ada)
			if got := slipway.CodeOf(err); got != code {
				t.Errorf("create %q: %v, want %q", name, err, code)
			}
			return f
		}
		file := create("Signing.p12", content, "")
		create("other.p12", []byte("other"), "")
		create("signing.P12", content, slipway.CodeConflict)
		create("../signing.p12", content, slipway.CodeInvalid)
		create("..", content, slipway.CodeInvalid)
		create(" ", content, slipway.CodeInvalid)
		create("empty", nil, slipway.CodeLimit)
		create("large", make([]byte, pipelines.MaxSecureFile+1), slipway.CodeLimit)
		list, err := w.SecureFiles(ctx, "p")
		if err != nil || len(list) != 2 || list[1] != file || list[1].CreatedBy != ada || list[1].Size != 9 {
			t.Fatalf("files %+v, %v", list, err)
		}
		if list, err := w.SecureFiles(ctx, "other"); err != nil || len(list) != 0 {
			t.Errorf("another project has %+v, %v", list, err)
		}
		sealed, err := db.One(ctx, d, db.Value[[]byte], `SELECT sealed FROM secure_files WHERE id = $1`, file.ID)
		if err != nil || bytes.Contains(sealed, []byte("the key")) {
			t.Errorf("stored as %q, %v", sealed, err)
		}

		id := w.jobOf(w.push(signing)[0].ID)
		fetch := func(name string, code slipway.Code, want string) {
			t.Helper()
			f, err := w.FetchSecureFile(ctx, id, name)
			if slipway.CodeOf(err) != code || string(f.Content) != want {
				t.Errorf("fetch %q: %q, %v", name, f.Content, err)
			}
		}
		fetch("signing.p12", "", string(content))
		fetch("other.p12", slipway.CodeForbidden, "") // no step names it
		fetch(file.ID, "", string(content))           // the same file
		fetch("", slipway.CodeForbidden, "")
		if n := w.kinds()[pipelines.EventSecureFileFetched]; n != 2 {
			t.Errorf("%d events of a fetch", n)
		}
		// By its id, too.
		byID := w.jobOf(w.push("steps: [{task: DownloadSecureFile@1, inputs: {secureFile: " + strings.ToUpper(file.ID) + "}}]\n")[0].ID)
		if f, err := w.FetchSecureFile(ctx, byID, strings.ToUpper(file.ID)); err != nil || f.Name != "Signing.p12" {
			t.Errorf("by its id: %+v, %v", f, err)
		}
		if err := w.DeleteSecureFile(ctx, "other", file.ID, ada); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("deleted from another project: %v", err)
		}
		if err := w.DeleteSecureFile(ctx, "p", "SIGNING.p12", ada); err != nil {
			t.Fatal(err)
		}
		fetch("signing.p12", slipway.CodeNotFound, "")
		if kinds := w.kinds(); kinds[pipelines.EventSecureFileCreated] != 2 || kinds[pipelines.EventSecureFileDeleted] != 1 {
			t.Errorf("events %v", kinds)
		}
		create("signing.p12", content, "")
		if err := w.Complete(ctx, id, job.Completion{Result: schedule.Succeeded}); err != nil {
			t.Fatal(err)
		}
		fetch("signing.p12", slipway.CodeConflict, "")
	})
}
