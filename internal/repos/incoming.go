package repos

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway"
)

const (
	// takeTimeout bounds what a pull request takes from a fork.
	takeTimeout = 10 * time.Minute
	// maxTaken bounds what comes with it at once, in bytes, as a push is bounded.
	maxTaken = 4 << 30
	// maxHave bounds the branches that are said to be there already.
	maxHave = 1000
	// tolerated are the faults of old histories that pushes may have too (settings).
	tolerated = "badTimezone=ignore,missingSpaceBeforeDate=ignore,zeroPaddedFilemode=ignore"
)

// incoming is what one repository takes of another of this server.
type incoming struct {
	from, to Repository
	moves    []refMove // what it is for; After is taken
	actor    slipway.Actor
	shown    *transfer // gets git's progress; nil for nobody
	limit    int64     // bytes; 0 for the receiving repository's alone
}

// takeIn brings objects from one repository to another as a push would: they lie in a quarantine of git's kind until the limits of the receiving
// repository and the scan for secrets have let them through, and what is refused leaves nothing behind. No ref names them yet.
func (s *Service) takeIn(ctx context.Context, in incoming) error {
	missing, err := s.missing(ctx, in.to.ID, in.moves)
	if err != nil || len(missing) == 0 {
		return err
	}
	objects := filepath.Join(s.dir(in.to.ID), "objects")
	quarantine, err := os.MkdirTemp(objects, "tmp_objdir-taken-") // which git's prune removes after a crash
	if err != nil {
		return fmt.Errorf("make quarantine: %w", err)
	}
	defer os.RemoveAll(quarantine)
	if err := s.takePack(ctx, in, quarantine, missing); err != nil {
		return err
	}
	ask := pushCheck{quarantine: quarantine, moves: in.moves}
	lines, err := s.limitRefusals(ctx, in.to, ask)
	if err == nil && len(lines) == 0 {
		if lines, err = s.secretRefusals(ctx, in.to, in.actor, ask); len(lines) > 0 {
			lines[len(lines)-1] += " of a branch of repository " + in.to.Name + " itself, which who may push there does."
		}
	}
	if err != nil {
		return err
	}
	if len(lines) > 0 {
		return slipway.Invalid("repository %s does not take the commits: %s", in.to.Name, strings.Join(lines, " "))
	}
	return admit(quarantine, objects)
}

// missing are the objects to take that are not there.
func (s *Service) missing(ctx context.Context, id slipway.RepositoryID, moves []refMove) ([]slipway.CommitID, error) {
	var names []string
	for _, m := range moves {
		names = append(names, string(m.After))
	}
	there, err := s.present(ctx, id, names)
	var list []slipway.CommitID
	for i, ok := range there {
		if !ok {
			list = append(list, slipway.CommitID(names[i]))
		}
	}
	return list, err
}

// present says which objects a repository has.
func (s *Service) present(ctx context.Context, id slipway.RepositoryID, names []string) ([]bool, error) {
	list := make([]bool, len(names))
	err := s.readers.with(ctx, s.dir(id), func(r *reader) error {
		all, err := r.infos(names)
		for i, o := range all {
			list[i] = !o.missing()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for objects in repository %s: %w", id, err)
	}
	return list, nil
}

// common are the branches' commits of the receiving repository that the other one has too: what they lead to need not come.
func (s *Service) common(ctx context.Context, in incoming) ([]string, error) {
	refs, err := s.refs(ctx, in.to.ID, branchPrefix)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range refs[:min(len(refs), maxHave)] {
		names = append(names, string(r.Commit))
	}
	for _, m := range in.moves {
		if checkCommitID(m.Before) == nil && m.Before != m.After {
			names = append(names, string(m.Before))
		}
	}
	there, err := s.present(ctx, in.from.ID, names)
	var list []string
	for i, ok := range there {
		if ok {
			list = append(list, names[i])
		}
	}
	return list, err
}

// takePack has git pack what is missing in one repository and unpack it in the other's quarantine, checking each object.
func (s *Service) takePack(ctx context.Context, in incoming, quarantine string, missing []slipway.CommitID) error {
	have, err := s.common(ctx, in)
	if err != nil {
		return err
	}
	_, limits, err := s.RepositoryLimits(ctx, in.to)
	if err != nil {
		return err
	}
	select {
	case s.git.long <- struct{}{}:
		defer func() { <-s.git.long }()
	case <-ctx.Done():
		return ctx.Err()
	}
	revisions := &strings.Builder{}
	for _, c := range missing {
		revisions.WriteString(string(c) + "\n")
	}
	for _, c := range have {
		revisions.WriteString("^" + c + "\n")
	}
	pack := s.git.prepare(ctx, s.dir(in.from.ID), "pack-objects", "--revs", "--thin", "--stdout", "--delta-base-offset", "--progress")
	args := []string{"index-pack", "--stdin", "--fix-thin", "--strict=" + tolerated}
	limit := limits.Pack
	if in.limit > 0 && (limit == 0 || in.limit < limit) {
		limit = in.limit
	}
	if limit > 0 {
		args = append(args, fmt.Sprintf("--max-input-size=%d", limit))
	}
	index := s.git.prepare(ctx, s.dir(in.to.ID), args...)
	index.Env = append(index.Env[:len(index.Env):len(index.Env)], "GIT_OBJECT_DIRECTORY="+quarantine,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES="+filepath.Join(s.dir(in.to.ID), "objects"))
	packed, indexed := &lastBytes{limit: maxStderr}, &lastBytes{limit: maxStderr}
	pack.Stdin, pack.Stderr = strings.NewReader(revisions.String()), packed
	if in.shown != nil {
		pack.Stderr = io.MultiWriter(packed, in.shown)
	}
	index.Stderr = indexed
	packErr, indexErr := join(pack, index)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case indexErr != nil && limit > 0 && strings.Contains(string(indexed.b), "maximum allowed size"):
		return slipway.Limit("limit pack: a push to repository %s may have %d bytes, and the new commits have more; %s", in.to.Name, limit, limitAdvice)
	case indexErr != nil:
		return fmt.Errorf("take objects: %w", &gitError{verb: "index-pack", stderr: strings.TrimSpace(string(indexed.b)), err: indexErr})
	case packErr != nil:
		return fmt.Errorf("take objects: %w", &gitError{verb: "pack-objects", stderr: strings.TrimSpace(string(packed.b)), err: packErr})
	}
	return nil
}

// join runs two commands, of which the second reads what the first writes, and says how each ended.
func join(first, second *exec.Cmd) (firstErr, secondErr error) {
	from, to, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("open pipe: %w", err), nil
	}
	first.Stdout, second.Stdin = to, from
	err = first.Start()
	_ = to.Close()
	if err != nil {
		_ = from.Close()
		return fmt.Errorf("start git: %w", err), nil
	}
	secondErr = second.Run()
	_ = from.Close() // which ends the first, if it still writes
	firstErr = first.Wait()
	killGroup(first)
	killGroup(second)
	return firstErr, secondErr
}

// admit moves packs out of their quarantine, each index last: git sees a pack by its index.
func admit(quarantine, objects string) error {
	list, err := os.ReadDir(filepath.Join(quarantine, "pack"))
	if err != nil {
		return fmt.Errorf("admit objects: %w", err)
	}
	slices.SortStableFunc(list, func(a, b os.DirEntry) int {
		last := func(d os.DirEntry) int {
			if strings.HasSuffix(d.Name(), ".idx") {
				return 1
			}
			return 0
		}
		return last(a) - last(b)
	})
	folder := filepath.Join(objects, "pack")
	if err := makeFolder(folder); err != nil {
		return err
	}
	for _, d := range list {
		if err := os.Rename(filepath.Join(quarantine, "pack", d.Name()), filepath.Join(folder, d.Name())); err != nil {
			return fmt.Errorf("admit objects: %w", err)
		}
	}
	dir, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("admit objects: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("admit objects: %w", err)
	}
	return nil
}

// copyLarge gives a repository the large files of Git LFS that the revisions name by pointers, as far as the other one has them.
func (s *Service) copyLarge(ctx context.Context, from, to slipway.RepositoryID, by slipway.Actor, shown *transfer, revisions ...string) error {
	if s.Objects == nil {
		return nil
	}
	wanted, err := s.pointers(ctx, to, nil, revisions...)
	if err != nil {
		return err
	}
	for i, o := range wanted {
		if _, err := s.LFSObject(ctx, to, o.OID); err == nil {
			continue
		}
		content, err := s.OpenLFSObject(ctx, from, o.OID)
		if slipway.CodeOf(err) == slipway.CodeNotFound { // nobody has uploaded it
			continue
		}
		if err != nil {
			return err
		}
		_, err = s.PutLFSObject(ctx, by, to, o.OID, content)
		_ = content.Close()
		if err != nil {
			return err
		}
		if shown != nil {
			shown.say(fmt.Sprintf("Large files: %d/%d", i+1, len(wanted)))
		}
	}
	return nil
}
