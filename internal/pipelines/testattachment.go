package pipelines

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
)

// TestAttachment is a file of a publication of test results as a whole: what the results were read from, or what the runner attached to it.
type TestAttachment struct {
	ID      int64
	Name    string
	Size    int64 // in bytes
	Created time.Time

	key string
}

// PutTestAttachment keeps a file of the publication that has the step and the title in the job. Another of the same name replaces it.
func (s *Service) PutTestAttachment(ctx context.Context, id slipway.JobID, step int, title, name string, r io.Reader) error {
	if err := checkAttachment("name", name); err != nil {
		return err
	}
	j, err := s.attachingJob(ctx, id)
	if err != nil {
		return err
	}
	title = cut(title, maxTestName)
	testRun, err := db.One(ctx, s.db, db.Value[int64], `SELECT id FROM pipeline_test_runs WHERE job = $1 AND step = $2 AND title = $3`, int64(id), step, title)
	if db.IsNoRows(err) {
		return slipway.NotFound("step %d of job %d has published no test results as %q: publish them first", step, id, title)
	}
	if err != nil {
		return fmt.Errorf("look for test results of job %d: %w", id, err)
	}
	key := fmt.Sprintf("attachments/%d/tests-%d-%x", j.Run, testRun, sha256.Sum256([]byte(name)))
	size, err := s.keepAttachment(ctx, j.Run, key, r)
	if err != nil {
		return err
	}
	const upsert = `INSERT INTO pipeline_test_attachments (run, test_run, name, size, blob_key, created) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (test_run, name) DO UPDATE SET size = excluded.size, created = excluded.created`
	if _, err := s.db.ExecContext(ctx, upsert, int64(j.Run), testRun, name, size, key, db.Micros(s.clock.Now())); err != nil {
		return fmt.Errorf("record attachment %q of test run %d: %w", name, testRun, err)
	}
	s.changed(j.Run)
	return nil
}

// TestAttachments lists those of a publication, oldest first.
func (s *Service) TestAttachments(ctx context.Context, testRun int64) ([]TestAttachment, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, a *TestAttachment) error {
		var created int64
		err := row.Scan(&a.ID, &a.Name, &a.Size, &a.key, &created)
		a.Created = db.Time(created)
		return err
	}, `SELECT id, name, size, blob_key, created FROM pipeline_test_attachments WHERE test_run = $1 ORDER BY id LIMIT $2`, testRun, maxAttachments)
	if err != nil {
		return nil, fmt.Errorf("list attachments of test run %d: %w", testRun, err)
	}
	return list, nil
}

// OpenTestAttachment opens the contents of an attachment of the publication; the caller closes it.
func (s *Service) OpenTestAttachment(ctx context.Context, testRun, id int64) (TestAttachment, blob.Object, error) {
	all, err := s.TestAttachments(ctx, testRun)
	if err != nil {
		return TestAttachment{}, nil, err
	}
	for _, a := range all {
		if a.ID != id {
			continue
		}
		o, err := s.Blobs.Open(ctx, a.key)
		if err != nil {
			return a, nil, fmt.Errorf("read attachment %d of test run %d: %w", id, testRun, err)
		}
		return a, o, nil
	}
	return TestAttachment{}, nil, slipway.NotFound("test run %d has no attachment %d", testRun, id)
}
