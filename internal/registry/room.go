package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"slipway"
	"slipway/internal/db"
)

// Body is a reader of which it is known beforehand how much it gives.
type Body struct {
	io.Reader
	Length int64 // bytes; negative when nobody said
}

// Size is the length, as strings.Reader and blob.Object have it.
func (b Body) Size() int64 { return b.Length }

// room knows what requests under way take of quotas, as long as no row counts it. A server that is killed drops those bytes.
type room struct {
	// settling is held while it is judged whether there is room for more, and while bytes of a request become those of a row: so nothing is
	// counted twice then, nor missed.
	settling sync.Mutex

	mu     sync.Mutex
	claims map[*claim]struct{}
}

// taken adds up what requests to repositories that match have received, or will.
func (r *room) taken(match func(Repository) bool) (bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.claims {
		if match(c.repo) {
			bytes += c.bytes.Load()
		}
	}
	return bytes
}

// writes reports that a request is writing to the upload.
func (r *room) writes(upload string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.claims {
		if c.upload == upload {
			return true
		}
	}
	return false
}

// claim is the body of a request as quotas see it. One of known length takes its room before its first byte, another as its bytes come, and fails as soon as
// there is none left. Where no quota holds it asks nothing. end it in any case.
type claim struct {
	r       io.Reader
	service *Service
	ctx     context.Context
	repo    Repository
	upload  string // empty for a blob that comes whole
	quotas  governing
	known   bool         // its length
	bytes   atomic.Int64 // that no row counts yet
	next    int64        // bytes at which is looked whether there is room for more
	refused error
}

// newClaim fails with DENIED when the repository has no room for r. d, when it is known, is what r will be: content that is there needs no room.
func (s *Service) newClaim(ctx context.Context, repo Repository, upload string, d slipway.Digest, r io.Reader) (*claim, error) {
	c := &claim{r: r, service: s, ctx: ctx, repo: repo, upload: upload}
	var err error
	if c.quotas, err = readGoverning(ctx, s.db, repo); err != nil || !c.quotas.bounded() {
		return c, err
	}
	if d != "" {
		if there, err := linked(ctx, s.db, repo, d); err != nil || there {
			c.quotas = governing{}
			return c, err
		}
	}
	more := sizeOf(r)
	c.known = more >= 0
	if !c.known {
		more = 1 // at least
	}
	s.room.settling.Lock()
	defer s.room.settling.Unlock()
	left, err := s.judge(ctx, repo, c.quotas, more)
	if err != nil {
		return c, err
	}
	if c.known {
		c.bytes.Store(more)
	}
	c.next = step(left + more)
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	s.room.claims[c] = struct{}{}
	return c, nil
}

func sizeOf(r io.Reader) int64 {
	if sized, ok := r.(interface{ Size() int64 }); ok {
		return sized.Size()
	}
	return -1
}

// step is how many bytes may come until it is looked again how many are left: others take from them meanwhile.
func step(left int64) int64 { return min(left, max(left/64, 64<<10)) }

func (c *claim) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.known || !c.quotas.bounded() {
		return n, err
	}
	if bytes := c.bytes.Add(int64(n)); bytes > c.next {
		if c.refused = c.look(bytes); c.refused != nil {
			return 0, c.refused
		}
	}
	return n, err
}

func (c *claim) look(bytes int64) error {
	c.service.room.settling.Lock()
	defer c.service.room.settling.Unlock()
	left, err := c.service.judge(c.ctx, c.repo, c.quotas, 0)
	c.next = bytes + step(left)
	return err
}

// settle makes what was claimed count by the rows that record writes.
func (c *claim) settle(record func() error) error {
	if !c.quotas.bounded() {
		return record()
	}
	c.service.room.settling.Lock()
	defer c.service.room.settling.Unlock()
	before := c.bytes.Swap(0)
	err := record()
	if err != nil {
		c.bytes.Store(before)
	}
	return err
}

func (c *claim) end() {
	c.service.room.mu.Lock()
	defer c.service.room.mu.Unlock()
	delete(c.service.room.claims, c)
}

// uploadRest is after how long without a byte an upload is given up when others need its room.
const uploadRest = time.Hour

// judge says how many bytes are left beside `more`, DENIED when not even those have room, also not by giving up uploads at rest. The caller holds settling.
func (s *Service) judge(ctx context.Context, repo Repository, g governing, more int64) (left int64, err error) {
	left, err = s.checkBytes(ctx, s.db, repo, g, more)
	var refused *Error
	if !errors.As(err, &refused) {
		return left, err
	}
	gaveUp, resting := s.giveUp(ctx, repo, g)
	if resting != nil || !gaveUp {
		return left, errors.Join(err, resting)
	}
	return s.checkBytes(ctx, s.db, repo, g, more)
}

// giveUp cancels uploads at rest to what the quota is over, and says whether there were any.
func (s *Service) giveUp(ctx context.Context, repo Repository, g governing) (found bool, err error) {
	const query = `
		SELECT id FROM registry_uploads
		WHERE received > 0 AND updated < $1 AND repository_id IN (SELECT id FROM registry_repositories WHERE id = $2 OR ($3 AND project = $4))
		LIMIT 1000`
	list, err := db.List(ctx, s.db, db.Value[string], query,
		db.Micros(s.clock.Now().Add(-uploadRest)), repo.ID, g.project.Quota.Bytes > 0, string(repo.Project))
	if err != nil {
		return false, fmt.Errorf("find uploads at rest: %w", err)
	}
	for _, id := range list {
		if s.room.writes(id) {
			continue
		}
		if err := s.Cancel(ctx, Upload{ID: id}); err != nil {
			return found, err
		}
		found = true
	}
	return found, nil
}
