package repos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// EventForkSynced says that a fork took branches of another repository, at first everything, or could not. Its subject is the fork, and it
// refers to the other; its payload is a ForkPayload.
const EventForkSynced events.Kind = "repos.fork_synced"

// ForkPayload is the payload of EventForkSynced.
type ForkPayload struct {
	Sync    int64                `json:"sync"`
	Name    string               `json:"name"` // of the fork
	Source  slipway.RepositoryID `json:"source"`
	Initial bool                 `json:"initial"`
	Change  string               `json:"change"` // succeeded, failed or canceled
	Problem string               `json:"problem,omitempty"`
}

const (
	// maxSyncedBranches bounds the branches that one request names.
	maxSyncedBranches = 100
	// maxNetwork bounds how many forks of forks lie between a repository and the first one.
	maxNetwork = 50
	// maxForkSyncs bounds a list of them.
	maxForkSyncs = 100
)

// ForkRequest asks for a fork: a repository with all that another has, whose branches can be asked to be merged there. The caller has seen to it
// that the actor may read the one and make the other.
type ForkRequest struct {
	Source  slipway.RepositoryID
	Project slipway.ProjectID
	Name    string // the source's when empty
	Branch  string // the only one that is copied, without tags; all branches and tags when empty
	Actor   slipway.Actor
}

// SyncedBranch says which branch of the source becomes which of the fork.
type SyncedBranch struct {
	Source string `json:"source"` // refs/heads/main
	Target string `json:"target"`
}

// ForkSync is one time that a fork takes branches of another repository.
type ForkSync struct {
	ID         int64
	Repository slipway.RepositoryID // the fork
	Source     slipway.RepositoryID
	Initial    bool           // it makes the fork
	Branches   []SyncedBranch // empty for all
	State      MirrorState
	Problem    string // why it failed, in a sentence
	Started    time.Time
	Finished   time.Time
	Created    time.Time
	CreatedBy  slipway.Actor
}

// Fork makes a fork. It is empty and takes no pushes until everything has been copied, in the background.
func (s *Service) Fork(ctx context.Context, req ForkRequest) (Repository, ForkSync, error) {
	from, err := s.Get(ctx, req.Source)
	if err == nil {
		err = from.CheckEnabled()
	}
	if err != nil {
		return Repository{}, ForkSync{}, err
	}
	f := ForkSync{Source: from.ID, Initial: true, State: MirrorQueued, Created: s.clock.Now(), CreatedBy: req.Actor}
	create := CreateRequest{Project: req.Project, Name: req.Name, DefaultBranch: from.DefaultBranch, ObjectFormat: from.ObjectFormat, Actor: req.Actor, parent: from.ID}
	if create.Name == "" {
		create.Name = from.Name
	}
	if req.Branch != "" {
		ref, _, err := s.branch(ctx, from.ID, "sourceRef", req.Branch)
		if err != nil {
			return Repository{}, ForkSync{}, err
		}
		f.Branches, create.DefaultBranch = []SyncedBranch{{ref, ref}}, strings.TrimPrefix(ref, branchPrefix)
	}
	if err := s.checkWhole(ctx, from); err != nil {
		return Repository{}, ForkSync{}, err
	}
	create.also = func(tx *db.Tx, r Repository) error {
		f.Repository = r.ID
		return insertForkSync(ctx, tx, &f)
	}
	r, err := s.Create(ctx, create)
	if err != nil {
		return r, f, err
	}
	wake(s.forksDue)
	return r, f, nil
}

// checkWhole refuses to copy what is still being filled for the first time.
func (s *Service) checkWhole(ctx context.Context, r Repository) error {
	copying, err := s.copying(ctx, r.ID)
	if err != nil {
		return err
	}
	mirrors, err := s.Mirrors(ctx, r.ID)
	if err != nil {
		return err
	}
	if copying || slices.ContainsFunc(mirrors, func(m Mirror) bool { return m.Kind == MirrorImport && m.Fills() }) {
		return slipway.Conflict("repository %s is still being filled: fork it when that has ended", r.Name)
	}
	return nil
}

// copying says whether a fork has not got everything yet.
func (s *Service) copying(ctx context.Context, id slipway.RepositoryID) (bool, error) {
	const query = `SELECT count(*) FROM repository_fork_syncs WHERE repository = $1 AND initial AND state IN ('queued', 'running')`
	n, err := db.One(ctx, s.db, db.Value[int64], query, string(id))
	if err != nil {
		return false, fmt.Errorf("look whether repository %s is being copied: %w", id, err)
	}
	return n > 0, nil
}

// Forks lists the forks of a repository by name, at most 1000, those in projects that the reader may not see too.
func (s *Service) Forks(ctx context.Context, id slipway.RepositoryID) ([]Repository, error) {
	const query = `SELECT ` + repositoryColumns + ` FROM repositories WHERE parent = $1 AND deleted = 0 ORDER BY name_key, id LIMIT $2`
	list, err := db.List(ctx, s.db, scanRepository, query, string(id), maxRepositories)
	if err != nil {
		return nil, fmt.Errorf("list forks of repository %s: %w", id, err)
	}
	return list, nil
}

// Related says whether two repositories come from the same one by forking.
func (s *Service) Related(ctx context.Context, a, b Repository) (bool, error) {
	first, err := s.origin(ctx, a)
	if err != nil {
		return false, err
	}
	other, err := s.origin(ctx, b)
	return first == other, err
}

// origin is the repository from which a fork comes in the end. It may be gone.
func (s *Service) origin(ctx context.Context, r Repository) (slipway.RepositoryID, error) {
	for range maxNetwork {
		if r.Parent == "" {
			return r.ID, nil
		}
		parent, err := s.get(ctx, r.Parent)
		if slipway.CodeOf(err) == slipway.CodeNotFound {
			return r.Parent, nil
		}
		if err != nil {
			return "", err
		}
		r = parent
	}
	return r.ID, nil
}

// SyncFork has a fork take branches of another repository that it is related to: those that are named, or all. Branches are made or
// fast-forwarded; one with commits of its own stays as it is, and the sync fails and names it. The copying of a new fork that failed begins anew.
func (s *Service) SyncFork(ctx context.Context, id, source slipway.RepositoryID, branches []SyncedBranch, by slipway.Actor) (ForkSync, error) {
	r, err := s.Get(ctx, id)
	if err != nil {
		return ForkSync{}, err
	}
	if source == "" {
		source = r.Parent
	}
	if source == "" {
		return ForkSync{}, slipway.Conflict("repository %s is no fork: there is nothing that it is synced with", r.Name)
	}
	from, err := s.Get(ctx, source)
	if err != nil {
		return ForkSync{}, err
	}
	if related, err := s.Related(ctx, r, from); err != nil || !related || r.ID == from.ID {
		if err == nil {
			err = slipway.Invalid("repositories %s and %s have nothing to do with each other: a fork is synced with what it was forked from", r.Name, from.Name)
		}
		return ForkSync{}, err
	}
	if len(branches) > maxSyncedBranches {
		return ForkSync{}, slipway.Limit("at most %d branches are named at once: name none for all", maxSyncedBranches)
	}
	f := ForkSync{Repository: id, Source: from.ID, State: MirrorQueued, Created: s.clock.Now(), CreatedBy: by}
	for _, b := range branches {
		if b.Target == "" {
			b.Target = b.Source
		}
		if b.Source, _, err = s.branch(ctx, from.ID, "sourceRef", b.Source); err != nil {
			return ForkSync{}, err
		}
		b.Target = branchPrefix + strings.TrimPrefix(b.Target, branchPrefix)
		if err := checkBranch(strings.TrimPrefix(b.Target, branchPrefix)); err != nil {
			return ForkSync{}, err
		}
		f.Branches = append(f.Branches, b)
	}
	last, err := s.ForkSyncs(ctx, id)
	if err != nil {
		return ForkSync{}, err
	}
	for _, one := range last {
		switch one.State {
		case MirrorQueued, MirrorRunning:
			return one, slipway.Conflict("repository %s is being synced already: wait until that has ended", r.Name)
		case MirrorSucceeded:
		default:
			f.Initial = f.Initial || one.Initial && len(branches) == 0 && one.Source == from.ID
		}
	}
	if f.Initial = f.Initial && !slices.ContainsFunc(last, func(o ForkSync) bool { return o.Initial && o.State == MirrorSucceeded }); f.Initial {
		f.Branches = last[len(last)-1].Branches
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error { return insertForkSync(ctx, tx, &f) })
	if err != nil {
		return ForkSync{}, fmt.Errorf("sync repository %s: %w", r.Name, err)
	}
	wake(s.forksDue)
	return f, nil
}

func insertForkSync(ctx context.Context, tx *db.Tx, f *ForkSync) error {
	branches := []byte{}
	var err error
	if len(f.Branches) > 0 {
		if branches, err = json.Marshal(f.Branches); err != nil {
			return fmt.Errorf("encode branches: %w", err)
		}
	}
	by, err := json.Marshal(f.CreatedBy)
	if err != nil {
		return fmt.Errorf("encode actor: %w", err)
	}
	const insert = `
		INSERT INTO repository_fork_syncs (repository, source, initial, branches, state, problem, started, finished, created, created_by)
		VALUES ($1, $2, $3, $4, $5, '', 0, 0, $6, $7) RETURNING id`
	return tx.QueryRowContext(ctx, insert, string(f.Repository), string(f.Source), f.Initial, string(branches), string(f.State), db.Micros(f.Created), string(by)).Scan(&f.ID)
}

const forkSyncColumns = `id, repository, source, initial, branches, state, problem, started, finished, created, created_by`

func scanForkSync(row interface{ Scan(...any) error }, f *ForkSync) error {
	var branches, by string
	var started, finished, created int64
	err := row.Scan(&f.ID, (*string)(&f.Repository), (*string)(&f.Source), &f.Initial, &branches, (*string)(&f.State), &f.Problem, &started, &finished, &created, &by)
	if err != nil {
		return err
	}
	f.Started, f.Finished, f.Created = db.Time(started), db.Time(finished), db.Time(created)
	if branches != "" {
		if err := json.Unmarshal([]byte(branches), &f.Branches); err != nil {
			return fmt.Errorf("read branches of sync %d: %w", f.ID, err)
		}
	}
	return json.Unmarshal([]byte(by), &f.CreatedBy)
}

// ForkSyncs lists what a fork took of others, the latest first, at most 100.
func (s *Service) ForkSyncs(ctx context.Context, id slipway.RepositoryID) ([]ForkSync, error) {
	const query = `SELECT ` + forkSyncColumns + ` FROM repository_fork_syncs WHERE repository = $1 ORDER BY id DESC LIMIT $2`
	list, err := db.List(ctx, s.db, scanForkSync, query, string(id), maxForkSyncs)
	if err != nil {
		return nil, fmt.Errorf("list syncs of repository %s: %w", id, err)
	}
	return list, nil
}

// ForkSync returns one of them.
func (s *Service) ForkSync(ctx context.Context, id slipway.RepositoryID, sync int64) (ForkSync, error) {
	f, err := db.One(ctx, s.db, scanForkSync, `SELECT `+forkSyncColumns+` FROM repository_fork_syncs WHERE repository = $1 AND id = $2`, string(id), sync)
	if db.IsNoRows(err) {
		return f, slipway.NotFound("the repository has no sync %d", sync)
	}
	if err != nil {
		return f, fmt.Errorf("find sync %d: %w", sync, err)
	}
	return f, nil
}

// ForkProgress is what git has said of a sync that is under way; nil when it is not.
func (s *Service) ForkProgress(id int64) []string {
	t := s.forking.find(id)
	if t == nil {
		return nil
	}
	return append([]string{}, t.progress()...)
}

// forking are the syncs under way, and of which forks.
type forking struct {
	transfers
	guard sync.Mutex // guards of
	of    map[int64]slipway.RepositoryID
}

func (f *forking) begin(one ForkSync, cancel context.CancelCauseFunc) *transfer {
	f.guard.Lock()
	defer f.guard.Unlock()
	if f.of == nil {
		f.of = map[int64]slipway.RepositoryID{}
	}
	f.of[one.ID] = one.Repository
	return f.start(one.ID, cancel)
}

func (f *forking) over(one ForkSync) {
	f.guard.Lock()
	defer f.guard.Unlock()
	delete(f.of, one.ID)
	f.end(one.ID)
}

// cancelAll ends what is under way for a fork.
func (f *forking) cancelAll(id slipway.RepositoryID, cause error) {
	f.guard.Lock()
	defer f.guard.Unlock()
	for one, of := range f.of {
		if of == id {
			f.cancel(one, cause)
		}
	}
}
