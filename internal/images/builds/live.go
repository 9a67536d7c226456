package builds

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/images/progress"
)

// lostAfter is how long nothing may be heard of a build that runs: the program that builds tells something each second.
const lostAfter = 2 * time.Minute

// maxAtOnce is how many builds of a project a person or a job may have running: a bake file may have as many targets.
const maxAtOnce = 500

// Begin lists a build that begins; run and job are those of the caller's token, if it is a job's.
func (s *Service) Begin(ctx context.Context, project slipway.ProjectID, by slipway.Actor, run slipway.RunID, job slipway.JobID, r progress.Report) (Build, error) {
	running, err := db.List(ctx, s.db, s.scan, columns+`WHERE project = $1 AND state = 'running' ORDER BY id DESC LIMIT $2`, string(project), kept)
	if err != nil {
		return Build{}, fmt.Errorf("list the image builds that run: %w", err)
	}
	own := 0
	for _, b := range running {
		if b.State == Running && b.By != nil && *b.By == by {
			own++
		}
	}
	if own >= maxAtOnce {
		return Build{}, slipway.Limit("%d builds of %s run in this project already: wait for one of them, or cancel it", own, by.Name)
	}
	b := Build{Project: project, Run: run, Job: job, By: &by, State: Running, Report: r.Bounded(), Started: s.clock.Now()}
	b.Digest, b.Error, b.Bytes, b.Layers, b.Summary = "", "", 0, 0, progress.Summary{Steps: []progress.Step{}}
	if err := s.insert(ctx, &b); err != nil {
		return b, fmt.Errorf("keep an image build that begins: %w", err)
	}
	return b, nil
}

// errOvertaken is that another update of the same build came between reading and writing.
var errOvertaken = errors.New("another update came between")

// Update keeps what the program that builds tells. Pieces of the log that are there already change nothing, so it may be told twice.
func (s *Service) Update(ctx context.Context, project slipway.ProjectID, id int64, by slipway.Actor, u progress.Update) (progress.Updated, error) {
	const tries = 5
	for try := 1; ; try++ {
		answer, err := s.updateOnce(ctx, project, id, by, u)
		if !errors.Is(err, errOvertaken) {
			return answer, err
		}
		if try == tries {
			return answer, slipway.Unavailable("image build %d is told of by several programs at once: tell it again", id).Because(err)
		}
	}
}

func (s *Service) updateOnce(ctx context.Context, project slipway.ProjectID, id int64, by slipway.Actor, u progress.Update) (progress.Updated, error) {
	b, err := s.Get(ctx, project, id)
	if err != nil {
		return progress.Updated{}, err
	}
	answer := progress.Updated{At: b.LogBytes, CanceledBy: b.CanceledBy}
	switch {
	case b.By == nil || b.By.Kind != by.Kind || b.By.ID != by.ID:
		return answer, slipway.Forbidden("image build %d is another's: only who started it tells what becomes of it", id)
	case !b.Finished.IsZero():
		if u.Done {
			return answer, nil // told again, since the answer was lost
		}
		return answer, slipway.Conflict("image build %d is over", id)
	case u.At < 0 || u.At > b.LogBytes:
		return answer, slipway.Invalid("the log of image build %d has %d bytes: what begins at %d leaves a gap", id, b.LogBytes, u.At)
	case len(u.Log) > progress.MaxUpdateLog:
		return answer, slipway.Limit("one update may have %d bytes of log", progress.MaxUpdateLog)
	case u.At+int64(len(u.Log)) > progress.MaxBuildLog:
		return answer, slipway.Limit("the log of a build may have %d bytes", progress.MaxBuildLog)
	}
	if u.Report != nil {
		b.Report = u.Report.Bounded()
		b.Bytes, b.Layers = 0, 0
		b.Cached, b.Total = b.Summary.Cached()
	}
	if u.Done {
		if err := s.end(ctx, &b, u); err != nil {
			return answer, err
		}
	}
	if err := s.update(ctx, &b, u); err != nil {
		return answer, err
	}
	answer.At = max(answer.At, u.At+int64(len(u.Log)))
	return answer, nil
}

// end says how the build ended.
func (s *Service) end(ctx context.Context, b *Build, u progress.Update) (err error) {
	b.Finished, b.State = s.clock.Now(), Succeeded
	if b.Error == "" {
		b.Error = progress.Report{Error: u.Error}.Bounded().Error
	}
	switch {
	case u.Lost:
		b.State = Lost
	case u.Canceled:
		b.State = Canceled
	case b.Error != "":
		b.State = Failed
	}
	if b.Summary.Seconds == 0 {
		b.Summary.Seconds = b.Finished.Sub(b.Started).Seconds()
	}
	for i := range b.Summary.Steps {
		b.Summary.Steps[i].Running = b.Summary.Steps[i].Running && b.State == Lost
	}
	if b.State == Succeeded && s.Pushed != nil && len(b.Tags) > 0 {
		image, err := s.Pushed(ctx, *b, b.Tags[0])
		if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
			return fmt.Errorf("look at the image of build %d: %w", b.ID, err)
		}
		if err == nil {
			b.Digest, b.Bytes, b.Layers = image.Digest, image.Bytes, image.Layers
		}
	}
	b.Saved, err = s.saved(ctx, b.Project, b.Summary)
	return err
}

// update writes the build and the piece of the log.
func (s *Service) update(ctx context.Context, b *Build, u progress.Update) error {
	steps, err := json.Marshal(b.Summary.Steps)
	if err != nil {
		return fmt.Errorf("keep image build %d: %w", b.ID, err)
	}
	before := b.LogBytes
	piece := u.Log[min(before-u.At, int64(len(u.Log))):]
	state := b.State
	if !u.Done {
		state = Running // one that was lost is heard of again
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE image_builds SET tags = $3, target = $4, platforms = $5, digest = $6, error = $7, bytes = $8, layers = $9, seconds = $10, steps = $11,
				total = $12, cached = $13, saved = $14, finished = $15, state = $16, seen = $17, log_bytes = $18
			WHERE id = $1 AND log_bytes = $2 AND seen = $19 AND state = 'running'`, b.ID, before, strings.Join(b.Tags, "\n"), b.Target, strings.Join(b.Platforms, "\n"), string(b.Digest), b.Error, b.Bytes,
			b.Layers, b.Summary.Seconds, string(steps), b.Total, b.Cached, b.Saved, db.Micros(b.Finished), string(state), max(db.Micros(s.clock.Now()), b.seen+1), before+int64(len(piece)), b.seen)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, errOvertaken)
		}
		if piece == "" {
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO image_build_logs (build, at, text) VALUES ($1, $2, $3)`, b.ID, before, strings.ReplaceAll(piece, "\x00", ""))
		return err
	})
	if err != nil {
		return fmt.Errorf("keep image build %d: %w", b.ID, err)
	}
	return nil
}

// Cancel asks the program that builds to give up, which it learns within a second or so.
func (s *Service) Cancel(ctx context.Context, project slipway.ProjectID, id int64, by slipway.Actor) (Build, error) {
	b, err := s.Get(ctx, project, id)
	if err != nil {
		return b, err
	}
	if b.State != Running {
		return b, slipway.Conflict("image build %d does not run: it is %s", id, b.State)
	}
	if b.CanceledBy == "" {
		b.CanceledBy = by.Name
		if _, err := s.db.ExecContext(ctx, `UPDATE image_builds SET canceled_by = $2 WHERE id = $1 AND canceled_by = ''`, id, by.Name); err != nil {
			return b, fmt.Errorf("cancel image build %d: %w", id, err)
		}
	}
	return b, nil
}

// maxPieces bounds how many pieces one answer reads of a log, which are at most one a second.
const maxPieces = 100_000

// Log is the log of a build as far as it is told.
func (s *Service) Log(ctx context.Context, project slipway.ProjectID, id int64) (string, error) {
	if _, err := s.Get(ctx, project, id); err != nil {
		return "", err
	}
	pieces, err := db.List(ctx, s.db, db.Value[string], `SELECT text FROM image_build_logs WHERE build = $1 ORDER BY at LIMIT $2`, id, maxPieces)
	if err != nil {
		return "", fmt.Errorf("read the log of image build %d: %w", id, err)
	}
	return strings.Join(pieces, ""), nil
}
