package repos

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway"
)

// checkPlace makes sure that there are such lines, and returns the commit that has them. at names the commit that the writer looked at; the newest
// when zero.
func (s *Service) checkPlace(ctx context.Context, p PullRequest, to *Place, at slipway.CommitID) (slipway.CommitID, error) {
	to.Path = strings.Trim(to.Path, "/")
	if to.Path == "" {
		*to = Place{}
		return p.SourceCommit, nil
	}
	if to.Side == "" {
		to.Side = Right
	}
	commit, err := s.placeCommit(ctx, p, to.Side, at)
	if err != nil {
		return "", err
	}
	f, err := s.File(ctx, p.Repository, commit, to.Path, MaxFile)
	if err != nil {
		return "", err
	}
	if to.End <= to.Line {
		to.End = 0
	}
	if lines := strings.Count(string(f.Content), "\n") + 1; to.Line < 0 || to.Last() > lines || to.Line == 0 && to.End != 0 {
		return "", slipway.Invalid("%s has %d lines there, and no line %d", to.Path, lines, to.Last())
	}
	return commit, nil
}

// placeCommit is the commit that a side's lines are of.
func (s *Service) placeCommit(ctx context.Context, p PullRequest, side Side, at slipway.CommitID) (slipway.CommitID, error) {
	if side != Left && side != Right {
		return "", slipway.Invalid("a line is of the left or the right side, not %q", shorten(string(side), 40))
	}
	if at.IsZero() {
		if side == Right {
			return p.SourceCommit, nil
		}
		return s.MergeBase(ctx, p.Repository, p.TargetCommit, p.SourceCommit)
	}
	all, err := s.Iterations(ctx, p.ID)
	if err != nil {
		return "", err
	}
	for _, i := range all {
		if side == Right && i.SourceCommit == at || side == Left && i.BaseCommit == at {
			return at, nil
		}
	}
	return "", slipway.Conflict("commit %s is of no iteration of pull request %d: look at it again", at.Short(), p.ID)
}

// moveThreads finds where the lines of threads are in two commits: those of the left side in left, those of the right side in right.
func (s *Service) moveThreads(ctx context.Context, p PullRequest, threads []Thread, left, right slipway.CommitID) error {
	type way struct{ from, to slipway.CommitID }
	diffs := map[way]Diff{}
	for n := range threads {
		t := &threads[n]
		now := right
		if t.Place.Side == Left {
			now = left
		}
		if t.Place.Path == "" || t.Commit == now {
			continue
		}
		w := way{t.Commit, now}
		d, ok := diffs[w]
		if !ok {
			var err error
			if d, err = s.Diff(ctx, p.Repository, w.from, w.to); err != nil {
				if slipway.CodeOf(err) != slipway.CodeNotFound { // a forced push, and garbage collected since
					return err
				}
				d = Diff{Truncated: true}
			}
			diffs[w] = d
		}
		i := slices.IndexFunc(d.Files, func(f FileDiff) bool { return f.OldPath == t.Place.Path })
		if i >= 0 && d.Files[i].Unread || i < 0 && d.Truncated {
			var err error
			if d, err = s.pathDiff(ctx, p.Repository, w.from, w.to, t.Place.Path); err != nil {
				return err
			}
		}
		t.Now, t.Outdated = moved(t.Place, d)
	}
	return nil
}

// pathDiff is the difference of the one file that had the path, for one that a difference of everything left out.
func (s *Service) pathDiff(ctx context.Context, id slipway.RepositoryID, from, to slipway.CommitID, path string) (Diff, error) {
	changes, more, err := s.Changes(ctx, id, from, to)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return Diff{Truncated: true}, nil
	}
	if err != nil {
		return Diff{}, err
	}
	for _, c := range changes {
		if c.OldPath != path {
			continue
		}
		ask := DiffRequest{From: from, To: to, Path: c.Path()}
		if c.Status == FileRenamed {
			ask.Was = c.OldPath
		}
		return s.Compare(ctx, id, ask)
	}
	return Diff{Truncated: more}, nil
}

// moved is where a place is after a change, and whether one of its lines was changed itself.
func moved(at Place, d Diff) (Place, bool) {
	for _, f := range d.Files {
		if f.OldPath != at.Path {
			continue
		}
		if f.Status == FileDeleted || f.Binary || f.Unread {
			return at, true
		}
		now := Place{Path: f.NewPath, Side: at.Side}
		var gone bool
		for line := at.Line; line <= at.Last() && line > 0; line++ {
			n, ok := movedLine(line, f.Hunks)
			gone = gone || !ok
			if line == at.Line {
				now.Line = n
			}
			if line == at.End {
				now.End = n
			}
		}
		if gone {
			return at, true
		}
		return now, false
	}
	return at, d.Truncated
}

// movedLine is a line's number after a change, and whether it is there still.
func movedLine(line int, hunks []Hunk) (int, bool) {
	now := line
	for _, h := range hunks {
		if line >= h.OldStart+h.OldLines {
			now += h.NewLines - h.OldLines
			continue
		}
		for _, l := range h.Lines {
			if l.Op != '+' && l.Old == line {
				return l.New, l.Op != '-'
			}
		}
	}
	return now, true
}

// contextLines are the lines before those of a thread that it is shown with when they have changed since.
const contextLines = 3

// ThreadLine is a line of a text that a thread was about.
type ThreadLine struct {
	Number int
	Text   string
	Own    bool // it is one of the thread's, and not of its surroundings
}

// ThreadContext returns the lines of a thread as its writer saw them, with a few before them; none when they are gone.
func (s *Service) ThreadContext(ctx context.Context, p PullRequest, t Thread) ([]ThreadLine, error) {
	if t.Place.Line == 0 {
		return nil, nil
	}
	f, err := s.File(ctx, p.Repository, t.Commit, t.Place.Path, maxDiff)
	if slipway.CodeOf(err) == slipway.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the lines of thread %d: %w", t.ID, err)
	}
	if f.TooLarge || f.Binary {
		return nil, nil
	}
	var lines []ThreadLine
	number := 0
	for text := range strings.Lines(string(f.Content)) {
		number++
		if number >= t.Place.Line-contextLines && number <= t.Place.Last() {
			lines = append(lines, ThreadLine{number, strings.TrimRight(text, "\r\n"), number >= t.Place.Line})
		}
	}
	return lines, nil
}
