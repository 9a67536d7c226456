package repos

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/events"
)

// EventLimitsChanged says that the limits of a repository, or of all of a project, were changed. Its payload is a Limits.
const EventLimitsChanged events.Kind = "repos.limits_changed"

// Limits bound what a push may bring. 0 is no limit.
type Limits struct {
	Pack       int64 `json:"pack"`       // bytes of one push
	File       int64 `json:"file"`       // bytes of one file
	PathLength int64 `json:"pathLength"` // bytes of one path
	PathDepth  int64 `json:"pathDepth"`  // names in one path
	Refs       int64 `json:"refs"`       // branches and tags
}

// or takes the limits that are not set from others.
func (l Limits) or(other Limits) Limits {
	for _, p := range [][2]*int64{{&l.Pack, &other.Pack}, {&l.File, &other.File}, {&l.PathLength, &other.PathLength}, {&l.PathDepth, &other.PathDepth}, {&l.Refs, &other.Refs}} {
		if *p[0] == 0 {
			*p[0] = *p[1]
		}
	}
	return l
}

func projectScope(id slipway.ProjectID) string       { return "project/" + string(id) }
func repositoryScope(id slipway.RepositoryID) string { return "repository/" + string(id) }

// ProjectLimits are those that all repositories of a project have that set no other.
func (s *Service) ProjectLimits(ctx context.Context, id slipway.ProjectID) (Limits, error) {
	return s.limits(ctx, projectScope(id))
}

// RepositoryLimits are what a repository sets itself, and what holds there: its own, or else the project's.
func (s *Service) RepositoryLimits(ctx context.Context, r Repository) (own, effective Limits, err error) {
	if own, err = s.limits(ctx, repositoryScope(r.ID)); err != nil {
		return own, effective, err
	}
	project, err := s.ProjectLimits(ctx, r.Project)
	return own, own.or(project), err
}

func (s *Service) limits(ctx context.Context, scope string) (Limits, error) {
	scan := func(row interface{ Scan(...any) error }, l *Limits) error {
		return row.Scan(&l.Pack, &l.File, &l.PathLength, &l.PathDepth, &l.Refs)
	}
	l, err := db.One(ctx, s.db, scan, `SELECT pack, file, path_length, path_depth, refs FROM repository_limits WHERE scope = $1`, scope)
	if db.IsNoRows(err) {
		return Limits{}, nil
	}
	if err != nil {
		return l, fmt.Errorf("read limits: %w", err)
	}
	return l, nil
}

// SetProjectLimits sets the limits of all repositories of a project that set no other.
func (s *Service) SetProjectLimits(ctx context.Context, id slipway.ProjectID, l Limits, by slipway.Actor) error {
	e := events.Event{Kind: EventLimitsChanged, Project: id, Subject: slipway.Ref(slipway.RefProject, id), Actor: by}
	return s.setLimits(ctx, projectScope(id), l, e)
}

// SetRepositoryLimits sets a repository's own limits.
func (s *Service) SetRepositoryLimits(ctx context.Context, r Repository, l Limits, by slipway.Actor) error {
	return s.setLimits(ctx, repositoryScope(r.ID), l, *r.event(EventLimitsChanged, by))
}

func (s *Service) setLimits(ctx context.Context, scope string, l Limits, e events.Event) error {
	for name, n := range map[string]int64{"pack": l.Pack, "file": l.File, "pathLength": l.PathLength, "pathDepth": l.PathDepth, "refs": l.Refs} {
		if n < 0 || n > 1<<50 {
			p := slipway.Invalid("a limit is a number from 1, or 0 for none, not %d", n)
			p.Field = name
			return p
		}
	}
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		const upsert = `INSERT INTO repository_limits (scope, pack, file, path_length, path_depth, refs) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (scope) DO UPDATE SET pack = $2, file = $3, path_length = $4, path_depth = $5, refs = $6`
		if _, err := tx.ExecContext(ctx, upsert, scope, l.Pack, l.File, l.PathLength, l.PathDepth, l.Refs); err != nil {
			return err
		}
		e := e // Append fills it in, and the transaction may be repeated
		return s.log.Append(ctx, tx, &e, l)
	})
	if err != nil {
		return fmt.Errorf("set limits: %w", err)
	}
	return nil
}

const limitAdvice = "An administrator of the project can change it: slipway repos limits."

// maxTooLarge bounds the files or paths that a refusal names.
const maxTooLarge = 10

// limitRefusals says which limits a push breaks. That of the pack is git's to keep (limitTeller).
func (s *Service) limitRefusals(ctx context.Context, r Repository, ask pushCheck) ([]string, error) {
	_, l, err := s.RepositoryLimits(ctx, r)
	if err != nil {
		return nil, err
	}
	if lines, err := s.refLimit(ctx, r, l, ask); err != nil || len(lines) > 0 {
		return lines, err
	}
	if ask.quarantine == "" {
		return nil, nil
	}
	if lines, err := s.fileLimit(ctx, r, l, ask); err != nil || len(lines) > 0 {
		return lines, err
	}
	return s.pathLimit(ctx, r, l, ask)
}

func (s *Service) refLimit(ctx context.Context, r Repository, l Limits, ask pushCheck) ([]string, error) {
	limit := l.Refs
	if limit == 0 {
		limit = maxRefs
	}
	more := int64(0)
	for _, m := range ask.moves {
		switch {
		case m.Before.IsZero():
			more++
		case m.After.IsZero():
			more--
		}
	}
	if more <= 0 {
		return nil, nil
	}
	n, err := db.One(ctx, s.db, db.Value[int64], `SELECT count(*) FROM repository_refs WHERE repository = $1`, string(r.ID))
	if err != nil || n+more <= limit {
		return nil, err
	}
	return []string{fmt.Sprintf("Limit refs: the repository would have %d branches and tags, and may have %d.", n+more, limit), "Delete some that are not needed: git push origin --delete NAME. " + limitAdvice}, nil
}

// quarantined makes a git command that sees the objects of a push; alone says whether it sees these alone.
func (s *Service) quarantined(ctx context.Context, id slipway.RepositoryID, ask pushCheck, alone bool, args ...string) (*exec.Cmd, error) {
	dir, name := s.dir(id), filepath.Base(ask.quarantine) // the rest of git's path may lead over symbolic links
	if !strings.HasPrefix(name, "tmp_objdir-") {
		return nil, fmt.Errorf("git's quarantine is at %q, which is no folder of its", ask.quarantine)
	}
	cmd := s.git.prepare(ctx, dir, args...)
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "GIT_OBJECT_DIRECTORY="+filepath.Join(dir, "objects", name))
	if !alone {
		cmd.Env = append(cmd.Env, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+filepath.Join(dir, "objects"))
	}
	return cmd, nil
}

// runQuarantined runs such a command and calls line for each line of its output, or part that ends with a zero.
func (s *Service) runQuarantined(cmd *exec.Cmd, end byte, line func(text string)) error {
	out, stderr := &lineWriter{end: end, line: line}, &limitedBuffer{limit: maxStderr}
	cmd.Stdout, cmd.Stderr = out, stderr
	err := cmd.Run()
	killGroup(cmd)
	if err != nil {
		return &gitError{verb: cmd.Args[1], stderr: strings.TrimSpace(stderr.buf.String()), err: err}
	}
	return nil
}

// lineWriter calls line for each part of what is written.
type lineWriter struct {
	end  byte
	rest []byte
	line func(text string)
}

func (w *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, w.end)
		if i < 0 {
			w.rest = append(w.rest, b...)
			return n, nil
		}
		w.line(string(append(w.rest, b[:i]...)))
		w.rest, b = w.rest[:0], b[i+1:]
	}
}

func (s *Service) fileLimit(ctx context.Context, r Repository, l Limits, ask pushCheck) ([]string, error) {
	if l.File == 0 {
		return nil, nil
	}
	cmd, err := s.quarantined(ctx, r.ID, ask, true, "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objecttype) %(objectsize)")
	if err != nil {
		return nil, err
	}
	large := map[string]int64{}
	err = s.runQuarantined(cmd, '\n', func(text string) {
		f := strings.Fields(text)
		if len(f) != 3 || f[1] != "blob" {
			return
		}
		if size, err := strconv.ParseInt(f[2], 10, 64); err == nil && size > l.File && len(large) < maxTooLarge {
			large[f[0]] = size
		}
	})
	if err != nil || len(large) == 0 {
		return nil, err
	}
	lines := []string{fmt.Sprintf("Limit file: a file may have %d bytes, and the push brings larger ones:", l.File)}
	names := map[string]string{}
	if cmd, err = s.quarantined(ctx, r.ID, ask, false, "rev-list", "--objects", "--stdin", "--not", "--all"); err != nil {
		return nil, err
	}
	cmd.Stdin = strings.NewReader(revisions(ask))
	err = s.runQuarantined(cmd, '\n', func(text string) {
		if id, path, ok := strings.Cut(text, " "); ok && large[id] > 0 {
			names[id] = path
		}
	})
	if err != nil {
		return nil, err
	}
	for id, size := range large {
		name := names[id]
		if name == "" {
			name = "object " + id[:12]
		}
		lines = append(lines, fmt.Sprintf("  %s has %d", shorten(name, 200), size))
	}
	return append(lines, "Take them out of the commits and keep them with Git LFS (git lfs migrate import --include=PATH). "+limitAdvice), nil
}

func revisions(ask pushCheck) string {
	var b strings.Builder
	for _, m := range ask.moves {
		if !m.After.IsZero() {
			b.WriteString(string(m.After) + "\n")
		}
	}
	return b.String()
}

func (s *Service) pathLimit(ctx context.Context, r Repository, l Limits, ask pushCheck) ([]string, error) {
	if l.PathLength == 0 && l.PathDepth == 0 || revisions(ask) == "" {
		return nil, nil
	}
	cmd, err := s.quarantined(ctx, r.ID, ask, false, "log", "-m", "--root", "--format=", "--name-only", "--no-renames", "--diff-filter=AMT", "-z", "--stdin", "--not", "--all")
	if err != nil {
		return nil, err
	}
	cmd.Stdin = strings.NewReader(revisions(ask))
	var long, deep []string
	seen := map[string]bool{}
	err = s.runQuarantined(cmd, 0, func(path string) {
		path = strings.TrimLeft(path, "\n")
		if path == "" || seen[path] {
			return
		}
		if l.PathLength > 0 && int64(len(path)) > l.PathLength && len(long) < maxTooLarge {
			seen[path], long = true, append(long, fmt.Sprintf("  %s has %d", shorten(path, 200), len(path)))
		}
		if depth := strings.Count(path, "/") + 1; l.PathDepth > 0 && int64(depth) > l.PathDepth && len(deep) < maxTooLarge {
			seen[path], deep = true, append(deep, fmt.Sprintf("  %s has %d", shorten(path, 200), depth))
		}
	})
	if err != nil {
		return nil, err
	}
	var lines []string
	if len(long) > 0 {
		lines = append(append(lines, fmt.Sprintf("Limit pathLength: a path may have %d bytes, and the push brings longer ones:", l.PathLength)), long...)
	}
	if len(deep) > 0 {
		lines = append(append(lines, fmt.Sprintf("Limit pathDepth: a path may have %d names, and the push brings deeper ones:", l.PathDepth)), deep...)
	}
	if len(lines) > 0 {
		lines = append(lines, "Move the files in the commits that bring them (git rebase -i). "+limitAdvice)
	}
	return lines, nil
}
