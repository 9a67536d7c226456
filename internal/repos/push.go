package repos

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// EventPushed says that one branch or tag was made, moved or deleted. Subject is the repository; it refers to the
// branch and to the commits that are new on it. Its payload is a Pushed. Of many that change at once the first hundred have one.
const EventPushed events.Kind = "repos.pushed"

// Bounds of one EventPushed. The event has references to all its commits; messages and paths are in the payload
// as far as they fit (Commits and ChangedPaths give all).
const (
	maxPushedCommits = 1000
	maxPushedPaths   = 10_000
	commitBytes      = 36 << 10 // of the payload, for commits
	pathBytes        = 20 << 10 // of the payload, for paths
	maxMessage       = 2 << 10  // of one message
	refsAlone        = 100      // of those that are announced at once, that have an event of their own (EventPushedMany)
)

// Pushed is the payload of EventPushed.
type Pushed struct {
	EventID     int64                `json:"-"`
	Repository  slipway.RepositoryID `json:"repository"`
	Name        string               `json:"name"`             // the repository's
	Ref         string               `json:"ref"`              // refs/heads/main, refs/tags/v1
	Before      slipway.CommitID     `json:"before"`           // empty when the ref is new
	After       slipway.CommitID     `json:"after"`            // empty when it was deleted; the tagged commit of a tag
	Forced      bool                 `json:"forced"`           // After does not descend from Before
	Commits     []PushedCommit       `json:"commits"`          // new on this ref, newest first; of a tag the one it names
	MoreCommits bool                 `json:"more_commits"`     // there are more than Commits holds
	Paths       []string             `json:"paths"`            // files that differ between Before and After, or since the default branch for a new branch
	MorePaths   bool                 `json:"more_paths"`       // there are more than Paths holds
	FirstPush   bool                 `json:"first_push"`       // the repository had no branch before
	DefaultRef  bool                 `json:"default_branch"`   // Ref is the repository's default branch
	Copied      bool                 `json:"copied,omitempty"` // it came with the making of a fork: nobody has changed anything
	Together    bool                 `json:"-"`                // it was told by an EventPushedMany: neither commits nor paths nor Forced were looked for
}

// PushedCommit is one commit in a Pushed.
type PushedCommit struct {
	ID      slipway.CommitID `json:"id"`
	Message string           `json:"message"` // at most 2 KiB of it
	Author  Signature        `json:"author"`
}

// Deleted says that the ref is gone.
func (p Pushed) Deleted() bool { return p.After.IsZero() }

// change is the difference of one ref between its row and the disk. A missing side has an empty Target.
type change struct{ before, after Ref }

func (c change) name() string { return cmp.Or(c.after.Full, c.before.Full) }

// silent says that no commit is concerned: a tag of a tree or a file. Its row moves without an event.
func (c change) silent() bool { return c.before.Commit.IsZero() && c.after.Commit.IsZero() }

// errMoved says that another process announced one of the refs in between.
var errMoved = errors.New("ref was announced by another process")

// Announce compares refs on disk (those named, or all branches and tags) with what was last announced and publishes
// each difference as an event of actor. It is called after every push and commit, and may be called at any time.
func (s *Service) Announce(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, names ...string) ([]Pushed, error) {
	defer s.announce.lock(id)()
	const tries = 5
	for try := 1; ; try++ {
		list, err := s.announceOnce(ctx, id, actor, names)
		if err == nil && len(list) > 0 {
			s.requestUpkeep()
			s.wakeMirrors()
		}
		if err == nil || try == tries || !errors.Is(err, errMoved) {
			return list, err
		}
	}
}

func (s *Service) announceOnce(ctx context.Context, id slipway.RepositoryID, actor slipway.Actor, names []string) ([]Pushed, error) {
	r, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	disk, err := s.refsOnDisk(ctx, id, names...)
	if err != nil {
		return nil, err
	}
	rows, changes, err := s.unannounced(ctx, r, disk, names)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	if r, err = s.chooseDefaultBranch(ctx, r, rows, disk); err != nil {
		return nil, err
	}
	slices.SortFunc(changes, func(a, b change) int { return r.order(a.name(), b.name()) })
	s.graphFirst(ctx, id, changes)
	alone := min(len(changes), refsAlone)
	done, err := s.publish(ctx, r, actor, rows, changes[:alone])
	if err != nil {
		return done, err
	}
	for part := range slices.Chunk(changes[alone:], manyPerTx) {
		list, err := s.publishMany(ctx, r, actor, part)
		done = append(done, list...)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// unannounced are the differences between rows and disk, with the rows that describing them asks for: all, unless a few refs moved that
// were there before.
func (s *Service) unannounced(ctx context.Context, r Repository, disk map[string]Ref, names []string) (rows map[string]Ref, changes []change, err error) {
	if len(names) > 0 && len(names) <= fewRefs {
		defaultBranch := branchPrefix + r.DefaultBranch
		if rows, err = s.announcedRefs(ctx, r.ID, append(slices.Clone(names), defaultBranch)...); err != nil {
			return nil, nil, err
		}
		changes = differences(rows, disk, names)
		made := slices.ContainsFunc(changes, func(c change) bool { return c.before.Target == "" && strings.HasPrefix(c.name(), branchPrefix) })
		if _, ok := rows[defaultBranch]; ok && !made || len(changes) == 0 {
			return rows, changes, nil
		}
	}
	rows, err = s.announcedRefs(ctx, r.ID)
	return rows, differences(rows, disk, names), err
}

// differences compares rows and disk, restricted to names unless there are none.
func differences(rows, disk map[string]Ref, names []string) []change {
	if len(names) == 0 {
		all := maps.Clone(rows)
		maps.Copy(all, disk)
		names = slices.Collect(maps.Keys(all))
	}
	var list []change
	for _, n := range names {
		if rows[n].Target != disk[n].Target {
			list = append(list, change{before: rows[n], after: disk[n]})
		}
	}
	return list
}

// order puts the default branch first, so that commits count as its own, then branches, then tags, by name.
func (r Repository) order(a, b string) int {
	rank := func(name string) int {
		switch {
		case name == branchPrefix+r.DefaultBranch:
			return 0
		case strings.HasPrefix(name, branchPrefix):
			return 1
		}
		return 2
	}
	return cmp.Or(rank(a)-rank(b), strings.Compare(a, b))
}

// chooseDefaultBranch takes a pushed branch as the default one when the first push lacks the default branch.
func (s *Service) chooseDefaultBranch(ctx context.Context, r Repository, rows, disk map[string]Ref) (Repository, error) {
	isBranch := func(name string) bool { return strings.HasPrefix(name, branchPrefix) }
	branches := slices.DeleteFunc(slices.Sorted(maps.Keys(disk)), func(n string) bool { return !isBranch(n) })
	for n := range rows {
		if isBranch(n) {
			return r, nil
		}
	}
	if len(branches) == 0 || slices.Contains(branches, branchPrefix+r.DefaultBranch) {
		return r, nil
	}
	choice := branches[0]
	for _, usual := range []string{branchPrefix + "main", branchPrefix + "master"} {
		if slices.Contains(branches, usual) {
			choice = usual
			break
		}
	}
	r.DefaultBranch = strings.TrimPrefix(choice, branchPrefix)
	return r, s.setDefaultBranch(ctx, r.ID, r.DefaultBranch)
}

// publish describes the changes, then moves their rows and appends their events in one transaction. rows is brought
// up to date as it goes.
func (s *Service) publish(ctx context.Context, r Repository, actor slipway.Actor, rows map[string]Ref, changes []change) ([]Pushed, error) {
	copied, err := s.copying(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	first := true
	for n := range rows {
		first = first && !strings.HasPrefix(n, branchPrefix)
	}
	var list []Pushed
	var all []events.Event
	known := knownTips(rows)
	for _, c := range changes {
		if c.silent() {
			continue
		}
		p, ids, err := s.describe(ctx, r, rows, known, c)
		if err != nil {
			return nil, fmt.Errorf("describe push to %s of repository %s: %w", c.name(), r.Name, err)
		}
		p.FirstPush, p.Copied = first, copied
		list, all = append(list, p), append(all, r.pushEvent(p, ids, actor))
		if c.after.Target != "" {
			rows[p.Ref] = c.after
			if strings.HasPrefix(p.Ref, branchPrefix) {
				known[p.After] = &p
			}
		} else {
			delete(rows, p.Ref)
		}
	}
	who, err := json.Marshal(actor)
	if err != nil {
		return nil, fmt.Errorf("encode actor: %w", err)
	}
	if err := s.keepDeleted(ctx, r.ID, changes); err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := s.moveRows(ctx, tx, r.ID, changes, string(who)); err != nil {
			return err
		}
		if err := errors.Join(s.pushDue(ctx, tx, r.ID), s.wantUpkeep(ctx, tx, r.ID)); err != nil {
			return err
		}
		for i := range list {
			e := all[i] // Append fills it in, and the transaction may be repeated
			if err := s.log.Append(ctx, tx, &e, list[i]); err != nil {
				return err
			}
			list[i].EventID = e.ID
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("announce push to repository %s: %w", r.Name, err)
	}
	return list, nil
}

// pushEvent is the event of p, whose new commits are ids.
func (r Repository) pushEvent(p Pushed, ids []slipway.CommitID, actor slipway.Actor) events.Event {
	e := *r.event(EventPushed, actor)
	if strings.HasPrefix(p.Ref, branchPrefix) {
		e.References = append(e.References, slipway.Ref(slipway.RefBranch, string(r.ID)+"/"+p.Ref))
	}
	for _, id := range ids {
		e.References = append(e.References, slipway.Ref(slipway.RefCommit, id))
	}
	return e
}

// tips are the commits that branches are at, or were before the same push, each with what was found out of one of them, nil when nothing was.
type tips map[slipway.CommitID]*Pushed

func knownTips(rows map[string]Ref) tips {
	known := tips{}
	for n, ref := range rows {
		if strings.HasPrefix(n, branchPrefix) {
			known[ref.Commit] = nil
		}
	}
	return known
}

// describe finds out what a change brought. It also returns the ids of all its commits.
func (s *Service) describe(ctx context.Context, r Repository, rows map[string]Ref, known tips, c change) (Pushed, []slipway.CommitID, error) {
	p := Pushed{
		Repository: r.ID, Name: r.Name, Ref: c.name(), Before: c.before.Commit, After: c.after.Commit,
		DefaultRef: c.name() == branchPrefix+r.DefaultBranch, Commits: []PushedCommit{}, Paths: []string{},
	}
	if p.Deleted() {
		return p, nil, nil
	}
	if !strings.HasPrefix(p.Ref, branchPrefix) {
		ids := []slipway.CommitID{p.After}
		_, err := s.addCommits(ctx, &p, ids)
		return p, ids, err
	}
	same, tip := known[p.After]
	if p.Before.IsZero() && tip { // a branch made where another one is: many come so at once
		err := s.copyPaths(ctx, &p, same, rows[branchPrefix+r.DefaultBranch].Commit)
		return p, []slipway.CommitID{p.After}, err
	}
	not := []slipway.CommitID{p.Before}
	if p.Before.IsZero() {
		not = slices.Collect(maps.Keys(known))
	}
	ids, more, err := s.newCommits(ctx, r.ID, p.After, not, maxPushedCommits)
	if err != nil {
		return p, nil, err
	}
	p.MoreCommits = more
	descends, err := s.addCommits(ctx, &p, ids)
	if err != nil {
		return p, nil, err
	}
	if !p.Before.IsZero() && !descends {
		if err := s.checkForced(ctx, &p); err != nil {
			return p, nil, err
		}
	}
	if err := s.addPaths(ctx, &p, rows[branchPrefix+r.DefaultBranch].Commit); err != nil {
		return p, nil, err
	}
	if !slices.Contains(ids, p.After) { // a branch made of what is known already
		ids = append(ids, p.After)
	}
	return p, ids, nil
}

// copyPaths fills in the changed paths of a new branch, which are those of another new one at the same commit, and none at the default branch.
func (s *Service) copyPaths(ctx context.Context, p, same *Pushed, defaultBranch slipway.CommitID) error {
	switch {
	case p.After == defaultBranch:
		return nil
	case same != nil && same.Before.IsZero():
		p.Paths, p.MorePaths = same.Paths, same.MorePaths
		return nil
	}
	return s.addPaths(ctx, p, defaultBranch)
}

// checkForced finds out whether the new value descends from the old one. A value that git has not got any more
// counts as none.
func (s *Service) checkForced(ctx context.Context, p *Pushed) error {
	args := []string{"merge-base", "--is-ancestor", string(p.Before), string(p.After)}
	_, err := s.git.run(ctx, command{dir: s.dir(p.Repository), args: args})
	switch exitCode(err) {
	case 1:
		p.Forced, err = true, nil
	case 128: // no such object
		p.Forced, p.Before, err = true, "", nil
	}
	return err
}

// addCommits fills in the commits as far as they fit. descends says that one of them is made on top of Before, as it mostly is: then
// nobody needs to look whether After descends from it.
func (s *Service) addCommits(ctx context.Context, p *Pushed, ids []slipway.CommitID) (descends bool, err error) {
	room := commitBytes
	for part := range slices.Chunk(ids, 50) {
		commits, err := s.commits(ctx, p.Repository, part)
		if err != nil {
			return false, err
		}
		for _, c := range commits {
			descends = descends || !p.Before.IsZero() && slices.Contains(c.Parents, p.Before)
			one := PushedCommit{ID: c.ID, Message: shorten(strings.TrimSpace(c.Message), maxMessage), Author: c.Author}
			one.Author.Name, one.Author.Email = shorten(one.Author.Name, 200), shorten(one.Author.Email, 200)
			b, err := json.Marshal(one)
			if err != nil {
				return false, err
			}
			if room -= len(b) + 1; room < 0 {
				p.MoreCommits = true
				return descends, nil
			}
			p.Commits = append(p.Commits, one)
		}
	}
	return descends, nil
}

// addPaths fills in the changed paths as far as they fit. A new branch is compared with the place where it left the
// default branch.
func (s *Service) addPaths(ctx context.Context, p *Pushed, defaultBranch slipway.CommitID) error {
	from := p.Before
	if from.IsZero() && !defaultBranch.IsZero() {
		base, err := s.MergeBase(ctx, p.Repository, defaultBranch, p.After)
		if err != nil {
			return err
		}
		from = base
	}
	paths, more, err := s.ChangedPaths(ctx, p.Repository, from, p.After, maxPushedPaths)
	if err != nil {
		return err
	}
	p.MorePaths = more
	room := pathBytes
	for _, path := range paths {
		b, err := json.Marshal(path)
		if err != nil {
			return err
		}
		if room -= len(b) + 1; room < 0 {
			p.MorePaths = true
			return nil
		}
		p.Paths = append(p.Paths, path)
	}
	return nil
}

// MergeBase is the best common ancestor of two commits, zero when they have none.
func (s *Service) MergeBase(ctx context.Context, id slipway.RepositoryID, a, b slipway.CommitID) (slipway.CommitID, error) {
	if err := errors.Join(checkCommitID(a), checkCommitID(b)); err != nil {
		return "", err
	}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: []string{"merge-base", string(a), string(b)}})
	if exitCode(err) == 1 {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find merge base in repository %s: %w", id, err)
	}
	return slipway.CommitID(strings.TrimSpace(string(out))), nil
}
