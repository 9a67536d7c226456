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

// maxCommit bounds a commit object that is read, in bytes.
const maxCommit = 1 << 20

// Signature is who wrote something in git, and when, in the writer's own time zone.
type Signature struct {
	Name  string    `json:"name"`
	Email string    `json:"email"`
	Time  time.Time `json:"time"`
}

// Commit is one commit.
type Commit struct {
	ID        slipway.CommitID
	Tree      string // object name
	Parents   []slipway.CommitID
	Author    Signature
	Committer Signature
	Message   string // as it is, the last line feed included
}

// Subject is the first line of the message.
func (c Commit) Subject() string {
	subject, _, _ := strings.Cut(strings.TrimLeft(c.Message, "\n"), "\n")
	return subject
}

// Body is the message after its first line.
func (c Commit) Body() string {
	_, body, _ := strings.Cut(strings.TrimLeft(c.Message, "\n"), "\n")
	return strings.TrimSpace(body)
}

// Commit returns one commit by its full object name.
func (s *Service) Commit(ctx context.Context, id slipway.RepositoryID, commit slipway.CommitID) (Commit, error) {
	list, err := s.commits(ctx, id, []slipway.CommitID{commit})
	if err != nil {
		return Commit{}, err
	}
	return list[0], nil
}

func (s *Service) commits(ctx context.Context, id slipway.RepositoryID, ids []slipway.CommitID) ([]Commit, error) {
	list := make([]Commit, 0, len(ids))
	err := s.readers.with(ctx, s.dir(id), func(r *reader) error {
		for _, commit := range ids {
			o, data, err := r.contents(string(commit), maxCommit)
			if errors.Is(err, errTooLarge) {
				return slipway.Limit("commit %s is larger than %d bytes", commit.Short(), maxCommit)
			}
			if err != nil {
				return err
			}
			if o.missing() || o.kind != "commit" {
				return slipway.NotFound("the repository has no commit %s", commit)
			}
			c, err := parseCommit(slipway.CommitID(o.id), data)
			if err != nil {
				return fmt.Errorf("read commit %s: %w", commit, err)
			}
			list = append(list, c)
		}
		return nil
	})
	return list, err
}

// parseCommit reads a commit object: header lines up to an empty one, then the message. Continuation lines of
// headers such as gpgsig begin with a space.
func parseCommit(id slipway.CommitID, data []byte) (Commit, error) {
	head, message, _ := strings.Cut(string(data), "\n\n")
	c := Commit{ID: id, Message: strings.ToValidUTF8(message, "\uFFFD")}
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		var err error
		switch key {
		case "tree":
			c.Tree = value
		case "parent":
			c.Parents = append(c.Parents, slipway.CommitID(value))
		case "author":
			c.Author, err = parseSignature(value)
		case "committer":
			c.Committer, err = parseSignature(value)
		}
		if err != nil {
			return c, err
		}
	}
	if c.Tree == "" {
		return c, errors.New("commit without a tree")
	}
	return c, nil
}

// parseSignature reads `Name <email> 1700000000 +0100`. Old histories hold all sorts of things here, so what
// cannot be read of the time is left out.
func parseSignature(s string) (Signature, error) {
	s = strings.ToValidUTF8(s, "\uFFFD")
	open, end := strings.IndexByte(s, '<'), strings.LastIndexByte(s, '>')
	if open < 0 || end < open {
		return Signature{Name: s}, nil
	}
	sig := Signature{Name: strings.TrimSpace(s[:open]), Email: s[open+1 : end]}
	seconds, zone, _ := strings.Cut(strings.TrimSpace(s[end+1:]), " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return sig, nil
	}
	offset, err := strconv.Atoi(zone)
	if err != nil {
		offset = 0
	}
	location := time.UTC
	if offset != 0 {
		location = time.FixedZone("", (offset/100*60+offset%100)*60)
	}
	sig.Time = time.Unix(unix, 0).In(location)
	return sig, nil
}

// Commits returns what after has and before has not, newest first, at most limit, and whether there are more.
// A zero before means the whole history of after.
func (s *Service) Commits(ctx context.Context, id slipway.RepositoryID, before, after slipway.CommitID, limit int) ([]Commit, bool, error) {
	var not []slipway.CommitID
	if !before.IsZero() {
		not = append(not, before)
	}
	ids, more, err := s.newCommits(ctx, id, after, not, limit)
	if err != nil {
		return nil, false, err
	}
	list, err := s.commits(ctx, id, ids)
	return list, more, err
}

// newCommits lists the commits reachable from after and from none of not.
func (s *Service) newCommits(ctx context.Context, id slipway.RepositoryID, after slipway.CommitID, not []slipway.CommitID, limit int) ([]slipway.CommitID, bool, error) {
	var stdin strings.Builder
	for _, c := range append([]slipway.CommitID{after}, not...) {
		if err := checkCommitID(c); err != nil {
			return nil, false, err
		}
	}
	stdin.WriteString(string(after) + "\n")
	for _, c := range not {
		stdin.WriteString("^" + string(c) + "\n")
	}
	args := []string{"rev-list", "--ignore-missing", "--max-count=" + strconv.Itoa(limit+1), "--stdin"}
	ids, err := s.revList(ctx, id, args, strings.NewReader(stdin.String()))
	if err != nil {
		return nil, false, err
	}
	if len(ids) > limit {
		return ids[:limit], true, nil
	}
	return ids, false, nil
}

func (s *Service) revList(ctx context.Context, id slipway.RepositoryID, args []string, stdin *strings.Reader) ([]slipway.CommitID, error) {
	c := command{dir: s.dir(id), args: args}
	if stdin != nil {
		c.stdin = stdin
	}
	out, err := s.git.run(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("list commits of repository %s: %w", id, err)
	}
	var ids []slipway.CommitID
	for line := range strings.Lines(string(out)) {
		ids = append(ids, slipway.CommitID(strings.TrimSpace(line)))
	}
	return ids, nil
}

// checkCommitID makes sure that what is put on a command line is an object name and nothing else.
func checkCommitID(c slipway.CommitID) error {
	_, err := slipway.ParseCommitID(string(c))
	return err
}

// CommitList returns commits by their full object names, in their order.
func (s *Service) CommitList(ctx context.Context, id slipway.RepositoryID, ids []slipway.CommitID) ([]Commit, error) {
	for _, c := range ids {
		if err := checkCommitID(c); err != nil {
			return nil, err
		}
	}
	return s.commits(ctx, id, ids)
}
