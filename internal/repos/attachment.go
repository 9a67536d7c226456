package repos

import (
	"context"
	"crypto/sha1" //nolint:gosec // what clients of Azure DevOps call the content's hash
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway"
	"slipway/internal/blob"
	"slipway/internal/db"
)

// Bounds of attachments.
const (
	MaxAttachment  = 25 << 20 // bytes of one
	maxAttachments = 500      // of one pull request
)

// Attachment is a file that belongs to a pull request, as a picture in a comment.
type Attachment struct {
	ID        int64
	Name      string
	Size      int64  // bytes
	Hash      string // SHA-1 in hex
	Created   time.Time
	CreatedBy slipway.Actor
	object    string
}

func attachmentKey(p PullRequest, object string) string {
	return fmt.Sprintf("attachments/%s/%d/%s", p.Repository, p.ID, object)
}

// errLarge says that a reader gave more than it may.
var errLarge = slipway.Limit("an attachment has at most %d MiB", MaxAttachment>>20)

// bounded fails when more comes than it may.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errLarge
	}
	return n, err
}

// Attach keeps a file with a pull request. Another of the same name is a Conflict.
func (s *Service) Attach(ctx context.Context, by slipway.Actor, p PullRequest, name string, content io.Reader) (Attachment, error) {
	name = strings.TrimSpace(name)
	if name == "" || len(name) > 200 || strings.ContainsAny(name, "/\\\x00\r\n\"<>") || name == "." || name == ".." {
		return Attachment{}, slipway.Invalid("%q cannot be the name of an attachment: write 1 to 200 bytes without slashes, quotes and brackets", shorten(name, 100))
	}
	if s.Objects == nil {
		return Attachment{}, slipway.Unavailable("this server keeps no attachments")
	}
	actor, err := json.Marshal(by)
	if err != nil {
		return Attachment{}, fmt.Errorf("encode actor: %w", err)
	}
	if err := s.roomFor(ctx, s.db, p.ID, name); err != nil {
		return Attachment{}, err
	}
	a := Attachment{Name: name, Created: s.clock.Now(), CreatedBy: by, object: uuid.NewString()}
	sum := sha1.New()
	a.Size, err = s.Objects.Put(ctx, attachmentKey(p, a.object), io.TeeReader(&bounded{content, MaxAttachment}, sum))
	if err != nil {
		return Attachment{}, fmt.Errorf("keep attachment %s: %w", name, err)
	}
	a.Hash = hex.EncodeToString(sum.Sum(nil))
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.roomFor(ctx, tx, p.ID, name); err != nil {
			return err
		}
		const insert = `
			INSERT INTO pull_request_attachments (pull_request, name, size, hash, object, created, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`
		return tx.QueryRowContext(ctx, insert, int64(p.ID), name, a.Size, a.Hash, a.object, db.Micros(a.Created), string(actor)).Scan(&a.ID)
	})
	if err != nil {
		// A server that dies here leaves an object that goes with the repository.
		return Attachment{}, errors.Join(fmt.Errorf("keep attachment %s: %w", name, err), s.Objects.Delete(context.WithoutCancel(ctx), attachmentKey(p, a.object)))
	}
	return a, nil
}

// roomFor refuses a name that is taken, and one too many.
func (s *Service) roomFor(ctx context.Context, q db.Querier, id slipway.PullRequestID, name string) error {
	const query = `SELECT count(*), coalesce(sum(CASE WHEN name = $2 THEN 1 ELSE 0 END), 0) FROM pull_request_attachments WHERE pull_request = $1`
	var n, taken int64
	if err := q.QueryRowContext(ctx, query, int64(id), name).Scan(&n, &taken); err != nil {
		return fmt.Errorf("count attachments of pull request %d: %w", id, err)
	}
	switch {
	case taken > 0:
		return slipway.Conflict("pull request %d has an attachment %s already", id, name)
	case n >= maxAttachments:
		return slipway.Limit("pull request %d has %d attachments already", id, n)
	}
	return nil
}

const attachmentColumns = `id, name, size, hash, object, created, created_by`

func scanAttachment(row interface{ Scan(...any) error }, a *Attachment) error {
	var created int64
	var by string
	if err := row.Scan(&a.ID, &a.Name, &a.Size, &a.Hash, &a.object, &created, &by); err != nil {
		return err
	}
	a.Created = db.Time(created)
	return json.Unmarshal([]byte(by), &a.CreatedBy)
}

// Attachments lists the files of a pull request, oldest first.
func (s *Service) Attachments(ctx context.Context, id slipway.PullRequestID) ([]Attachment, error) {
	list, err := db.List(ctx, s.db, scanAttachment, `SELECT `+attachmentColumns+` FROM pull_request_attachments WHERE pull_request = $1 ORDER BY id`, int64(id))
	if err != nil {
		return nil, fmt.Errorf("list attachments of pull request %d: %w", id, err)
	}
	return list, nil
}

func (s *Service) attachment(ctx context.Context, id slipway.PullRequestID, name string) (Attachment, error) {
	const query = `SELECT ` + attachmentColumns + ` FROM pull_request_attachments WHERE pull_request = $1 AND name = $2`
	a, err := db.One(ctx, s.db, scanAttachment, query, int64(id), name)
	if db.IsNoRows(err) {
		return a, slipway.NotFound("pull request %d has no attachment %q", id, shorten(name, 100))
	}
	if err != nil {
		return a, fmt.Errorf("find attachment of pull request %d: %w", id, err)
	}
	return a, nil
}

// OpenAttachment opens a file of a pull request; the caller closes it.
func (s *Service) OpenAttachment(ctx context.Context, p PullRequest, name string) (Attachment, blob.Object, error) {
	a, err := s.attachment(ctx, p.ID, name)
	if err != nil {
		return a, nil, err
	}
	o, err := s.Objects.Open(ctx, attachmentKey(p, a.object))
	if err != nil {
		return a, nil, fmt.Errorf("open attachment %s of pull request %d: %w", name, p.ID, err)
	}
	return a, o, nil
}

// DeleteAttachment removes a file that the actor attached.
func (s *Service) DeleteAttachment(ctx context.Context, by slipway.Actor, p PullRequest, name string) error {
	a, err := s.attachment(ctx, p.ID, name)
	if err != nil {
		return err
	}
	if a.CreatedBy.ID != by.ID {
		return slipway.Forbidden("only %s removes this attachment", a.CreatedBy.Name)
	}
	if _, err := s.db.ExecContext(ctx, `DELETE FROM pull_request_attachments WHERE id = $1`, a.ID); err != nil {
		return fmt.Errorf("remove attachment of pull request %d: %w", p.ID, err)
	}
	return s.Objects.Delete(context.WithoutCancel(ctx), attachmentKey(p, a.object))
}

// deleteAttachments removes what the pull requests of a deleted repository had.
func (s *Service) deleteAttachments(ctx context.Context, id slipway.RepositoryID) error {
	return s.deleteObjects(ctx, "attachments/"+string(id)+"/")
}
