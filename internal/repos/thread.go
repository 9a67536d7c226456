package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// EventPullRequestCommented says that somebody wrote in a thread of a pull request, or closed or opened it. It has the shape of
// the other events of pull requests.
const EventPullRequestCommented events.Kind = "repos.pull_request_commented"

// Bounds of threads.
const (
	maxThreads  = 2000 // of one pull request
	maxComments = 500  // of one thread
	maxComment  = 32 << 10
)

// ThreadStatus is how a thread stands, in Azure Repos' words.
type ThreadStatus string

// The states of threads.
const (
	ThreadActive   ThreadStatus = "active"
	ThreadPending  ThreadStatus = "pending"
	ThreadFixed    ThreadStatus = "fixed"
	ThreadWontFix  ThreadStatus = "wontFix"
	ThreadByDesign ThreadStatus = "byDesign"
	ThreadClosed   ThreadStatus = "closed"
)

// Open says that the thread still wants something.
func (s ThreadStatus) Open() bool { return s == ThreadActive || s == ThreadPending }

// ParseThreadStatus reads a state in any case.
func ParseThreadStatus(text string) (ThreadStatus, error) {
	all := []ThreadStatus{ThreadActive, ThreadPending, ThreadFixed, ThreadWontFix, ThreadByDesign, ThreadClosed}
	for _, s := range all {
		if strings.EqualFold(text, string(s)) {
			return s, nil
		}
	}
	p := slipway.Invalid("a thread is active, pending, fixed, wontFix, byDesign or closed, not %q", shorten(text, 40))
	p.Field = "status"
	return "", p
}

// Side says which of the two texts of a difference a line is of.
type Side string

// The sides.
const (
	Left  Side = "left"  // the target's, where the branches parted
	Right Side = "right" // the source's
)

// Place is what a thread is about: a line or several, a file (Line is 0), or the whole pull request (Path is empty).
type Place struct {
	Path string
	Side Side
	Line int // from 1
	End  int // the last of several lines; 0 for one
}

// Last is the last line.
func (p Place) Last() int { return max(p.Line, p.End) }

// Thread is a conversation about a pull request or a line of it.
type Thread struct {
	ID          int64
	PullRequest slipway.PullRequestID
	Status      ThreadStatus
	Place       Place            // as it was when the thread began
	Commit      slipway.CommitID // of which Place is
	Created     time.Time
	Updated     time.Time
	Comments    []Comment
	// Now is where the line is after the pushes since; Outdated says that it is gone or was changed.
	Now      Place
	Outdated bool
}

// Comment is what somebody wrote in a thread.
type Comment struct {
	Number  int
	Parent  int // the comment that it answers; 0 for none
	Author  slipway.Actor
	Text    string // Markdown; empty when it was deleted
	Created time.Time
	Edited  time.Time // zero when it never was
	Deleted bool
}

// NewThread begins a thread.
type NewThread struct {
	PullRequest slipway.PullRequestID
	Place       Place
	Commit      slipway.CommitID // what the writer looked at: the source of an iteration, or on the left its base; the newest when zero
	Text        string
	Status      ThreadStatus // ThreadActive when empty
	Actor       slipway.Actor
}

// StartThread begins a thread about what the pull request is now.
func (s *Service) StartThread(ctx context.Context, n NewThread) (Thread, error) {
	p, err := s.PullRequest(ctx, n.PullRequest)
	if err != nil {
		return Thread{}, err
	}
	if n.Status == "" {
		n.Status = ThreadActive
	}
	if err := checkComment(n.Text); err != nil {
		return Thread{}, err
	}
	t := Thread{PullRequest: p.ID, Status: n.Status, Place: n.Place, Created: s.clock.Now()}
	if t.Commit, err = s.checkPlace(ctx, p, &t.Place, n.Commit); err != nil {
		return Thread{}, err
	}
	err = s.tellThread(ctx, p, n.Actor, func(tx *db.Tx) error { return s.insertThread(ctx, tx, &t, n.Text, n.Actor) })
	if err != nil {
		return Thread{}, fmt.Errorf("start a thread of pull request %d: %w", p.ID, err)
	}
	return s.Thread(ctx, p.ID, t.ID)
}

// checkComment refuses what is no comment.
func checkComment(text string) error {
	if strings.TrimSpace(text) == "" || len(text) > maxComment {
		p := slipway.Invalid("a comment has 1 to %d bytes", maxComment)
		p.Field = "content"
		return p
	}
	return nil
}

// insertThread writes a thread with its first comment.
func (s *Service) insertThread(ctx context.Context, tx *db.Tx, t *Thread, text string, by slipway.Actor) error {
	count, err := db.One(ctx, tx, db.Value[int64], `SELECT count(*) FROM pull_request_threads WHERE pull_request = $1`, int64(t.PullRequest))
	if err != nil {
		return err
	}
	if count >= maxThreads {
		return slipway.Limit("pull request %d has %d threads already", t.PullRequest, count)
	}
	const insert = `
		INSERT INTO pull_request_threads (pull_request, status, path, side, line, end_line, commit_id, created, updated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) RETURNING id`
	err = tx.QueryRowContext(ctx, insert, int64(t.PullRequest), string(t.Status), t.Place.Path, string(t.Place.Side), t.Place.Line, t.Place.End, string(t.Commit),
		db.Micros(t.Created)).Scan(&t.ID)
	if err != nil {
		return err
	}
	_, err = s.insertComment(ctx, tx, t.ID, 0, text, by)
	return err
}

// tellThread runs f in a transaction with the event of a comment.
func (s *Service) tellThread(ctx context.Context, p PullRequest, by slipway.Actor, f func(tx *db.Tx) error) error {
	r, err := s.Get(ctx, p.Repository)
	if err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return s.tellPullRequest(ctx, tx, EventPullRequestCommented, r, p, by, nil)
	})
}

func (s *Service) insertComment(ctx context.Context, tx *db.Tx, thread int64, parent int, text string, by slipway.Actor) (number int, err error) {
	actor, err := json.Marshal(by)
	if err != nil {
		return 0, fmt.Errorf("encode actor: %w", err)
	}
	const insert = `
		INSERT INTO pull_request_comments (thread, number, parent, author, actor, text, created, edited, deleted)
		SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, 0, FALSE FROM pull_request_comments WHERE thread = $1 RETURNING number`
	err = tx.QueryRowContext(ctx, insert, thread, parent, by.ID, string(actor), text, db.Micros(s.clock.Now())).Scan(&number)
	return number, err
}

// AddComment answers in a thread. parent is the number of the comment that it answers, 0 for none.
func (s *Service) AddComment(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, thread int64, parent int, text string) (Comment, error) {
	if err := checkComment(text); err != nil {
		return Comment{}, err
	}
	p, t, err := s.threadOf(ctx, id, thread)
	if err != nil {
		return Comment{}, err
	}
	if parent != 0 && !slices.ContainsFunc(t.Comments, func(c Comment) bool { return c.Number == parent }) {
		return Comment{}, slipway.Invalid("thread %d has no comment %d to answer", thread, parent)
	}
	if len(t.Comments) >= maxComments {
		return Comment{}, slipway.Limit("thread %d has %d comments already: begin another", thread, len(t.Comments))
	}
	var number int
	err = s.tellThread(ctx, p, by, func(tx *db.Tx) error {
		if number, err = s.insertComment(ctx, tx, thread, parent, text, by); err != nil {
			return err
		}
		return s.touchThread(ctx, tx, thread, t.Status)
	})
	if err != nil {
		return Comment{}, fmt.Errorf("comment on pull request %d: %w", id, err)
	}
	return s.comment(ctx, id, thread, number)
}

func (s *Service) touchThread(ctx context.Context, tx *db.Tx, thread int64, status ThreadStatus) error {
	_, err := tx.ExecContext(ctx, `UPDATE pull_request_threads SET status = $2, updated = $3 WHERE id = $1`, thread, string(status), db.Micros(s.clock.Now()))
	return err
}

// SetThreadStatus resolves a thread or opens it again.
func (s *Service) SetThreadStatus(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, thread int64, status ThreadStatus) error {
	p, t, err := s.threadOf(ctx, id, thread)
	if err != nil || t.Status == status {
		return err
	}
	err = s.tellThread(ctx, p, by, func(tx *db.Tx) error { return s.touchThread(ctx, tx, thread, status) })
	if err != nil {
		return fmt.Errorf("change thread %d of pull request %d: %w", thread, id, err)
	}
	return nil
}

// EditComment changes the text of the actor's own comment; an empty one deletes it. Those who answered keep their answers.
func (s *Service) EditComment(ctx context.Context, by slipway.Actor, id slipway.PullRequestID, thread int64, number int, text string) error {
	p, _, err := s.threadOf(ctx, id, thread)
	if err != nil {
		return err
	}
	c, err := s.comment(ctx, id, thread, number)
	switch {
	case err != nil:
		return err
	case c.Author.ID != by.ID:
		return slipway.Forbidden("only %s changes this comment", c.Author.Name)
	case c.Deleted:
		return slipway.Conflict("comment %d was deleted", number)
	}
	deleted := text == ""
	if !deleted {
		if err := checkComment(text); err != nil {
			return err
		}
	}
	err = s.tellThread(ctx, p, by, func(tx *db.Tx) error {
		const update = `UPDATE pull_request_comments SET text = $3, edited = $4, deleted = $5 WHERE thread = $1 AND number = $2`
		_, err := tx.ExecContext(ctx, update, thread, number, text, db.Micros(s.clock.Now()), deleted)
		return err
	})
	if err != nil {
		return fmt.Errorf("change comment %d of thread %d: %w", number, thread, err)
	}
	return nil
}

func (s *Service) threadOf(ctx context.Context, id slipway.PullRequestID, thread int64) (PullRequest, Thread, error) {
	p, err := s.PullRequest(ctx, id)
	if err != nil {
		return p, Thread{}, err
	}
	t, err := s.Thread(ctx, id, thread)
	return p, t, err
}

func (s *Service) comment(ctx context.Context, id slipway.PullRequestID, thread int64, number int) (Comment, error) {
	t, err := s.Thread(ctx, id, thread)
	if err != nil {
		return Comment{}, err
	}
	for _, c := range t.Comments {
		if c.Number == number {
			return c, nil
		}
	}
	return Comment{}, slipway.NotFound("thread %d has no comment %d", thread, number)
}

// Thread returns one thread of a pull request.
func (s *Service) Thread(ctx context.Context, id slipway.PullRequestID, thread int64) (Thread, error) {
	all, err := s.Threads(ctx, id)
	if err != nil {
		return Thread{}, err
	}
	for _, t := range all {
		if t.ID == thread {
			return t, nil
		}
	}
	return Thread{}, slipway.NotFound("pull request %d has no thread %d", id, thread)
}

// Threads lists the threads of a pull request, oldest first, with where their lines are now.
func (s *Service) Threads(ctx context.Context, id slipway.PullRequestID) ([]Thread, error) {
	p, err := s.PullRequest(ctx, id)
	if err != nil {
		return nil, err
	}
	list, err := s.readThreads(ctx, id)
	if err != nil || len(list) == 0 {
		return list, err
	}
	base, err := s.MergeBase(ctx, p.Repository, p.TargetCommit, p.SourceCommit)
	if err != nil {
		return nil, err
	}
	return list, s.moveThreads(ctx, p, list, base, p.SourceCommit)
}

// ThreadsIn lists the threads of a pull request with where their lines are in a span.
func (s *Service) ThreadsIn(ctx context.Context, p PullRequest, span Span) ([]Thread, error) {
	list, err := s.readThreads(ctx, p.ID)
	if err != nil || len(list) == 0 {
		return list, err
	}
	return list, s.moveThreads(ctx, p, list, span.To.BaseCommit, span.To.SourceCommit)
}

func (s *Service) readThreads(ctx context.Context, id slipway.PullRequestID) ([]Thread, error) {
	scanThread := func(row interface{ Scan(...any) error }, t *Thread) error {
		var created, updated int64
		err := row.Scan(&t.ID, (*string)(&t.Status), &t.Place.Path, (*string)(&t.Place.Side), &t.Place.Line, &t.Place.End, (*string)(&t.Commit), &created, &updated)
		t.PullRequest, t.Created, t.Updated, t.Now = id, db.Time(created), db.Time(updated), t.Place
		return err
	}
	list, err := db.List(ctx, s.db, scanThread, `SELECT id, status, path, side, line, end_line, commit_id, created, updated FROM pull_request_threads
		WHERE pull_request = $1 ORDER BY id`, int64(id))
	if err != nil {
		return nil, fmt.Errorf("list threads of pull request %d: %w", id, err)
	}
	if len(list) == 0 {
		return list, nil
	}
	return list, s.addComments(ctx, id, list)
}

func (s *Service) addComments(ctx context.Context, id slipway.PullRequestID, threads []Thread) error {
	type row struct {
		thread int64
		Comment
	}
	scan := func(r interface{ Scan(...any) error }, c *row) error {
		var actor string
		var created, edited int64
		if err := r.Scan(&c.thread, &c.Number, &c.Parent, &actor, &c.Text, &created, &edited, &c.Deleted); err != nil {
			return err
		}
		c.Created = db.Time(created)
		if edited != 0 {
			c.Edited = db.Time(edited)
		}
		return json.Unmarshal([]byte(actor), &c.Author)
	}
	const query = `
		SELECT thread, number, parent, actor, text, created, edited, deleted FROM pull_request_comments
		WHERE thread IN (SELECT id FROM pull_request_threads WHERE pull_request = $1) ORDER BY thread, number`
	rows, err := db.List(ctx, s.db, scan, query, int64(id))
	if err != nil {
		return fmt.Errorf("list comments of pull request %d: %w", id, err)
	}
	for _, r := range rows {
		if i := slices.IndexFunc(threads, func(t Thread) bool { return t.ID == r.thread }); i >= 0 {
			threads[i].Comments = append(threads[i].Comments, r.Comment)
		}
	}
	return nil
}
