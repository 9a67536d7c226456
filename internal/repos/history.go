package repos

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"slipway"
)

const (
	// historyTime bounds the search through a history.
	historyTime = 20 * time.Second
	// maxHistory bounds the commits that can be left out at the start: who wants more names another commit to begin with.
	maxHistory = 100_000
)

// HistoryRequest asks for a part of the history. All conditions hold together.
type HistoryRequest struct {
	Repository slipway.RepositoryID
	Commit     slipway.CommitID // the newest
	Not        slipway.CommitID // when not zero: without what this one has
	Path       string           // only commits that changed this file or folder; empty for all
	Follow     bool             // Path is a file, which is followed past its renames
	Author     string           // a part of the author's name or address, in any case
	Text       string           // a part of the message, in any case
	Since      time.Time        // zero for no limit; by the committer's time
	Until      time.Time
	Oldest     bool // begin with the oldest
	FirstOnly  bool // first parents alone
	Skip       int  // commits to leave out at the start
	Limit      int  // at most 200, which is also the default
}

// HistoryEntry is a commit of a history.
type HistoryEntry struct {
	Commit
	Path string // of the followed file in this commit; empty when it does not follow one
	Was  string // the file's name before the commit, when the commit renamed it
}

// HistoryPage is a part of a history.
type HistoryPage struct {
	Entries  []HistoryEntry // newest first
	More     bool
	TimedOut bool // the search took too long; what it had found is there
}

// History returns commits that are reachable from req.Commit and meet its conditions.
func (s *Service) History(ctx context.Context, req HistoryRequest) (HistoryPage, error) {
	if req.Limit <= 0 || req.Limit > 200 {
		req.Limit = 200
	}
	req.Skip = min(max(req.Skip, 0), maxHistory)
	args, err := req.arguments()
	if err != nil {
		return HistoryPage{}, err
	}
	limited, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	out, err := s.git.run(limited, command{dir: s.dir(req.Repository), args: args, long: true})
	page := HistoryPage{TimedOut: ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded)}
	if err != nil && !page.TimedOut {
		return page, fmt.Errorf("read history of repository %s: %w", req.Repository, err)
	}
	list := parseHistory(string(out))
	if page.TimedOut && len(list) > 0 {
		list = list[:len(list)-1] // what stands last may be cut off
	}
	list = list[min(req.Skip, len(list)):] // git's own --skip counts commits that it does not show
	if page.More = len(list) > req.Limit; page.More {
		list = list[:req.Limit]
	}
	ids := make([]slipway.CommitID, len(list))
	for i, e := range list {
		ids[i] = e.ID
	}
	commits, err := s.commits(ctx, req.Repository, ids)
	for i, c := range commits {
		list[i].Commit = c
	}
	page.Entries = list
	return page, err
}

// arguments are those of git log. What people write is data in them, never an option or a pattern.
func (r HistoryRequest) arguments() ([]string, error) {
	if err := checkCommitID(r.Commit); err != nil {
		return nil, err
	}
	if strings.ContainsAny(r.Author+r.Text, "\x00\n") || len(r.Author)+len(r.Text) > 1000 {
		return nil, slipway.Invalid("the text to look for must be one line of at most 1000 characters")
	}
	if err := checkPath(r.Path); err != nil {
		return nil, err
	}
	args := []string{"--literal-pathspecs", "log", "--format=%x01%H%x02", "-z", "--no-show-signature", "--no-color", "--fixed-strings", "--regexp-ignore-case"}
	if !r.Oldest { // git counts before it turns the list round
		args = append(args, "--max-count="+strconv.Itoa(r.Skip+r.Limit+1))
	}
	if r.Author != "" {
		args = append(args, "--author="+r.Author)
	}
	if r.Text != "" {
		args = append(args, "--grep="+r.Text)
	}
	if !r.Since.IsZero() {
		args = append(args, gitTime("--since=", r.Since))
	}
	if !r.Until.IsZero() {
		args = append(args, gitTime("--until=", r.Until))
	}
	if r.Oldest {
		args = append(args, "--reverse")
	}
	if r.FirstOnly {
		args = append(args, "--first-parent")
	}
	path := strings.Trim(r.Path, "/")
	if r.Follow && path != "" {
		args = append(args, "--follow", "-M", "--name-status")
	} else {
		args = append(args, "--no-patch")
	}
	args = append(args, string(r.Commit))
	if !r.Not.IsZero() {
		if err := checkCommitID(r.Not); err != nil {
			return nil, err
		}
		args = append(args, "^"+string(r.Not))
	}
	args = append(args, "--")
	if path != "" {
		args = append(args, path)
	}
	return args, nil
}

// gitTime is a moment as git's objects have it: of other forms git takes no year beyond 2099.
func gitTime(option string, t time.Time) string {
	return fmt.Sprintf("%s@%d +0000", option, max(t.Unix(), 0))
}

// parseHistory reads commits, each begun by a byte 1 and ended by a byte 2, with the status and names of the followed file after it:
// `M NUL path` or `R100 NUL old NUL new`.
func parseHistory(out string) []HistoryEntry {
	var list []HistoryEntry
	for part := range strings.SplitSeq(out, "\x01") {
		id, rest, ok := strings.Cut(part, "\x02")
		if !ok || !objectLine().MatchString(id) {
			continue
		}
		e := HistoryEntry{Commit: Commit{ID: slipway.CommitID(id)}}
		fields := strings.Split(strings.Trim(rest, "\x00\n"), "\x00")
		switch {
		case len(fields) >= 3 && (strings.HasPrefix(fields[0], "R") || strings.HasPrefix(fields[0], "C")):
			e.Was, e.Path = fields[1], fields[2]
		case len(fields) >= 2:
			e.Path = fields[1]
		}
		list = append(list, e)
	}
	return list
}

// AheadBehind counts the commits by which two branches differ.
type AheadBehind struct{ Ahead, Behind int }

// AheadBehind counts what branch has and base has not, and the other way round. Either may be zero: then it has nothing.
func (s *Service) AheadBehind(ctx context.Context, id slipway.RepositoryID, base, branch slipway.CommitID) (AheadBehind, error) {
	if base == branch {
		return AheadBehind{}, nil
	}
	if err := errors.Join(checkCommitID(base), checkCommitID(branch)); err != nil {
		return AheadBehind{}, err
	}
	key := [2]string{string(base), string(branch)}
	if n, ok := s.caches.counts.Get(key); ok {
		return n, nil
	}
	args := []string{"rev-list", "--count", "--left-right", string(base) + "..." + string(branch)}
	out, err := s.git.run(ctx, command{dir: s.dir(id), args: args, long: true})
	if err != nil {
		return AheadBehind{}, fmt.Errorf("compare commits of repository %s: %w", id, err)
	}
	var n AheadBehind
	if _, err := fmt.Sscan(string(out), &n.Behind, &n.Ahead); err != nil {
		return n, fmt.Errorf("read git's counts %q: %w", out, err)
	}
	s.caches.counts.Add(key, n)
	return n, nil
}

// Parted is MergeBase, remembered: where the histories of two commits parted, zero when they have nothing in common.
func (s *Service) Parted(ctx context.Context, id slipway.RepositoryID, a, b slipway.CommitID) (slipway.CommitID, error) {
	key := [2]string{string(a), string(b)}
	if base, ok := s.caches.bases.Get(key); ok {
		return base, nil
	}
	base, err := s.MergeBase(ctx, id, a, b)
	if err == nil {
		s.caches.bases.Add(key, base)
	}
	return base, err
}
