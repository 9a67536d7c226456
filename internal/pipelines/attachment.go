package pipelines

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/schedule"
)

// maxAttachments bounds how many files are attached to a run and its test results.
const maxAttachments = 1000

// Attachment is a file that a step attached to its run.
type Attachment struct {
	ID      int64
	Job     slipway.JobID
	Step    int
	Type    string // that the step chose; job.FileAttachment for a plain file
	Name    string
	Size    int64 // in bytes
	Created time.Time

	key string
}

func checkAttachment(what, text string) error {
	if text == "" || len(text) > 200 || strings.ContainsAny(text, `/\`) || strings.ContainsFunc(text, unicode.IsControl) {
		return slipway.Invalid(`the %s of an attachment is %.200q: use up to 200 characters without / and \`, what, text)
	}
	return nil
}

// PutAttachment keeps a file that a step attaches. Another of the same type and name replaces it.
func (s *Service) PutAttachment(ctx context.Context, id slipway.JobID, step int, kind, name string, r io.Reader) error {
	if err := checkAttachment("type", kind); err != nil {
		return err
	}
	if err := checkAttachment("name", name); err != nil {
		return err
	}
	j, err := s.attachingJob(ctx, id)
	if err != nil {
		return err
	}
	key := fmt.Sprintf("attachments/%d/%d-%d-%x", j.Run, id, step, sha256.Sum256([]byte(kind+"/"+name)))
	size, err := s.keepAttachment(ctx, j.Run, key, r)
	if err != nil {
		return err
	}
	const upsert = `INSERT INTO pipeline_attachments (run, job, step, type, name, size, blob_key, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (job, step, type, name) DO UPDATE SET size = excluded.size, created = excluded.created`
	if _, err := s.db.ExecContext(ctx, upsert, int64(j.Run), int64(id), step, kind, name, size, key, db.Micros(s.clock.Now())); err != nil {
		return fmt.Errorf("record attachment %q of job %d: %w", name, id, err)
	}
	s.changed(j.Run)
	return nil
}

// attachingJob is the job of an agent, which must not be over.
func (s *Service) attachingJob(ctx context.Context, id slipway.JobID) (Job, error) {
	j, err := s.Job(ctx, id)
	if err == nil {
		err = j.ofAgent()
	}
	if err == nil && j.State == schedule.Completed {
		err = slipway.Conflict("job %d is over", id)
	}
	return j, err
}

// keepAttachment stores the contents of an attachment, of the run itself or of its test results, and gives the size.
func (s *Service) keepAttachment(ctx context.Context, run slipway.RunID, key string, r io.Reader) (int64, error) {
	count, err := db.One(ctx, s.db, db.Value[int64], `SELECT (SELECT COUNT(*) FROM pipeline_attachments WHERE run = $1) +
		(SELECT COUNT(*) FROM pipeline_test_attachments WHERE run = $1)`, int64(run))
	if err != nil {
		return 0, fmt.Errorf("count attachments of run %d: %w", run, err)
	}
	if count >= maxAttachments {
		return 0, slipway.Limit("a run has at most %d attachments", maxAttachments)
	}
	return s.Blobs.Put(ctx, key, &limitedReader{r: r, left: job.MaxAttachment, tooMuch: slipway.Limit("an attachment has at most %d bytes", int64(job.MaxAttachment))})
}

// Attachments lists those of a run, oldest first.
func (s *Service) Attachments(ctx context.Context, run slipway.RunID) ([]Attachment, error) {
	list, err := db.List(ctx, s.db, func(row interface{ Scan(...any) error }, a *Attachment) error {
		var created int64
		err := row.Scan(&a.ID, (*int64)(&a.Job), &a.Step, &a.Type, &a.Name, &a.Size, &a.key, &created)
		a.Created = db.Time(created)
		return err
	}, `SELECT id, job, step, type, name, size, blob_key, created FROM pipeline_attachments WHERE run = $1 ORDER BY id LIMIT 1000`, int64(run))
	if err != nil {
		return nil, fmt.Errorf("list attachments of run %d: %w", run, err)
	}
	return list, nil
}

// OpenAttachment opens the contents of an attachment of the run; the caller closes it.
func (s *Service) OpenAttachment(ctx context.Context, run slipway.RunID, id int64) (Attachment, blob.Object, error) {
	all, err := s.Attachments(ctx, run)
	if err != nil {
		return Attachment{}, nil, err
	}
	for _, a := range all {
		if a.ID != id {
			continue
		}
		o, err := s.Blobs.Open(ctx, a.key)
		if err != nil {
			return a, nil, fmt.Errorf("read attachment %d: %w", id, err)
		}
		return a, o, nil
	}
	return Attachment{}, nil, slipway.NotFound("run %d has no attachment %d", run, id)
}
